"""On how much of a surface some direction curves down."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import xarray as xr
from scipy import ndimage

from lossatlas.geometry.checks import check_number
from lossatlas.geometry.grid import Grid, axis_names, reduce
from lossatlas.geometry.rounding import rounding


def _second_difference(axis: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the second derivative along the first dimension at interior points, for uneven steps too."""
    before, after = (step.reshape(-1, *[1] * (values.ndim - 1)) for step in (np.diff(axis)[:-1], np.diff(axis)[1:]))
    slopes = (values[1:-1] - values[:-2]) / before, (values[2:] - values[1:-1]) / after
    return 2 * (slopes[1] - slopes[0]) / (before + after)


def _central_difference(axis: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the first derivative along the first dimension at interior points."""
    return (values[2:] - values[:-2]) / (axis[2:] - axis[:-2]).reshape(-1, *[1] * (values.ndim - 1))


def _interior_hessians(axes: tuple[np.ndarray, ...], values: np.ndarray) -> np.ndarray:
    """Return the Hessian at every interior grid point by central differences, (points..., axes, axes)."""
    n = len(axes)
    hessians = np.empty((*(size - 2 for size in values.shape), n, n))
    inner = slice(1, -1)
    for i in range(n):
        bent = np.moveaxis(_second_difference(axes[i], np.moveaxis(values, i, 0)), 0, i)
        hessians[..., i, i] = bent[tuple(slice(None) if k == i else inner for k in range(n))]
    for i, j in combinations(range(n), 2):
        tilted = np.moveaxis(_central_difference(axes[i], np.moveaxis(values, i, 0)), 0, i)
        mixed = np.moveaxis(_central_difference(axes[j], np.moveaxis(tilted, j, 0)), 0, j)
        hessians[..., i, j] = hessians[..., j, i] = mixed[
            tuple(slice(None) if k in (i, j) else inner for k in range(n))
        ]
    return hessians


def _rounding_of_curvature(grid: Grid, safe: np.ndarray) -> np.ndarray:
    """Return τ of :func:`nonconvex_share`: how far rounding may move an eigenvalue at each interior point."""
    errors = ndimage.maximum_filter(rounding(safe, grid.precision), 3)[(slice(1, -1),) * safe.ndim]
    steps = np.meshgrid(*(np.minimum(np.diff(a)[:-1], np.diff(a)[1:]) for a in grid.axes), indexing="ij")
    mixed = [sum(1 / (steps[i] * steps[j]) for j in range(len(steps)) if j != i) for i in range(len(steps))]
    return errors * (4 / np.min(steps, axis=0) ** 2 + np.max(mixed, axis=0))


def nonconvex_share(surface: xr.Dataset, tolerance: float | None = None, *, variable: str = "loss") -> xr.DataArray:
    """Return the share of interior grid points whose discrete Hessian has an eigenvalue below −tolerance.

    The Hessian is made of central differences; on a line it is the second difference. Without `tolerance` each
    point has its own τ, from e, the most that rounding moves a loss of its stencil
    (:func:`lossatlas.geometry.rounding`). The weights 1, −2, 1 over h² turn e into 4e/h², the four corners over
    4hk into e/(hk), and so no eigenvalue moves by more than `τ = e·(4·max(1/h², 1/k²) + 1/(hk))`. On a line
    `τ = 4e/h²`; with three axes the last term is the largest sum of a row.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    tolerance
        In units of the variable per squared step; zero or more. None: τ.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Shares over the other dimensions. Points whose stencil (3 by 3) touches a value that is not finite are left
        out, and the share is of the rest; NaN if none is left.

    Raises
    ------
    ValueError
        If an axis has fewer than three points, or `tolerance` is negative.

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 21)
    >>> saddle = np.subtract.outer(axis**2, axis**2)
    >>> surface = xr.Dataset({"loss": (("alpha", "beta"), saddle)}, {"alpha": axis, "beta": axis})
    >>> nonconvex_share(surface).item()
    1.0
    """
    shape = tuple(surface.sizes[name] for name in axis_names(surface, variable))
    if min(shape) < 3:
        raise ValueError(f"surface of {shape} points: expected at least 3 along each axis for curvature")
    if tolerance is not None:
        check_number("tolerance", tolerance, least=0)

    def share(grid: Grid) -> float:
        usable = ndimage.minimum_filter(grid.finite.astype(np.uint8), 3)[(slice(1, -1),) * len(shape)] == 1
        if not usable.any():
            return float("nan")
        safe = np.where(grid.finite, grid.values, 0.0)
        lowest = np.linalg.eigvalsh(_interior_hessians(grid.axes, safe))[..., 0]
        least = -_rounding_of_curvature(grid, safe) if tolerance is None else -tolerance
        return float((lowest < least)[usable].mean())

    return reduce(surface, share, variable=variable)
