"""How sharp, how wide, how rough and how round a surface is.

Every function takes a Dataset over alpha, over alpha and beta, or over these and gamma, and reads one variable of it.
It reduces these axes and keeps every other dimension. Values that are not finite are never filled in: each
docstring says what becomes of them.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from lossatlas.geometry.checks import check_number
from lossatlas.geometry.grid import Grid, Stack, axis_names, is_symmetric, reduce
from lossatlas.geometry.interpolation import interpolator

ANGLES = 360  # points on a circle
LATITUDES = 40  # circles on a sphere


def origin_value(surface: xr.Dataset, *, variable: str = "loss") -> xr.DataArray:
    """Return the value at θ*: for the loss the stored `origin_loss` if there is one, else the value interpolated at 0.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    variable
        The variable to read.

    Raises
    ------
    ValueError
        If the grid does not hold the origin and no value is stored.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [2.0, 1.0, 2.0])}, {"alpha": [-1, 0, 1]})
    >>> origin_value(line).item()
    1.0
    """
    return reduce(surface, lambda grid: grid.origin, variable=variable)


def _unit_sphere(dimensions: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return points on the unit circle (or sphere), an array for each coordinate, and their weights."""
    if dimensions == 1:
        return [np.array([-1.0, 1.0])], np.full(2, 0.5)
    angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    circle = [np.cos(angles), np.sin(angles)]
    if dimensions == 2:
        return circle, np.full(ANGLES, 1 / ANGLES)
    heights, weights = np.polynomial.legendre.leggauss(LATITUDES)  # exact for polynomials of degree 79
    across = np.sqrt(1 - heights**2)
    points = [np.outer(across, side).ravel() for side in circle] + [np.repeat(heights, ANGLES)]
    return points, np.repeat(weights / 2 / ANGLES, ANGLES)


def sharpness(surface: xr.Dataset, radius: float, *, variable: str = "loss") -> xr.DataArray:
    """Return the mean of `L − L(θ*)` over the circle α² + β² = radius².

    On a line the circle is the two points ±radius, in three directions a sphere. Between grid points the surface
    is a cubic spline (see :func:`lossatlas.geometry.interpolator`), exact for quadratics.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    radius
        The radius of the circle in units of the axes; more than 0, and no more than the grid holds.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Rises over the other dimensions, in units of the variable; NaN if the circle crosses a cell with a value
        that is not finite.

    Raises
    ------
    ValueError
        If the circle leaves the grid, or the value at θ* is not known.

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 21)
    >>> bowl = np.add.outer(2 * axis**2, axis**2)
    >>> surface = xr.Dataset({"loss": (("alpha", "beta"), bowl)}, {"alpha": axis, "beta": axis})
    >>> sharpness(surface, 0.5).round(6).item()
    0.375
    """
    stack = Stack.of(surface, variable)
    reach = max(0.0, min(grid.reach for grid in stack.grids))
    check_number("radius", radius, least=0, above=True, most=reach * (1 + 1e-9))
    points, weights = _unit_sphere(len(axis_names(surface, variable)))

    def rise(grid: Grid) -> float:
        at = [np.clip(radius * point, axis[0], axis[-1]) for point, axis in zip(points, grid.axes, strict=True)]
        return float(interpolator(grid.axes, grid.values)(*at) @ weights - grid.origin)

    return stack.array([rise(grid) for grid in stack.grids])


def basin_area(surface: xr.Dataset, delta: float, *, variable: str = "loss") -> xr.DataArray:
    """Return the share of the grid points with `L ≤ L(θ*) + delta`, connected to θ* or not.

    The share depends on how far the grid reaches: compare only equal grids.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    delta
        A rise of the loss, in its units; zero or more.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Shares over the other dimensions. A point whose value is not finite lies outside the basin; NaN if L(θ*)
        itself is not finite.

    Raises
    ------
    ValueError
        If `delta` is negative or not finite, or the value at θ* is not known.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [2.0, 1.0, 1.5])}, {"alpha": [-1, 0, 1]})
    >>> basin_area(line, 0.5).round(3).item()
    0.667
    """
    check_number("delta", delta, least=0)

    def share(grid: Grid) -> float:
        origin = grid.origin
        return float((grid.finite & (grid.values <= origin + delta)).mean()) if np.isfinite(origin) else float("nan")

    return reduce(surface, share, variable=variable)


def best_quadratic(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the Hessian of the least-squares quadratic over the finite values, and the residuals there.

    Both are NaN if the finite values are fewer than the coefficients.
    """
    axes, values, n = grid.axes, grid.values, len(grid.axes)
    size = [max(abs(axis[0]), abs(axis[-1])) for axis in axes]  # for a well-conditioned fit
    points = [p[grid.finite] / s for p, s in zip(np.meshgrid(*axes, indexing="ij"), size, strict=True)]
    rows, columns = np.triu_indices(n)
    squares = [points[i] * points[j] for i, j in zip(rows, columns, strict=True)]
    design = np.stack([np.ones(grid.finite.sum()), *points, *squares], axis=1)
    if len(design) < design.shape[1]:
        return np.full((n, n), np.nan), np.full(len(design), np.nan)
    coefficients, *_ = np.linalg.lstsq(design, values[grid.finite], rcond=None)
    hessian = np.zeros((n, n))
    hessian[rows, columns] = coefficients[1 + n :]
    return (hessian + hessian.T) / np.outer(size, size), values[grid.finite] - design @ coefficients


def roughness(surface: xr.Dataset, *, variable: str = "loss") -> xr.DataArray:
    """Return the root mean square of the surface minus its best quadratic, over the surface's range.

    The quadratic is that of least squares over the finite values.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Over the other dimensions; 0 for a flat surface, NaN if fewer values are finite than the quadratic has
        coefficients.

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 5)
    >>> line = xr.Dataset({"loss": ("alpha", abs(axis))}, {"alpha": axis})
    >>> roughness(line).round(4).item()
    0.1069
    """

    def rough(grid: Grid) -> float:
        _, residuals = best_quadratic(grid)
        if residuals.size == 0 or np.isnan(residuals).any():
            return float("nan")
        extent = np.ptp(grid.values[grid.finite])
        return float(np.sqrt(np.mean(residuals**2)) / extent) if extent > 0 else 0.0

    return reduce(surface, rough, variable=variable)


def anisotropy(surface: xr.Dataset, *, variable: str = "loss") -> xr.DataArray:
    """Return `1 − |λ|min/|λ|max` for the eigenvalues λ of the best quadratic: 0 is round, 1 a valley or ridge.

    Parameters
    ----------
    surface
        A Dataset over alpha and beta, or these and gamma, and any other dimensions.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Over the other dimensions, from the finite values; NaN for a surface without curvature.

    Raises
    ------
    ValueError
        If the surface is a line.

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 21)
    >>> bowl = np.add.outer(2 * axis**2, axis**2)
    >>> surface = xr.Dataset({"loss": (("alpha", "beta"), bowl)}, {"alpha": axis, "beta": axis})
    >>> anisotropy(surface).round(6).item()
    0.5
    """
    if len(axis_names(surface, variable)) < 2:
        raise ValueError("surface is a line; expected alpha and beta for anisotropy")

    def elongated(grid: Grid) -> float:
        hessian, _ = best_quadratic(grid)
        if np.isnan(hessian).any():
            return float("nan")
        sizes = np.sort(np.abs(np.linalg.eigvalsh(hessian)))
        return float(1 - sizes[0] / sizes[-1]) if sizes[-1] > 0 else float("nan")

    return reduce(surface, elongated, variable=variable)


def asymmetry(surface: xr.Dataset, *, variable: str = "loss") -> xr.DataArray:
    """Return the root mean square of the surface's odd part, `(L(x) − L(−x))/2`, over its range.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Over the other dimensions; 0 for a surface that mirrors itself, NaN if no point and its mirror are finite.

    Raises
    ------
    ValueError
        If the grid is not symmetric about the origin.

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 5)
    >>> line = xr.Dataset({"loss": ("alpha", axis**2)}, {"alpha": axis})
    >>> asymmetry(line).item()
    0.0
    """
    for name in axis_names(surface, variable):
        axis = surface[name].to_numpy()
        if not is_symmetric(axis):
            raise ValueError(f"{name} runs from {axis[0]:g} to {axis[-1]:g}; expected values symmetric about 0")

    def odd(grid: Grid) -> float:
        both = grid.finite & np.flip(grid.finite)
        if not both.any():
            return float("nan")
        part = (grid.values[both] - np.flip(grid.values)[both]) / 2
        extent = np.ptp(grid.values[grid.finite])
        return float(np.sqrt(np.mean(part**2)) / extent) if extent > 0 else 0.0

    return reduce(surface, odd, variable=variable)
