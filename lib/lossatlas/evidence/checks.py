"""The checks that every function of this package makes of its arguments."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from numbers import Real

import numpy as np
import xarray as xr


def numbers(name: str, values: object, *, dimensions: int = 1) -> np.ndarray:
    """Return values as float64.

    Raises
    ------
    ValueError
        If they are not real numbers in that many dimensions, or there are none.

    Examples
    --------
    >>> numbers("values", [1, 2])
    array([1., 2.])
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        array = None
    if array is None or values is None or isinstance(values, str | Mapping):
        raise ValueError(f"{name}={values!r:.60}: expected real numbers")
    if array.ndim != dimensions or array.size == 0:
        kind = "a list of one or more numbers" if dimensions == 1 else "a table (seeds, planes)"
        raise ValueError(f"{name}: shape {array.shape}, expected {kind}")
    return array


def whole(name: str, value: object, *, least: int) -> int:
    """Return a whole number.

    Raises
    ------
    ValueError
        If `value` is not a whole number of at least `least`.

    Examples
    --------
    >>> whole("seed", 3, least=0)
    3
    """
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not (number.is_integer() and number >= least):
        raise ValueError(f"{name}={value!r}: expected a whole number of at least {least}")
    return int(number)


def labelled(name: str, values: object, dimensions: tuple[str, ...]) -> xr.DataArray:
    """Return values that are a named DataArray of real numbers over dimensions, seed among them.

    Raises
    ------
    ValueError
        If they are anything else.

    Examples
    --------
    >>> array = xr.DataArray([[1.0, 2.0]], dims=("condition", "seed"), name="roughness")
    >>> labelled("values", array, ("condition", "seed")).name
    'roughness'
    """
    if not isinstance(values, xr.DataArray):
        raise ValueError(f"{name} is a {type(values).__name__}; expected an xarray.DataArray over {dimensions}")
    if missing := [dimension for dimension in dimensions if dimension not in values.dims]:
        raise ValueError(f"{name} has dimensions {values.dims}; expected {missing[0]!r} among them")
    if values.name is None or values.dtype.kind not in "fiub":
        raise ValueError(f"{name} has the name {values.name!r} and type {values.dtype}; expected named real numbers")
    return values


def text(name: str, value: object) -> str:
    """Return a text.

    Raises
    ------
    ValueError
        If `value` is not a text, or empty.

    Examples
    --------
    >>> text("text", "deeper is rougher")
    'deeper is rougher'
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}={value!r}: expected a text")
    return value


def select(name: str, values: xr.DataArray, labels: Mapping[Hashable, object], *, leave: str) -> xr.DataArray:
    """Return the part of an array with these labels, which must be over one dimension, `leave`.

    Raises
    ------
    ValueError
        If a dimension or label is not in the array, or other dimensions are left.

    Examples
    --------
    >>> array = xr.DataArray([[1, 2], [3, 4]], {"condition": ["a", "b"]}, ("condition", "seed"))
    >>> select("a", array, {"condition": "b"}, leave="seed").values
    array([3, 4])
    """
    for dimension, label in labels.items():
        if dimension not in values.dims or dimension not in values.coords:
            raise ValueError(f"{name}: no labelled dimension {dimension!r}; expected some of {tuple(values.coords)}")
        known = values[dimension].to_numpy().tolist()
        if label not in known:
            raise ValueError(f"{name}: no {dimension} {label!r}; expected one of {known}")
    found = values.sel(dict(labels))
    if found.dims != (leave,):
        raise ValueError(
            f"{name} leaves dimensions {found.dims}; expected {leave!r} alone: take the mean over the others"
        )
    return found
