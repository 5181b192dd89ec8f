"""Figures of surfaces cell by cell, beside black-and-white pictures, and how they change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from lossatlas._checks import real_number
from lossatlas._text import number
from lossatlas.figures import animation_files
from lossatlas.figures.alt_text import describe
from lossatlas.figures.attachments import Attachment, slug
from lossatlas.figures.colour_scale import ColourScale
from lossatlas.figures.labelled import check_kind, check_whole
from lossatlas.figures.page import asset, digest
from lossatlas.figures.theme import HOLE, FigureHtml, Picture, figure_html, finish, styled, value_label

PAIR = ("#0a0a2a", "#f6f3d2")  # black and white, with a tinge so that they stay as they are on a dark page

Clim = tuple[float, float]


@styled
def cell_maps(
    maps: Mapping[str, xr.Dataset | np.ndarray],
    *,
    columns: int = 3,
    variable: str = "loss",
    log: bool = False,
    clip: float | None = None,
    clim: Clim | None = None,
) -> Figure:
    """Draw titled surfaces as one coloured square a point, and pictures in black and white, beside each other.

    All surfaces share one colour scale and one bar. Nothing is interpolated.

    Parameters
    ----------
    maps : mapping of str to xarray.Dataset or ndarray of bool
        Surfaces over alpha and beta; or pictures (rows, columns), True is black.
    columns : int
        How many stand in a row at most.
    variable, log, clip, clim
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
    >>> surface = xr.Dataset({"loss": (("alpha", "beta"), [[0.1, 2.0], [2.0, 0.2]])}, {"alpha": [0, 1], "beta": [0, 1]})
    >>> cell_maps({"asked for": np.array([[False, True], [True, False]]), "found": surface}).alt
    'asked for: a picture of 2×2 cells, 2 of them black. found: loss in 2×2 cells, from 0.1 to 2, median 1.1.'
    """
    shown = dict(maps) if isinstance(maps, Mapping) else {}
    surfaces = [one for one in shown.values() if isinstance(one, xr.Dataset)]
    if not surfaces:
        raise ValueError(f"maps={maps!r:.60}: expected a mapping with at least one xarray.Dataset")
    columns = min(check_whole("columns", columns, least=1), len(shown))
    scale = ColourScale.over(surfaces, variable=variable, log=log, clip=clip, clim=clim)
    rows = -(-len(shown) // columns)
    figure = Picture(figsize=(2.0 * columns + 1.2, 2.2 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax, (title, one) in zip(grid.flat, shown.items(), strict=False):
        _draw(ax, title, one, variable=variable, scale=scale)
    for ax in grid.flat[len(shown) :]:
        ax.remove()
    label = value_label(surfaces[0], variable)
    scale.add_bar(grid.ravel()[: len(shown)], label, holes="light", shrink=0.95, aspect=14 * rows)
    return figure


def _draw(ax: Axes, title: str, one: Any, *, variable: str, scale: ColourScale) -> None:
    ax.set(xticks=[], yticks=[], facecolor=HOLE)
    ax.spines[:].set_visible(False)
    ax.title.set_fontsize(10.5)
    if isinstance(one, xr.Dataset):
        heights = _rows(one, variable, scale)
        ax.imshow(np.ma.masked_invalid(heights), cmap=scale.colours, norm=scale.norm, interpolation="nearest")
        values = one[variable].to_numpy()
        values = values[np.isfinite(values)]
        ends = [number(float(v)) for v in (values.min(), values.max(), np.median(values))] if values.size else ["–"] * 3
        words = f"{variable} in {heights.shape[0]}×{heights.shape[1]} cells, from {ends[0]} to {ends[1]}, "
        finish(ax, f"{words}median {ends[2]}.", title)
        return
    cells = np.asarray(one)
    if cells.ndim != 2 or cells.dtype != bool:
        raise ValueError(f"maps[{title!r}]: expected an xarray.Dataset, or an array (rows, columns) of booleans")
    ax.imshow(~cells, cmap=ListedColormap(PAIR), vmin=0, vmax=1, interpolation="nearest")
    finish(ax, f"a picture of {cells.shape[0]}×{cells.shape[1]} cells, {int(cells.sum())} of them black.", title)


def _rows(surface: xr.Dataset, variable: str, scale: ColourScale) -> np.ndarray:
    """Return heights as an image has them: β falls along the first axis, α grows along the second."""
    return scale.refine(surface, variable, None)[2].T[::-1]


def animation(
    frames: xr.Dataset,
    over: str,
    *,
    variable: str = "loss",
    log: bool = False,
    clip: float | None = None,
    clim: Clim | None = None,
    seconds: float = 6.0,
    caption: str | None = None,
) -> FigureHtml:
    """Draw how a surface changes: four stages side by side, and an animation that a reader opens below them.

    Parameters
    ----------
    frames : xarray.Dataset
        A surface over alpha, beta and one more dimension, whose coordinate is a number.
    over : str
        That dimension, such as "update".
    variable, log, clip, clim
        As in :func:`contour`.
    seconds : float
        How long it takes. The last frame then stays for two more.
    caption : str, optional
        What stands below.

    Returns
    -------
    FigureHtml
        The animation is a GIF, offered below the picture as a file too; with `av` installed also as MP4, which
        programs for slides prefer.

    Raises
    ------
    ValueError
        If `frames` has no such dimension, or cannot be drawn.

    Examples
    --------
    >>> losses = np.arange(8.0).reshape(2, 2, 2)
    >>> axis = [0, 1]
    >>> frames = xr.Dataset(
    ...     {"loss": (("update", "alpha", "beta"), losses)}, {"update": [0, 9], "alpha": axis, "beta": axis}
    ... )
    >>> animation(frames, "update").bundle["moving"]["media"]
    'image/gif'
    """
    check_kind("frames", frames, xr.Dataset)
    if not isinstance(over, str) or over not in frames.dims or over not in frames.coords:
        raise ValueError(f"over={over!r}: expected a dimension with a coordinate, of {list(map(str, frames.dims))}")
    seconds = real_number(seconds, "seconds", above=0)
    count = frames.sizes[over]
    single = [frames.isel({over: i}) for i in range(count)]
    chosen = sorted({round(i * (count - 1) / 3) for i in range(4)})
    names = [f"{over} {number(float(value))}" for value in frames[over]]
    options: dict[str, Any] = {"variable": variable, "log": log}
    scale = ColourScale.over(single, **options, clip=clip, clim=clim)
    ends = scale.transform.value(scale.low), scale.transform.value(scale.high)
    still = cell_maps({names[i]: single[i] for i in chosen}, columns=4, **options, clim=ends)
    page = figure_html(still, caption=caption)
    drawn = animation_files.pictures([_rows(one, variable, scale) for one in single], names, scale)
    content = animation_files.gif(drawn, seconds)
    name = f"{slug(caption or still.alt)}-{digest(content)[:8]}"
    files = [Attachment(f"{name}.gif", "Animation (GIF)", content)]
    if (video := animation_files.mp4(drawn, seconds)) is not None:
        files.append(Attachment(f"{name}.mp4", "Animation (MP4)", video))
    words = f"{count} frames, {names[0]} to {names[-1]}. At the end: {describe(single[-1], variable=variable)}"
    width, height = drawn[0].size
    shown = asset(content, "image/gif", name=files[0].name, alt=words, width=width, height=height)
    bundle = {**page.bundle, "moving": shown}
    return FigureHtml({**bundle, "files": [*page.bundle["files"], *(file.asset() for file in files)]})
