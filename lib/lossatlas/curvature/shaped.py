"""Directions that are searched for, so that the loss along them has a chosen shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas._checks import flag, real_number, whole_number
from lossatlas._progress import bar as progress_bar
from lossatlas.curvature.gradients import gradient, moving_filters
from lossatlas.curvature.hessian import LossHessian, check_finite_loss, loss_hessian
from lossatlas.directions import Box, Line, Plane
from lossatlas.directions.checkpoints import read

UNITS = "step that the search found"


def shaped_subspace(
    model: nn.Module,
    data,
    *,
    low: Sequence = (),
    high: Sequence = (),
    level: float = 3.0,
    loss: str | Callable = "cross_entropy",
    layers: Sequence[str] | None = None,
    predict: Callable | None = None,
    steps: int = 300,
    rate: float = 0.02,
    start: float = 0.5,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Line | Plane | Box:
    """Search for directions through a model's weights along which the loss is low and high at chosen coordinates.

    Adam minimizes ``Σ_low L + Σ_high max(level − L, 0)`` over the directions, from random ones. It works in the units
    of the filters, so that a step is relative to the weights. Parameters with fewer than two dimensions stand still.

    Parameters
    ----------
    model, data, loss, layers, predict, device
        As in :func:`loss_hessian`.
    low, high : sequence of float, or of pairs or triples of float
        Where the loss is to be low and where it is to be high: coordinates α of a line, (α, β) of a plane or
        (α, β, γ) of a box.
    level : float
        How high is high enough, in units of the loss.
    steps, rate : int, float
        Of Adam.
    start : float
        Length of the random directions that the search begins with, in filter-normalized steps.
    seed : int
        Of these directions.
    progress : bool
        Whether a bar on stderr counts steps.

    Returns
    -------
    Line, Plane or Box
        Its description holds ``low_losses`` and ``high_losses``, which the search ended with.

    Raises
    ------
    ValueError
        Naming the argument that does not fit, or if no weight can move.

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.ones_(model.weight)
    >>> data = torch.ones(1, 1), model(torch.ones(1, 1)).detach() + 2  # the loss is (w − w* − 2)²
    >>> line = shaped_subspace(model, data, low=[1.0], loss="mse", steps=2000, device="cpu", progress=False)
    >>> line.delta["weight"].round(decimals=3)
    tensor([[2.]])
    """
    points, number = _coordinates(low, high)
    level, rate, start = (
        real_number(value, name, above=0) for value, name in ((level, "level"), (rate, "rate"), (start, "start"))
    )
    steps, seed = whole_number(steps, "steps", least=1), whole_number(seed, "seed", least=0)
    progress = flag(progress, "progress")
    options: dict[str, Any] = {"loss": loss, "layers": layers, "predict": predict, "device": device}
    hessian = loss_hessian(model, data, coordinates="filters", **options)
    check_finite_loss(hessian)
    with progress_bar(total=steps, description="search", unit=" steps", show=progress) as bar:
        found, losses = _search(hessian, points, number, (level, steps, rate, start, seed), bar.update)
    network = read(model, "model")
    origin = vectors.copy_of(network.parameters)
    directions = [{**vectors.zeros_like(origin), **direction} for direction in found]
    description = {
        "kind": "search for a shape",
        "low": points[:number].tolist(),
        "high": points[number:].tolist(),
        "low_losses": losses[:number],
        "high_losses": losses[number:],
        **{"normalize": None, "level": level, "steps": steps, "rate": rate, "start": start, "seed": seed},
    }
    rest: dict[str, Any] = {"units": UNITS, "buffers": vectors.copy_of(network.buffers)}
    if len(directions) == 3:
        return Box(origin, directions, description, **rest)
    if len(directions) == 2:
        return Plane(origin, directions[0], directions[1], description, **rest)
    return Line(origin, directions[0], description, **rest)


def _coordinates(low: Sequence, high: Sequence) -> tuple[np.ndarray, int]:
    """Return the coordinates of all points, (n, directions), those of low first, and how many these are."""
    found = {}
    for name, given in (("low", low), ("high", high)):
        try:
            array = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            kind = type(given).__name__
            raise ValueError(f"{name}: got {kind}; expected numbers, or rows of two or three") from None
        if array.size:
            if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] not in (2, 3)):
                raise ValueError(f"{name}: shape {array.shape}; expected numbers, or rows of two or three")
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: {array.tolist()!r:.60}; expected finite numbers")
            found[name] = array.reshape(len(array), -1)
            if not found[name].any(axis=1).all():
                raise ValueError(f"{name}: the origin is among them, where nothing can change")
    if not found:
        raise ValueError("low: no coordinates, and none of high; expected at least one")
    if len(widths := {name: points.shape[1] for name, points in found.items()}) == 2 and len(set(widths.values())) > 1:
        raise ValueError(f"high: {widths['high']} coordinates a point, but low has {widths['low']}")
    return np.vstack(list(found.values())), len(found.get("low", ()))


def _search(
    hessian: LossHessian,
    points: np.ndarray,
    number: int,
    options: tuple[float, int, float, float, int],
    advance: Callable[[], object],
) -> tuple[list[vectors.Params], list[float]]:
    """Return the directions, and the losses at the points; the first ``number`` are to be low."""
    assert hessian.scaling is not None
    level, steps, rate, start, seed = options
    scaling = hessian.scaling.double()
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(points.shape[1], len(scaling), generator=generator, dtype=torch.float64)
    drawn = drawn.to(scaling.device) * (scaling > 0)
    drawn *= start * moving_filters(hessian) ** 0.5 / drawn.norm(dim=1, keepdim=True)
    units, origin = nn.Parameter(drawn), vectors.parameters_of(hessian.like)
    optimizer = torch.optim.Adam([units], lr=rate)

    def move_to(point: np.ndarray) -> Tensor:
        factors = torch.as_tensor(point, dtype=torch.float64, device=scaling.device)
        step = (factors @ units.detach()) * scaling
        hessian.move_to(vectors.add_scaled(origin, [hessian.as_params(step)], [1.0]))
        return factors

    for _ in range(steps):
        units.grad = torch.zeros_like(units)
        for i, point in enumerate(points):
            factors = move_to(point)
            if i < number or hessian.loss < level:
                units.grad += (1 if i < number else -1) * torch.outer(factors, gradient(hessian))
        optimizer.step()
        advance()
    losses = []
    for point in points:
        move_to(point)
        losses.append(float(hessian.loss))
    return [hessian.as_params(row * scaling) for row in units.detach()], losses
