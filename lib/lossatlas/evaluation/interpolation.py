"""Values of a grid on one level of samples: those that are known, and an interpolation of the others.

The correction of a level is its values minus those of the level below, or the logarithm of their ratio. On the lowest
level it is the values themselves, or their logarithms. Cubic radial basis functions interpolate both forms. The form
that predicted better, at points that it had not used, is the one that counts.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.interpolate import RBFInterpolator

MANY = 1500  # with more known points than this, …
NEIGHBOURS = 60  # … each value is interpolated from only this many neighbours
DIFFERENCE, RATIO = 0, 1  # the two forms of a correction


class Level:
    """Hold what is known on one level of samples, and how well its corrections were predicted.

    Parameters
    ----------
    points : array of shape (n, d)
        The points of the grid, each coordinate from 0 to 1.
    quantities : int
        How many values each point has; the loss is the first.
    samples : int
        The number of samples of this level.
    below : Level, optional
        The level of fewer samples. Whatever is known here is known there.
    """

    def __init__(self, points: np.ndarray, quantities: int, samples: int, below: Level | None = None):
        self.points, self.samples, self.below = points, samples, below
        self.values = np.full((quantities, len(points)), np.nan)
        self.known = np.zeros(len(points), bool)
        self.errors = np.full(quantities, np.inf)  # the largest at the last points that were predicted
        self.squares = np.zeros((2, quantities))  # of the errors of both forms at all such points

    def put(self, indices: np.ndarray, values: np.ndarray) -> None:
        """Take the values (k, m) at some points."""
        self.values[:, indices], self.known[indices] = values, True
        self.__dict__.pop("corrections", None)

    @property
    def finite(self) -> np.ndarray:
        """Where all values are known and finite (n,)."""
        return self.known & np.isfinite(self.values).all(0)

    @cached_property
    def corrections(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Interpolated corrections (2, k, n), which of them have ratios (k,), and rougher ones of the loss (2, n)."""
        usable = self.finite
        here = self.values[:, usable]
        start = np.zeros_like(here) if self.below is None else self.below.values[:, usable]
        both = np.stack([here - start] * 2)
        positive = np.all(here > 0, axis=1)
        if self.below is not None:
            positive &= np.all(start > 0, axis=1)
        for row in np.flatnonzero(positive):
            both[RATIO, row] = np.log(here[row]) - (0 if self.below is None else np.log(start[row]))
        centres = self.points[usable]
        flat = both.reshape(2 * len(here), len(centres))
        smooth = interpolated(centres, flat, self.points, "cubic").reshape(2, len(here), len(self.points))
        return smooth, positive, interpolated(centres, both[:, 0], self.points, "thin_plate_spline")

    def applied(self, start: np.ndarray, corrections: np.ndarray) -> np.ndarray:
        """Return values in both forms (2, k, m), from those of the level below (k, m) and corrections (2, k, m)."""
        positive = self.corrections[1][: len(start), None]
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = np.exp(corrections[RATIO]) * (1.0 if self.below is None else start)
        return np.stack([start + corrections[DIFFERENCE], np.where(positive, ratio, start + corrections[RATIO])])

    def better(self, both: np.ndarray) -> np.ndarray:
        """Return for each quantity the form (2, k, m) that predicted better, the ratio before any was predicted."""
        ratio = (self.squares[RATIO] <= self.squares[DIFFERENCE])[: both.shape[1], None]
        return np.where(ratio, both[RATIO], both[DIFFERENCE])

    def start(self) -> np.ndarray:
        """Return all values (k, n) of the level below, known or predicted."""
        return np.zeros_like(self.values) if self.below is None else self.below.surface()

    def surface(self) -> np.ndarray:
        """Return all values (k, n): those that are known, and predictions of the others."""
        if self.known.all():
            return self.values.copy()
        return np.where(self.known, self.values, self.better(self.applied(self.start(), self.corrections[0])))

    def smooth_and_rough(self) -> tuple[np.ndarray, np.ndarray]:
        """Return two predictions of the loss (n,), by a smoother and a rougher interpolation."""
        start, (smooth, _, rough) = self.start()[:1], self.corrections
        both = (self.better(self.applied(start, corrections)) for corrections in (smooth[:, :1], rough[:, None]))
        first, second = (predicted[0] for predicted in both)
        return first, second

    def predictions(self, indices: np.ndarray) -> np.ndarray:
        """Return what both forms predict (2, k, m), given the values that the level below has at these points."""
        start = np.zeros_like(self.values) if self.below is None else self.below.values
        return self.applied(start[:, indices], self.corrections[0][..., indices])


def interpolated(centres: np.ndarray, rows: np.ndarray, points: np.ndarray, kernel: str) -> np.ndarray:
    """Return interpolations of rows (r, m) of values at centres (m, d) at all points: (r, n), NaN if they are few."""
    if len(centres) <= 1 + points.shape[1]:
        return np.full((len(rows), len(points)), np.nan)
    neighbours = NEIGHBOURS if len(centres) > MANY else None
    return RBFInterpolator(centres, rows.T, kernel=kernel, neighbors=neighbours)(points).T
