"""Figures of how a measure depends on a number, such as a depth, a strength or an epoch."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lossatlas._text import number
from lossatlas.figures.bands import band, legend, quiet_grid, set_scale
from lossatlas.figures.labelled import check_kind
from lossatlas.figures.theme import COLOURS, MARKS, canvas, finish, sentence, styled
from lossatlas.geometry import quantity


@styled
def against(
    measured: xr.Dataset,
    x: str,
    y: str,
    *,
    by: str | None = None,
    log_x: bool = False,
    log_y: bool = False,
    xlabel: str | None = None,
    ylabel: str | None = None,
    legend_below: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a measure against a number of each condition, such as depth or width.

    Seeds are small dots, their mean is a line, its 95% interval a band, which ends at the least and the largest value
    that the measure can have (see :func:`lossatlas.geometry.quantity`).

    Parameters
    ----------
    measured : Dataset over condition and seed, or other dimensions
        The measure, and the numbers as a dimension, a coordinate or another variable. A point without any finite
        value is left out.
    x, y : str
        The number and the measure. If x has the dimension seed, each dot stands at its own x, and the line at the mean.
    by : str, optional
        The dimension or coordinate with a line for each of its values; unless given, a line for each condition if
        x is not a number of the condition.
    log_x, log_y : bool
        Whether an axis is logarithmic. x = 0 then stands one decade left of the smallest other. With values at or
        below zero the vertical axis is not logarithmic, and its label says so.
    xlabel, ylabel : str, optional
        The labels of the axes, with their units.
    legend_below : bool
        Whether the legend stands under the axes, in a figure that grows by its height.
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
        If x or y holds no numbers, or a line has two values of the measure at one x.

    Examples
    --------
    >>> loss = (("condition", "seed"), [[1.0, 3.0], [5.0, 5.0]])
    >>> measured = xr.Dataset({"loss": loss}, {"condition": ["2 layers", "4 layers"], "depth": ("condition", [2, 4])})
    >>> against(measured, "depth", "loss").alt
    'Loss against depth. 2 at 2, 5 at 4.'
    """
    found = _lines(measured, x, y, by)
    names = [given or _named(measured[name]) for given, name in ((xlabel, x), (ylabel, y))]
    ax = canvas(ax, (5.4, 3.6))
    ticks = sorted({value for line in found.values() for value in line.middle.tolist()})
    if log_x and ticks[0] == 0 < ticks[-1]:
        ax.set_xscale("symlog", linthresh=ticks[1], linscale=0.9)  # 0 to the smallest is a decade
    else:
        ax.set_xscale("log" if log_x else "linear")
    said = set_scale(ax, "y", np.concatenate([line.y.ravel() for line in found.values()]), log=log_y)
    sentences, seeds = [], set()
    for i, (label, line) in enumerate(found.items()):
        seeds |= set(np.isfinite(line.y).sum(axis=0).tolist())
        colour, mark = COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)]
        bounds = quantity(measured[y]).bounds
        means = band(ax, line.middle, line.y, label=label or None, bounds=bounds, color=colour, marker=mark, ms=5)
        ax.plot(line.x.ravel(), line.y.ravel(), mark, color=colour, ms=3.5, alpha=0.35, mew=0)
        values = ", ".join(f"{number(m)} at {number(v)}" for v, m in zip(line.middle, means, strict=True))
        sentences.append(f"{label}: {values}" if label else values)
    if log_x:
        ax.set_xticks(ticks, [number(tick) for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel=names[0], ylabel="\n".join([names[1], *textwrap.wrap(said, 40)]))
    quiet_grid(ax)
    legend(ax, seeds, below=legend_below)
    return finish(ax, sentence(f"{names[1]} against {names[0]}. ") + "; ".join(sentences) + ".", title)


@dataclass(frozen=True)
class _Line:
    """Hold the numbers and the measure, both (seeds, points), and where each point's mean stands, (points,)."""

    x: np.ndarray
    y: np.ndarray
    middle: np.ndarray


def _lines(measured: xr.Dataset, x: str, y: str, by: str | None) -> dict[str, _Line]:
    """Return the lines by label; the only one is called "". Raises ValueError if they are not what `against` needs."""
    data = check_kind("measured", measured, xr.Dataset)
    named = {"x": x, "y": y} | ({} if by is None else {"by": by})
    for argument, name in named.items():
        if not isinstance(name, str) or name not in data.variables:
            raise ValueError(f"{argument}={name!r}: not in measured; expected one of {list(map(str, data.variables))}")
        if argument != "by" and data[name].dtype.kind not in "fiub":
            raise ValueError(f"{argument}={name!r} holds {data[name].to_numpy().tolist()!r:.60}; expected numbers")
    across, up = data[x], data[y]
    if by is None and "condition" in up.dims and "condition" not in across.dims:
        by = "condition"
    labels = xr.DataArray("") if by is None else data[by].astype(str).drop_vars(by, errors="ignore")
    points = [name for name in up.dims if name != "seed"]
    if wrong := [name for name in points if name not in (*across.dims, *labels.dims)]:
        advice = f"choose along {wrong[0]!r}, take its mean, or give by={wrong[0]!r}"
        raise ValueError(f"y={y!r} is over {up.dims}; {advice}")
    if wrong := [name for name in (*across.dims, *labels.dims) if name not in up.dims]:
        raise ValueError(f"y={y!r} is over {up.dims}; expected {wrong[0]!r} among them")
    whole = up.expand_dims("seed") if "seed" not in up.dims else up
    shape = (whole.sizes["seed"], -1)
    tables = [
        one.broadcast_like(whole).transpose("seed", *points).to_numpy().reshape(shape)
        for one in (across.astype(float), whole.astype(float), labels)
    ]
    return _by_label(*tables, y=y)


def _by_label(x: np.ndarray, values: np.ndarray, labels: np.ndarray, *, y: str) -> dict[str, _Line]:
    finite = np.isfinite(values) & np.isfinite(x)
    x, values = np.where(finite, x, np.nan), np.where(finite, values, np.nan)
    found = {}
    for label in dict.fromkeys(labels[0].tolist()):
        chosen = np.flatnonzero((labels[0] == label) & finite.any(axis=0))
        middle = np.nanmean(x[:, chosen], axis=0)
        order = np.argsort(middle, kind="stable")
        if (np.diff(middle[order]) == 0).any():
            twice = middle[order][1:][np.diff(middle[order]) == 0][0]
            raise ValueError(f"y={y!r} has two values at x = {number(twice)}; name what tells lines apart by `by`")
        if chosen.size:
            found[label] = _Line(x[:, chosen[order]], values[:, chosen[order]], middle[order])
    if not found:
        raise ValueError(f"y={y!r}: no finite value; expected at least one")
    return found


def _named(values: xr.DataArray) -> str:
    """Return a quantity's name with its unit, if that is known."""
    unit = values.attrs.get("units")
    return quantity(values).label + (f" ({unit})" if unit else "")
