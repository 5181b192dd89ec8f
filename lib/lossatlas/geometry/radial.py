"""A surface along straight rays from θ*: how suddenly it rises."""

from __future__ import annotations

import numpy as np
import xarray as xr

from lossatlas.geometry.checks import check_number
from lossatlas.geometry.grid import Grid, axis_names, reduce
from lossatlas.geometry.interpolation import interpolator
from lossatlas.geometry.rounding import rounding

ANGLES = 120
RADII = 201


def _along(grid: Grid) -> np.ndarray:
    """Return the values along the rays of one surface, (ANGLES, RADII)."""
    angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    radii = np.linspace(0, grid.reach, RADII)
    points = [
        np.clip(np.outer(f(angles), radii), a[0], a[-1]) for f, a in zip((np.cos, np.sin), grid.axes, strict=True)
    ]
    return interpolator(grid.axes, grid.values)(*points)


def _reach(surface: xr.Dataset, variable: str) -> float:
    """Return how far the rays of a surface reach; raises ValueError for a line and for a grid without the origin."""
    names = axis_names(surface, variable)
    reach = min(float(min(-surface[name][0], surface[name][-1])) for name in names)
    if len(names) != 2 or reach <= 0:
        raise ValueError("surface: expected a grid over alpha and beta with the origin inside")
    return reach


def rays(surface: xr.Dataset, *, variable: str = "loss") -> xr.DataArray:
    """Return the values along rays from the origin, as far as the grid reaches on every side.

    Between grid points the surface is a cubic spline (see :func:`lossatlas.geometry.interpolator`).

    Parameters
    ----------
    surface
        A Dataset over alpha and beta, and any other dimensions.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Over `angle` (radians), `radius` (units of the axes) and the other dimensions; NaN if a value of the grid
        cell is not finite.

    Raises
    ------
    ValueError
        If the surface is a line or its grid does not hold the origin.

    Examples
    --------
    >>> import xarray as xr
    >>> axis = np.linspace(-1, 1, 21)
    >>> bowl = xr.Dataset({"loss": (("alpha", "beta"), np.add.outer(axis**2, axis**2))}, {"alpha": axis, "beta": axis})
    >>> rays(bowl).sel(radius=0.5, method="nearest").mean().round(3).item()
    0.25
    """
    radii = np.linspace(0, _reach(surface, variable), RADII)
    angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    found = reduce(surface, _along, variable=variable, over={"angle": angles, "radius": radii})
    return found.rename(variable).assign_attrs(surface.attrs)


def steepest_share(surface: xr.Dataset, width: float = 0.1, *, variable: str = "loss") -> xr.DataArray:
    """Return how much of a ray's range lies within its steepest stretch, averaged over the rays of :func:`rays`.

    For a ray ℓ(r) from r = 0 to R it is the largest `|ℓ(r + width·R) − ℓ(r)|` over `max ℓ − min ℓ`. An even slope
    gives `width`, a parabola `1 − (1 − width)²`, a sudden step between flat parts 1. Neither the height nor the
    scale of the loss matters.

    Parameters
    ----------
    surface
        A Dataset over alpha and beta, and any other dimensions.
    width
        The length of the stretch as a share of the ray, more than 0 and at most 1.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Shares over the other dimensions. Rays with a value that is not finite, and rays that are flat but for
        rounding, are left out; NaN if none is left.

    Raises
    ------
    ValueError
        If `width` is no such share, or the surface is a line or does not hold the origin.

    Examples
    --------
    >>> import xarray as xr
    >>> axis = np.linspace(-1, 1, 21)
    >>> bowl = xr.Dataset({"loss": (("alpha", "beta"), np.add.outer(axis**2, axis**2))}, {"alpha": axis, "beta": axis})
    >>> steepest_share(bowl).round(4).item()
    0.19
    """
    check_number("width", width, least=0, most=1, above=True)
    _reach(surface, variable)
    lag = max(1, round(width * (RADII - 1)))

    def share(grid: Grid) -> float:
        along = _along(grid)
        ranges = np.ptp(along, axis=1)
        used = np.isfinite(ranges) & (ranges > 2 * rounding(np.nan_to_num(along), grid.precision).max(axis=1))
        steepest = np.abs(along[:, lag:] - along[:, :-lag]).max(axis=1)
        return float((steepest[used] / ranges[used]).mean()) if used.any() else float("nan")

    return reduce(surface, share, variable=variable)
