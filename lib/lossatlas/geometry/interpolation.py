"""The values of a surface between its grid points, and in holes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage
from scipy.interpolate import NdBSpline, make_interp_spline

from lossatlas.geometry.checks import increasing, real_numbers


def fill_holes(values: np.ndarray) -> np.ndarray:
    """Return the values with those that are not finite replaced by the nearest finite one.

    Raises
    ------
    ValueError
        If the values are not real numbers.

    Examples
    --------
    >>> fill_holes(np.array([1.0, np.nan, np.inf, 4.0]))
    array([1., 1., 4., 4.])
    """
    values = real_numbers("values", values)
    finite = np.isfinite(values)
    if finite.all() or not finite.any():
        return values
    nearest = ndimage.distance_transform_edt(~finite, return_distances=False, return_indices=True)
    return values[tuple(nearest)]


def interpolator(axes: Sequence[np.ndarray], values: np.ndarray) -> Callable[..., np.ndarray]:
    """Return the values between grid points, as a function of one coordinate array for each axis.

    The function is a cubic spline (exact for polynomials up to degree three), kept within the range of the grid
    points around each cell, four to a side, so that it does not ring beside a steep wall. It is NaN wherever a
    corner of the cell is not finite; for the spline alone, such a corner takes the value of the nearest finite
    one, which is felt about a cell away.

    Parameters
    ----------
    axes
        Increasing coordinates along each axis.
    values
        One value for each grid point; some may be NaN or infinite.

    Raises
    ------
    ValueError
        If an axis does not increase, or the values do not fit the axes.

    Examples
    --------
    >>> axis = np.array([-1.0, 0.0, 1.0, 2.0])
    >>> between = interpolator([axis], axis**2)
    >>> between(np.array([0.5]))
    array([0.25])
    """
    values = real_numbers("values", values)
    axes = [increasing("axes", axis) for axis in axes]
    if values.shape != tuple(axis.size for axis in axes):
        raise ValueError(f"values have shape {values.shape}; expected {tuple(axis.size for axis in axes)}, as the axes")
    finite = np.isfinite(values)
    if not finite.any():
        return lambda *points: np.full(np.broadcast_shapes(*(np.shape(point) for point in points)), np.nan)
    values = fill_holes(values)
    coefficients, knots, degrees = values, [], []
    for i, axis in enumerate(axes):
        spline = make_interp_spline(axis, coefficients, k=min(3, axis.size - 1), axis=i)
        coefficients = np.moveaxis(spline.c, 0, i)
        knots.append(spline.t)
        degrees.append(spline.k)
    smooth = NdBSpline(tuple(knots), np.ascontiguousarray(coefficients), tuple(degrees))
    low, high = ndimage.minimum_filter(values, 3), ndimage.maximum_filter(values, 3)

    def inside(*points: np.ndarray) -> np.ndarray:
        points = np.broadcast_arrays(*points)
        cells = [
            np.clip(np.searchsorted(axis, point, side="right") - 1, 0, axis.size - 2)
            for axis, point in zip(axes, points, strict=True)
        ]
        along = [  # from 0 to 1 within the cell
            (point - axis[cell]) / (axis[cell + 1] - axis[cell])
            for axis, point, cell in zip(axes, points, cells, strict=True)
        ]
        lows, highs, known = [], [], np.array(True)
        for steps in np.ndindex(*[2] * len(axes)):
            corner = tuple(cell + step for cell, step in zip(cells, steps, strict=True))
            lows.append(low[corner])
            highs.append(high[corner])
            # A point on a side of its cell does not depend on the corners across.
            across = np.any([abs(share - 1 + step) < 1e-9 for share, step in zip(along, steps, strict=True)], 0)
            known = known & (finite[corner] | across)
        return np.where(known, np.clip(smooth(np.stack(points, axis=-1)), np.min(lows, 0), np.max(highs, 0)), np.nan)

    return inside
