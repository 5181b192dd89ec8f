"""A surface as plain arrays: its axes, its values, and what lies between the grid points."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from scipy import ndimage
from scipy.interpolate import RectBivariateSpline, make_interp_spline

DIMENSIONS = ("alpha", "beta")


def grid_values(surface: xr.Dataset, variable: str = "loss") -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The axes (one array for a line, two for a surface) and the values, float64, alpha first.

    Raises ValueError for a variable or dimension that is not there, or an axis that does not increase.
    """
    if variable not in surface.data_vars:
        raise ValueError(f"variable={variable!r} is not in the surface; expected one of {list(surface.data_vars)}")
    array = surface[variable]
    dimensions = DIMENSIONS[: array.ndim]
    if array.ndim not in (1, 2) or set(array.dims) != set(dimensions):
        raise ValueError(f'{variable} has dimensions {array.dims}; expected ("alpha", "beta") or ("alpha",)')
    missing = [name for name in dimensions if name not in surface.coords]
    if missing:
        raise ValueError(f"surface has no coordinate {missing[0]!r}; expected one value of it for each grid point")
    axes = tuple(surface[name].to_numpy().astype(np.float64) for name in dimensions)
    for name, axis in zip(dimensions, axes, strict=True):
        if axis.size < 2 or not (np.diff(axis) > 0).all():
            raise ValueError(f"{name}: expected two or more increasing values, got {axis.size}: {axis[:5]}…")
    return axes, array.transpose(*dimensions).to_numpy().astype(np.float64)


def interpolator(axes: Sequence[np.ndarray], values: np.ndarray) -> Callable[..., np.ndarray]:
    """The values between grid points, as a function of as many coordinate arrays as there are axes.

    A cubic spline, kept within the range of the grid points around each cell (four to a side), so that it
    does not ring beside a steep wall. NaN wherever a corner of the cell is not finite; for the spline alone,
    such a corner takes the value of the nearest finite one, which is felt about a cell away.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return lambda *points: np.full(np.broadcast_shapes(*(np.shape(point) for point in points)), np.nan)
    if not finite.all():
        nearest = ndimage.distance_transform_edt(~finite, return_distances=False, return_indices=True)
        values = values[tuple(nearest)]
    order = [min(3, axis.size - 1) for axis in axes]
    if len(axes) == 1:
        smooth = make_interp_spline(axes[0], values, k=order[0])
    else:
        smooth = RectBivariateSpline(*axes, values, kx=order[0], ky=order[1]).ev
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
        lows, highs, known = [], [], True
        for steps in np.ndindex(*[2] * len(axes)):
            corner = tuple(cell + step for cell, step in zip(cells, steps, strict=True))
            lows.append(low[corner])
            highs.append(high[corner])
            # A point on a side of its cell does not depend on the corners across.
            across = np.any([abs(share - 1 + step) < 1e-9 for share, step in zip(along, steps, strict=True)], 0)
            known = known & (finite[corner] | across)
        return np.where(known, np.clip(smooth(*points), np.min(lows, 0), np.max(highs, 0)), np.nan)

    return inside


def interpolate(surface: xr.Dataset, resolution: int) -> xr.Dataset:
    """The surface on `resolution` evenly spaced points along each axis, for drawing; attributes are kept.

    Every variable over the surface's dimensions is interpolated as in :func:`interpolator`. This invents no
    knowledge: measures are taken on the grid that was evaluated.
    """
    if resolution < 2:
        raise ValueError(f"resolution={resolution!r}: expected 2 or more points along each axis")
    variables, fine = {}, {}
    for name, array in surface.data_vars.items():
        axes, values = grid_values(surface, name)
        fine = {
            dimension: np.linspace(axis[0], axis[-1], resolution)
            for dimension, axis in zip(DIMENSIONS, axes, strict=False)
        }
        points = np.meshgrid(*fine.values(), indexing="ij")
        variables[name] = (tuple(fine), interpolator(axes, values)(*points), array.attrs)
    coords = {dimension: (dimension, axis, surface[dimension].attrs) for dimension, axis in fine.items()}
    return xr.Dataset(variables, coords, surface.attrs)
