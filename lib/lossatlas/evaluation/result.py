"""What is written beside the values of a surface: labels, the strategy in words, and the request behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lossatlas.directions.subspaces import Subspace
from lossatlas.evaluation import arguments, batches, identity, preparation
from lossatlas.evaluation.adaptive_schedule import mean_values
from lossatlas.evaluation.schedule import Outcome, values_at_a_few_points
from lossatlas.evaluation.work import Work

BATCHES_SAID = {"running": "", "batch": ", batches as given", "recalibrate": ", statistics estimated at every point"}


def strategy_in_words(found: Outcome, work: Work) -> str:
    """Return the strategy in words."""
    if work.plain is None:
        return f"{found.strategy}{BATCHES_SAID[work.batch_norm]}"
    statistics = BATCHES_SAID["recalibrate"] if work.batch_norm == "recalibrate" else ""
    if work.plain.regrouped:
        return f"{found.strategy} ({'; '.join(work.plain.reasons)})"
    return f"loop, batches as given ({'; '.join(work.plain.reasons)}){statistics}"


def labelled(found: Outcome, work: Work, plane: Subspace, grid: Mapping[str, np.ndarray], attrs: dict) -> xr.Dataset:
    """Return the surface as a labelled Dataset."""
    dims, shape = tuple(grid), [len(values) for values in grid.values()]
    values = dict(zip(work.names, mean_values(found.sums), strict=True))
    described = {quantity.name: quantity.attrs for quantity in work.sweep.quantities}
    variables: dict[str, tuple] = {
        name: (dims, row[:-1].reshape(shape), dict(described.get(name, {}))) for name, row in values.items()
    }
    mean = values["loss"]
    if found.evaluated is not None:
        variables["evaluated"] = (dims, found.evaluated[:-1].reshape(shape))
    coords = {axis.name: (axis.name, grid[axis.name], {"units": axis.units}) for axis in plane.axes}
    counted = {"origin_loss": float(mean[-1]), "n_nonfinite": int((~np.isfinite(mean[:-1])).sum())}
    return xr.Dataset(variables, coords=coords, attrs={**counted, **attrs})


def single_values(description: Mapping) -> dict[str, str]:
    """Return the entries of a subspace's description that are single values, as text."""
    return {key: str(value) for key, value in description.items() if isinstance(value, str | int | float | None)}


def request_of(
    model: nn.Module,
    plane: Subspace,
    grid: Mapping[str, np.ndarray],
    functions: Mapping[str, str | Callable | None],
    options: Mapping[str, Any],
    work: Work,
    points: Tensor,
) -> dict:
    """Return the request that a resume file must match."""
    description = arguments.plain_values(plane.description)
    kind = ", ".join(f"{key} {value}" for key, value in single_values(description).items())
    spans = " × ".join(f"{len(values)} from {values[0]:g} to {values[-1]:g}" for values in grid.values())
    tensors = plane.origin, plane.directions, plane.buffers, plane.buffer_directions
    return {
        "request": {
            "model": identity.describe(type(model).__name__, batches.tensors_in(dict(model.state_dict())), repr(model)),
            "plane": identity.describe(kind, tensors),
            "grid": identity.describe(spans, [torch.as_tensor(values) for values in grid.values()]),
            "precision": f"{work.sweep.half or preparation.common_type(work.sweep.origin)}",
            **{name: identity.describe_function(function) for name, function in functions.items()},
            **(
                {"statistics": identity.describe("", [batches.tensors_in(batch) for batch in work.estimated_from])}
                if work.estimated_from
                else {}
            ),
            "data": identity.describe(f"{work.samples} samples", [batches.tensors_in(block) for block in work.blocks]),
            **options,
        },
        "values": values_at_a_few_points(work, points),
    }
