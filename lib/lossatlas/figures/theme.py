"""How every figure looks, and how it gets onto a page with its description."""

from __future__ import annotations

import functools
import inspect
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from lossatlas.figures.attachments import data_file, numbers
from lossatlas.figures.page import Bundle, asset, mimebundle, render
from lossatlas.figures.provenance import how_made

INK, QUIET, HOLE, PATH = "#222222", "#6b6b6b", "#d4d4d4", "#ff9d2e"
LETTERS = {"alpha": "α", "beta": "β"}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")  # Okabe and Ito
MARKS = ("o", "s", "^", "D", "v", "P", "X")  # beside colour, so that nothing is told by colour alone
MAP = "viridis"  # even steps of lightness; read alike with every kind of colour vision
PER_INCH = 100  # CSS pixels for an inch of figure
SHARP = 2  # pixels of the picture for a CSS pixel
CASING = [withStroke(linewidth=2.4, foreground="#1a1a1a")]  # so that white is seen on light colours

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same picture on every machine
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "lines.linewidth": 1.8,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.8,
    "hatch.color": "#a8a8a8",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "mathtext.fontset": "dejavusans",
}

LOSSES = {
    "cross_entropy": "cross-entropy (nats)",
    "bce_with_logits": "binary cross-entropy (nats)",
    "mse": "mean squared error",
}


class Picture(Figure):
    """A Matplotlib figure with a description `alt`, which shows itself on a page. It needs no pyplot.

    `data` is what it was drawn from, datasets by title (see :func:`lossatlas.figures.attachments.numbers`).
    """

    alt: str = ""
    data: Mapping[str, list[xr.Dataset]] = MappingProxyType({})

    def _repr_html_(self) -> str:
        return figure_html(self)._repr_html_()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return figure_html(self)._repr_mimebundle_()


@dataclass(frozen=True)
class FigureHtml:
    """A figure on a page: its picture at twice the screen's pixels, alternative text, caption and files.

    `bundle` holds all of it as plain data (see `lossatlas.figures.page`).
    """

    bundle: Bundle

    def _repr_html_(self) -> str:
        return render(self.bundle)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return mimebundle(self.bundle)


def figure_html(figure: Figure, *, alt: str | None = None, caption: str | None = None) -> FigureHtml:
    """Return a figure as a piece of a page, with a description, a caption, and the numbers that it was drawn from.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Any Matplotlib figure.
    alt : str, optional
        The figure in words, for readers who do not see it; the figure's own description by default.
    caption : str, optional
        What stands below the picture.

    Raises
    ------
    ValueError
        If neither `alt` nor the figure holds a description.

    Examples
    --------
    >>> page = figure_html(Figure(figsize=(2, 1)), alt="An empty frame", caption="Nothing")
    >>> page.bundle["picture"]["width"], page.bundle["caption"]
    (200, 'Nothing')
    """
    if not isinstance(figure, Figure):
        raise ValueError(f"figure is a {type(figure).__name__}; expected a Matplotlib figure")
    for name, value in (("alt", alt), ("caption", caption)):
        if not isinstance(value, str | None):
            raise ValueError(f"{name}={value!r}: expected a text")
    alt = alt or getattr(figure, "alt", "")
    if not alt:
        raise ValueError("alt: expected a description of the figure for readers who do not see it")
    data = getattr(figure, "data", {})
    files = [data_file(data, name=caption or alt).asset()] if data else []
    width, height = (round(inches * PER_INCH) for inches in figure.get_size_inches())
    coloured = any(isinstance(one, ScalarMappable) and one.get_array() is not None for one in figure.findobj())
    return FigureHtml(
        {
            "kind": "figure",
            "picture": asset(png(figure), "image/png", width=width, height=height, alt=alt),
            "ink": "scale" if coloured else "lines",
            "caption": caption or "",
            "files": files,
            "made": how_made(result for results in data.values() for result in results),
        }
    )


def png(figure: Figure) -> bytes:
    """Return the figure as PNG with a palette of 256 colours: a third of the size, and it looks the same."""
    from PIL import Image

    buffer, small = io.BytesIO(), io.BytesIO()
    with mpl.rc_context(RC):
        figure.savefig(buffer, format="png", dpi=PER_INCH * SHARP)
    picture = Image.open(buffer).convert("RGB")
    picture = picture.quantize(256, method=Image.Quantize.MEDIANCUT)
    palette = picture.getpalette() or []
    corner = 3 * int(np.asarray(picture)[0, 0])
    palette[corner : corner + 3] = [255, 255, 255]
    picture.putpalette(palette)
    picture.save(small, "PNG", optimize=True)
    return small.getvalue()


def styled(function: Callable) -> Callable:
    """Return a drawing function that uses this module's settings and leaves the caller's as they are.

    Texts and axes among its arguments are checked. The figure keeps the numbers among them as its `data`.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Figure:
        given = signature.bind(*args, **kwargs).arguments
        for name in ("title", "xlabel", "ylabel", "variable"):
            if not isinstance(given.get(name, ""), str | None):
                raise ValueError(f"{name}={given[name]!r}: expected a text")
        if not isinstance(given.get("ax"), Axes | None):
            raise ValueError(f"ax is a {type(given['ax']).__name__}; expected Matplotlib axes")
        with mpl.rc_context(RC):
            figure = function(*args, **kwargs)
        figure.data = {**getattr(figure, "data", {}), **numbers(given)}
        return figure

    return inside


def canvas(ax: Axes | None, size: tuple[float, float], **options) -> Axes:
    """Return the axes to draw into: those given, or those of a new picture of this size in inches."""
    if ax is not None:
        return ax
    return Picture(figsize=size, layout="constrained").add_subplot(**options)


def finish(ax: Axes, alt: str, title: str | None = None) -> Figure:
    """Return the figure of the axes, with a title, and with this text added to its description."""
    if title:
        ax.set_title(title, loc="left")
    figure: Any = root(ax)
    text = f"{title}: {alt}" if title else alt
    figure.alt = f"{figure.alt} {text}" if getattr(figure, "alt", "") else text
    return figure


def root(ax: Axes) -> Figure:
    """Return the figure that holds axes. Raises ValueError if they were removed from it."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("ax belongs to no figure; expected axes of a Matplotlib figure")
    return figure


def sentence(text: str) -> str:
    """Return the text with a capital at its start."""
    return text[:1].upper() + text[1:]


def value_label(surface: xr.Dataset, variable: str) -> str:
    """Return a variable's name with its unit: "cross-entropy (nats)"."""
    if variable == "loss":
        name = surface.attrs.get("loss_name", "loss")
        return LOSSES.get(name, str(name).replace("_", " "))
    unit = surface[variable].attrs.get("units") if variable in surface else None
    return variable.replace("_", " ") + (f" ({unit})" if unit else "")


def axis_label(dataset: xr.Dataset | xr.DataArray, dimension: str) -> str:
    """Return a coordinate's letter with its unit: "α (filter-normalized step)"."""
    letter = LETTERS.get(dimension, dimension)
    known = dataset.variables if isinstance(dataset, xr.Dataset) else dataset.coords
    unit = dataset[dimension].attrs.get("units") if dimension in known else None
    return f"{letter} ({unit})" if unit else letter
