"""Whether what is stored is what the code gives: surfaces from their weights, measures from training again.

Nothing that is stored is changed, not even where it cannot be read.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import stats

from lossatlas import geometry
from lossatlas.datasets import DatasetUnavailable
from lossatlas.paths import PathSlice, compute_surface_under
from lossatlas.store import Store
from lossatlas.study import TRAINING_VERSION, Condition, Slice, Study
from lossatlas.surface import COMPUTING_VERSION
from lossatlas.training import Recipe, Run

TOLERANCE = 1e-4  # how far a value may be from the stored one, relative to it …
FLOOR = 1e-3  # … or to this, where it is smaller: float32 gives no loss to better than about 1e-7
FEWEST = 5  # rows and columns of the grid are evaluated again at least
LEAST_SEEDS = 3  # a spread over seeds needs so many
LEVEL = 0.99  # of the prediction interval in which a repeated training must lie
COARSE = 0.01  # of a measure's mean is no difference between trainings, however small the spread
SURFACE_SECONDS = 20.0  # what the surface of a repeated training may take; it is thinned out for that
SHOWN_SEED = 0  # pages show surfaces of this training seed: its weights must be there
AGREES, DIFFERS = "agrees", "differs"


@dataclass(frozen=True)
class Stored:
    """One stored surface, read for what was asked."""

    path: Path
    surface: xr.Dataset
    condition: Condition
    seed: int
    slice: Slice | PathSlice

    @property
    def seconds(self) -> float:
        """What it took to compute."""
        return float(self.surface.attrs["seconds"])

    @property
    def name(self) -> str:
        """For people: the condition, where the surface was taken, and the end of its key."""
        slice = self.slice
        samples = f"{self.surface.attrs['n_samples']} {slice.split}"
        parts = [self.condition.label, f"seed {self.seed}", samples, f"plane {slice.plane_seed}"]
        if isinstance(slice, Slice):
            parts += [f"±{slice.extent:g}", *(slice.layers or ())]
            parts += [f"{slice.normalize} normalization"] * (slice.normalize != "filter")
        return f"{', '.join(parts)} ({self.path.stem[-12:]})"


@dataclass(frozen=True)
class Check:
    """A stored surface beside what its weights give now: `points` of `of` were compared, `worst` is the largest
    relative difference (NaN where nothing was compared), `verdict` "agrees", "differs" or why it is not known."""

    name: str
    points: int
    of: int
    worst: float
    seconds: float
    verdict: str


@dataclass(frozen=True)
class Repeat:
    """A measure of a repeated training beside the stored one and those of all `seeds`: it agrees between `low` and
    `high`, the 99 % prediction interval for one more seed."""

    measure: str
    stored: float
    repeated: float
    low: float
    high: float
    seeds: int

    @property
    def verdict(self) -> str:
        return AGREES if self.low <= self.repeated <= self.high else DIFFERS


def condition_of(run: Mapping, label: str = "") -> tuple[Condition, int]:
    """The condition and the seed that a stored request names. Raises ValueError for one that is not of this code."""
    given = {key: value for key, value in run.items() if key not in ("seed", "training_version")}
    condition = Condition(label, **{**given, "recipe": Recipe(**given["recipe"])})
    if Study._request(condition, run["seed"]) != run:
        raise ValueError(f"trained by version {run.get('training_version')}, this is {TRAINING_VERSION}")
    return replace(condition, label=label or condition.name), run["seed"]


def slice_of(asked: Mapping) -> Slice | PathSlice:
    """Where a stored surface was taken. Raises ValueError for another version's."""
    kind, place = (PathSlice, dict(asked["asked"])) if "measure" in asked else (Slice, dict(asked["slice"]))
    version = place.pop("computing_version", asked.get("computing_version"))
    if version != COMPUTING_VERSION:
        raise ValueError(f"computed by version {version}, this is {COMPUTING_VERSION}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in place.items()})


def read(path: Path) -> Stored:
    """A stored surface. Raises ValueError where it cannot be read, or is not what its name and version say."""
    try:
        surface = xr.load_dataset(path, engine="h5netcdf")
        asked = json.loads(surface.attrs["asked"])
        condition, seed = condition_of(asked["run"], surface.attrs.get("condition", ""))
        slice = slice_of(asked)
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(f"cannot be read ({error!r})") from error
    if Store(path.parent).path(f"surface-{condition.name}", asked, ".nc") != path:
        raise ValueError("what was asked is not what its name says")
    return Stored(path, surface, condition, seed, slice)


def compare(stored: xr.Dataset, fresh: xr.Dataset) -> tuple[float, bool]:
    """The largest relative difference over the variables and the loss at θ*, and whether all values agree.

    A value agrees within `TOLERANCE`, relative to it or to `FLOOR`; what is not finite must be the same. An
    accuracy counts samples: that it differs by one of them is no difference, since rounding decides ties.
    """
    worst, agrees = 0.0, set(stored.data_vars) == set(fresh.data_vars)
    stored, fresh = (found.assign(origin_loss=found.attrs["origin_loss"]) for found in (stored, fresh))
    for name in set(stored.data_vars) & set(fresh.data_vars):
        one, other = (np.asarray(found[name].values, dtype=np.float64) for found in (stored, fresh))
        finite = np.isfinite(one) & np.isfinite(other)
        agrees &= np.array_equal(one[~finite], other[~finite], equal_nan=True)
        difference = np.abs(one[finite] - other[finite])
        size = np.maximum(np.abs(one[finite]), FLOOR)
        if name == "accuracy":
            difference[difference < 1.001 / int(stored.attrs["n_samples"])] = 0.0
        worst = max(worst, float((difference / size).max(initial=0.0)))
    return worst, bool(agrees) and worst <= TOLERANCE


def rows_of(points: int, share: float, generator: np.random.Generator) -> np.ndarray:
    """Places along one side of a grid, in order: such a share of them, drawn without replacement, at least `FEWEST`."""
    number = min(points, max(FEWEST, math.ceil(points * share)))
    return np.sort(generator.permutation(points)[:number])


class Missing(Exception):
    """What is needed is not stored, or cannot be read."""


class _Kept(Study):
    """A study that trains nothing, and looks for the weights of every seed beside the surfaces."""

    def train(self, condition: Condition, seed: int) -> Run:
        raise Missing("its weights are missing or cannot be read")

    def _weights_store(self, seed: int) -> Store:
        return self.store


@contextlib.contextmanager
def kept_tensors(study: Study) -> Iterator[Study]:
    """A study of the weights that a chapter keeps, in a copy, and of nothing else; it raises Missing for others."""

    def others(_, names: list[str]) -> list[str]:
        return [name for name in names if not name.endswith(".safetensors")]

    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(study.store.root, Path(folder, study.chapter), ignore=others)
        yield _Kept(study.chapter, folder, study.device, progress=False)


def to_verify(kept: Study, found: Sequence[Stored]) -> list[Stored]:
    """The stored surfaces whose weights are there, and those whose weights must be.

    Pages show surfaces of one seed, on the finest grid of a chapter; what is coarser is only measured, and its
    weights need not be kept.
    """
    finest = max((stored.surface["loss"].size for stored in found), default=0)
    return [
        stored
        for stored in found
        if (stored.seed == SHOWN_SEED and stored.surface["loss"].size == finest)
        or kept.weights_path(stored.condition, stored.seed).exists()
    ]


def check_surface(kept: Study, stored: Stored, *, share: float = 1.0, seed: int = 0) -> Check:
    """Evaluate a stored surface again from its stored weights (of :func:`kept_tensors`) and compare.

    `share` of the grid's points are evaluated: a product of rows and columns, which `seed` and the surface's
    key choose.
    """
    start, surface = time.perf_counter(), stored.surface
    draw = np.random.default_rng([seed, int(stored.path.stem[-12:], 16)])
    part = surface.isel({name: rows_of(surface.sizes[name], math.sqrt(share), draw) for name in ("alpha", "beta")})
    compute = kept.compute_surface if isinstance(stored.slice, Slice) else partial(compute_surface_under, kept)
    points, worst = 0, math.nan
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that cannot be read: the verdict says it
            fresh = compute(
                stored.condition, stored.seed, slice=stored.slice, alphas=part.alpha.values, betas=part.beta.values
            )
    except DatasetUnavailable as error:
        verdict = f"no data: {error}"
    except (Missing, RuntimeError) as error:  # the latter from weights that do not fit the network
        verdict = str(error).splitlines()[0]
    else:
        points, (worst, agrees) = part.loss.size, compare(part, fresh)
        verdict = AGREES if agrees else DIFFERS
    return Check(stored.name, points, surface.loss.size, worst, time.perf_counter() - start, verdict)


def stored_surfaces(study: Study) -> tuple[list[Stored], dict[str, str]]:
    """Every stored surface of a chapter, and why those that are none of this code's are left out, by file name."""
    found, left_out = [], {}
    for path in sorted(study.store.root.glob("surface-*.nc")):
        try:
            found.append(read(path))
        except ValueError as error:
            left_out[path.name] = str(error)
    return found, left_out


def trainings(study: Study) -> list[tuple[Condition, dict[int, xr.Dataset]]]:
    """Every condition of a chapter with its stored histories by seed, the cheapest to train first."""
    groups: dict[str, tuple[Condition, dict[int, xr.Dataset]]] = {}
    for path in sorted(study.store.root.glob("history-*.nc")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            history = xr.load_dataset(path, engine="h5netcdf")
            condition, seed = condition_of(json.loads(history.attrs["asked"]))
            group = groups.setdefault(repr(condition), (condition, {}))
            group[1][seed] = history
    return sorted(groups.values(), key=lambda group: training_seconds(group[1]))


def cheapest(study: Study) -> tuple[Condition, dict[int, xr.Dataset]] | None:
    """The condition that is cheapest to train, of those with the shown seed and enough others for a spread."""
    for condition, histories in trainings(study):
        if SHOWN_SEED in histories and len(histories) >= LEAST_SEEDS:
            return condition, histories
    return None


def training_seconds(histories: Mapping[int, xr.Dataset]) -> float:
    """What one training took, the median over its seeds."""
    return float(np.median([history.attrs["seconds"] for history in histories.values()]))


def spread(values: Sequence[float], *, least: float = 0.0) -> tuple[float, float]:
    """The prediction interval for one more value: mean ± t·s·√(1 + 1/n), and at least ± `least`."""
    values = np.asarray(values)
    mean, n = float(values.mean()), len(values)
    wide = stats.t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) * math.sqrt(1 + 1 / n)
    half = max(float(wide), least, COARSE * abs(mean))
    return mean - half, mean + half


def first_test_surface(condition: Condition, stored: Sequence[Stored]) -> dict[int, Stored]:
    """The surfaces of a condition on its first plane through all layers on test data, by seed; empty where
    the shown seed has none."""
    own = [s for s in stored if replace(s.condition, label="") == replace(condition, label="")]
    planes = [s.slice for s in own if isinstance(s.slice, Slice)]
    test = [slice for slice in planes if slice.split == "test" and slice.layers is None]
    if not test:
        return {}
    first = min(test, key=lambda slice: (slice.normalize != "filter", slice.plane_seed, -slice.points))
    found = {s.seed: s for s in own if s.slice == first}
    return found if SHOWN_SEED in found else {}


def measured(history: xr.Dataset, surface: xr.Dataset | None) -> dict[str, float]:
    """What is compared between trainings: the final losses, and two measures of the surface."""
    found = {f"final {part} loss": float(history[f"{part}_loss"][-1]) for part in ("train", "test")}
    if surface is not None:
        found["non-convex share"] = geometry.nonconvex_share(surface)
        found["roughness"] = geometry.roughness(surface)
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
            fresh = again.compute_surface(condition, SHOWN_SEED, slice=where, alphas=where.alphas[::every])
    least = {"non-convex share": 2 / fresh.loss.size} if before else {}
    rows = []
    for name, value in measured(history, fresh).items():
        values = [column[name] for column in columns]
        low, high = spread(values, least=least.get(name, 0.0))
        rows.append(Repeat(name, columns[seeds.index(SHOWN_SEED)][name], value, low, high, len(seeds)))
    return rows
