"""The record of a measure: its function, bounds, words and unit, and the grids to which it applies."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from lossatlas.geometry.grid import is_symmetric

ANY = (-np.inf, np.inf)
OF_VARIABLE = "units of the variable"


def any_grid(axes: tuple[np.ndarray, ...]) -> bool:
    """Whether a measure applies that needs nothing of its grid."""
    return True


def plane(axes: tuple[np.ndarray, ...]) -> bool:
    """Whether there are two axes or more."""
    return len(axes) >= 2


def plane_around_origin(axes: tuple[np.ndarray, ...]) -> bool:
    """Whether there are two axes with the origin inside."""
    return len(axes) == 2 and all(axis[0] < 0 < axis[-1] for axis in axes)


def symmetric(axes: tuple[np.ndarray, ...]) -> bool:
    """Whether the grid is its own mirror image."""
    return all(map(is_symmetric, axes))


@dataclass(frozen=True)
class Measure:
    """A quantity that tables and figures can show, and how to measure it.

    Parameters
    ----------
    name
        Its name in Datasets and records: "nonconvex_share".
    function
        `function(surface, *, variable="loss", ...)` reduces a Dataset over alpha, beta and gamma to a DataArray over
        its other dimensions. None for a quantity that is not measured on a surface, such as a test accuracy.
    words
        What it is, and what a larger value means: "share of ...; larger = less convex".
    bounds
        The least and the largest value that it can have.
    unit
        Its unit; `OF_VARIABLE` for that of the measured variable, "" for a pure number.
    label
        Its name in prose; the name with spaces unless given.
    applies
        Whether a grid with these axes can be measured; :func:`measures` leaves out the others unless it is asked for
        this measure by name.

    Raises
    ------
    ValueError
        If a part is not of the kind described above.

    Examples
    --------
    >>> Measure("depth_of_basin", label="depth of the basin").label
    'depth of the basin'
    """

    name: str
    function: Callable[..., xr.DataArray] | None = None
    words: str = ""
    bounds: tuple[float, float] = ANY
    unit: str = ""
    label: str = ""
    applies: Callable[[tuple[np.ndarray, ...]], bool] = any_grid

    def __post_init__(self) -> None:
        """Refuse a record that cannot be read, and name it in prose."""
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name={self.name!r}: expected the name of a measure")
        if self.function is not None and not callable(self.function):
            raise ValueError(f"function={self.function!r}: expected a function of a surface, or None")
        if not isinstance(self.bounds, tuple) or len(self.bounds) != 2 or not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"bounds={self.bounds!r}: expected the least and the largest value")
        object.__setattr__(self, "label", self.label or self.name.replace("_", " "))

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The options of the function, beside the surface and the variable."""
        if self.function is None:
            return {}
        _, *rest = inspect.signature(self.function).parameters.values()
        return {option.name: option for option in rest if option.name != "variable"}

    @property
    def required(self) -> list[str]:
        """The options without a default."""
        return [name for name, option in self.options.items() if option.default is option.empty]
