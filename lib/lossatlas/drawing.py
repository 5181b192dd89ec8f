"""Surfaces and paths drawn into axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LightSource, to_rgb
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.ndimage import uniform_filter

from lossatlas.scale import BEYOND, Scale
from lossatlas.style import HOLE, INK, LETTERS, PATH, QUIET, axis_label
from lossatlas.tables import number

BANDS = 96  # steps of the filled colours
DARK = 0.62  # of the scale: up to here the colours are dark, and what is drawn on them is white
VIEW = {"elev": 33, "azim": -60}  # that of the shaded scenes
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
        hole = Rectangle(
            (alphas[0], betas[0]), *size, facecolor=HOLE, hatch="///", edgecolor="#9a9a9a", lw=0, zorder=0
        )
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
    for i in chosen:
        ahead = on_screen[min(i + 1, len(points) - 1)] - on_screen[max(i - 1, 0)]
        aside = np.array([ahead[1], -ahead[0]]) / (np.hypot(*ahead) or 1)  # to the right of the path
        text = number(float(path[name][i]))
        ax.annotate(
            f"{name} {text}" if i == chosen[0] else text,
            points[i],
            tuple(13 * aside),
            textcoords="offset points",
            ha="left" if aside[0] > 0.4 else "right" if aside[0] < -0.4 else "center",
            va="center",
            fontsize=10,
            color="white",
            path_effects=CASING,
            zorder=8,
        )


def draw_surface3d(
    ax: Axes, surface: xr.Dataset, *, variable: str, scale: Scale, resolution: int | None, zoom: float = 1.0
) -> None:
    alphas, betas, heights = scale.fine(surface, variable, resolution)
    beyond = uniform_filter((heights > scale.high).astype(float), 2, origin=-1)[
        ..., None
    ]  # share of each cell
    heights = np.clip(heights, scale.low, scale.high)
    share = np.nan_to_num((heights - scale.low) / (scale.high - scale.low))
    colours = scale.colours(share)[..., :3] * (1 - beyond) + beyond * np.array(to_rgb(BEYOND))
    steps = {"dx": 1 / (len(alphas) - 1), "dy": 1 / (len(betas) - 1)}
    light = LightSource(azdeg=200, altdeg=50).hillshade(share.T, vert_exag=0.35, **steps).T
    shaded = np.clip(colours * (0.72 + 0.4 * light[..., None]), 0, 1)
    x, y = np.meshgrid(alphas, betas, indexing="ij")
    counts = {"rcount": len(alphas), "ccount": len(betas)}
    ax.plot_surface(x, y, heights, facecolors=shaded, shade=False, lw=0, antialiased=False, **counts)
    ax.set(xlim=(alphas[0], alphas[-1]), ylim=(betas[0], betas[-1]), zlim=(scale.low, scale.high))
    ax.set_xlabel("α", labelpad=-2)
    ax.set_ylabel("β", labelpad=-2)
    ticks = scale.round_heights(5)
    ax.set_zticks(ticks, [scale.text(height) for height in ticks])
    ax.view_init(**VIEW)
    ax.set_box_aspect((1, 1, 0.6), zoom=zoom)
    ax.tick_params(pad=0)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
        axis.line.set_color(QUIET)
        if axis is not ax.zaxis:
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], prune="both"))
            axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
