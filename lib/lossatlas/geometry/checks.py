"""The checks that every function of this package makes of its plain arguments."""

from __future__ import annotations

from numbers import Real

import numpy as np


def check_number(
    name: str, value: object, *, least: float = -np.inf, most: float = np.inf, above: bool = False
) -> float:
    """Return `value` as a float.

    Raises
    ------
    ValueError
        If `value` is not a finite real number from `least` to `most` (with `above`: greater than `least`).
    """
    good = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    number = float(value) if isinstance(value, Real) else np.nan
    if not (good and np.isfinite(number) and least <= number <= most and not (above and number == least)):
        low = f" {'greater than' if above else 'of at least'} {least:g}" if np.isfinite(least) else ""
        high = f"{' and' if low else ''} at most {most:g}" if np.isfinite(most) else ""
        raise ValueError(f"{name}={value!r}: expected a finite number{low}{high}")
    return number


def real_numbers(name: str, values: object) -> np.ndarray:
    """Return values as an array of float64.

    Raises
    ------
    ValueError
        If they are not real numbers.

    Examples
    --------
    >>> real_numbers("values", [1, 2])
    array([1., 2.])
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: {values!r:.60}; expected real numbers")
    return array.astype(np.float64)


def increasing(name: str, values: object) -> np.ndarray:
    """Return the coordinates of an axis as float64.

    Raises
    ------
    ValueError
        If they are not two or more finite, increasing numbers.

    Examples
    --------
    >>> increasing("alpha", [0, 1])
    array([0., 1.])
    """
    axis = real_numbers(name, values)
    if axis.ndim != 1 or axis.size < 2 or not np.isfinite(axis).all() or np.any(np.diff(axis) <= 0):
        found = axis.ravel()[:5].tolist()
        raise ValueError(f"{name}: expected two or more increasing, finite values, got {axis.size}: {found}…")
    return axis
