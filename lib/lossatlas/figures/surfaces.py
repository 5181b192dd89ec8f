"""Figures of surfaces: contours, alone, beside each other, and under a training path.

Each function returns a figure that shows itself on a page, with a description made from its numbers
(:func:`figure_html` adds a caption), or draws into the axes it is given as `ax`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas._text import number
from lossatlas.figures.alt_text import describe
from lossatlas.figures.colour_scale import ColourScale
from lossatlas.figures.contour_lines import draw_contour, shape
from lossatlas.figures.labelled import check_kind, check_path, check_whole, titled
from lossatlas.figures.theme import (
    LETTERS,
    Picture,
    axis_label,
    canvas,
    finish,
    root,
    styled,
    value_label,
)
from lossatlas.figures.trajectories import draw_path, end


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
    """Draw filled contours of a surface, with labelled lines.

    A cross marks θ*. The picture is hatched where values are not finite.

    Parameters
    ----------
    surface : xarray.Dataset
        Over alpha and beta.
    variable : str
        What to draw.
    log : bool
        Whether colours follow the logarithm of the value. A surface with values at or below zero has none; it is
        drawn on a linear or a symmetric logarithmic scale, and the colour bar says so.
    levels : int or sequence of float
        About how many lines to draw, at round values; or the values, in increasing order.
    clip : float, optional
        The value above which the picture is grey.
    clim : tuple of two floats, optional
        The values at both ends of the colours, instead of `clip`.
    filled : bool
        False draws lines alone.
    interpolate_to : int or None
        How many points a side of the finer grid has that is drawn; None draws the surface's own.
    path : xarray.Dataset, optional
        A training path (alpha and beta over step), drawn on the surface.
    title : str, optional
        Above the axes.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into, instead of those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Its `alt` describes it.

    Raises
    ------
    ValueError
        If the surface cannot be drawn, or an argument does not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> axis = np.linspace(-1, 1, 5)
    >>> surface = xr.Dataset(
    ...     {"loss": (("alpha", "beta"), 1 + np.add.outer(axis**2, axis**2))}, {"alpha": axis, "beta": axis}
    ... )
    >>> figure = contour(surface, title="A bowl")
    >>> figure.axes[0].get_title(loc="left")
    'A bowl'
    """
    if path is not None:
        check_path("path", path)
    scale = ColourScale.over([surface], variable=variable, log=log, clip=clip, clim=clim)
    ax = canvas(ax, (5.4, 0.75 + 3.75 * shape(surface)))
    draw_contour(ax, surface, variable=variable, scale=scale, levels=levels, filled=filled, resolution=interpolate_to)
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
    **options: Any,
) -> Figure:
    """Draw a training path over the contours of its plane, with epochs (or steps) beside some of its points.

    The axes say which share of the path's variance they hold, if the path knows it (its attributes
    `explained_variance_alpha` and `_beta`, of a PCA plane).

    Parameters
    ----------
    surface : xarray.Dataset
        Over alpha and beta.
    path : xarray.Dataset
        Alpha and beta over step, and epoch if it is known.
    marks : int
        About how many points have their epoch beside them.
    title, ax
        As in :func:`contour`.
    **options
        Those of :func:`contour`.

    Returns
    -------
    matplotlib.figure.Figure
        Its `alt` describes it.

    Raises
    ------
    ValueError
        If the surface or the path cannot be drawn.

    Examples
    --------
    >>> import numpy as np
    >>> axis = np.linspace(-1, 1, 5)
    >>> surface = xr.Dataset(
    ...     {"loss": (("alpha", "beta"), 1 + np.add.outer(axis**2, axis**2))}, {"alpha": axis, "beta": axis}
    ... )
    >>> path = xr.Dataset({"alpha": ("step", [1.0, 0.0]), "beta": ("step", [0.5, 0.0])})
    >>> path_over_contours(surface, path).alt.endswith("runs from α = 1, β = 0.5 to α = 0, β = 0.")
    True
    """
    check_path("path", path)
    check_whole("marks", marks, least=0)
    check_kind("surface", surface, xr.Dataset)
    ax = canvas(ax, (5.4, 0.75 + 3.75 * shape(surface)))
    contour(surface, ax=ax, **options)
    shares = []
    for name, letter in LETTERS.items():
        if f"explained_variance_{name}" in path.attrs:
            share = f"{number(100 * path.attrs[f'explained_variance_{name}'])}%"
            shares.append(f"{share} along {letter}")
            ax.set(**{{"alpha": "xlabel", "beta": "ylabel"}[name]: f"{letter} ({share} of variance)"})
    root(ax).draw_without_rendering()  # so that the axes know their place
    draw_path(ax, path, marks=marks)
    alt = f"The training path of {path.sizes['step']} points runs from {end(path, 0)} to {end(path, -1)}."
    if shares:
        alt += f" Of its variance, the plane holds {' and '.join(shares)}."
    return finish(ax, alt, title)


@styled
def panels(
    surfaces: xr.Dataset | Mapping[str, xr.Dataset],
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
    """Draw contours of titled surfaces beside each other, with one colour scale and one bar for all.

    Parameters
    ----------
    surfaces : mapping of str to xarray.Dataset, or Dataset over condition
        Each over alpha and beta.
    share_scale : bool
        False gives each surface its own scale: then shapes compare, colours do not.
    columns : int
        How many surfaces stand in a row at most.
    variable, log, levels, clip, clim, interpolate_to
        As in :func:`contour`.

    Returns
    -------
    matplotlib.figure.Figure
        Its `alt` describes it.

    Raises
    ------
    ValueError
        If there is no surface, or one cannot be drawn.

    Examples
    --------
    >>> import numpy as np
    >>> axis = np.linspace(-1, 1, 5)
    >>> surface = xr.Dataset(
    ...     {"loss": (("alpha", "beta"), 1 + np.add.outer(axis**2, axis**2))}, {"alpha": axis, "beta": axis}
    ... )
    >>> len(panels({"SGD": surface, "Adam": surface}).axes)  # with the colour bar
    3
    """
    shown = titled("surfaces", surfaces)
    columns = min(check_whole("columns", columns, least=1), len(shown))
    rows = -(-len(shown) // columns)
    width = 2.6 * columns + 1.3 if share_scale else min(3.6 * columns, max(9.4, 3 * columns))  # 9.4 fit on a page
    size = (width, 2.6 * rows + 0.4)
    figure = Picture(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    scales = (
        [ColourScale.over(list(shown.values()), variable=variable, log=log, clip=clip, clim=clim)] * len(shown)
        if share_scale
        else [ColourScale.over([one], variable=variable, log=log, clip=clip, clim=clim) for one in shown.values()]
    )
    axes = {
        tuple((axis_label(s, str(d)), *s[d].values[[0, -1]].tolist()) for d in s[variable].dims) for s in shown.values()
    }
    for i, (ax, (title, surface), scale) in enumerate(zip(grid.flat, shown.items(), scales, strict=False)):
        draw_contour(
            ax, surface, variable=variable, scale=scale, levels=levels, labels=False, resolution=interpolate_to
        )
        if len(axes) == 1 and i % columns:
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
        if len(axes) == 1 and i + columns < len(shown):
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
        if not share_scale:
            scale.add_bar(ax, value_label(surface, variable), shrink=0.9)
        finish(ax, describe(surface, variable=variable), title)
    for ax in grid.flat[len(shown) :]:
        ax.remove()
    if share_scale:
        label = value_label(next(iter(shown.values())), variable)
        bar = grid.ravel()[: len(shown)]
        scales[0].add_bar(bar, label, note="shared by all panels", shrink=0.95, aspect=15 * rows)
        figure.alt += " All panels share one colour scale."
    return figure


def _axes(values: xr.DataArray) -> tuple:
    """Return the labels and the ends of the axes, which are the same for surfaces on one grid."""
    return tuple((axis_label(values, str(name)), *values[name].to_numpy()[[0, -1]].tolist()) for name in values.dims)
