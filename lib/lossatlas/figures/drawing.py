"""Surfaces and paths drawn into axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from lossatlas._text import number
from lossatlas.figures.colour_scale import BEYOND, Scale
from lossatlas.figures.theme import HOLE, INK, LETTERS, PATH, QUIET, axis_label

BANDS = 96  # steps of the filled colours
DARK = 0.62  # of the scale: up to here the colours are dark, and what is drawn on them is white
VIEW = {"elev": 33, "azim": -60}  # that of the shaded scenes
LIGHT = (-0.45, -0.2, 0.87)  # towards the light, on the box of a surface in 3-D
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
    scale: Scale,
    levels: int | Sequence[float],
    filled: bool = True,
    resolution: int | None,
    labels: bool = True,
) -> None:
    """Contours, holes and the mark of θ* in the axes."""
    alphas, betas, heights = scale.fine(surface, variable, resolution)
    drawn = np.ma.masked_invalid(heights).T
    size = np.ptp(alphas), np.ptp(betas)
    if np.ma.is_masked(drawn):
        hole = Rectangle((alphas[0], betas[0]), *size, facecolor=HOLE, hatch="///", edgecolor="#9a9a9a", lw=0, zorder=0)
        ax.add_patch(hole)
    if np.ndim(levels) == 0:
        at = scale.round_heights(int(levels))
    else:
        at = scale.heights(np.sort(np.asarray(levels, dtype=float)))
    colours = ["white" if share < DARK else INK for share in scale.norm(at)]
    if filled:
        bands = np.linspace(scale.low, scale.high, BANDS + 1)
        extend = "max" if scale.cut else "neither"
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


def draw_surface3d(ax: Axes, surface: xr.Dataset, *, variable: str, scale: Scale, resolution: int | None) -> None:
    """A shaded surface in 3-D axes: a face for every cell whose corners are all finite."""
    alphas, betas, heights = scale.fine(surface, variable, resolution)
    cut = np.clip(heights, scale.low, scale.high)
    share = (cut - scale.low) / (scale.high - scale.low)
    beyond = (heights > scale.high)[..., None]
    colours = np.where(beyond, to_rgb(BEYOND), scale.colours(share)[..., :3])
    uphill = np.gradient(0.6 * share, np.linspace(0, 1, len(alphas)), np.linspace(0, 1, len(betas)))
    lit = (LIGHT[2] - uphill[0] * LIGHT[0] - uphill[1] * LIGHT[1]) / np.sqrt(1 + uphill[0] ** 2 + uphill[1] ** 2)
    lit = np.where(np.isfinite(lit), lit, LIGHT[2])[..., None]  # beside a hole, as if flat
    colours = np.clip(colours * (0.62 + 0.48 * np.clip(lit, 0, 1)), 0, 1)
    corners = _corners(np.stack([*np.meshgrid(alphas, betas, indexing="ij"), cut], axis=-1))
    whole = np.isfinite(corners).all(axis=(1, 2))
    paint = _corners(colours).mean(axis=1)[whole]
    ax.add_collection3d(Poly3DCollection(corners[whole], facecolors=paint, lw=0, antialiased=False))
    ax.set(xlim=(alphas[0], alphas[-1]), ylim=(betas[0], betas[-1]), zlim=(scale.low, scale.high))
    ax.set_xlabel("α", labelpad=-2)
    ax.set_ylabel("β", labelpad=-2)
    ticks = scale.round_heights(5)
    ax.set_zticks(ticks, [scale.text(height) for height in ticks])
    ax.view_init(**VIEW)
    ax.set_box_aspect((1, 1, 0.6))
    ax.tick_params(pad=0)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
        axis.line.set_color(QUIET)
        if axis is not ax.zaxis:
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], prune="both"))
            axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _corners(points: np.ndarray) -> np.ndarray:
    """Of (n, m, k) the values at the corners of each cell, in turn around it: (cells, 4, k)."""
    around = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    return np.stack(around, axis=2).reshape(-1, 4, points.shape[-1])
