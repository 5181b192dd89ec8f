"""Whether one quantity rises with another, over seeds: rank correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from lossatlas.evidence import checks
from lossatlas.evidence.statistics import LEVEL


@dataclass(frozen=True)
class Trend:
    """Spearman's rank correlation of `n` pairs with its 95% interval and permutation p-value."""

    rho: float
    low: float
    high: float
    p: float
    n: int
    left_out: int


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's ρ along the last axis, with mean ranks for ties; NaN where x or y is constant."""
    x, y = (stats.rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2 for values in (x, y))
    product, size = (x * y).sum(axis=-1), np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    return np.divide(product, size, out=np.full(np.shape(product), np.nan), where=size > 0)


def trend(
    x: Sequence[float] | xr.DataArray,
    y: Sequence[float] | xr.DataArray,
    *,
    seed: int = 0,
    n_bootstrap: int = 9_999,
    n_permutations: int = 20_000,
) -> Trend:
    """Return whether a measure y rises (ρ > 0) or falls with x, such as a depth: Spearman's rank correlation.

    Parameters
    ----------
    x, y
        One pair a seed and value of x: two lists, or DataArrays, which are matched by their dimensions (x over
        condition, y over condition and seed). Pairs with a value that is not finite are left out and counted.
    seed
        Of the random resamples: the same seed gives the same numbers.
    n_bootstrap, n_permutations
        The numbers of resamples.

    Returns
    -------
    Trend
        The interval is the 95% percentile bootstrap over pairs, resamples with only one x or y left out; p is the
        two-sided permutation p-value, exact up to 7 pairs. All are NaN for fewer than three pairs, or if x or y is
        constant.

    Raises
    ------
    ValueError
        If `x` and `y` are not numbers of one length, or an option is not a whole number.

    Examples
    --------
    >>> trend([1, 2, 4, 8], [0.1, 0.3, 0.2, 0.9]).rho
    0.8
    """
    checks.whole("seed", seed, least=0)
    checks.whole("n_bootstrap", n_bootstrap, least=1)
    checks.whole("n_permutations", n_permutations, least=1)
    if isinstance(x, xr.DataArray) and isinstance(y, xr.DataArray):
        x, y = (each.stack(pair=[...]) for each in xr.broadcast(*xr.align(x, y, join="outer")))
    all_x, all_y = checks.numbers("x", x), checks.numbers("y", y)
    if all_x.shape != all_y.shape:
        raise ValueError(f"x and y have shapes {all_x.shape} and {all_y.shape}; expected two lists of one length")
    finite = np.isfinite(all_x) & np.isfinite(all_y)
    xs, ys = all_x[finite], all_y[finite]
    n, left_out = len(xs), int((~finite).sum())
    rho = float(_rank_correlation(xs, ys)) if n else float("nan")
    if n < 3 or np.isnan(rho):
        return Trend(math.nan, math.nan, math.nan, math.nan, n, left_out)
    random = np.random.default_rng(seed)
    picks = random.integers(n, size=(n_bootstrap, n))
    low, high = np.nanquantile(_rank_correlation(xs[picks], ys[picks]), [LEVEL / 2, 1 - LEVEL / 2])
    test = stats.permutation_test(
        (xs,),
        lambda order, axis=-1: _rank_correlation(np.moveaxis(order, axis, -1), ys),
        permutation_type="pairings",
        n_resamples=n_permutations,
        vectorized=True,
        rng=random,
    )
    return Trend(rho, float(low), float(high), float(test.pvalue), n, left_out)
