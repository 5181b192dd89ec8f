"""What curves and points over seeds share: scales of axes, bands of intervals, legends, grids."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogFormatter

from lossatlas._text import number
from lossatlas.evidence.statistics import mean_interval
from lossatlas.figures.colour_scale import Transform
from lossatlas.figures.theme import QUIET, root

NEXT_TO_ZERO = 1e-3  # of the smallest value: where a band that reaches zero ends, below a logarithmic axis
ANY = (-np.inf, np.inf)


def set_scale(ax: Axes, axis: str, values: np.ndarray, *, log: bool) -> str:
    """Give the axis "x" or "y" the scale of a surface with these values, and return what a reader must know of it.

    Values at or below zero have no logarithm: the axis is linear or symmetric-logarithmic then, as colours are (see
    `lossatlas.figures.colour_scale`), and the label should say so.
    """
    transform = Transform.of(np.asarray(values, dtype=float), log=log)
    options = {"linthresh": transform.threshold} if transform.kind == "symlog" else {}
    {"x": ax.set_xscale, "y": ax.set_yscale}[axis](transform.kind, **options)
    return f"\n({transform.words})" if transform.nonpositive else ""


def band(
    ax: Axes,
    x: np.ndarray,
    rows: np.ndarray,
    *,
    label: str | None,
    bounds: tuple[float, float] = ANY,
    **style: Any,
) -> np.ndarray:
    """Draw the mean of `rows` (seeds, points) over x with its 95% interval as a band, and return the mean.

    On a logarithmic axis, a band that reaches zero runs out of the axes, whose limits do not follow it.
    """
    means = [mean_interval(column, bounds=bounds) for column in rows.T]
    middle, low, high = (np.array([getattr(mean, name) for mean in means]) for name in ("mean", "low", "high"))
    ax.plot(x, middle, label=label, **style)
    if len(rows) > 1:
        smallest = np.where(rows > 0, rows, np.inf).min() if ax.get_yscale() == "log" else -np.inf
        seen = ax.dataLim.get_points().copy()
        ax.fill_between(x, np.maximum(low, NEXT_TO_ZERO * smallest), high, color=style["color"], alpha=0.18, lw=0)
        ax.dataLim.set_points(seen)
        ax.update_datalim(np.column_stack([np.tile(x, 2), np.append(np.maximum(low, smallest / 2), high)]))
    return middle


def legend(ax: Axes, seeds: set[int], *, below: bool = False) -> None:
    """Draw a legend if there are several curves, which also says what the bands are.

    `below` puts it under the axes, in a figure that grows by its height.
    """
    count = f"{min(seeds)}" if len(seeds) == 1 else f"{min(seeds)}–{max(seeds)}"
    title = f"mean and 95% interval, {count} seeds" if max(seeds) > 1 else None
    handles, labels = ax.get_legend_handles_labels()
    entries = len(handles)
    if title or entries > 1:
        made = ax.legend(handles, labels, title=title, title_fontsize=10, alignment="left")
        made.get_title().set_color(QUIET)
        if below:
            figure = root(ax)
            figure.set_figheight(figure.get_figheight() + 0.25 * (entries + bool(title)))
            made.set_loc("upper left")
            made.set_bbox_to_anchor((0, -0.18), ax.transAxes)


class _PlainLog(LogFormatter):
    """Plain numbers at powers of ten, and between them if the axis is too short for two of those."""

    def __call__(self, value: float, position: int | None = None) -> str:
        return number(value) if super().__call__(value, position) else ""


def quiet_grid(ax: Axes, axis: Literal["x", "y", "both"] = "y", *, which: Literal["major", "both"] = "major") -> None:
    """Draw lines across an axis of values ("x", "y", "both"), with plain numbers at the ticks of a logarithmic one.

    `which`: "major", or "both" for lines and a number at every tick between powers of ten too.
    """
    ax.grid(axis=axis, which=which)
    ax.set_axisbelow(True)
    for each in (ax.xaxis, ax.yaxis):
        if each.get_scale() in ("log", "symlog"):
            each.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
            every = FuncFormatter(lambda value, _: number(value))
            each.set_minor_formatter(every if which == "both" else _PlainLog())
