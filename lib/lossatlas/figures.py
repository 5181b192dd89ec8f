"""Figures of surfaces with Matplotlib: contours, surfaces in 3-D, panels, paths; and of curves over seeds.

Each function returns a figure that shows itself on a page with a description made from its numbers
(:func:`figure_html` adds a caption), or draws into the axes it is given as `ax`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LightSource
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lossatlas.curves import curve_against, dots, loss_curves, profile
from lossatlas.grids import grid_values
from lossatlas.scale import Scale
from lossatlas.style import (
    HOLE,
    INK,
    LETTERS,
    PATH,
    QUIET,
    Picture,
    axis_label,
    canvas,
    figure_html,
    finish,
    sentence,
    styled,
    value_label,
)
from lossatlas.tables import number

__all__ = [
    "contour",
    "curve_against",
    "describe",
    "dots",
    "figure_html",
    "loss_curves",
    "panels",
    "path_over_contours",
    "profile",
    "surface3d",
]

KINDS = ("contour", "surface3d")
BANDS = 96  # steps of the filled colours
DARK = 0.62  # of the scale: up to here the colours are dark, and what is drawn on them is white
VIEW = {"elev": 33, "azim": -60}  # that of the shaded scenes
CASING = [withStroke(linewidth=2.4, foreground="#1a1a1a")]


def _shape(surface: xr.Dataset) -> float:
    """Height by width of a drawing of the surface's grid: its own where that is neither flat nor tall."""
    spans = [float(np.ptp(surface[name].to_numpy())) for name in LETTERS if name in surface.coords]
    ratio = spans[1] / spans[0] if len(spans) == 2 and min(spans) > 0 else 1.0
    return ratio if 0.4 <= ratio <= 1.6 else 1.0


def _draw_contour(
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
        ax.plot(0, 0, "+", ms=9, mew=1.6, color="white", path_effects=CASING, label="θ*", zorder=4)
    ax.set(xlabel=axis_label(surface, "alpha"), ylabel=axis_label(surface, "beta"))
    ax.set_aspect("equal" if size[1] / size[0] == _shape(surface) else "auto")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    ax.spines[:].set_visible(False)


@styled
def contour(
    surface: xr.Dataset,
    *,
    variable: str = "loss",
    log: bool = True,
    levels: int | Sequence[float] = 8,
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
    filled: bool = True,
    interpolate_to: int | None = 101,
    path: xr.Dataset | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Filled contours with labelled lines; colours by the logarithm of the value unless `log=False`.

    `levels` are values at which to draw lines, or about how many (at round values). What is above `clip` is
    grey; `clim`, two values, sets the whole scale. `filled=False` draws lines alone. `interpolate_to` is the
    number of points along a side of the finer grid that is drawn (None: the grid itself). Where values are
    not finite the picture is hatched. A cross marks θ*; `path` (a trajectory) is drawn on top. Raises
    ValueError for a surface that cannot be drawn.
    """
    scale = Scale.over([surface], variable=variable, log=log, clip=clip, clim=clim)
    ax = canvas(ax, (5.4, 0.75 + 3.75 * _shape(surface)))
    options = {"levels": levels, "filled": filled, "resolution": interpolate_to}
    _draw_contour(ax, surface, variable=variable, scale=scale, **options)
    scale.add_bar(ax, value_label(surface, variable), shrink=0.95)
    alt = describe(surface, variable=variable)
    if path is not None:
        _draw_path(ax, path)
        alt += f" A training path of {path.sizes['step']} points lies on it."
    return finish(ax, alt, title)


def _draw_path(ax: Axes, path: xr.Dataset, *, marks: int = 0) -> None:
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


@styled
def path_over_contours(
    surface: xr.Dataset,
    path: xr.Dataset,
    *,
    marks: int = 6,
    title: str | None = None,
    ax: Axes | None = None,
    **options,
) -> Figure:
    """A training path over the contours of its plane, with epochs (or steps) beside some of its points.

    The axes say how much of the path's variance they explain, where the path knows (its attributes
    `explained_variance_alpha` and `_beta`, of a PCA plane). `options` are those of :func:`contour`.
    """
    ax = canvas(ax, (5.4, 0.75 + 3.75 * _shape(surface)))
    contour(surface, ax=ax, **options)
    shares = []
    for name, letter in LETTERS.items():
        if f"explained_variance_{name}" in path.attrs:
            share = f"{number(100 * path.attrs[f'explained_variance_{name}'])}%"
            shares.append(f"{share} along {letter}")
            ax.set(
                **{{"alpha": "xlabel", "beta": "ylabel"}[name]: f"{letter} ({share} of the path’s variance)"}
            )
    ax.get_figure(root=True).draw_without_rendering()  # so that the axes know their place
    _draw_path(ax, path, marks=marks)
    start, end = (
        ", ".join(f"{letter} = {number(float(path[name][i]))}" for name, letter in LETTERS.items())
        for i in (0, -1)
    )
    alt = f"The training path of {path.sizes['step']} points runs from {start} to {end}."
    if shares:
        alt += f" Of its variance, the plane holds {' and '.join(shares)}."
    return finish(ax, alt, title)


def _draw_surface3d(
    ax: Axes, surface: xr.Dataset, *, variable: str, scale: Scale, resolution: int | None, zoom: float = 1.0
) -> None:
    alphas, betas, heights = scale.fine(surface, variable, resolution)
    beyond = heights > scale.high
    heights = np.clip(heights, scale.low, scale.high)
    share = np.nan_to_num((heights - scale.low) / (scale.high - scale.low))
    colours = scale.colours(np.where(beyond, 2.0, share))[..., :3]
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
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    ax.grid(color="#e2e2e2", lw=0.7)


@styled
def surface3d(
    surface: xr.Dataset,
    *,
    variable: str = "loss",
    log: bool = True,
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
    interpolate_to: int | None = 71,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """The surface in 3-D, from where the shaded scenes are seen; height and colour mean the same.

    What is above `clip` or the upper end of `clim` is cut to a grey plateau; parts that are not finite are
    left open. The rest as in :func:`contour`; `ax` must be 3-D axes.
    """
    scale = Scale.over([surface], variable=variable, log=log, clip=clip, clim=clim)
    ax = canvas(ax, (5.4, 4.2), projection="3d")
    _draw_surface3d(ax, surface, variable=variable, scale=scale, resolution=interpolate_to)
    scale.add_bar(ax, value_label(surface, variable), shrink=0.8, pad=0.12)
    return finish(ax, describe(surface, variable=variable), title)


@styled
def panels(
    surfaces: Mapping[str, xr.Dataset],
    *,
    share_scale: bool = True,
    kind: str = "contour",
    columns: int = 2,
    variable: str = "loss",
    log: bool = True,
    levels: int | Sequence[float] = 7,
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
    interpolate_to: int | None = 71,
) -> Figure:
    """Titled surfaces beside each other, as contours or in 3-D, with one colour scale and one bar for all.

    `share_scale=False` gives each its own: then shapes compare, colours do not. The rest as in
    :func:`contour`.
    """
    if not surfaces:
        raise ValueError("surfaces: empty; expected at least one titled surface")
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: expected one of {KINDS}")
    columns = max(1, min(columns, len(surfaces)))
    rows = -(-len(surfaces) // columns)
    flat = kind == "contour"
    size = (
        (2.6 if share_scale else 3.6) * columns + (1.3 if share_scale else 0),
        2.6 * rows + (0.4 if flat else 0),
    )
    figure = Picture(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, subplot_kw={} if flat else {"projection": "3d"})
    options = {"variable": variable, "log": log, "clip": clip, "clim": clim}
    shared = Scale.over(list(surfaces.values()), **options) if share_scale else None
    same_grid = len({tuple(float(s[d][i]) for d in s.dims for i in (0, -1)) for s in surfaces.values()}) == 1
    for i, (ax, (title, surface)) in enumerate(zip(grid.flat, surfaces.items(), strict=False)):
        scale = shared or Scale.over([surface], **options)
        drawing = {"variable": variable, "scale": scale, "resolution": interpolate_to}
        if flat:
            _draw_contour(ax, surface, levels=levels, labels=False, **drawing)
            if same_grid and i % columns:
                ax.set_ylabel("")
                ax.tick_params(labelleft=False)
            if same_grid and i + columns < len(surfaces):
                ax.set_xlabel("")
                ax.tick_params(labelbottom=False)
        else:
            _draw_surface3d(ax, surface, **drawing)
        if not share_scale:
            scale.add_bar(ax, value_label(surface, variable), shrink=0.9)
        finish(ax, describe(surface, variable=variable), title)
    for ax in grid.flat[len(surfaces) :]:
        ax.remove()
    if share_scale:
        drawn = grid.ravel()[: len(surfaces)]
        label = value_label(next(iter(surfaces.values())), variable)
        shared.add_bar(
            drawn, label, note="shared by all panels", shrink=0.95 if flat else 0.8, aspect=15 * rows
        )
        figure.alt += " All panels share one colour scale."
    return figure


def describe(surface: xr.Dataset, *, variable: str = "loss") -> str:
    """A surface or line in words and its own numbers, for readers who do not see the figure."""
    axes, values = grid_values(surface, variable)
    letters = list(LETTERS.values())[: len(axes)]

    def place(index: int) -> str:
        where = np.unravel_index(index, values.shape)
        return ", ".join(f"{n} = {number(a[i])}" for n, a, i in zip(letters, axes, where, strict=True))

    spans = " and ".join(
        f"{n} from {number(a[0])} to {number(a[-1])}" for n, a in zip(letters, axes, strict=True)
    )
    size = " × ".join(str(axis.size) for axis in axes)
    text = sentence(f"{value_label(surface, variable)} over {spans} ({size} points)")
    finite = np.isfinite(values)
    if not finite.any():
        return f"{text}: no value is finite."
    known = np.where(finite, values, np.nan)
    low, high = np.nanargmin(known), np.nanargmax(known)
    origin = (
        float(surface.attrs["origin_loss"]) if variable == "loss" and "origin_loss" in surface.attrs else None
    )
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
