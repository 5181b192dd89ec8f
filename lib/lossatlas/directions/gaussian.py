"""Random directions: Gaussian, scaled to the weights that they are added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lossatlas import vectors
from lossatlas.directions.subspaces import STEP, Box, Line, Plane
from lossatlas.vectors import Params, Point

NORMALIZATIONS = ("filter", "layer", None)
UNITS = {"filter": "filter-normalized step", "layer": "layer-normalized step", None: STEP}
EPSILON = 1e-10  # keeps a zero slice of a direction from dividing by zero (Li et al.'s code has the same)


def weight_layers(model: Point) -> list[str]:
    """Names of the layers that hold a weight of two or more dimensions, in the model's order."""
    layers: dict[str, None] = {}
    for name, tensor in vectors.parameters_of(model).items():
        if tensor.dim() >= 2:
            layers.setdefault(name.rpartition(".")[0] or name)
    return list(layers)


def normalize_direction(direction: Mapping[str, Tensor], origin: Mapping[str, Tensor], normalize) -> Params:
    """Scale a direction to the weights it is added to (Li et al. 2018, section 4).

    ``"filter"``: every slice along dimension 0 gets the norm of the same slice of θ*,
    ``d ← d · ‖θ‖ / (‖d‖ + 1e-10)``. ``"layer"``: the same with the whole tensor as the slice.
    ``None``: unchanged. Raises ValueError for any other value.
    """
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize={normalize!r}: expected one of {NORMALIZATIONS}")
    if normalize is None:
        return dict(direction)
    size = vectors.filter_norms if normalize == "filter" else torch.linalg.vector_norm
    return vectors.combine(lambda d, theta: d * (size(theta) / (size(d) + EPSILON)), direction, origin)


def moving_parameters(origin: Mapping[str, Tensor], layers: Sequence[str] | None, include_biases: bool) -> set:
    """Names of the parameters that a direction moves.

    ``layers`` are names of layers or parameters (a layer stands for all its parameters); None is all.
    Parameters of fewer than two dimensions stay put unless ``include_biases``.
    Raises ValueError for a name that the model does not have, or where nothing would move.
    """
    names = set(origin)
    if layers is not None:
        if isinstance(layers, str):
            layers = [layers]
        names = set()
        for layer in layers:
            found = {name for name in origin if name == layer or name.startswith(f"{layer}.")}
            if not found:
                raise ValueError(f"layers: no layer {layer!r} in this model; it has {weight_layers(origin)}")
            names |= found
    if not include_biases:
        names = {name for name in names if origin[name].dim() >= 2}
    if not names:
        raise ValueError(
            f"layers={layers!r} with include_biases={include_biases}: no parameter would move; "
            f"layers with weights are {weight_layers(origin)}"
        )
    return names


def random_direction(
    model: Point,
    *,
    generator: torch.Generator,
    normalize="filter",
    scale=1.0,
    layers=None,
    include_biases=False,
) -> Params:
    """One Gaussian direction, normalized, times ``scale``; zero where nothing is to move.

    Drawn in float64 on the CPU, so that a seed means the same direction on every device and precision.
    """
    origin = vectors.parameters_of(model)
    moving = moving_parameters(origin, layers, include_biases)
    drawn = {
        name: torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)
        for name, tensor in origin.items()
    }
    direction = normalize_direction(drawn, origin, normalize)
    return {name: scale * tensor if name in moving else torch.zeros_like(tensor) for name, tensor in direction.items()}


def _drawn(model: Point, number: int, seed: int, options: dict) -> tuple[Params, list[Params], str]:
    """The origin, so many directions drawn one after the other, and the units of a step along them."""
    generator = torch.Generator().manual_seed(seed)
    directions = [random_direction(model, generator=generator, **options) for _ in range(number)]
    return vectors.parameters_of(model), directions, UNITS[options["normalize"]]


def random_plane(
    model: Point,
    *,
    seed: int = 0,
    normalize: str | None = "filter",
    scale: float = 1.0,
    layers: Sequence[str] | None = None,
    include_biases: bool = False,
) -> Plane:
    """The plane through a model's weights along two Gaussian directions.

    ``normalize``: ``"filter"``, ``"layer"`` or None (see :func:`lossatlas.directions.normalize_direction`);
    ``scale`` multiplies both directions afterwards (the report's unnormalized pictures use ``normalize=None,
    scale=0.1``); ``layers``: move only these (see :func:`weight_layers`). Biases and normalization scales stay put
    unless ``include_biases``. Raises ValueError for an unknown normalization or layer.
    """
    options = dict(normalize=normalize, scale=scale, layers=layers, include_biases=include_biases)
    origin, directions, units = _drawn(model, 2, seed, options)
    return Plane(origin, *directions, {"kind": "random plane", "seed": seed, **options}, units=units)


def random_line(
    model: Point,
    *,
    seed: int = 0,
    normalize: str | None = "filter",
    scale: float = 1.0,
    layers: Sequence[str] | None = None,
    include_biases: bool = False,
) -> Line:
    """The line through a model's weights along the δ of :func:`random_plane` with the same arguments."""
    options = dict(normalize=normalize, scale=scale, layers=layers, include_biases=include_biases)
    origin, directions, units = _drawn(model, 1, seed, options)
    return Line(origin, *directions, {"kind": "random line", "seed": seed, **options}, units=units)


def random_box(
    model: Point,
    *,
    seed: int = 0,
    normalize: str | None = "filter",
    scale: float = 1.0,
    layers: Sequence[str] | None = None,
    include_biases: bool = False,
) -> Box:
    """The box along three Gaussian directions, of which the first two are those of :func:`random_plane`."""
    options = dict(normalize=normalize, scale=scale, layers=layers, include_biases=include_biases)
    origin, directions, units = _drawn(model, 3, seed, options)
    return Box(origin, directions, {"kind": "random box", "seed": seed, **options}, units=units)
