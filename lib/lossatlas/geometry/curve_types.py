"""Types of 1-D curves: how many basins a curve has, and where on it the origin lies."""

from __future__ import annotations

import itertools

import numpy as np
import xarray as xr
from scipy.signal import find_peaks

from lossatlas.geometry.checks import check_number
from lossatlas.geometry.grid import Grid, axis_names, reduce
from lossatlas.geometry.interpolation import interpolator
from lossatlas.geometry.rounding import rounding

PLACES = ("", "basin", "peak", "side")


def curve_type(surface: xr.Dataset, depth: float = 0.05, *, variable: str = "loss") -> xr.DataArray:
    """Return the type of a curve: "v-basin", "v-side", "w-basin", "w-peak", "vvv-basin" and the like.

    The letters count the basins: v is one, w two, vvv three, and so on. A basin is a minimum inside the grid from
    which the curve rises on both sides by more than ``depth`` times its range before it falls lower or ends. The word
    says where α = 0 lies: in a *basin* if its value is at most that much above the minimum it belongs to, on a *peak*
    if it is at most that much below the highest point between two basins, otherwise on a *side*. A curve without any
    basin is a "slope", or "flat" if nothing but rounding moves it.

    Parameters
    ----------
    surface
        A Dataset over alpha and any other dimensions.
    depth
        Share of the curve's range, more than 0 and less than 1. Noise below it changes nothing.
    variable
        The variable to read. Values that are not finite count as the highest finite one.

    Returns
    -------
    xarray.DataArray
        Names over the other dimensions.

    Raises
    ------
    ValueError
        If the surface is no line, its grid does not hold the origin, or no value is finite.

    References
    ----------
    The names are those of Xu, Li, Li and Zhan 2024, "Visualizing, Rethinking, and Mining the Loss Landscape of Deep
    Neural Networks"; the rule is ours.

    Examples
    --------
    >>> alpha = np.linspace(-1.5, 1.5, 61)
    >>> line = xr.Dataset({"loss": ("alpha", (alpha**2 - 1) ** 2)}, {"alpha": alpha})
    >>> curve_type(line).item()
    'w-peak'
    >>> curve_type(line.assign_coords(alpha=alpha + 1)).item()
    'w-basin'
    """
    depth = check_number("depth", depth, least=0, most=1, above=True)
    names = axis_names(surface, variable)
    axis = surface["alpha"].to_numpy()
    if len(names) != 1 or not axis[0] < 0 < axis[-1]:
        raise ValueError(f"surface: a grid over {names}; expected a line over alpha with the origin inside")
    codes = reduce(surface, lambda grid: _code(grid, depth), variable=variable, over={"part": [0, 1]})
    return xr.apply_ufunc(_name, codes, input_core_dims=[["part"]], vectorize=True, output_dtypes=[object]).rename(
        "type"
    )


def _name(code: np.ndarray) -> str:
    """Return a type in words from the number of basins and the place of the origin."""
    basins, place = map(int, code)
    if basins < 1:
        return "slope" if basins == 0 else "flat"
    return f"{'w' if basins == 2 else 'v' * basins}-{PLACES[place]}"


def _code(grid: Grid, depth: float) -> np.ndarray:
    """Return the number of basins (−1 for a flat curve) and the place of the origin."""
    if not grid.finite.any():
        raise ValueError("surface: no finite value; expected at least one")
    values = np.where(grid.finite, grid.values, grid.values[grid.finite].max())
    least = depth * np.ptp(values)
    if np.ptp(values) <= 2 * rounding(values, grid.precision).max():
        return np.array([-1, 0])
    bottoms, _ = find_peaks(-values, prominence=least, plateau_size=1)
    if not bottoms.size:
        return np.array([0, 0])
    here = float(interpolator(grid.axes, values)(np.zeros(1))[0])
    middle = int(np.searchsorted(grid.axes[0], 0.0))
    between = [slice(*sorted((bottom, middle))) for bottom in bottoms]
    highest = [max(values[part].max(initial=here), here) for part in between]
    if any(max(top, here) <= values[bottom] + least for top, bottom in zip(highest, bottoms, strict=True)):
        return np.array([bottoms.size, 1])
    for left, right in itertools.pairwise(bottoms):
        if left <= middle <= right and here >= values[left : right + 1].max() - least:
            return np.array([bottoms.size, 2])
    return np.array([bottoms.size, 3])
