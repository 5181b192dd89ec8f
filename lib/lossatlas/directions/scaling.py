"""How directions are scaled to the weights that they are added to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lossatlas import vectors
from lossatlas._checks import one_of
from lossatlas.directions import checks
from lossatlas.vectors import Params

NORMALIZATIONS = ("filter", "layer", None)
EPSILON = 1e-10  # keeps a zero slice of a direction from dividing by zero (Li et al.'s code has the same)


def normalize_direction(direction: Mapping[str, Tensor], origin: Mapping[str, Tensor], normalize: str | None) -> Params:
    """Scale a direction to the weights that it is added to.

    Parameters
    ----------
    direction, origin : dict of str to Tensor
        The direction d and the weights θ, of the same names and shapes.
    normalize : {"filter", "layer", None}
        ``"filter"``: every slice along dimension 0 gets the norm of the same slice of θ,
        ``d ← d · ‖θ‖ / (‖d‖ + 1e-10)``. ``"layer"``: the same with the whole tensor as the slice. None: unchanged.

    Returns
    -------
    dict of str to Tensor
        The scaled direction, in the dtypes of ``direction``.

    Raises
    ------
    ValueError
        If ``normalize`` is none of these, or if names or shapes differ.

    References
    ----------
    Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 4.

    Examples
    --------
    >>> import torch
    >>> theta = {"w": torch.tensor([[3.0, 4.0], [0.0, 2.0]])}
    >>> normalize_direction({"w": torch.ones(2, 2)}, theta, "filter")["w"].norm(dim=1).round(decimals=2)
    tensor([5., 2.])
    """
    one_of(normalize, "normalize", NORMALIZATIONS)
    given, theta = checks.tensors(direction, "direction"), checks.tensors(origin, "origin")
    vectors.check_same_shape(theta, given, what="direction")
    return scaled_to(given, theta, normalize)


def scaled_to(direction: Params, origin: Params, normalize: str | None) -> Params:
    """Return a direction scaled to weights; both are checked."""
    if normalize is None:
        return direction
    size: Callable[[Tensor], Tensor] = vectors.filter_norms if normalize == "filter" else torch.linalg.vector_norm

    def scaled(d: Tensor, theta: Tensor) -> Tensor:
        if not checks.movable(d):
            return d
        wide = torch.promote_types(d.dtype, torch.float32)  # norms in half precision are off by a per cent
        d_wide, theta_wide = d.to(wide), theta.to(torch.promote_types(theta.dtype, torch.float32))
        return (d_wide * (size(theta_wide) / (size(d_wide) + EPSILON))).to(d.dtype)

    return vectors.combine(scaled, direction, origin)


def relative_length(direction: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> float:
    """Return the length of a direction in filter-normalized steps.

    It is the root mean square, over all filters, of the length of the direction's slice over that of the weights'
    slice: ``√(mean_f ‖d_f‖² / ‖θ_f‖²)``. Filter-normalized directions have length 1. A direction that is divided by
    its relative length can be compared with them, and still points where it did.

    Parameters
    ----------
    direction, origin : dict of str to Tensor
        The direction d and the weights θ, of the same names and shapes. Tensors with fewer than two dimensions and
        filters whose weights are zero count nowhere.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If names or shapes differ, or if every filter is zero.

    Examples
    --------
    >>> import torch
    >>> theta = {"w": torch.tensor([[3.0, 4.0], [0.0, 2.0]])}
    >>> relative_length({"w": torch.tensor([[5.0, 0.0], [2.0, 0.0]])}, theta)
    1.0
    """
    given, theta = checks.tensors(direction, "direction"), checks.tensors(origin, "origin")
    vectors.check_same_shape(theta, given, what="direction")
    ratios = []
    for name, weights in theta.items():
        if weights.dim() >= 2 and checks.movable(weights):
            own, moved = (
                vectors.filter_norms(t.to(torch.promote_types(t.dtype, torch.float64))).flatten()
                for t in (weights, given[name])
            )
            ratios.append((moved / own)[own > 0])
    if not ratios or not torch.cat(ratios).numel():
        raise ValueError("origin: no filter differs from zero, so that no length is relative to it")
    return math.sqrt(float(torch.cat(ratios).square().mean()))
