"""A surface along the straight ways out from θ*: how suddenly it rises."""

from __future__ import annotations

import numpy as np
import xarray as xr

from lossatlas.geometry.grid import grid_values, interpolator
from lossatlas.geometry.shape import rounding

ANGLES = 120
RADII = 201


def rays(surface: xr.Dataset, *, variable: str = "loss") -> xr.DataArray:
    """The values along rays from the origin, over `angle` (radians) and `radius`, as far as the grid goes around.

    Between grid points the surface is a cubic spline (see :func:`lossatlas.geometry.grid.interpolator`). NaN where a
    value of the grid cell is not finite. Raises ValueError for a line and for a grid without the origin.
    """
    axes, values = grid_values(surface, variable)
    reach = min(min(-axis[0], axis[-1]) for axis in axes)
    if len(axes) != 2 or reach <= 0:
        raise ValueError("surface: expected a grid over alpha and beta with the origin inside")
    angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    radii = np.linspace(0, reach, RADII)
    points = [np.clip(np.outer(f(angles), radii), a[0], a[-1]) for f, a in zip((np.cos, np.sin), axes, strict=True)]
    along = interpolator(axes, values)(*points)
    return xr.DataArray(along, {"angle": angles, "radius": radii}, ("angle", "radius"), variable, surface.attrs)


def steepest_share(surface: xr.Dataset, width: float = 0.1, *, variable: str = "loss") -> float:
    """How much of a ray's range lies within its steepest stretch, averaged over the rays of :func:`rays`.

    For a ray ℓ(r) from r = 0 to R: the largest `|ℓ(r + width·R) − ℓ(r)|` over `max ℓ − min ℓ`. An even slope
    gives `width`, a parabola `1 − (1 − width)²`, a sudden step between flat parts 1. Neither the height nor the
    scale of the loss matters. Rays with a value that is not finite, and rays that are flat but for rounding
    (:func:`lossatlas.geometry.rounding`), are left out; NaN where none is left. Raises ValueError for a width
    outside (0, 1].
    """
    if not 0 < width <= 1:
        raise ValueError(f"width={width!r}: expected a share of the ray, more than 0 and at most 1")
    along = rays(surface, variable=variable).to_numpy()
    lag = max(1, round(width * (RADII - 1)))
    ranges = np.ptp(along, axis=1)
    used = np.isfinite(ranges) & (ranges > 2 * rounding(surface, np.nan_to_num(along)).max(axis=1))
    steepest = np.abs(along[:, lag:] - along[:, :-lag]).max(axis=1)
    return float((steepest[used] / ranges[used]).mean()) if used.any() else float("nan")
