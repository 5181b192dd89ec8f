"""Measures on pairs of seeds, which are not independent: pairs that share a seed vary together."""

from __future__ import annotations

import numpy as np
import xarray as xr

FIRST, SECOND = "first", "second"


def pseudovalues(values: xr.DataArray | xr.Dataset) -> xr.DataArray | xr.Dataset:
    """Return the jackknife pseudovalues over seeds of a measure on all pairs of seeds.

    Their mean is the mean over the pairs. Treated as independent values over seeds, they give the delete-one-seed
    jackknife: its variance is that of the mean over pairs if a value is the sum of a part of either seed, and on
    average larger otherwise (Efron and Stein 1981), so that intervals are wide enough. Means, differences and
    intervals over seeds may be taken of them; a single pseudovalue is no measurement, and can lie outside the range
    that the measure has.

    Parameters
    ----------
    values
        Over ``pair``, with coordinates ``first`` and ``second`` along it that name the seeds of each pair, and any
        other dimensions. Every two seeds make one pair.

    Returns
    -------
    DataArray or Dataset
        Over ``seed`` instead of ``pair``; NaN for two seeds, which do not show how seeds vary.

    Raises
    ------
    ValueError
        If `values` has no such pairs, or they are not all pairs of their seeds, each once.

    References
    ----------
    Arvesen 1969, "Jackknifing U-statistics"; Efron and Stein 1981, "The jackknife estimate of variance".

    Examples
    --------
    >>> seeds = {"first": ("pair", [0, 0, 1]), "second": ("pair", [1, 2, 2])}
    >>> pseudovalues(xr.DataArray([3.0, 5.0, 6.0], seeds, "pair")).values  # sums of 1, 2 and 4, twice
    array([2., 4., 8.])
    """
    if not isinstance(values, xr.DataArray | xr.Dataset):
        raise ValueError(f"values is a {type(values).__name__}; expected a DataArray or Dataset over pair")
    if any(name not in values.coords or values[name].dims != ("pair",) for name in (FIRST, SECOND)):
        raise ValueError(f"values has coordinates {list(values.coords)}; expected first and second along pair")
    given = [
        frozenset(pair) for pair in zip(values[FIRST].values.tolist(), values[SECOND].values.tolist(), strict=True)
    ]
    seeds = sorted(set().union(*given))
    n = len(seeds)
    if len(set(given)) < len(given) or len(given) != n * (n - 1) // 2 or any(len(pair) < 2 for pair in given):
        raise ValueError(f"values: {len(given)} pairs of {n} seeds; expected every two seeds once")
    without = np.array([[seed not in pair for pair in given] for seed in seeds], dtype=float)  # (seeds, pairs)
    with np.errstate(invalid="ignore"):
        shares = n / len(given) - (n - 1) * without / without.sum(axis=1, keepdims=True)
    weights = xr.DataArray(shares, {"seed": seeds}, ("seed", "pair"))

    def over_seeds(array: xr.DataArray) -> xr.DataArray:
        if "pair" not in array.dims:
            return array
        found = xr.dot(weights, array.drop_vars([FIRST, SECOND], errors="ignore"), dim="pair")
        return found.transpose(*("seed" if dim == "pair" else dim for dim in array.dims)).assign_attrs(array.attrs)

    if isinstance(values, xr.DataArray):
        return over_seeds(values).rename(values.name)
    return values.map(over_seeds, keep_attrs=True).drop_vars([FIRST, SECOND], errors="ignore")
