"""Figures of surfaces with Matplotlib: contours, panels, paths.

Each function returns a figure that shows itself on a page with a description made from its numbers
(:func:`figure_html` adds a caption), or draws into the axes it is given as `ax`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas._text import number
from lossatlas.figures.alt_text import describe
from lossatlas.figures.colour_scale import ColourScale
from lossatlas.figures.drawing import draw_contour, draw_path, shape
from lossatlas.figures.theme import LETTERS, Picture, axis_label, canvas, finish, styled, value_label


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
    scale = ColourScale.over([surface], variable=variable, log=log, clip=clip, clim=clim)
    ax = canvas(ax, (5.4, 0.75 + 3.75 * shape(surface)))
    options = {"levels": levels, "filled": filled, "resolution": interpolate_to}
    draw_contour(ax, surface, variable=variable, scale=scale, **options)
    scale.add_bar(ax, value_label(surface, variable), shrink=0.95)
    alt = describe(surface, variable=variable)
    if path is not None:
        draw_path(ax, path)
        alt += f" A training path of {path.sizes['step']} points lies on it."
    return finish(ax, alt, title)


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
    ax = canvas(ax, (5.4, 0.75 + 3.75 * shape(surface)))
    contour(surface, ax=ax, **options)
    shares = []
    for name, letter in LETTERS.items():
        if f"explained_variance_{name}" in path.attrs:
            share = f"{number(100 * path.attrs[f'explained_variance_{name}'])}%"
            shares.append(f"{share} along {letter}")
            ax.set(**{{"alpha": "xlabel", "beta": "ylabel"}[name]: f"{letter} ({share} of variance)"})
    ax.get_figure(root=True).draw_without_rendering()  # so that the axes know their place
    draw_path(ax, path, marks=marks)
    start, end = (
        ", ".join(f"{letter} = {number(float(path[name][i]))}" for name, letter in LETTERS.items()) for i in (0, -1)
    )
    alt = f"The training path of {path.sizes['step']} points runs from {start} to {end}."
    if shares:
        alt += f" Of its variance, the plane holds {' and '.join(shares)}."
    return finish(ax, alt, title)


@styled
def panels(
    surfaces: Mapping[str, xr.Dataset],
    *,
    share_scale: bool = True,
    columns: int = 2,
    variable: str = "loss",
    log: bool = True,
    levels: int | Sequence[float] = 7,
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
    interpolate_to: int | None = 71,
) -> Figure:
    """Titled surfaces beside each other, as contours, with one colour scale and one bar for all.

    `share_scale=False` gives each its own: then shapes compare, colours do not. The rest as in
    :func:`contour`.
    """
    if not surfaces:
        raise ValueError("surfaces: empty; expected at least one titled surface")
    columns = max(1, min(columns, len(surfaces)))
    rows = -(-len(surfaces) // columns)
    size = ((2.6 if share_scale else 3.6) * columns + (1.3 if share_scale else 0), 2.6 * rows + 0.4)
    figure = Picture(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    options = {"variable": variable, "log": log, "clip": clip, "clim": clim}
    shared = ColourScale.over(list(surfaces.values()), **options) if share_scale else None
    axes = {tuple((axis_label(s, d), *s[d].values[[0, -1]].tolist()) for d in s.dims) for s in surfaces.values()}
    same_grid = len(axes) == 1
    for i, (ax, (title, surface)) in enumerate(zip(grid.flat, surfaces.items(), strict=False)):
        scale = shared or ColourScale.over([surface], **options)
        drawing = {"variable": variable, "scale": scale, "resolution": interpolate_to}
        draw_contour(ax, surface, levels=levels, labels=False, **drawing)
        if same_grid and i % columns:
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
        if same_grid and i + columns < len(surfaces):
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
        if not share_scale:
            scale.add_bar(ax, value_label(surface, variable), shrink=0.9)
        finish(ax, describe(surface, variable=variable), title)
    for ax in grid.flat[len(surfaces) :]:
        ax.remove()
    if share_scale:
        drawn = grid.ravel()[: len(surfaces)]
        label = value_label(next(iter(surfaces.values())), variable)
        shared.add_bar(drawn, label, note="shared by all panels", shrink=0.95, aspect=15 * rows)
        figure.alt += " All panels share one colour scale."
    return figure


@styled
def path_panels(paths: Mapping[str, xr.Dataset], *, columns: int = 2, marks: int = 6) -> Figure:
    """Titled paths (alpha and beta over step) beside each other, without a surface, each on axes of its own.

    Epochs (or steps) stand beside about `marks` points of each. Raises ValueError where there is no path.
    """
    if not paths:
        raise ValueError("paths: empty; expected at least one titled path")
    columns = max(1, min(columns, len(paths)))
    rows = -(-len(paths) // columns)
    figure = Picture(figsize=(3.5 * columns, 3.2 * rows), layout="constrained")
    drawn = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, path in zip(drawn, paths.values(), strict=False):
        spans = [np.ptp(path[name].to_numpy()) for name in LETTERS]
        ax.margins(0.22)
        ax.grid(color="#e4e4e4")
        ax.set_aspect("equal" if 0.3 < spans[1] / (spans[0] or 1) < 3 else "auto", adjustable="datalim")
        ax.plot(path["alpha"], path["beta"], alpha=0)  # so that the axes know their range
        ax.set(xlabel=axis_label(path, "alpha"), ylabel=axis_label(path, "beta"))
    for ax in drawn[len(paths) :]:
        ax.remove()
    figure.draw_without_rendering()  # so that the axes know their place
    for ax, (title, path) in zip(drawn, paths.items(), strict=False):
        draw_path(ax, path, marks=marks)
        ends = [
            ", ".join(f"{letter} = {number(float(path[name][i]))}" for name, letter in LETTERS.items()) for i in (0, -1)
        ]
        finish(ax, f"a path of {path.sizes['step']} points from {ends[0]} to {ends[1]}.", title)
    return figure
