"""Evaluate stored surfaces again from their weights and compare.

Nothing that is stored is changed, not even a file that cannot be read.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr

from lossatlas.datasets.cache import DatasetUnavailable
from lossatlas.evaluation.precision import in_last_digits
from lossatlas.evaluation.surface import COMPUTING_VERSION
from lossatlas.networks.training import Run
from lossatlas.study.conditions import Condition, condition_of
from lossatlas.study.files import DamagedFile, read_dataset
from lossatlas.study.slices import Slice
from lossatlas.study.store import Store
from lossatlas.study.study import Study

TOLERANCE = 1e-4  # how far a value may be from the stored one, relative to it …
FLOOR = 1e-3  # … or to this, where it is smaller: float32 gives no loss to better than about 1e-7
STEPS = 16  # in the last digits of the coordinates: a loss that they move …
ROUNDING = TOLERANCE / 10  # … by more than this, relative to it, is decided by rounding
FEWEST = 5  # rows and columns of the grid are evaluated again at least
SHOWN_SEED = 0  # pages show surfaces of this training seed: its weights must be there
AGREES, DIFFERS = "agrees", "differs"


@dataclass(frozen=True)
class Stored:
    """One stored surface and the request that it answers."""

    path: Path
    surface: xr.Dataset
    condition: Condition
    seed: int
    slice: Slice

    @property
    def seconds(self) -> float:
        """Seconds that it took to compute."""
        return float(self.surface.attrs["seconds"])

    @property
    def name(self) -> str:
        """For people: the condition, where the surface was taken, and the end of its key."""
        slice = self.slice
        samples = f"{self.surface.attrs['n_samples']} {slice.split}"
        low, high = slice.alphas[0], slice.alphas[-1]
        extent = [f"±{high:g}"] * bool(slice.alpha == slice.beta and low == -high)
        plane = [slice.plane.label] * (slice.plane.label not in self.condition.label)
        parts = [self.condition.label, f"seed {self.seed}", samples, *plane, *extent]
        return f"{', '.join(parts)} ({self.path.stem[-12:]})"


@dataclass(frozen=True)
class Check:
    """A stored surface beside what its weights give now.

    `points` of `of` were evaluated, `worst` is the largest relative difference (NaN if nothing was compared), and
    `verdict` is "agrees", "differs" or the reason why it is not known. `rounded` of the points are not compared:
    rounding decides their values (see :func:`check_surface`).
    """

    name: str
    points: int
    of: int
    worst: float
    seconds: float
    verdict: str
    rounded: int = 0


def read(path: Path) -> Stored:
    """Return a stored surface. Raises ValueError if it cannot be trusted or is not of this version."""
    try:
        surface = read_dataset(path)
    except DamagedFile as error:
        raise ValueError(f"cannot be read ({error})") from error
    try:
        request = json.loads(surface.attrs["request"])
        condition, seed = condition_of(request["run"], surface.attrs.get("condition", ""))
        if request["computing_version"] != COMPUTING_VERSION:
            raise ValueError(f"computed by version {request['computing_version']}, this is {COMPUTING_VERSION}")
        slice = Slice.from_request(request["slice"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its request is not that of a surface ({error!r})") from error
    return Stored(path, surface, condition, seed, slice)


def compare(stored: xr.Dataset, fresh: xr.Dataset) -> tuple[float, bool]:
    """Return the largest relative difference over the variables and the loss at θ*, and whether all values agree.

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


def moved(fresh: xr.Dataset, nearby: Sequence[xr.Dataset]) -> xr.DataArray:
    """Return where the loss of a surface changes if the coordinates change in their last digits alone."""
    change = np.max([np.abs(one.loss.values - fresh.loss.values) for one in nearby], axis=0)
    return fresh.loss.copy(data=change > ROUNDING * np.maximum(np.abs(fresh.loss.values), FLOOR))


def rows_of(points: int, share: float, generator: np.random.Generator) -> np.ndarray:
    """Return places along one side of a grid, in order: a share drawn without replacement, at least `FEWEST`."""
    number = min(points, max(FEWEST, math.ceil(points * share)))
    return np.sort(generator.permutation(points)[:number])


def drawn_part(surface: xr.Dataset, share: float, generator: np.random.Generator) -> xr.Dataset:
    """Return a share of a grid's points, a product of rows and columns; of an adaptive one, one evaluated at least."""
    sides = ("alpha", "beta")
    places = {name: rows_of(surface.sizes[name], math.sqrt(share), generator) for name in sides}
    if "evaluated" in surface:
        point = generator.choice(np.argwhere(surface.evaluated.transpose(*sides).values))
        places = {name: np.union1d(places[name], at) for name, at in zip(sides, point, strict=True)}
    return surface.isel(places)


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
    """Yield a study of a copy of the weights that a chapter and those it reads keep; it raises Missing for others."""

    def others(_, names: list[str]) -> list[str]:
        return [name for name in names if not name.endswith(".safetensors")]

    with tempfile.TemporaryDirectory() as folder:
        for kept in (*study.store.reads, study.store.root):
            if kept.exists():
                shutil.copytree(kept, Path(folder, study.chapter), ignore=others, dirs_exist_ok=True)
        yield _Kept(study.chapter, folder, study.device, progress=False)


def to_verify(kept: Study, found: Sequence[Stored]) -> list[Stored]:
    """Return the stored surfaces whose weights exist, and those whose weights must exist.

    Pages show surfaces of one seed, on the finest grid of a chapter that is evaluated at every point; what is coarser
    is only measured, and its weights need not be kept.
    """
    finest = max((stored.surface["loss"].size for stored in found if stored.slice.tolerance is None), default=0)
    return [
        stored
        for stored in found
        if (stored.seed == SHOWN_SEED and stored.surface["loss"].size >= finest)
        or kept.weights_path(stored.condition, stored.seed).exists()
    ]


def check_surface(kept: Study, stored: Stored, *, share: float = 1.0, seed: int = 0) -> Check:
    """Evaluate a stored surface again from its stored weights (of :func:`kept_tensors`) and compare.

    `share` of the grid's points are evaluated: a product of rows and columns, which `seed` and the surface's
    key choose. Points that an adaptive surface interpolates are not compared.

    Where a surface differs, it is evaluated once more with coordinates changed in their last digits. A network can be
    chaotic far from its minimum: at points where so little moves the loss, rounding decides it, no arithmetic of that
    precision can tell what is right, and they are not compared.
    """
    start, surface = time.perf_counter(), stored.surface
    draw = np.random.default_rng([seed, int(stored.path.stem[-12:], 16)])
    part = drawn_part(surface, share, draw)
    exact = replace(stored.slice, tolerance=None)
    compute = partial(kept.compute_surface, stored.condition, stored.seed, slice=exact)
    alphas, betas = part.alpha.values, part.beta.values
    known = part.get("evaluated", xr.ones_like(part.loss, bool))
    part = part.drop_vars("evaluated", errors="ignore").where(known)
    points, worst, rounded = 0, math.nan, 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that cannot be read: the verdict says it
            fresh = compute(alphas=alphas, betas=betas).where(known)
    except DatasetUnavailable as error:
        verdict = f"no data: {error}"
    except (Missing, RuntimeError) as error:  # the latter from weights that do not fit the network
        verdict = str(error).splitlines()[0]
    else:
        points, (worst, agrees) = int(known.sum()), compare(part, fresh)
        if not agrees:
            last = partial(in_last_digits, precision=surface.attrs["precision"])
            around = [(last(alphas, steps=i), last(betas, steps=j)) for i, j in product((-STEPS, STEPS), repeat=2)]
            unsure = moved(fresh, [compute(alphas=a, betas=b) for a, b in around])
            rounded = int(unsure.sum())
            worst, agrees = compare(part.where(~unsure), fresh.where(~unsure))
        verdict = AGREES if agrees and rounded < points else DIFFERS
    return Check(stored.name, points, surface.loss.size, worst, time.perf_counter() - start, verdict, rounded)


def stored_surfaces(study: Study, *, kind: str = "surface") -> tuple[list[Stored], dict[str, str]]:
    """Return every stored surface of a chapter, and why others are left out, by file name.

    Files of another ``kind`` that answer a request for a run and a slice, such as "eigenvalues", are read alike.
    """
    found, left_out = [], {}
    for path in sorted(study.store.root.glob(f"{kind}-*.nc")):
        try:
            found.append(read(path))
        except ValueError as error:
            left_out[path.name] = str(error)
    return found, left_out
