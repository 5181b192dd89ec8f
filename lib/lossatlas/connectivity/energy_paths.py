"""Minimum-energy paths between two networks: chains of points that slide down to the bottom of a valley."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from lossatlas._checks import flag, whole_number
from lossatlas._progress import bar as progress_bar
from lossatlas.connectivity.curves import RECIPE, on_the_line
from lossatlas.connectivity.objective import Ends, Objective
from lossatlas.directions.curves import Curve
from lossatlas.networks.training import Recipe
from lossatlas.vectors import Point

INSERTED_ABOVE = 0.2  # excess of the loss between two pivots, as a share of the range of the loss along the path
BETWEEN = (0.25, 0.5, 0.75)  # where the loss between two pivots is computed


def minimum_energy_path(
    a: Point,
    b: Point,
    data: Any,
    *,
    pivots: int = 7,
    rounds: int = 3,
    recipe: Recipe = RECIPE,
    loss: str | Callable = "cross_entropy",
    model: nn.Module | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> tuple[Curve, xr.Dataset]:
    """Return a polygon between two networks that follows the bottom of a valley, by the nudged elastic band.

    Every update moves each pivot along the part of its gradient that is perpendicular to the path, and then spaces
    the pivots evenly along it. Each round takes all updates of the recipe. Between two rounds, a pivot is inserted
    where the loss rises above the line between its neighbours by more than a fifth of its range along the path. The
    network is in training mode, as in :func:`connect`.

    Parameters
    ----------
    a, b, data, loss, model, device, progress
        As :func:`connect` takes them.
    pivots : int
        How many points between the ends there are at first. They start on the straight line, displaced by a
        thousandth of its length at random.
    rounds : int
        How often the recipe is followed.
    recipe : Recipe
        How the pivots move. The penalties ``l1`` and ``l2`` are those of the weights of each pivot.
    seed : int
        Of the displacement and the order of the batches.

    Returns
    -------
    (Curve, Dataset)
        A polygon through the pivots, and over ``step`` the ``highest`` loss of a pivot on the batch of that update,
        the number of ``pivots`` and the ``round``.

    Raises
    ------
    ValueError
        As :func:`connect` raises it.

    References
    ----------
    Draxler et al. 2018, "Essentially No Barriers in Neural Network Energy Landscape", section 3; the tangents are
    those of Henkelman and Jónsson 2000, "Improved tangent estimate in the nudged elastic band method", equation 8.

    Examples
    --------
    >>> import lossatlas as la
    >>> data = la.load_dataset("digits")
    >>> a, b = (la.build_model("feedforward", data, depth=2, width=8, seed=seed) for seed in (0, 1))
    >>> options = {"pivots": 2, "rounds": 1, "recipe": la.Recipe(epochs=1), "progress": False}
    >>> path, history = minimum_energy_path(a, b, data.train, **options)
    >>> path.kind, history.sizes["step"]
    ('polygon', 14)
    """
    pivots, rounds = whole_number(pivots, "pivots", least=1), whole_number(rounds, "rounds", least=1)
    seed, progress = whole_number(seed, "seed", least=0), flag(progress, "progress")
    ends = Ends(a, b, model)
    objective = Objective(ends.module, data, loss, recipe, device)
    first, last = (objective.flat(params) for params in ends.parameters)
    generator = torch.Generator().manual_seed(seed)
    band = torch.stack([first, *on_the_line(first, last, pivots, generator), last])
    at_ends = objective.mean(first), objective.mean(last)
    history: list[tuple[int, int, float]] = []
    with progress_bar(total=rounds * objective.steps, description="path", unit=" steps", show=progress) as bar:
        for number in range(rounds):
            band = _with_insertions(objective, band) if number else band
            points = band[1:-1].clone()
            optimizer, schedule = objective.optimizer(points)
            for batch in objective.batches(generator):
                band = evenly_spaced(torch.cat([first[None], points, last[None]]))
                points.copy_(band[1:-1])
                found = [objective.step(point, batch) for point in points]
                losses = [at_ends[0], *(value for value, _ in found), at_ends[1]]
                across = [_across(band, losses, i + 1, gradient) for i, (_, gradient) in enumerate(found)]
                objective.move(points, torch.stack(across), optimizer)
                schedule.step()
                history.append((number, len(points), max(value for value, _ in found)))
                bar.update()
            band = evenly_spaced(torch.cat([first[None], points, last[None]]))
    moved = [objective.params(point, ends.parameters[0]) for point in band[1:-1]]
    columns = dict(zip(("round", "pivots", "highest"), zip(*history, strict=True), strict=True))
    steps = xr.Dataset({name: ("step", list(values)) for name, values in columns.items()})
    path = ends.curve("polygon", moved, {"method": "nudged elastic band", "seed": seed})
    return path, steps.assign_coords(step=range(1, len(history) + 1))


def evenly_spaced(band: Tensor) -> Tensor:
    """Return as many points at equal distances along the polygon through points (n, weights); the ends stay.

    Examples
    --------
    >>> evenly_spaced(torch.tensor([[0.0], [1.0], [8.0]])).flatten()
    tensor([0., 4., 8.])
    """
    lengths = (band[1:] - band[:-1]).norm(dim=1).double()
    along = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    wanted = torch.linspace(0, 1, len(band), dtype=along.dtype, device=along.device)[1:-1] * along[-1]
    piece = torch.searchsorted(along, wanted, right=True).clamp(1, len(band) - 1) - 1
    share = ((wanted - along[piece]) / lengths[piece].clamp(min=torch.finfo(along.dtype).tiny)).to(band)
    return torch.cat([band[:1], torch.lerp(band[piece], band[piece + 1], share[:, None]), band[-1:]])


def _across(band: Tensor, losses: list[float], i: int, gradient: Tensor) -> Tensor:
    """Return the part of a gradient that is perpendicular to the path, whose tangent leads to the higher neighbour."""
    tangent = band[i + 1] - band[i] if losses[i + 1] > losses[i - 1] else band[i] - band[i - 1]
    tangent = nn.functional.normalize(tangent, dim=0)
    return gradient - (gradient @ tangent) * tangent


def _with_insertions(objective: Objective, band: Tensor) -> Tensor:
    """Return the pivots with others between those where the loss rises far above its linear interpolation."""
    losses = [objective.mean(point) for point in band]
    inside = [
        [objective.mean(torch.lerp(start, end, share)) for share in BETWEEN] for start, end in itertools.pairwise(band)
    ]
    every = [*losses, *(value for values in inside for value in values)]
    threshold = INSERTED_ABOVE * (max(every) - min(every))
    kept = [band[0]]
    for i, values in enumerate(inside):
        above = [v - (1 - s) * losses[i] - s * losses[i + 1] for v, s in zip(values, BETWEEN, strict=True)]
        if max(above) > threshold:
            kept.append(torch.lerp(band[i], band[i + 1], BETWEEN[above.index(max(above))]))
        kept.append(band[i + 1])
    return torch.stack(kept)
