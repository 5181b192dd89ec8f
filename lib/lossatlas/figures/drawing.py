"""Surfaces and paths drawn into axes."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from lossatlas._text import number
from lossatlas.figures.colour_scale import ColourScale
from lossatlas.figures.theme import HOLE, INK, LETTERS, PATH, axis_label

BANDS = 96  # steps of the filled colours
DARK = 0.62  # of the scale: up to here the colours are dark, and what is drawn on them is white
CASING = [withStroke(linewidth=2.4, foreground="#1a1a1a")]


def shape(surface: xr.Dataset) -> float:
    """Height by width of a drawing of the surface's grid: its own where that is neither flat nor tall."""
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
    """Contours, holes and the mark of θ* in the axes."""
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
        fill = {"cmap": scale.colours, "norm": scale.norm, "extend": extend}
        ax.contourf(alphas, betas, np.maximum(drawn, scale.low), bands, **fill).set_edgecolor("face")
        style = {"colors": colours, "linewidths": 0.9, "alpha": 0.8}
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


def draw_path(ax: Axes, path: xr.Dataset, *, marks: int = 0) -> None:
    """A trajectory from a ring to a dot, with the epochs (or steps) of about `marks` points beside it."""
    points = np.stack([path[name].to_numpy() for name in LETTERS], axis=1)
    ax.plot(
        *points.T,
        color=PATH,
        lw=1.9,
        path_effects=[withStroke(linewidth=3.6, foreground="#1a1a1a")],
        zorder=5,
    )
    ax.plot(*points.T, ".", color="#1a1a1a", ms=3.2, zorder=6)
    ends = {"marker": "o", "ms": 8.5, "mec": "#1a1a1a", "mew": 1.7, "ls": "", "zorder": 7}
    ax.plot(*points[0], mfc="white", label="start", **ends)
    ax.plot(*points[-1], mfc=PATH, label="end", **ends)
    if not marks:
        return
    on_screen = ax.transData.transform(points)
    gone = np.append(0, np.cumsum(np.hypot(*np.diff(on_screen, axis=0).T)))
    chosen = sorted({int(np.argmin(abs(gone - at))) for at in np.linspace(0, gone[-1], marks)})
    name = "epoch" if "epoch" in path else "step"
    first_last = [i for i in (0, len(points) - 1) if i in chosen]
    sides, taken = {}, []
    for i in [*first_last, *(i for i in chosen if i not in first_last)]:
        ahead = on_screen[min(i + 1, len(points) - 1)] - on_screen[max(i - 1, 0)]
        ahead = ahead / (np.hypot(*ahead) or 1)
        aside = np.array([ahead[1], -ahead[0]])  # to the right of the path
        slanting = [(side + along) / 2**0.5 for side in (aside, -aside) for along in (ahead, -ahead)]
        text = f"{name} {number(float(path[name][i]))}" if i == chosen[0] else number(float(path[name][i]))
        places = [(side, _place(ax, on_screen[i], side, text)) for side in (aside, -aside, *slanting)]
        free = [
            (box.count_contains(on_screen), n)  # of the points of the path it hides few
            for n, (_, box) in enumerate(places)
            if ax.bbox.containsx(box.x0) and ax.bbox.containsx(box.x1) and not box.count_overlaps(taken)
        ]
        if free or i in first_last:  # where there is no room, a point between the ends does without
            side, box = places[min(free)[1] if free else 0]
            sides[i] = text, side
            taken.append(box)
    for i, (text, side) in sorted(sides.items()):
        ax.annotate(
            text,
            points[i],
            tuple(13 * side),
            textcoords="offset points",
            ha=_alignment(side),
            va="center",
            fontsize=10,
            color="white",
            path_effects=CASING,
            zorder=8,
        )


def _alignment(side: np.ndarray) -> str:
    return "left" if side[0] > 0.4 else "right" if side[0] < -0.4 else "center"


def _place(ax: Axes, point: np.ndarray, side: np.ndarray, text: str) -> Bbox:
    """About the box on screen of a text of 10 points that stands beside a point, to its `side`."""
    pixel = ax.get_figure(root=True).dpi / 72
    x, y = point + 13 * pixel * side
    width, height = 6.6 * len(text) * pixel, 11 * pixel
    left = x - {"left": 0, "center": width / 2, "right": width}[_alignment(side)]
    return Bbox.from_bounds(left, y - height / 2, width, height)
