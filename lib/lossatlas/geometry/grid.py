"""A surface as plain arrays: the check of its grid, its axes and values, and how a stack of surfaces is reduced."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from lossatlas.geometry.checks import check_number, increasing
from lossatlas.geometry.interpolation import interpolator

DIMENSIONS = ("alpha", "beta", "gamma")
BESIDE = ("origin_loss", "precision")  # what belongs to one surface of a stack


@dataclass(frozen=True)
class Grid:
    """One surface as plain arrays.

    Parameters
    ----------
    axes
        The coordinates along each axis, alpha first, in the units of the surface.
    values
        The values, float64, one dimension for each axis. NaN and infinities stay.
    precision
        The floating-point type in which the network was run.
    stored_origin
        The loss at θ*, if the surface holds it and `values` are losses.
    """

    axes: tuple[np.ndarray, ...]
    values: np.ndarray
    precision: str = "float32"
    stored_origin: float | None = None

    @property
    def finite(self) -> np.ndarray:
        """Which values are finite."""
        return np.isfinite(self.values)

    @property
    def reach(self) -> float:
        """The distance from the origin to the nearest end of an axis; negative if the origin lies outside."""
        return float(min(min(-axis[0], axis[-1]) for axis in self.axes))

    @property
    def origin(self) -> float:
        """The value at θ*: the stored one, else the interpolated value at 0."""
        if self.stored_origin is not None:
            return self.stored_origin
        if self.reach < 0:
            raise ValueError("surface: the grid does not hold the origin, and the surface has no 'origin_loss'")
        return float(interpolator(self.axes, self.values)(*[np.zeros(1)] * len(self.axes))[0])


def is_symmetric(axis: np.ndarray) -> bool:
    """Return whether the coordinates of an axis are symmetric about 0, but for rounding.

    Examples
    --------
    >>> is_symmetric(np.array([-1.0, 0.5, 1.0]))
    False
    """
    return bool(np.allclose(axis, -axis[::-1], rtol=0, atol=1e-9 * np.ptp(axis)))


def axis_names(surface: xr.Dataset, variable: str = "loss") -> tuple[str, ...]:
    """Return the names of the axes over which a variable is a surface: alpha; alpha and beta; or these and gamma.

    This is the check that every reader of a surface makes. The variable may have other dimensions, such as
    condition and seed.

    Raises
    ------
    ValueError
        If `surface` is not a Dataset, `variable` is not one of its real-valued variables, or an axis has no
        coordinate of two or more finite, increasing values.

    Examples
    --------
    >>> import xarray as xr
    >>> axis = [-1.0, 0.0, 1.0]
    >>> axis_names(xr.Dataset({"loss": ("alpha", [2.0, 1.0, 2.0])}, {"alpha": axis}))
    ('alpha',)
    """
    _check_dataset(surface)
    if not isinstance(variable, str) or variable not in surface.data_vars:
        raise ValueError(f"variable={variable!r} is not in the surface; expected one of {list(surface.data_vars)}")
    array = surface[variable]
    names = tuple(name for name in DIMENSIONS if name in array.dims)
    if not names or names != DIMENSIONS[: len(names)]:
        raise ValueError(f'{variable} has dimensions {array.dims}; expected ("alpha", "beta") or ("alpha",) among them')
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{variable} has values of type {array.dtype}; expected real numbers")
    for name in names:
        if name not in surface.coords:
            raise ValueError(f"surface has no coordinate {name!r}; expected one value of it for each grid point")
        increasing(name, surface[name].to_numpy())
    return names


def _check_dataset(surface: object) -> None:
    if not isinstance(surface, xr.Dataset):
        hint = "; convert it with .to_dataset(name=...)" if isinstance(surface, xr.DataArray) else ""
        raise ValueError(f"surface is a {type(surface).__name__}; expected an xarray.Dataset{hint}")


def _axes(surface: xr.Dataset, names: Sequence[str]) -> tuple[np.ndarray, ...]:
    return tuple(surface[name].to_numpy().astype(np.float64) for name in names)


def grid_values(surface: xr.Dataset, variable: str = "loss") -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the axes of one surface and its values in float64, alpha first.

    Raises
    ------
    ValueError
        If the check of :func:`axis_names` fails or the variable has other dimensions than its axes.

    Examples
    --------
    >>> import xarray as xr
    >>> surface = xr.Dataset({"loss": ("alpha", [2, 1, 2])}, {"alpha": [-1, 0, 1]})
    >>> grid_values(surface)
    ((array([-1.,  0.,  1.]),), array([2., 1., 2.]))
    """
    names = axis_names(surface, variable)
    array = surface[variable]
    if array.ndim != len(names):
        others = [name for name in array.dims if name not in names]
        raise ValueError(
            f'{variable} has dimensions {array.dims}; expected ("alpha", "beta") or ("alpha",): select {others}'
        )
    return _axes(surface, names), array.transpose(*names).to_numpy().astype(np.float64)


def _beside(surface: xr.Dataset, name: str, others: Sequence[str], default: object) -> np.ndarray:
    """Return what belongs to each surface of a stack: a variable over its dimensions, or one attribute for all."""
    found = surface[name] if name in surface.variables else xr.DataArray(surface.attrs.get(name, default))
    if not set(found.dims) <= set(others):
        raise ValueError(f"{name} has dimensions {found.dims}; expected some of {tuple(others)}")
    missing = {d: surface.sizes[d] for d in others if d not in found.dims}
    return found.expand_dims(missing).transpose(*others).to_numpy()


@dataclass(frozen=True)
class Stack:
    """Every surface of a Dataset as a :class:`Grid`, in C order over the dimensions that are not axes."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: Mapping[Hashable, xr.DataArray]
    grids: tuple[Grid, ...]

    @classmethod
    def of(cls, surface: xr.Dataset, variable: str = "loss") -> Stack:
        """Check a surface and take it apart; raises ValueError as :func:`axis_names` does."""
        names = axis_names(surface, variable)
        array = surface[variable]
        dims = tuple(str(name) for name in array.dims if name not in names)
        axes = _axes(surface, names)
        values = array.transpose(*dims, *names).to_numpy().astype(np.float64)
        has_origin = variable == "loss" and ("origin_loss" in surface.variables or "origin_loss" in surface.attrs)
        origins = _beside(surface, "origin_loss", dims, np.nan)
        precisions = _beside(surface, "precision", dims, "float32")
        shape = values.shape[: len(dims)]
        grids = tuple(
            Grid(axes, values[i], str(precisions[i]), float(origins[i]) if has_origin else None)
            for i in np.ndindex(shape)
        )
        coords = {n: c for n, c in surface.coords.items() if set(c.dims) <= set(dims) and n not in (*names, *BESIDE)}
        return cls(dims, shape, coords, grids)

    def array(self, results: Sequence[float | np.ndarray], over: Mapping[str, object] | None = None) -> xr.DataArray:
        """Return one result for each surface, over the dimensions of the stack and those of `over`."""
        over = over or {}
        inner = tuple(np.size(np.asarray(coordinate)) for coordinate in over.values())
        values = np.asarray(results).reshape((*self.shape, *inner))
        return xr.DataArray(values, {**self.coords, **over}, (*self.dims, *over))


def reduce(
    surface: xr.Dataset,
    function: Callable[[Grid], float | np.ndarray],
    *,
    variable: str = "loss",
    over: Mapping[str, object] | None = None,
) -> xr.DataArray:
    """Reduce a variable over alpha, beta and gamma by a function of one surface, and keep every other dimension.

    Parameters
    ----------
    surface
        A surface, or a stack of them over other dimensions such as condition and seed. A stack holds what differs
        between its surfaces (`origin_loss`, `precision`) as variables over those dimensions, see
        :func:`lossatlas.geometry.stack`.
    function
        Takes a :class:`Grid` and returns a number, or an array with the dimensions of `over`.
    variable
        The variable to reduce.
    over
        New dimensions of the result with their coordinates, if `function` returns arrays.

    Returns
    -------
    xarray.DataArray
        What `function` returned, over the dimensions of the stack and those of `over`.

    Raises
    ------
    ValueError
        If the check of :func:`axis_names` fails.

    Examples
    --------
    >>> import xarray as xr
    >>> losses = [[2.0, 1.0, 2.0], [5.0, 3.0, 4.0]]
    >>> stack = xr.Dataset({"loss": (("seed", "alpha"), losses)}, {"alpha": [-1, 0, 1], "seed": [0, 1]})
    >>> reduce(stack, lambda grid: grid.values.min()).values
    array([1., 3.])
    """
    if not callable(function):
        raise ValueError(f"function={function!r}: expected a function of one Grid")
    stack = Stack.of(surface, variable)
    return stack.array([function(grid) for grid in stack.grids], over)


def interpolate(surface: xr.Dataset, resolution: int) -> xr.Dataset:
    """Return the surface on `resolution` evenly spaced points along each axis, for drawing.

    Every variable over the axes is interpolated as in :func:`interpolator`; attributes and other dimensions are
    kept. The finer grid adds no knowledge: measures are taken on the grid that was evaluated.

    Raises
    ------
    ValueError
        If `resolution` is not a whole number of at least 2, or a variable is not a surface.

    Examples
    --------
    >>> import xarray as xr
    >>> line = xr.Dataset({"loss": ("alpha", [1.0, 0.0, 1.0])}, {"alpha": [-1.0, 0.0, 1.0]})
    >>> interpolate(line, 5).loss.values
    array([1.  , 0.25, 0.  , 0.25, 1.  ])
    """
    if int(check_number("resolution", resolution, least=2)) != resolution:
        raise ValueError(f"resolution={resolution!r}: expected a whole number of points along each axis")
    _check_dataset(surface)
    variables: dict[Hashable, xr.DataArray] = {}
    fine: dict[str, np.ndarray] = {}
    for name, array in surface.data_vars.items():
        if not set(array.dims) & set(DIMENSIONS):
            variables[name] = array
            continue
        names = axis_names(surface, str(name))
        fine = {n: np.linspace(float(surface[n][0]), float(surface[n][-1]), resolution) for n in names}
        points = np.meshgrid(*fine.values(), indexing="ij")
        stack = Stack.of(surface, str(name))
        finer = [interpolator(grid.axes, grid.values)(*points) for grid in stack.grids]
        variables[name] = stack.array(finer, fine).assign_attrs(array.attrs)
    return xr.Dataset(variables, attrs=surface.attrs).assign_coords(
        {name: (name, axis, surface[name].attrs) for name, axis in fine.items()}
    )
