"""A whole grid from some of its points: evaluate where an interpolation is least certain, interpolate the rest.

A loss surface is usually so smooth that few of its grid points determine the others. Cubic radial basis functions
interpolate the known values, or their logarithms if all are positive. The next points to evaluate are those where a
rougher interpolation differs most, and some drawn at random. Comparing the predictions at these points with the
values found there gives an honest estimate of the error elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree

TOLERANCE = 0.01  # largest accepted error, as a share of the range of the values
FIRST = 6, 11  # fewest and most points along each side at the start; about every fifth between them
ROUND = 0.02  # share of the grid that is evaluated between two interpolations, at least …
GROWTH = 0.15  # … this share of the known points, so that a rough surface soon has the many points it needs
DRAWN = 0.2  # share of these that are drawn at random
QUIET = 2  # rounds in a row whose errors must be below the tolerance
SAFETY = 2  # the estimated error is this many times the largest error found
MANY = 600  # with more known points than this, …
NEIGHBOURS = 100  # … each value is interpolated from only this many neighbours
AROUND = 4  # known points around a value that must all be finite


@dataclass(frozen=True)
class Filled:
    """Hold the values at all points of a grid, and how they were found.

    Attributes
    ----------
    values : array of shape (k, n)
        The values of k quantities at n points.
    evaluated : array of shape (n,)
        Which points were evaluated. The others were interpolated.
    errors : array of shape (k,)
        Estimated errors: twice the largest found in the last rounds, as shares of the range of the values.
    """

    values: np.ndarray
    evaluated: np.ndarray
    errors: np.ndarray


def fill(evaluate: Callable[[np.ndarray], np.ndarray], axes: Sequence[np.ndarray], *, seed: int = 0) -> Filled:
    """Return all values of a grid, from as few evaluations as its smoothness allows.

    It evaluates more points until the estimated error of the first row stays below 1 % of its range for two rounds,
    or until no points are left. Points next to values that are not finite are evaluated, never interpolated.

    Parameters
    ----------
    evaluate : callable
        Takes indices (m,) of grid points, the last axis fastest, and returns values (k, m). The first row decides
        where to evaluate next.
    axes : sequence of arrays
        The coordinates along each dimension.
    seed : int
        For the points that are drawn at random.
    """
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    points = (points - points.min(0)) / np.ptp(points, axis=0)
    generator = np.random.default_rng(seed)
    known = np.zeros(len(points), bool)
    known[_lattice([len(axis) for axis in axes])] = True
    first = evaluate(np.flatnonzero(known))
    values = np.full((len(first), len(points)), np.nan)
    values[:, known] = first
    found: list[np.ndarray] = []
    while not known.all():
        smooth, doubt = _predict(points, known, values)
        if len(found) >= QUIET and max(errors[0] for errors in found[-QUIET:]) < TOLERANCE:
            break
        batch = max(8, round(ROUND * len(points)), round(GROWTH * known.sum()) if len(found) > QUIET else 0)
        asked = _next(points, known, values, doubt, batch, generator)
        values[:, asked] = evaluate(asked)
        known[asked] = True
        found.append(SAFETY * _largest(smooth[:, asked] - values[:, asked], values[:, known]))
    unknown = ~known
    if unknown.any():
        values[:, unknown] = _predict(points, known, values)[0][:, unknown]
    errors = np.max(found[-QUIET:], axis=0) if unknown.any() else np.zeros(len(values))
    return Filled(values, known, errors)


def _lattice(shape: Sequence[int]) -> np.ndarray:
    """Return the indices of regularly spaced grid points, including the edges."""
    counts = [min(size, int(np.clip(size / 5 + 1, *FIRST))) for size in shape]
    sides = [np.linspace(0, size - 1, count).round().astype(int) for size, count in zip(shape, counts, strict=True)]
    return np.ravel_multi_index(np.meshgrid(*sides, indexing="ij"), shape).ravel()


def _predict(points: np.ndarray, known: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the interpolation (k, n) at all points, and how far a rougher one differs in the first row (n,)."""
    rows = [_interpolated(points, known, row, "cubic") for row in values]
    return np.stack(rows), np.abs(rows[0] - _interpolated(points, known, values[0], "thin_plate_spline"))


def _interpolated(points: np.ndarray, known: np.ndarray, row: np.ndarray, kernel: str) -> np.ndarray:
    """Return an interpolation of the finite known values at every point, or NaN if they are too few."""
    finite = known & np.isfinite(row)
    if finite.sum() <= 1 + points.shape[1]:
        return np.full(len(points), np.nan)
    logarithmic = row[finite].min() > 0
    through = np.log(row[finite]) if logarithmic else row[finite]
    neighbours = NEIGHBOURS if finite.sum() > MANY else None
    predicted = RBFInterpolator(points[finite], through, kernel=kernel, neighbors=neighbours)(points)
    with np.errstate(over="ignore"):
        return np.exp(predicted) if logarithmic else predicted


def _next(points, known, values, doubt, batch, generator) -> np.ndarray:
    """Return the points to evaluate next: beside values that are not finite, or the most doubtful and some drawn."""
    unknown = np.flatnonzero(~known)
    finite = np.isfinite(values[:, known]).all(0)
    if not finite.all():
        nearest = KDTree(points[known]).query(points[unknown], k=min(AROUND, known.sum()))[1]
        beside = unknown[~finite[nearest].all(1)]
        if len(beside):
            return beside
    drawn = generator.choice(unknown, min(len(unknown), max(1, round(DRAWN * batch))), replace=False)
    doubt = np.where(known, 0, np.nan_to_num(doubt, nan=np.inf))
    apart = 2.5 * len(points) ** (-1 / points.shape[1])  # chosen points are at least two and a half grid steps apart
    chosen: list[int] = []
    for index in np.argsort(-doubt):  # the most doubtful points, but not all in one place
        if len(chosen) == batch - len(drawn) or doubt[index] <= 0:
            break
        if all(np.abs(points[index] - points[other]).max() >= apart for other in chosen):
            chosen.append(int(index))
    return np.union1d(chosen, drawn).astype(int)


def _largest(errors: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the largest error of each row, as a share of the range of its known values."""
    finite = [row[np.isfinite(row)] for row in known]
    ranges = np.array([np.ptp(row) if len(row) else np.nan for row in finite])
    return np.array([np.nanmax(np.abs(row), initial=0) for row in errors]) / np.where(ranges > 0, ranges, 1)
