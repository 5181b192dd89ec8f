"""Contours of a surface, drawn into axes."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lossatlas._text import number
from lossatlas.figures.colour_scale import ColourScale
from lossatlas.figures.theme import CASING, HOLE, INK, LETTERS, axis_label

BANDS = 96  # steps of the filled colours
DARK = 0.62  # of the scale: up to here the colours are dark, and what is drawn on them is white


def shape(surface: xr.Dataset) -> float:
    """Return height by width of a drawing of the surface's grid: its own, unless that is flat or tall."""
    spans = [float(np.ptp(surface[name].to_numpy())) for name in LETTERS if name in surface.coords]
    ratio = spans[1] / spans[0] if len(spans) == 2 and min(spans) > 0 else 1.0
    return ratio if 0.4 <= ratio <= 1.6 else 1.0


def draw_contour(
    ax: Axes,
    surface: xr.Dataset,
    *,
    variable: str,
    scale: ColourScale,
    levels: int | Sequence[float],
    filled: bool = True,
    resolution: int | None,
    labels: bool = True,
) -> None:
    """Draw contours, holes and the mark of θ* into axes."""
    alphas, betas, heights = scale.refine(surface, variable, resolution)
    drawn = np.ma.masked_invalid(heights).T
    size = np.ptp(alphas), np.ptp(betas)
    if np.ma.is_masked(drawn):
        hole = Rectangle((alphas[0], betas[0]), *size, facecolor=HOLE, hatch="///", edgecolor="#9a9a9a", lw=0, zorder=0)
        ax.add_patch(hole)
    at = _level_heights(scale, levels)
    colours = ["white" if share < DARK else INK for share in scale.norm(at)]
    if filled:
        bands = np.linspace(scale.low, scale.high, BANDS + 1)
        extend = "max" if scale.cut_above else "neither"  # what is cut below has the lowest colour
        fill: dict[str, Any] = {"cmap": scale.colours, "norm": scale.norm, "extend": extend}
        ax.contourf(alphas, betas, np.maximum(drawn, scale.low), bands, **fill).set_edgecolor("face")
        style: dict[str, Any] = {"colors": colours, "linewidths": 0.9, "alpha": 0.8}
    else:
        style = {"colors": scale.colours(scale.norm(at)), "linewidths": 1.7}
    if len(at) and at[0] < drawn.max() and at[-1] > drawn.min():
        lines = ax.contour(alphas, betas, drawn, at, negative_linestyles="solid", **style)
        if labels:
            lines.clabel(fontsize=9.5, fmt=scale.text, inline_spacing=4, colors=colours if filled else INK)
    if alphas[0] <= 0 <= alphas[-1] and betas[0] <= 0 <= betas[-1]:
        mark = {"color": "white", "path_effects": CASING} if filled else {"color": INK}
        ax.plot(0, 0, "+", ms=9, mew=1.6, label="θ*", zorder=4, **mark)
    ax.set(xlabel=axis_label(surface, "alpha"), ylabel=axis_label(surface, "beta"))
    ax.set_aspect("equal" if size[1] / size[0] == shape(surface) else "auto")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    ax.spines[:].set_visible(False)


def _level_heights(scale: ColourScale, levels: int | Sequence[float]) -> np.ndarray:
    """Return the heights of the contour lines. Raises ValueError for levels that are no increasing numbers."""
    expected = f"levels={levels!r}: expected about how many lines to draw, or increasing values at which to draw them"
    if isinstance(levels, Integral) and not isinstance(levels, bool):
        if levels < 0:
            raise ValueError(expected)
        return scale.round_heights(int(levels)) if levels else np.empty(0)
    try:
        values = np.asarray(levels, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(expected) from None
    if (
        isinstance(levels, str | bool)
        or values.ndim != 1
        or not np.isfinite(values).all()
        or (np.diff(values) <= 0).any()
    ):
        raise ValueError(expected)
    heights = scale.transform.heights(values)
    return heights[np.isfinite(heights)]  # on a logarithmic scale no line stands at 0
