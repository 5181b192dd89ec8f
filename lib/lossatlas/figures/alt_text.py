"""Surfaces in words, for readers who do not see a figure."""

from __future__ import annotations

import numpy as np
import xarray as xr

from lossatlas._text import number
from lossatlas.figures.theme import LETTERS, sentence, value_label
from lossatlas.geometry.grid import grid_values


def describe(surface: xr.Dataset, *, variable: str = "loss") -> str:
    """What a surface or line looks like, from its numbers: its grid, extremes, median, basin and holes."""
    axes, values = grid_values(surface, variable)
    letters = list(LETTERS.values())[: len(axes)]

    def place(index: int) -> str:
        where = np.unravel_index(index, values.shape)
        return ", ".join(f"{n} = {number(a[i])}" for n, a, i in zip(letters, axes, where, strict=True))

    spans = " and ".join(f"{n} from {number(a[0])} to {number(a[-1])}" for n, a in zip(letters, axes, strict=True))
    size = " × ".join(str(axis.size) for axis in axes)
    text = sentence(f"{value_label(surface, variable)} over {spans} ({size} points)")
    finite = np.isfinite(values)
    if not finite.any():
        return f"{text}: no value is finite."
    known = np.where(finite, values, np.nan)
    low, high = np.nanargmin(known), np.nanargmax(known)
    origin = float(surface.attrs["origin_loss"]) if variable == "loss" and "origin_loss" in surface.attrs else None
    facts = [] if origin is None else [f"{number(origin)} at θ*"]
    facts += [
        f"lowest {number(values.flat[low])} at {place(low)}",
        f"highest {number(values.flat[high])} at {place(high)}",
        f"median {number(np.nanmedian(known))}",
    ]
    text += f": {', '.join(facts)}."
    if origin is not None and origin > 0:
        share = 100 * float(np.mean(finite & (values <= 2 * origin)))
        text += f" At most twice the value at θ* on {number(share, 2)}% of the grid."
    missing = int((~finite).sum())
    if missing:
        text += f" {missing} point{' is' if missing == 1 else 's are'} not finite."
    return text
