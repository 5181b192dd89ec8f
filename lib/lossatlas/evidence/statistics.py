"""Effects over seeds: differences with intervals and permutation tests, and the parts of a variance.

Values that are not finite (a run that diverged, a seed that is missing) are left out and counted; every table shows
that count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import special, stats

from lossatlas.evidence import checks

LEVEL = 0.05  # of every test; every interval covers 1 − LEVEL
POWER = 0.8


@dataclass(frozen=True)
class Mean:
    """A mean over `n` seeds with its 95% interval [low, high]; NaN if there is none."""

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
class VarianceComponents:
    """Variance of a measure between seeds and between planes of one seed, and each one's share of the sum."""

    between_seeds: float
    between_planes: float
    share_seeds: float
    share_planes: float
    n_seeds: int
    n_planes: int


def _finite(name: str, values: object) -> tuple[np.ndarray, int]:
    """Return the finite ones of a list of numbers, and how many are not."""
    array = checks.numbers(name, values)
    finite = array[np.isfinite(array)]
    return finite, array.size - finite.size


def mean_interval(values: Sequence[float] | xr.DataArray, *, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Mean:
    """Return the mean with Student's t interval.

    Parameters
    ----------
    values
        One value a seed; those that are not finite are left out.
    bounds
        The least and the largest value that the mean can have. The interval is cut there: what lies beyond cannot
        be the mean, so that the interval covers no less. A bound that a value exceeds (a likelihood below zero among
        losses, say) is no bound, and cuts nothing.

    Returns
    -------
    Mean
        With NaN for the interval of one value and for the mean of none.

    Raises
    ------
    ValueError
        If `values` is no list of numbers, or `bounds` are not two increasing numbers.

    Examples
    --------
    >>> mean_interval([1, 2, 3]).mean
    2.0
    """
    if np.shape(bounds) != (2,) or not bounds[0] < bounds[1]:
        raise ValueError(f"bounds={bounds!r}: expected the least and the largest value")
    finite, _ = _finite("values", values)
    n = len(finite)
    mean = float(finite.mean()) if n else float("nan")
    half = float(stats.t.ppf(1 - LEVEL / 2, n - 1) * finite.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    low = bounds[0] if (finite >= bounds[0]).all() else -np.inf
    high = bounds[1] if (finite <= bounds[1]).all() else np.inf
    return Mean(mean, float(np.maximum(mean - half, low)), float(np.minimum(mean + half, high)), n)


def _difference_of_means(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
    return b.mean(axis=axis) - a.mean(axis=axis)


def difference(
    a: Sequence[float] | xr.DataArray,
    b: Sequence[float] | xr.DataArray,
    *,
    seed: int = 0,
    n_bootstrap: int = 9_999,
    n_permutations: int = 20_000,
) -> Effect:
    """Return the difference of means b − a of a measure over independent seeds of two conditions.

    Parameters
    ----------
    a, b
        One value a seed. Values that are not finite (a run that diverged) are left out and counted.
    seed
        Of the random resamples: the same seed gives the same numbers.
    n_bootstrap, n_permutations
        The numbers of resamples.

    Returns
    -------
    Effect
        - `low`, `high`: the 95% percentile bootstrap interval, each condition resampled by itself. The bare
          percentile interval is too short for few seeds (5 against 5: it covers about 87%), so its quantiles are
          moved out to `Φ(∓√(n/(n−1))·t)`, n the smaller condition and t of n_a + n_b − 2 degrees of freedom.
        - `p`: the two-sided permutation p-value of the difference, exact if there are at most `n_permutations`
          divisions of the values (up to 8 against 8), otherwise from that many random ones. `smallest_p` is the
          smallest it can be: for 5 against 5 seeds 2/252 ≈ 0.008.
        - `hedges_g`: the difference over the pooled deviation, corrected for bias.
        - `smallest_detectable`: the smallest true difference that this design finds in 80% of cases with one
          two-sided 5% test, `(t₀.₉₇₅ + t₀.₈)·s·√(1/n_a + 1/n_b)`, s the pooled deviation.

        All of these are NaN with fewer than two finite values in a condition.

    Raises
    ------
    ValueError
        If `a` or `b` is no list of numbers, or an option is not a whole number.

    References
    ----------
    Hesterberg, The American Statistician 69 (2015), for the interval; Hedges, Journal of Educational Statistics 6
    (1981), for g; Bloom, Evaluation Review 19 (1995), for the smallest detectable difference.

    Examples
    --------
    >>> effect = difference([1.0, 2.0, 4.0, 3.0], [5.0, 7.0, 6.0])
    >>> effect.difference, round(effect.p, 3)
    (3.5, 0.057)
    """
    checks.whole("seed", seed, least=0)
    checks.whole("n_bootstrap", n_bootstrap, least=1)
    checks.whole("n_permutations", n_permutations, least=1)
    (in_a, a_left), (in_b, b_left) = _finite("a", a), _finite("b", b)
    n_a, n_b = len(in_a), len(in_b)
    mean_a, mean_b = (float(values.mean()) if len(values) else float("nan") for values in (in_a, in_b))
    names = ("low", "high", "p", "smallest_p", "hedges_g", "smallest_detectable")
    found = dict.fromkeys(names, float("nan"))
    if min(n_a, n_b) >= 2:
        freedom = n_a + n_b - 2
        t = stats.t.ppf(1 - LEVEL / 2, freedom)
        outside = stats.norm.cdf(-np.sqrt(min(n_a, n_b) / (min(n_a, n_b) - 1)) * t)
        random = np.random.default_rng(seed)
        interval = stats.bootstrap(
            (in_a, in_b),
            _difference_of_means,
            n_resamples=n_bootstrap,
            confidence_level=1 - 2 * outside,
            method="percentile",
            vectorized=True,
            rng=random,
        ).confidence_interval
        test = stats.permutation_test(
            (in_a, in_b), _difference_of_means, n_resamples=n_permutations, vectorized=True, rng=random
        )
        divisions = math.comb(n_a + n_b, n_a)
        spread = float(np.sqrt((in_a.var(ddof=1) * (n_a - 1) + in_b.var(ddof=1) * (n_b - 1)) / freedom))
        unbias = np.exp(special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2)
        found = {
            "low": float(interval.low),
            "high": float(interval.high),
            "p": float(test.pvalue),
            "smallest_p": 2 / divisions if divisions <= n_permutations else 2 / (n_permutations + 1),
            "hedges_g": float(unbias * (mean_b - mean_a) / spread) if spread > 0 else float("nan"),
            "smallest_detectable": float((t + stats.t.ppf(POWER, freedom)) * spread * np.sqrt(1 / n_a + 1 / n_b)),
        }
    return Effect(mean_a, mean_b, mean_b - mean_a, n_a=n_a, n_b=n_b, left_out=a_left + b_left, **found)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return p-values after Holm's step-down adjustment; NaN means that there was no test, and stays NaN.

    The k-th smallest of m p-values is multiplied by m − k + 1, made no smaller than the one before it, and cut at 1.

    Raises
    ------
    ValueError
        If a value lies outside [0, 1].

    References
    ----------
    Holm, Scandinavian Journal of Statistics 6 (1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    if np.size(p_values) == 0:
        return np.empty(0)
    values = checks.numbers("p_values", p_values)
    tested = np.flatnonzero(~np.isnan(values))
    if ((values[tested] < 0) | (values[tested] > 1)).any():
        raise ValueError(f"p_values={values.tolist()}: expected values from 0 to 1")
    order = tested[np.argsort(values[tested], kind="stable")]
    adjusted = np.full(values.shape, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)))
    return adjusted


def variance_components(values: Sequence[Sequence[float]] | xr.DataArray) -> VarianceComponents:
    """Return how much a measure varies from seed to seed, and how much between random planes of one seed.

    One-way random-effects analysis of variance: with mean squares between (MSB) and within (MSW) seeds,
    `between_planes = MSW` and `between_seeds = max(0, (MSB − MSW)/planes)`.

    Parameters
    ----------
    values
        A table (seeds, planes), or a DataArray over `seed` and one more dimension. Seeds with a value that is not
        finite are left out.

    Returns
    -------
    VarianceComponents
        All NaN for fewer than two planes or remaining seeds; the shares are NaN if nothing varies.

    Raises
    ------
    ValueError
        If `values` is no table of numbers.

    Examples
    --------
    >>> variance_components([[1, 1], [2, 2], [3, 3]]).share_seeds
    1.0
    """
    if isinstance(values, xr.DataArray) and "seed" in values.dims:
        values = values.transpose("seed", ...)
    table = checks.numbers("values", values, dimensions=2)
    table = table[np.isfinite(table).all(axis=1)]
    seeds, planes = table.shape
    if min(seeds, planes) < 2:
        return VarianceComponents(math.nan, math.nan, math.nan, math.nan, seeds, planes)
    means = table.mean(axis=1)
    within = float(((table - means[:, None]) ** 2).sum() / (seeds * (planes - 1)))
    between = max(0.0, (planes * float(means.var(ddof=1)) - within) / planes)
    total = within + between
    shares = (between / total, within / total) if total > 0 else (float("nan"), float("nan"))
    return VarianceComponents(between, within, shares[0], shares[1], seeds, planes)
