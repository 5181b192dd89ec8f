"""The basins of a surface: connected pieces of its sublevel sets, and how long each persists."""

from __future__ import annotations

from collections.abc import Sequence

import gudhi
import numpy as np
import xarray as xr
from scipy import ndimage

from lossatlas.geometry.checks import check_number
from lossatlas.geometry.grid import Grid, Stack, axis_names, reduce
from lossatlas.geometry.rounding import rounding


def _levels(levels: int | Sequence[float], finite: np.ndarray) -> np.ndarray:
    """Return the values of λ that are meant by `levels`; raises ValueError for anything else."""
    if np.ndim(levels) == 0:
        count = check_number("levels", levels, least=1)
        if count != int(count):
            raise ValueError(f"levels={levels!r}: expected a whole number of levels, or increasing values")
        return np.quantile(finite, np.linspace(0, 1, int(count)))
    try:
        values = np.asarray(levels, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all() or np.any(np.diff(values) <= 0):
        raise ValueError(f"levels={levels!r}: expected increasing, finite values, or how many levels")
    return values


def sublevel_components(
    surface: xr.Dataset, levels: int | Sequence[float] = 64, *, variable: str = "loss"
) -> xr.Dataset:
    """Return N(λ): how many connected pieces the sublevel set {L ≤ λ} has, for each level λ.

    Pieces are 8-connected (diagonal neighbours touch). Values that are not finite are in no set.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    levels
        Increasing values of λ, or how many: these are quantiles of all finite values, from the lowest to the
        highest, so that each adds an equal share of the grid.
    variable
        The variable to read.

    Returns
    -------
    xarray.Dataset
        `components` (a count) and `share` (of the grid points that lie in the set) over `level` and the other
        dimensions.

    Raises
    ------
    ValueError
        If the surface has no finite value or `levels` are no levels.

    Examples
    --------
    >>> import xarray as xr
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 2.0, 1.0])}, {"alpha": [0, 1, 2]})
    >>> sublevel_components(line, [0.5, 1.5, 2.5]).components.values
    array([1, 2, 1])
    """
    names = axis_names(surface, variable)
    values = surface[variable].to_numpy().astype(np.float64)
    if not np.isfinite(values).any():
        raise ValueError(f"surface: no finite value of {variable!r}; expected at least one")
    at = _levels(levels, values[np.isfinite(values)])
    neighbours = np.ones((3,) * len(names))

    def count(grid: Grid) -> np.ndarray:
        return np.array([ndimage.label(grid.finite & (grid.values <= level), neighbours)[1] for level in at])

    def share(grid: Grid) -> np.ndarray:
        return np.array([(grid.finite & (grid.values <= level)).mean() for level in at])

    functions = {"components": count, "share": share}
    over = {"level": at}
    return xr.Dataset({n: reduce(surface, f, variable=variable, over=over) for n, f in functions.items()})


def _pairs(grid: Grid) -> np.ndarray:
    """Return birth, death and the coordinates of the minimum of every component, (components, 2 + axes)."""
    # Each value belongs to a cell of the highest dimension: cells that share a corner touch, as 8 neighbours do.
    cells = np.where(grid.finite, grid.values, np.inf)
    cubes = gudhi.CubicalComplex(top_dimensional_cells=cells)
    cubes.compute_persistence(min_persistence=0)
    regular, essential = cubes.cofaces_of_persistence_pairs()
    flat = cells.ravel(order="F")
    ends = [(birth, flat[death]) for birth, death in (regular[0] if regular else [])]
    ends += [(birth, np.inf) for birth in (essential[0] if essential else [])]
    ends = [(birth, death) for birth, death in ends if np.isfinite(flat[birth]) and death > flat[birth]]
    ends.sort(key=lambda pair: (flat[pair[0]] - pair[1], flat[pair[0]]))
    births = np.array([birth for birth, _ in ends], dtype=np.intp)
    deaths = np.array([death for _, death in ends], dtype=np.float64)
    where = np.unravel_index(births, cells.shape, order="F")
    places = [axis[index] for axis, index in zip(grid.axes, where, strict=True)]
    return np.stack([flat[births], deaths, *places], axis=1)


def persistence(surface: xr.Dataset, *, variable: str = "loss") -> xr.Dataset:
    """Return where each component of the sublevel sets is born, and the level at which it joins an older one.

    As λ rises, components of {L ≤ λ} appear at minima and join at passes; if two join, the one with the higher
    minimum ends. Pieces are 8-connected.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    variable
        The variable to read.

    Returns
    -------
    xarray.Dataset
        Over `component`, the most persistent first, and the other dimensions: `birth` (the value at the minimum),
        `death`, `persistence` (death − birth) and the coordinates of the minimum. The component of the lowest
        minimum never ends: its death is inf. Parts that are cut off from it by values that are not finite have
        such a component each. Ties that end where they begin are left out. In a stack, surfaces with fewer
        components are filled with NaN.

    References
    ----------
    Edelsbrunner and Harer, Computational Topology (2010), chapter VII; computed with GUDHI's cubical complexes.

    Examples
    --------
    >>> import xarray as xr
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 2.0, 1.0])}, {"alpha": [0, 1, 2]})
    >>> persistence(line).persistence.values
    array([inf,  1.])
    """
    stack = Stack.of(surface, variable)
    found = [_pairs(grid) for grid in stack.grids]
    most = max(len(pairs) for pairs in found)
    filled = [np.pad(pairs, ((0, most - len(pairs)), (0, 0)), constant_values=np.nan) for pairs in found]
    names = ("birth", "death", *axis_names(surface, variable))
    table = stack.array(filled, {"component": np.arange(most), "column": list(names)}).drop_vars("component")
    columns = {name: table.sel(column=name, drop=True) for name in names}
    columns["persistence"] = columns["death"] - columns["birth"]
    return xr.Dataset({name: columns[name] for name in ("birth", "death", "persistence", *names[2:])})


def _basins(grid: Grid) -> np.ndarray:
    """Return the persistence of each component that rounding cannot have made, the largest first."""
    birth, death = _pairs(grid)[:, :2].T
    last = np.where(np.isfinite(death), death, birth)
    errors = rounding(birth, grid.precision) + rounding(last, grid.precision)
    return (death - birth)[death - birth > errors]


def minima(surface: xr.Dataset, *, variable: str = "loss") -> xr.DataArray:
    """Return the number of separate minima: components (:func:`persistence`) that rounding cannot have made.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Counts over the other dimensions; NaN for a surface without a finite value.

    Examples
    --------
    >>> import xarray as xr
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 2.0, 1.0])}, {"alpha": [0, 1, 2]})
    >>> minima(line).item()
    2.0
    """

    def count(grid: Grid) -> float:
        return float(len(_basins(grid))) if grid.finite.any() else float("nan")

    return reduce(surface, count, variable=variable)


def barrier(surface: xr.Dataset, *, variable: str = "loss") -> xr.DataArray:
    """Return the highest rise from a minimum to the pass at which its basin meets a lower one.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Rises over the other dimensions, in units of the variable; 0 if there is one basin, NaN for a surface
        without a finite value.

    Examples
    --------
    >>> import xarray as xr
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 2.0, 1.0])}, {"alpha": [0, 1, 2]})
    >>> barrier(line).item()
    1.0
    """

    def highest(grid: Grid) -> float:
        found = _basins(grid)
        return float(found[np.isfinite(found)].max(initial=0.0)) if grid.finite.any() else float("nan")

    return reduce(surface, highest, variable=variable)
