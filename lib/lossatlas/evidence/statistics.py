"""Effects over seeds: differences with intervals and permutation tests, trends, parts of a variance.

Values that are not finite (a run that diverged) are left out and counted; whoever shows a result shows the
count too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from scipy import special, stats

LEVEL = 0.05  # of every test; every interval covers 1 − LEVEL
POWER = 0.8


@dataclass(frozen=True)
class Mean:
    """A mean over `n` seeds with its 95% interval [low, high]; NaN where there is none."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Effect:
    """How condition b differs from condition a. Made by :func:`difference`, where each value is explained."""

    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p: float
    smallest_p: float
    hedges_g: float
    smallest_detectable: float
    n_a: int
    n_b: int
    left_out: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval of the difference excludes zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Trend:
    """Spearman's rank correlation of `n` pairs with its 95% interval and permutation p-value."""

    rho: float
    low: float
    high: float
    p: float
    n: int
    left_out: int


@dataclass(frozen=True)
class VarianceComponents:
    """Variance of a measure between seeds and between planes of one seed, and each one's share of the sum."""

    between_seeds: float
    between_planes: float
    share_seeds: float
    share_planes: float
    n_seeds: int
    n_planes: int


def _finite(values: Sequence[float], name: str) -> tuple[np.ndarray, int]:
    """The finite values, and how many are not. Raises ValueError where there is none at all or no list."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name}: shape {values.shape}, expected a list of one or more numbers")
    finite = values[np.isfinite(values)]
    return finite, values.size - finite.size


def mean_interval(values: Sequence[float], *, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Mean:
    """The mean with Student's t interval; NaN for the interval of one value and for the mean of none.

    The interval is cut at `bounds`, the least and the largest value that the mean can have: what lies beyond
    cannot be the mean, so that the interval covers no less.
    """
    values, _ = _finite(values, "values")
    n = len(values)
    mean = float(values.mean()) if n else float("nan")
    half = float(stats.t.ppf(1 - LEVEL / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Mean(mean, float(np.maximum(mean - half, bounds[0])), float(np.minimum(mean + half, bounds[1])), n)


def _difference_of_means(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
    return b.mean(axis=axis) - a.mean(axis=axis)


def difference(
    a: Sequence[float],
    b: Sequence[float],
    *,
    seed: int = 0,
    n_bootstrap: int = 9_999,
    n_permutations: int = 20_000,
) -> Effect:
    """The difference of means b − a of a measure over independent seeds of two conditions.

    - `low`, `high`: 95% percentile bootstrap interval, each condition resampled by itself. The bare
      percentile interval is too short for few seeds (5 against 5: it covers about 87%), so its quantiles are
      moved out to `Φ(∓√(n/(n−1))·t)`, n the smaller condition and t of n_a + n_b − 2 degrees of freedom: the
      expanded interval of Hesterberg (The American Statistician 69, 2015).
    - `p`: two-sided permutation p-value of the difference, exact where there are at most `n_permutations`
      ways to divide the values (up to 8 against 8), otherwise from so many random ones. `smallest_p` is the
      smallest it can be: for 5 against 5 seeds 2/252 ≈ 0.008.
    - `hedges_g`: the difference over the pooled deviation, corrected for bias (Hedges 1981).
    - `smallest_detectable`: the smallest true difference that this design finds in 80% of cases with one
      two-sided 5% test: `(t₀.₉₇₅ + t₀.₈)·s·√(1/n_a + 1/n_b)`, s the pooled deviation (Bloom, Evaluation
      Review 19, 1995).

    With fewer than two finite values in a condition all of these are NaN. The same seed gives the same
    numbers.
    """
    (a, a_left), (b, b_left) = _finite(a, "a"), _finite(b, "b")
    n_a, n_b = len(a), len(b)
    mean_a, mean_b = (float(values.mean()) if len(values) else float("nan") for values in (a, b))
    names = ("low", "high", "p", "smallest_p", "hedges_g", "smallest_detectable")
    found = dict.fromkeys(names, float("nan"))
    if min(n_a, n_b) >= 2:
        freedom = n_a + n_b - 2
        t = stats.t.ppf(1 - LEVEL / 2, freedom)
        outside = stats.norm.cdf(-np.sqrt(min(n_a, n_b) / (min(n_a, n_b) - 1)) * t)
        random = np.random.default_rng(seed)
        interval = stats.bootstrap(
            (a, b),
            _difference_of_means,
            n_resamples=n_bootstrap,
            confidence_level=1 - 2 * outside,
            method="percentile",
            vectorized=True,
            rng=random,
        ).confidence_interval
        test = stats.permutation_test(
            (a, b), _difference_of_means, n_resamples=n_permutations, vectorized=True, rng=random
        )
        ways = comb(n_a + n_b, n_a)
        spread = float(np.sqrt((a.var(ddof=1) * (n_a - 1) + b.var(ddof=1) * (n_b - 1)) / freedom))
        unbias = np.exp(special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2)
        found = {
            "low": float(interval.low),
            "high": float(interval.high),
            "p": float(test.pvalue),
            "smallest_p": 2 / ways if ways <= n_permutations else 2 / (n_permutations + 1),
            "hedges_g": float(unbias * (mean_b - mean_a) / spread) if spread > 0 else float("nan"),
            "smallest_detectable": float((t + stats.t.ppf(POWER, freedom)) * spread * np.sqrt(1 / n_a + 1 / n_b)),
        }
    return Effect(mean_a, mean_b, mean_b - mean_a, n_a=n_a, n_b=n_b, left_out=a_left + b_left, **found)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's step-down adjustment (Scandinavian Journal of Statistics 6, 1979); NaN is no test, and stays so.

    The k-th smallest of m p-values is multiplied by m − k + 1, made no smaller than the one before it, and
    cut at 1. Raises ValueError for a value outside [0, 1].
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p_values))
    if ((p_values[tested] < 0) | (p_values[tested] > 1)).any():
        raise ValueError(f"p_values={p_values.tolist()}: expected values from 0 to 1")
    order = tested[np.argsort(p_values[tested], kind="stable")]
    adjusted = np.full(p_values.shape, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)))
    return adjusted


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's ρ along the last axis, with mean ranks for ties; NaN where x or y is constant."""
    x, y = (stats.rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2 for values in (x, y))
    product, size = (x * y).sum(axis=-1), np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    return np.divide(product, size, out=np.full(np.shape(product), np.nan), where=size > 0)


def trend(
    x: Sequence[float],
    y: Sequence[float],
    *,
    seed: int = 0,
    n_bootstrap: int = 9_999,
    n_permutations: int = 20_000,
) -> Trend:
    """Whether a measure y rises (ρ > 0) or falls with x, a depth say; one pair a seed and value of x.

    The interval is the 95% percentile bootstrap over pairs, samples with only one x or y left out; p is the
    two-sided permutation p-value, exact up to 7 pairs. Pairs with a value that is not finite are left out.
    All NaN for fewer than three pairs, or where x or y is constant. Raises ValueError for lists of unequal
    length.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size == 0:
        raise ValueError(f"x and y have shapes {x.shape} and {y.shape}; expected two lists of one length")
    finite = np.isfinite(x) & np.isfinite(y)
    left_out = int((~finite).sum())
    x, y = x[finite], y[finite]
    rho = float(_rank_correlation(x, y)) if len(x) else float("nan")
    if len(x) < 3 or np.isnan(rho):
        return Trend(*[float("nan")] * 4, n=len(x), left_out=left_out)
    random = np.random.default_rng(seed)
    picks = random.integers(len(x), size=(n_bootstrap, len(x)))
    low, high = np.nanquantile(_rank_correlation(x[picks], y[picks]), [LEVEL / 2, 1 - LEVEL / 2])
    test = stats.permutation_test(
        (x,),
        lambda x, axis=-1: _rank_correlation(np.moveaxis(x, axis, -1), y),
        permutation_type="pairings",
        n_resamples=n_permutations,
        vectorized=True,
        rng=random,
    )
    return Trend(rho, float(low), float(high), float(test.pvalue), n=len(x), left_out=left_out)


def variance_components(values: Sequence[Sequence[float]]) -> VarianceComponents:
    """How much a measure varies from seed to seed, and how much between random planes of one seed.

    `values` is (seeds, planes); one-way random-effects analysis of variance: with mean squares between (MSB)
    and within (MSW) seeds, `between_planes = MSW` and `between_seeds = max(0, (MSB − MSW)/planes)`. Seeds
    with a value that is not finite are left out. All NaN where fewer than two seeds remain; the shares are NaN
    where nothing varies. Raises ValueError for fewer than two seeds or planes.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"values: shape {values.shape}, expected (seeds, planes), at least 2 of each")
    values = values[np.isfinite(values).all(axis=1)]
    seeds, planes = values.shape
    if seeds < 2:
        return VarianceComponents(*[float("nan")] * 4, n_seeds=seeds, n_planes=planes)
    means = values.mean(axis=1)
    within = float(((values - means[:, None]) ** 2).sum() / (seeds * (planes - 1)))
    between = max(0.0, (planes * float(means.var(ddof=1)) - within) / planes)
    total = within + between
    shares = (between / total, within / total) if total > 0 else (float("nan"), float("nan"))
    return VarianceComponents(between, within, *shares, n_seeds=seeds, n_planes=planes)
