"""Histories, measures and other results of many training runs as Datasets over named dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lossatlas import geometry
from lossatlas._checks import instance_of, whole_number
from lossatlas.study.conditions import Condition, check_labels
from lossatlas.study.slices import Slice

if TYPE_CHECKING:
    from lossatlas.study.study import Study


def stack_histories(study: Study, conditions: Sequence[Condition], seeds: Sequence[int]) -> xr.Dataset:
    """Return the histories of all runs over condition, seed and epoch; see :meth:`Study.histories`."""
    check_labels(conditions)
    seeds = checked_seeds(seeds)
    rows = []
    for condition in conditions:
        columns = [_one_history(study.history(condition, seed)) for seed in seeds]
        rows.append(xr.concat(columns, "seed", join="outer", data_vars="all", coords="minimal", compat="override"))
    found = xr.concat(rows, "condition", join="outer", data_vars="all", coords="minimal", compat="override")
    return found.assign_coords(condition=[c.label for c in conditions], seed=seeds)


def _one_history(history: xr.Dataset) -> xr.Dataset:
    """Return a history without what belongs to one run alone; the seconds become a variable."""
    return history.assign(seconds=float(history.attrs["seconds"])).drop_attrs()


def collect_results(
    study: Study,
    name: str,
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    compute: Callable[[Condition, int], xr.Dataset],
    **request: Any,
) -> xr.Dataset:
    """Return stored results of all runs over condition and seed; see :meth:`Study.collect`."""
    check_labels(conditions)
    seeds = checked_seeds(seeds)
    rows = [
        [study.result(name, condition, s, compute=partial(compute, condition, s), **request) for s in seeds]
        for condition in conditions
    ]
    return stack_runs(rows, [condition.label for condition in conditions], seeds)


def stack_runs(rows: Sequence[Sequence[xr.Dataset]], labels: Sequence[str], seeds: Sequence[int]) -> xr.Dataset:
    """Return Datasets of runs, a row a condition and one a seed, as one Dataset with the attributes that all share.

    Raises
    ------
    ValueError
        If two have different coordinates.

    Examples
    --------
    >>> run = xr.Dataset({"loss": 0.5}, attrs={"samples": 1000})
    >>> stack_runs([[run, run]], ["SGD"], [0, 1]).loss.values
    array([[0.5, 0.5]])
    """
    how: Any = {"join": "exact", "data_vars": "all", "coords": "minimal", "compat": "override"}
    columns = [xr.concat(row, "seed", combine_attrs="drop_conflicts", **how) for row in rows]
    every = xr.concat(columns, "condition", combine_attrs="drop_conflicts", **how)
    return every.assign_coords(condition=list(labels), seed=list(seeds))


def measure_slices(
    study: Study,
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    slices: Sequence[Slice] | Mapping[str, Slice],
    measures: Iterable[str | geometry.Measure] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Return measures of all surfaces over condition, seed, plane and split; see :meth:`Study.measure`."""
    seeds = checked_seeds(seeds)
    named = named_slices(slices)
    which = None if measures is None else list(measures)
    surfaces = study.surfaces(conditions, seeds, slices=list(named.values()))
    labels = [condition.label for condition in conditions]
    planes, splits = (list(dict.fromkeys(key[i] for key in named)) for i in (0, 1))
    dims, shape = ("condition", "seed", "plane", "split"), (len(labels), len(seeds), len(planes), len(splits))
    variables: dict[str, tuple] = {}
    for (plane, split), slice in named.items():
        for i, label in enumerate(labels):
            for j, seed in enumerate(seeds):
                found = geometry.measures(surfaces[label, seed, slice], which, **options)
                for name, value in found.data_vars.items():
                    kept = variables.setdefault(str(name), (dims, np.full(shape, np.nan), value.attrs))
                    kept[1][i, j, planes.index(plane), splits.index(split)] = float(value)
    return xr.Dataset(variables, {"condition": labels, "seed": seeds, "plane": planes, "split": splits})


def named_slices(slices: Sequence[Slice] | Mapping[str, Slice]) -> dict[tuple[str, str], Slice]:
    """Return slices by the labels of their plane and split.

    Raises
    ------
    ValueError
        If two have the same labels, or there are none.

    Examples
    --------
    >>> list(named_slices([Slice(), Slice(split="train")]))
    [('plane 0', 'test'), ('plane 0', 'train')]
    """
    pairs = slices.items() if isinstance(slices, Mapping) else [(None, slice) for slice in slices]
    named: dict[tuple[str, str], Slice] = {}
    for label, slice in pairs:
        instance_of(slice, "slices", Slice, "a sequence (or mapping) of lossatlas.study.Slice")
        key = (label or slice.plane.label, slice.split)
        if named.setdefault(key, slice) != slice:
            raise ValueError(f"slices: two different ones are called {key}; give a mapping from labels to slices")
    if not named:
        raise ValueError("slices: empty; expected at least one")
    return named


def checked_seeds(seeds: Sequence[int]) -> list[int]:
    """Return training seeds as a list. Raises ValueError if there are none or one is no whole number."""
    found = [whole_number(seed, "seeds", least=0) for seed in seeds]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"seeds={found!r}: expected at least one, each once")
    return found
