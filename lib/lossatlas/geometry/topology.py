"""The topology of a surface: components, loops and cavities of its sublevel sets, and how long each persists.

Each value belongs to a cell of the highest dimension. Cells that share a corner touch, as 8 neighbours do in a plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import gudhi
import numpy as np
import xarray as xr

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
    surface: xr.Dataset, levels: int | Sequence[float] | None = 64, *, variable: str = "loss"
) -> xr.Dataset:
    """Return N(λ): how many connected pieces the sublevel set {L ≤ λ} has, for each level λ.

    Pieces are 8-connected (diagonal neighbours touch). Values that are not finite are in no set. The counts are exact
    at every level: N(λ) is the number of components that were born at or below λ, minus those that ended there.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    levels
        Increasing values of λ, or how many: these are quantiles of all finite values, from the lowest to the
        highest, so that each adds an equal share of the grid. None: every level at which the count of some surface
        changes; between two of them it is constant.
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
    >>> sublevel_components(line, None).level.values
    array([0., 1., 2.])
    """
    stack = Stack.of(surface, variable)
    values = np.concatenate([grid.values[grid.finite] for grid in stack.grids])
    if not values.size:
        raise ValueError(f"surface: no finite value of {variable!r}; expected at least one")
    ends = [np.sort(pairs(grid)[:, :2], axis=0).T for grid in stack.grids]
    if levels is None:
        changes = np.unique(np.concatenate([np.ravel(each) for each in ends]))
        at = changes[np.isfinite(changes)]
    else:
        at = _levels(levels, values)
    counts = [np.subtract(*(np.searchsorted(each, at, side="right") for each in both)) for both in ends]
    shares = [
        np.searchsorted(np.sort(grid.values[grid.finite]), at, side="right") / grid.values.size for grid in stack.grids
    ]
    return xr.Dataset({n: stack.array(f, {"level": at}) for n, f in (("components", counts), ("share", shares))})


def pairs(grid: Grid, dimension: int = 0) -> np.ndarray:
    """Return what the sublevel sets of one surface hold in a dimension, the most persistent first.

    Returns
    -------
    numpy.ndarray
        A row for each component (dimension 0), loop (1) or cavity (2): birth, death, and the coordinates at which
        it is born and ends. What never ends has the death inf, and NaN for the coordinates of its end.

    Examples
    --------
    >>> pairs(Grid((np.arange(3.0),), np.array([0.0, 2.0, 1.0])))
    array([[ 0., inf,  0., nan],
           [ 1.,  2.,  2.,  1.]])
    """
    cells = np.where(grid.finite, grid.values, np.inf)
    cubes = gudhi.CubicalComplex(top_dimensional_cells=cells)
    cubes.compute_persistence(min_persistence=0)
    regular, essential = (
        found[dimension] if len(found) > dimension else np.empty(0, dtype=int)
        for found in cubes.cofaces_of_persistence_pairs()
    )
    born, ends = np.append(regular.reshape(-1, 2)[:, 0], essential), regular.reshape(-1, 2)[:, 1]
    flat = cells.ravel(order="F")
    births, deaths = flat[born], np.append(flat[ends], np.full(len(essential), np.inf))
    ends = np.append(ends, np.zeros(len(essential)))  # no place: NaN below
    places = [_coordinates(grid, born), np.where(np.isfinite(deaths), _coordinates(grid, ends), np.nan)]
    rows = np.concatenate([[births, deaths], *places]).T
    kept = np.isfinite(births) & (deaths > births)
    return rows[kept][np.lexsort((births[kept], births[kept] - deaths[kept]))]


def _coordinates(grid: Grid, cells: np.ndarray) -> np.ndarray:
    """Return the coordinates (axes, cells) of grid points that GUDHI numbers in Fortran's order."""
    where = np.unravel_index(cells.astype(np.intp), grid.values.shape, order="F")
    return np.array([axis[index] for axis, index in zip(grid.axes, where, strict=True)])


def persistence(surface: xr.Dataset, *, dimension: int = 0, variable: str = "loss") -> xr.Dataset:
    """Return where each feature of the sublevel sets is born, and the level at which it ends.

    As λ rises, components of {L ≤ λ} (dimension 0) appear at minima and join at saddles; if two join, the one with
    the higher minimum ends. A loop (dimension 1) appears if a component closes around something higher, and ends if
    that is filled in; so does a cavity (dimension 2) inside a volume. Pieces are 8-connected. Values that are not
    finite are holes, which are never filled in; no value is changed.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    dimension
        0 for components, 1 for loops, 2 for cavities; less than the number of axes.
    variable
        The variable to read.

    Returns
    -------
    xarray.Dataset
        Over `component`, one for each feature, the most persistent first, and the other dimensions: `birth` (of a
        component: the value at its minimum), `death`, `persistence` (death − birth), `rounding` (how much of the
        persistence rounding may have made, see :func:`rounding`), the coordinates of the birth (`alpha`, ...) and
        those of the end (`death_alpha`, ...). The component of the lowest minimum never ends: its death is inf and
        its end has no coordinates. Parts that are cut off from it by values that are not finite have such a
        component each, and loops and cavities around such values never end either. Ties that end where they begin
        are left out. In a stack, surfaces with fewer features are filled with NaN.

    Raises
    ------
    ValueError
        If `dimension` is not one of the surface's.

    References
    ----------
    Edelsbrunner and Harer, Computational Topology (2010), chapter VII; computed with GUDHI's cubical complexes.

    Examples
    --------
    >>> import xarray as xr
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 2.0, 1.0])}, {"alpha": [0, 1, 2]})
    >>> persistence(line).persistence.values
    array([inf,  1.])
    >>> ring = xr.Dataset(
    ...     {"loss": (("alpha", "beta"), [[1, 1, 1], [1, 5, 1], [1, 1, 1]])}, {"alpha": [0, 1, 2], "beta": [0, 1, 2]}
    ... )
    >>> persistence(ring, dimension=1).death.values
    array([5.])
    """
    names = axis_names(surface, variable)
    check_dimension(dimension, len(names))
    stack = Stack.of(surface, variable)
    found = [pairs(grid, dimension) for grid in stack.grids]
    errors = [_errors(rows, grid) for rows, grid in zip(found, stack.grids, strict=True)]
    found = [np.column_stack([rows, each]) for rows, each in zip(found, errors, strict=True)]
    most = max(len(rows) for rows in found)
    filled = [np.pad(rows, ((0, most - len(rows)), (0, 0)), constant_values=np.nan) for rows in found]
    columns = ["birth", "death", *names, *(f"death_{name}" for name in names), "rounding"]
    table = stack.array(filled, {"component": np.arange(most), "column": columns}).drop_vars("component")
    features = {name: table.sel(column=name, drop=True) for name in columns}
    features["persistence"] = features["death"] - features["birth"]
    order = ["birth", "death", "persistence", "rounding", *columns[2:-1]]
    return xr.Dataset({name: features[name] for name in order}, attrs={"dimension": int(dimension)})


def check_dimension(dimension: int, axes: int) -> None:
    """Raise ValueError if features of a surface over so many axes cannot have this dimension.

    Examples
    --------
    >>> check_dimension(2, 2)
    Traceback (most recent call last):
    ValueError: dimension=2: expected a whole number of at least 0 and less than the number of axes, here 2
    """
    if isinstance(dimension, bool) or not isinstance(dimension, Integral) or not 0 <= dimension < axes:
        raise ValueError(
            f"dimension={dimension!r}: expected a whole number of at least 0 and less than the number of axes, "
            f"here {axes}"
        )


def _errors(rows: np.ndarray, grid: Grid) -> np.ndarray:
    """Return how much of the persistence of each feature rounding may have made."""
    birth, death = rows[:, 0], rows[:, 1]
    return rounding(birth, grid.precision) + rounding(np.where(np.isfinite(death), death, birth), grid.precision)


def _basins(grid: Grid) -> np.ndarray:
    """Return the persistence of each component that rounding cannot have made, the largest first."""
    found = pairs(grid)
    lasting = found[:, 1] - found[:, 0]
    return lasting[lasting > _errors(found, grid)]


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
