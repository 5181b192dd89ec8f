"""Repeat one training of a chapter and compare its measures with the stored ones."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy import stats

from lossatlas import geometry
from lossatlas.study.conditions import Condition, condition_of
from lossatlas.study.files import read_dataset
from lossatlas.study.planes import RandomPlane
from lossatlas.study.reevaluation import AGREES, DIFFERS, SHOWN_SEED, Stored
from lossatlas.study.study import Study

LEAST_SEEDS = 3  # that a spread over seeds needs
LEVEL = 0.99  # of the prediction interval in which a repeated training must lie
COARSE = 0.01  # of a measure's mean is no difference between trainings, however small the spread
SURFACE_SECONDS = 20.0  # what the surface of a repeated training may take; it is thinned out for that


@dataclass(frozen=True)
class Repeat:
    """A measure of a repeated training beside the stored one and those of all `seeds`.

    It agrees if it lies between `low` and `high`, the 99 % prediction interval for one more seed.
    """

    measure: str
    stored: float
    repeated: float
    low: float
    high: float
    seeds: int

    @property
    def verdict(self) -> str:
        """Whether the repeated training agrees."""
        return AGREES if self.low <= self.repeated <= self.high else DIFFERS


def trainings(study: Study) -> list[tuple[Condition, dict[int, xr.Dataset]]]:
    """Return every condition of a chapter with its stored histories by seed, the cheapest to train first."""
    groups: dict[str, tuple[Condition, dict[int, xr.Dataset]]] = {}
    for path in sorted(study.store.root.glob("history-*.nc")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            history = read_dataset(path)
            condition, seed = condition_of(json.loads(history.attrs["request"]))
            group = groups.setdefault(repr(condition), (condition, {}))
            group[1][seed] = history
    return sorted(groups.values(), key=lambda group: training_seconds(group[1]))


def cheapest(study: Study) -> tuple[Condition, dict[int, xr.Dataset]] | None:
    """Return the condition that is cheapest to train among those with the shown seed and enough others."""
    for condition, histories in trainings(study):
        if SHOWN_SEED in histories and len(histories) >= LEAST_SEEDS:
            return condition, histories
    return None


def training_seconds(histories: Mapping[int, xr.Dataset]) -> float:
    """Return the seconds that one training took, the median over its seeds."""
    return float(np.median([history.attrs["seconds"] for history in histories.values()]))


def spread(values: Sequence[float], *, least: float = 0.0) -> tuple[float, float]:
    """Return the prediction interval for one more value: mean ± t·s·√(1 + 1/n), and at least ± `least`."""
    given = np.asarray(values)
    mean, n = float(given.mean()), len(given)
    wide = stats.t.ppf((1 + LEVEL) / 2, n - 1) * given.std(ddof=1) * math.sqrt(1 + 1 / n)
    half = max(float(wide), least, COARSE * abs(mean))
    return mean - half, mean + half


def first_test_surface(condition: Condition, stored: Sequence[Stored]) -> dict[int, Stored]:
    """Return the surfaces of a condition on its first plane through all layers on test data, by seed.

    The result is empty if the shown seed has none.
    """
    own = [s for s in stored if replace(s.condition, label="") == replace(condition, label="")]
    test = []
    for one in own:
        slice, plane = one.slice, one.slice.plane
        if isinstance(plane, RandomPlane) and slice.split == "test" and plane.layers is None:
            test.append(((plane.normalize != "filter", plane.seed, -slice.points), slice))
    if not test:
        return {}
    first = min(test, key=lambda one: one[0])[1]
    found = {s.seed: s for s in own if s.slice == first}
    return found if SHOWN_SEED in found else {}


def measured(history: xr.Dataset, surface: xr.Dataset | None) -> dict[str, float]:
    """Return what is compared between trainings: the final losses, and two measures of the surface."""
    names = {"train_loss": "final training loss", "test_loss": "final test loss"}
    found = {words: float(history[name][-1]) for name, words in names.items()}
    if surface is not None:
        measures = geometry.measures(surface, ["nonconvex_share", "roughness"])
        found |= {geometry.spoken(value): float(value) for value in measures.values()}
    return found


def repeat(
    study: Study, condition: Condition, histories: Mapping[int, xr.Dataset], surfaces: Mapping[int, Stored]
) -> list[Repeat]:
    """Train a condition again with the shown seed, and compare its measures with the spread over the stored seeds.

    `surfaces` are those of :func:`first_test_surface`; where one is expensive, every second (third, …) row and
    column is used, of all seeds alike.
    """
    every = 1
    if surfaces:
        every = max(1, math.ceil(math.sqrt(surfaces[SHOWN_SEED].seconds / SURFACE_SECONDS)))
    thin = {name: slice(None, None, every) for name in ("alpha", "beta")}
    before = {seed: surface.surface.isel(thin) for seed, surface in surfaces.items()}
    seeds = sorted(set(histories) & set(before) if before else histories)
    columns = [measured(histories[seed], before.get(seed)) for seed in seeds]
    with tempfile.TemporaryDirectory() as folder:
        again = replace(study, results=folder)
        history, fresh = again.history(condition, SHOWN_SEED), None
        if before:
            where = surfaces[SHOWN_SEED].slice
            coordinates = {"alphas": where.alphas[::every], "betas": where.betas[::every]}
            fresh = again.compute_surface(condition, SHOWN_SEED, slice=where, **coordinates)
    least = {"non-convex share": 2 / fresh.loss.size} if fresh is not None else {}
    rows = []
    for name, value in measured(history, fresh).items():
        values = [column[name] for column in columns]
        low, high = spread(values, least=least.get(name, 0.0))
        rows.append(Repeat(name, columns[seeds.index(SHOWN_SEED)][name], value, low, high, len(seeds)))
    return rows
