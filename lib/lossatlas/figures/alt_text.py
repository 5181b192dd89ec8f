"""Surfaces in words, for readers who do not see a picture in 2-D or 3-D."""

from __future__ import annotations

import numpy as np
import xarray as xr

from lossatlas import geometry
from lossatlas._text import number
from lossatlas.figures.theme import LETTERS, sentence, value_label


def describe(surface: xr.Dataset, *, variable: str = "loss") -> str:
    """Return a surface or line in words: its grid, extremes, median, basin, holes and shape.

    Parameters
    ----------
    surface : xarray.Dataset
        Over alpha, or alpha and beta.
    variable : str
        What to describe.

    Returns
    -------
    str
        Two to five sentences.

    Raises
    ------
    ValueError
        If the variable is neither a surface nor a line.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [3.0, 1.0, 2.0])}, {"alpha": [-1, 0, 1]})
    >>> describe(line)
    'Loss over α from −1 to 1 (3 points): lowest 1 at α = 0, highest 3 at α = −1, median 2.'
    """
    axes, values = geometry.grid_values(surface, variable)
    letters = list(LETTERS.values())[: len(axes)]

    def place(index: int) -> str:
        at = np.unravel_index(index, values.shape)
        return ", ".join(f"{n} = {number(a[i])}" for n, a, i in zip(letters, axes, at, strict=True))

    spans = " and ".join(f"{n} from {number(a[0])} to {number(a[-1])}" for n, a in zip(letters, axes, strict=True))
    size = " × ".join(str(axis.size) for axis in axes)
    text = sentence(f"{value_label(surface, variable)} over {spans} ({size} points)")
    finite = np.isfinite(values)
    if not finite.any():
        return f"{text}: no value is finite."
    known = np.where(finite, values, np.nan)
    low, high = int(np.nanargmin(known)), int(np.nanargmax(known))
    origin = float(surface.attrs["origin_loss"]) if variable == "loss" and "origin_loss" in surface.attrs else None
    parts = [] if origin is None else [f"{number(origin)} at θ*"]
    parts += [
        f"lowest {number(values.flat[low])} at {place(low)}",
        f"highest {number(values.flat[high])} at {place(high)}",
        f"median {number(float(np.nanmedian(known)))}",
    ]
    said = [f"{text}: {', '.join(parts)}."]
    if origin is not None and origin > 0:
        share = 100 * float(np.mean(finite & (values <= 2 * origin)))
        said.append(f"At most twice the value at θ* on {number(share, 2)}% of the grid.")
    if missing := int((~finite).sum()):
        said.append(f"{missing} point{' is' if missing == 1 else 's are'} not finite.")
    if len(axes) == 2 and min(values.shape) >= 3:
        said += _shape(surface, variable, known)
    return " ".join(said)


def _shape(surface: xr.Dataset, variable: str, values: np.ndarray) -> list[str]:
    """Return how a surface curves, how many low places it has, and how it rises to its edges."""
    share = float(geometry.nonconvex_share(surface, variable=variable))
    if np.isnan(share):
        return []
    if share == 0:
        said = ["Convex: it curves upwards everywhere."]
    elif share < 0.02:
        said = [f"Almost convex: it curves downwards on {percent(share)} of the grid."]
    else:
        said = [f"Not convex: in some direction it curves downwards on {percent(share)} of the grid."]
    count = int(geometry.minima(surface, variable=variable))
    said.append("It has one low place." if count == 1 else f"It has {count} separate low places.")
    edge = np.concatenate([values[[0, -1]].ravel(), values[1:-1, [0, -1]].ravel()])
    if np.isfinite(edge).any():
        said.append(f"At half of its edge it is above {number(float(np.nanmedian(edge)))}.")
    return said


def percent(share: float) -> str:
    """Return a share of a grid in percent, with a space that does not break.

    Examples
    --------
    >>> percent(0.256).split()
    ['26', '%']
    """
    return "less than 1\u00a0%" if share < 0.01 else f"{100 * share:.0f}\u00a0%"
