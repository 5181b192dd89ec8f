"""A whole grid from some of its points and few of the samples: evaluate what helps most, interpolate the rest.

A loss surface is usually so smooth that few of its points determine the others, and the surface over few samples
differs from the surface over all of them by a factor that is smoother still. The samples form nested levels. Each
level is evaluated at fewer points than the level below, and its correction is interpolated. Points that are evaluated
on one level cost nothing twice: their sums over the samples of lower levels are part of the sum.

Each round evaluates more points on one level: the level whose prediction erred most for what was spent on it. New
points lie where a rougher interpolation differs most; some are drawn at random. Costs are counted in samples, not
timed, so that the same seed asks for the same points on every machine. If the surface is too rough for one level,
that level gets every point, in the end all samples.

The error is measured at the end, at points that are drawn at random, evaluated on all samples and used for nothing
else. If n points all have errors of at most e, then with 95 % confidence at most a share ``1 − 0.05^(1/n)`` of the
interpolated points has a larger error: that is the order-statistic tolerance bound, which supposes nothing about the
errors. If e is more than a third of the tolerance, these points join the known ones and the search continues. The k-th
such attempt uses 0.05/2ᵏ in place of 0.05, so that the confidence holds for whichever attempt ends the search.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from lossatlas.evaluation.interpolation import Level

SCALES = ("linear", "log")
SAFETY = 3  # the largest error of the grid is estimated as at least this many times the largest one seen
FIRST = 6, 11  # fewest and most points along each side at the start on the lowest level, about every fifth
FIRST_ABOVE = 4, 6  # the same on the levels above, about every tenth
LEAST = 8  # fewest points of a round
GROWTH = 0.15, 1.0  # a round adds between these shares of the known points
DRAWN = 0.25  # share of them that are drawn at random
NEGLIGIBLE = 0.25  # a level whose error is less than this share of the tolerance is left as it is
HALF = 0.5  # a level on which more than this share of the points is known gets all of them
CHECKED = 59  # most points that measure the error: at most 5 % of the others have a larger one, with 95 % confidence
CHECKED_SHARE = 0.05  # of the grid, but at least …
CHECKED_LEAST = 12  # … so many
DOUBTED = 0.05  # one minus the confidence
AROUND = 4  # known points around a value that must all be finite


@dataclass(frozen=True)
class Filled:
    """Hold the values at all points of a grid, and how they were found.

    Attributes
    ----------
    values : array of shape (k, n)
        The values of k quantities at n points.
    evaluated : array of shape (n,)
        Which points were evaluated on all samples. The others were interpolated.
    counts : list of int
        How many points were evaluated on each level.
    errors : array of shape (k,)
        The largest errors seen at the checked points, as shares of the range of the values.
    estimates : array of shape (k,)
        Estimates of the largest errors of the grid: three times the largest seen, or what the levels erred by before
        the last points were evaluated, whichever is larger.
    checked : int
        How many points were checked.
    share : float
        With 95 % confidence, at most this share of the interpolated points has a larger error.
    """

    values: np.ndarray
    evaluated: np.ndarray
    counts: list[int]
    errors: np.ndarray
    estimates: np.ndarray
    checked: int
    share: float


def fill(
    evaluate: Callable[[int, np.ndarray], np.ndarray],
    shape: Sequence[int],
    samples: Sequence[int],
    quantities: int,
    *,
    tolerance: float = 0.01,
    error_scale: str = "linear",
    seed: int = 0,
) -> Filled:
    """Return all values of a grid, from as few evaluations as its smoothness allows.

    Points beside values that are not finite are evaluated on all samples, never interpolated.

    Parameters
    ----------
    evaluate : callable
        Takes a level and indices (m,) of grid points, the last axis fastest, and returns values (k, m). It is called
        for a point on one level after the other, each once.
    shape : sequence of int
        The number of points along each dimension.
    samples : sequence of int
        The increasing numbers of samples of the levels.
    quantities : int
        The number k of values, the loss first. The loss decides where to evaluate next.
    tolerance : float
        The largest accepted error of the loss, as a share of its range.
    error_scale : {"linear", "log"}
        Whether errors and range are those of the loss or of its logarithm.
    seed : int
        For the points that are drawn at random.

    Raises
    ------
    ValueError
        If `error_scale` is "log" and a loss is not positive.
    """
    search = Search(evaluate, shape, samples, quantities, error_scale=error_scale, seed=seed)
    count = checked_points(search.top.known.size)
    for attempt in itertools.count(1):
        search.refine(tolerance / SAFETY)
        left = np.flatnonzero(~search.top.known)
        if len(left) <= 2 * count:  # an exact surface costs little more
            search.ask(search.top, left)
            break
        chosen = np.sort(search.generator.choice(left, count, replace=False))
        surface, expected = search.top.surface(), search.expected()
        search.ask(search.top, chosen)
        found = search.top.values[:, chosen]
        errors = search.errors(surface[:, chosen], found).max(1)
        if SAFETY * errors[0] <= tolerance and np.isfinite(found).all():
            surface[:, chosen] = found
            share = 1 - (DOUBTED / 2**attempt) ** (1 / count)
            estimates = np.maximum(SAFETY * errors, expected)
            return Filled(surface, search.top.known, search.counts, errors, estimates, count, share)
    none = np.zeros(quantities)
    return Filled(search.top.values, search.top.known, search.counts, none, none, 0, 0.0)


class Search:
    """Hold the levels, and evaluate points on them until their predictions are good."""

    def __init__(
        self,
        evaluate: Callable[[int, np.ndarray], np.ndarray],
        shape: Sequence[int],
        samples: Sequence[int],
        quantities: int,
        *,
        error_scale: str,
        seed: int,
    ):
        """Evaluate the first points: a lattice on the lowest level, and a coarser one on all of them."""
        self.evaluate, self.logarithmic, self.generator = evaluate, error_scale == "log", np.random.default_rng(seed)
        axes = [np.linspace(0, 1, size) for size in shape]
        self.points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(shape))
        self.levels: list[Level] = []
        for count in samples:
            self.levels.append(Level(self.points, quantities, count, self.levels[-1] if self.levels else None))
        self.top = self.levels[-1]
        self.ask(self.levels[0], lattice(shape, 5, FIRST))
        if len(self.levels) > 1:
            self.ask(self.top, lattice(shape, 10, FIRST_ABOVE))
        left = np.flatnonzero(~self.top.known)
        self.ask(self.top, self.generator.choice(left, min(LEAST, len(left)), replace=False))

    @property
    def counts(self) -> list[int]:
        """How many points are known on each level."""
        return [int(level.known.sum()) for level in self.levels]

    def expected(self) -> np.ndarray:
        """Return the errors (k,) that all levels together made at the last points that they predicted."""
        open_levels = [level.errors for level in self.levels if not level.known.all()]
        return np.sqrt(np.square(open_levels).sum(0)) if open_levels else np.zeros_like(self.top.errors)

    def scaled(self, losses: np.ndarray) -> np.ndarray:
        """Return losses on the scale of the errors; NaN if they have no logarithm."""
        if not self.logarithmic:
            return losses
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(losses > 0, np.log(losses), np.nan)

    def errors(self, predicted: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Return the errors of predictions (…, k, m) as shares of ranges: infinite if there is no prediction."""
        known = self.top.values[:, self.top.finite]
        if self.logarithmic and (known[0] <= 0).any():
            raise ValueError(f"error_scale='log': the loss is {known[0].min():g} at a point; expected positive values")
        ranges = np.ptp([self.scaled(known[0]), *known[1:]], axis=1) if known.size else np.ones(len(found))
        with np.errstate(invalid="ignore"):
            apart = np.abs(predicted - found)
            apart[..., 0, :] = np.abs(self.scaled(predicted[..., 0, :]) - self.scaled(found[0]))
        apart = np.nan_to_num(apart, nan=np.inf, posinf=np.inf)
        return np.where(np.isfinite(found), apart / np.where(ranges > 0, ranges, 1)[:, None], 0)

    def ask(self, level: Level, indices: np.ndarray) -> None:
        """Evaluate points on a level and those below, and see how well each predicted them."""
        if level.below is not None:
            self.ask(level.below, indices)
        new = np.unique(indices[~level.known[indices]])
        if not len(new):
            return
        predicted = level.predictions(new) if level.known.any() else None
        level.put(new, self.evaluate(self.levels.index(level), new))
        if predicted is not None and self.top.known.any():
            errors = self.errors(predicted, level.values[:, new])
            level.errors = level.better(errors).max(1)
            level.squares += np.square(errors).sum(2)

    def refine(self, target: float) -> None:
        """Evaluate more points until the errors of all levels together are below a share of the range."""
        while True:
            if self.ask_beside_others():
                continue
            errors = np.array([0.0 if level.known.all() else level.errors[0] for level in self.levels])
            spent = [level.samples * level.known.sum() for level in self.levels]
            worth = np.where(errors > NEGLIGIBLE * target, errors / spent, 0)
            if self.expected()[0] <= target or not worth.any():
                return
            level = self.levels[int(np.nan_to_num(worth, posinf=np.finfo(float).max).argmax())]
            self.ask(level, self.next_points(level, target))

    def ask_beside_others(self) -> bool:
        """Evaluate points beside values that are not finite on all samples, and return whether any were left."""
        for level in self.levels:
            known = np.flatnonzero(level.known)
            strange = ~level.finite[known]
            left = np.flatnonzero(~self.top.known)
            if strange.any() and len(left):
                nearest = KDTree(self.points[known]).query(self.points[left], k=min(AROUND, len(known)))[1]
                beside = left[strange[nearest.reshape(len(left), -1)].any(1)]
                if len(beside):
                    self.ask(self.top, beside)
                    return True
        return False

    def next_points(self, level: Level, target: float) -> np.ndarray:
        """Return the points to evaluate next: the most doubtful, but not all in one place, and some drawn."""
        left, count = np.flatnonzero(~level.known), int(level.known.sum())
        if count > HALF * level.known.size:
            return left
        growth = np.clip(np.sqrt(level.errors[0] / target) - 1, *GROWTH)
        wanted = min(len(left), max(LEAST, round(growth * count)))
        drawn = self.generator.choice(left, max(1, round(DRAWN * wanted)), replace=False)
        with np.errstate(invalid="ignore"):
            doubt = np.abs(np.subtract(*map(self.scaled, level.smooth_and_rough())))
        doubt = np.where(level.known, 0, np.nan_to_num(doubt, nan=np.inf))
        apart = 2.5 * len(self.points) ** (-1 / self.points.shape[1])  # at least two and a half steps of the grid
        chosen: list[int] = []
        for index in np.argsort(-doubt, kind="stable"):
            if len(chosen) == wanted - len(drawn) or doubt[index] <= 0:
                break
            if not chosen or np.abs(self.points[chosen] - self.points[index]).max(1).min() >= apart:
                chosen.append(int(index))
        return np.union1d(chosen, drawn).astype(int)


def lattice(shape: Sequence[int], step: int, bounds: tuple[int, int]) -> np.ndarray:
    """Return the indices of regularly spaced grid points, about every `step`-th along each side, edges included."""
    counts = [min(size, int(np.clip(size / step + 1, *bounds))) for size in shape]
    sides = [np.linspace(0, size - 1, count).round().astype(int) for size, count in zip(shape, counts, strict=True)]
    return np.ravel_multi_index(np.meshgrid(*sides, indexing="ij"), shape).ravel()


def checked_points(points: int) -> int:
    """Return how many of the points of a grid measure the error.

    Examples
    --------
    >>> checked_points(21 * 21), checked_points(51 * 51)
    (22, 59)
    """
    return int(np.clip(round(CHECKED_SHARE * points), CHECKED_LEAST, CHECKED))
