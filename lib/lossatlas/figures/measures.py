"""Figures of measures of trained networks: one dot per seed, and one measure against another."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas._text import interval_text, number
from lossatlas.evidence import by_condition, mean_interval, trend
from lossatlas.figures.bands import NEXT_TO_ZERO, quiet_grid, set_scale
from lossatlas.figures.labelled import check_names, records
from lossatlas.figures.theme import COLOURS, INK, MARKS, Picture, canvas, finish, root, sentence, styled
from lossatlas.geometry import Measure, quantity, spoken


@styled
def dots(
    measured: xr.Dataset | Sequence[Mapping],
    measures: str | Sequence[str],
    *,
    log: bool | Sequence[str] = False,
    xlabel: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw measures of every seed as dots, a row a condition, with the mean and its 95% interval.

    Several measures stand side by side, each on a scale of its own. Values that are not finite are counted beside the
    condition.

    Parameters
    ----------
    measured : Dataset over condition and seed, or sequence of mappings
        Measures as variables; or records (see :func:`lossatlas.evidence.by_condition`).
    measures : str or sequence of str
        Which of them to draw.
    log : bool or sequence of str
        Whether the axis is logarithmic, or for which measures. With values at or below zero it is not, and its label
        says so.
    xlabel : str, optional
        The name of a single measure, with its unit.
    title : str, optional
        Above the axes.
    ax : matplotlib.axes.Axes, optional
        Axes to draw a single measure into, instead of those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Its `alt` describes it.

    Raises
    ------
    ValueError
        If a record lacks a measure, or `xlabel` or `ax` is given for several.

    Examples
    --------
    >>> records = [{"condition": "SGD", "seed": seed, "auc": 0.5 + seed / 10, "loss": seed} for seed in range(3)]
    >>> dots(records, "auc", xlabel="AUC").alt.startswith("AUC of every seed. SGD: mean 0.6 [")
    True
    >>> len(dots(records, ["auc", "loss"]).axes)
    2
    """
    rows = records("measured", measured)
    names = [measures] if isinstance(measures, str) else check_names("measures", measures)
    logarithmic = names if log is True else check_names("log", log) if log else []
    found = [by_condition(rows, name) for name in names]
    if unknown := [name for name in logarithmic if name not in names]:
        raise ValueError(f"log={log!r}: {unknown[0]!r} is not drawn; expected some of {names}")
    width = 5.4 if len(names) == 1 else 1.4 + 2.7 * len(names)
    size = (width, 1.3 + 0.55 * len(found[0]))
    if len(names) > 1 and (xlabel is not None or ax is not None):
        raise ValueError(f"measures={names!r}: expected one measure with xlabel or ax")
    alone = len(names) == 1
    axes = [canvas(ax, size)] if alone else Picture(figsize=size, layout="constrained").subplots(1, len(names))
    for i, (each, name) in enumerate(zip(axes, names, strict=True)):
        known = quantity(measured[name] if isinstance(measured, xr.Dataset) else name)
        _rows(
            each,
            found[i],
            replace(known, label=xlabel or known.label),
            log=name in logarithmic,
            width=50 if alone else 35,
        )
        if i:
            each.set_yticklabels(_missing(values) for values in found[i].values())
    if title:
        axes[0].set_title(title, loc="left")
    return root(axes[0])


def _rows(ax: Axes, found: Mapping[str, Sequence[float]], known: Measure, *, log: bool, width: int) -> None:
    """Draw one measure, a row a condition, with a label of lines of this width, and describe it in `alt`."""
    everything = np.concatenate([np.asarray(values, dtype=float) for values in found.values()])
    said = set_scale(ax, "x", everything, log=log)
    log = ax.get_xscale() == "log"
    names, sentences = [], []
    for i, (condition, numbers) in enumerate(found.items()):
        values = np.array(numbers)
        finite = values[np.isfinite(values)]
        mean = mean_interval(numbers, bounds=known.bounds)
        aside = 0.09 * (np.arange(finite.size) % 3 - 1)  # so that equal values can be told apart
        colour = COLOURS[i % len(COLOURS)]
        ax.plot(finite, i + aside, MARKS[i % len(MARKS)], color=colour, ms=6.5, alpha=0.65, mew=0)
        if mean.n:
            if mean.n > 1:
                low = max(mean.low, NEXT_TO_ZERO * finite.min()) if log else mean.low
                seen = ax.dataLim.get_points().copy()
                ax.plot([low, mean.high], [i + 0.27] * 2, color=INK, lw=1.6, solid_capstyle="butt")
                ax.dataLim.set_points(seen)  # a bar that reaches zero goes on beside a logarithmic axis
                ax.update_datalim([(max(low, finite.min() / 2) if log else low, i), (mean.high, i)])
            ax.plot(mean.mean, i + 0.27, "|", color=INK, ms=11, mew=2.4)
        missing = _missing(values)
        names.append("\n".join([*textwrap.wrap(condition, 18), *([missing] if missing else [])]))
        sentences.append(
            f"{condition}: mean {interval_text(mean.mean, mean.low, mean.high)} over {mean.n} seeds"
            + (f", {missing.strip('()')}" if missing else "")
        )
    if ax.get_xscale() == "linear":
        ax.locator_params(axis="x", nbins=6 if width > 40 else 4)  # so that numbers of many digits stay apart
    ax.set_yticks(range(len(found)), names)
    ax.set_ylim(len(found) - 0.45, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    what, _, direction = known.words.partition("; ")
    bars = "bars: 95% interval"
    together = f"{direction}; {bars}".removeprefix("; ")
    lines = [f"{known.label}: {what}" if what else known.label]
    lines += [*([together] if len(together) <= width else [direction, bars]), said.strip()]
    ax.set_xlabel(
        "\n".join(part for line in lines for part in textwrap.wrap(line, width)), fontsize=10, linespacing=1.4
    )
    quiet_grid(ax, "x")
    finish(ax, sentence(f"{known.label} of every seed. ") + "; ".join(sentences) + ".")


def _missing(values: Sequence[float] | np.ndarray) -> str:
    """Return how many values are not finite, in parentheses; "" if all are."""
    missing = int((~np.isfinite(np.asarray(values, dtype=float))).sum())
    return f"({missing} not finite)" if missing else ""


@styled
def scatter(
    measured: xr.Dataset | Sequence[Mapping],
    x: str,
    y: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw two measures of the same networks, a point a network, a colour and a mark a condition.

    Pairs with a value that is not finite are not drawn, but counted. The rank correlation of all points, with its 95%
    interval, stands above the legend.

    Parameters
    ----------
    measured : Dataset over condition and seed, or sequence of mappings
        Measures as variables; or records (see :func:`lossatlas.evidence.by_condition`).
    x, y : str
        Which of them to draw.
    log_x, log_y : bool
        Whether an axis is logarithmic. With values at or below zero it is not, and its label says so.
    xlabel, ylabel : str, optional
        The names of the measures, with their units.
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
        If a record lacks one of the measures.

    Examples
    --------
    >>> records = [{"condition": "SGD", "seed": seed, "a": seed, "b": 2.0 * seed} for seed in range(5)]
    >>> scatter(records, "a", "b").axes[0].get_xlabel()
    'a'
    """
    across, up = (by_condition(records("measured", measured), measure) for measure in (x, y))
    found = {condition: np.array([across[condition], up[condition]]) for condition in across}
    ax = canvas(ax, (5.4, 4.2 + 0.28 * -(-len(found) // 2)))
    pairs = np.concatenate(list(found.values()), axis=1)
    scales = [set_scale(ax, "x", pairs[0], log=log_x), set_scale(ax, "y", pairs[1], log=log_y)]
    names = [name or spoken(measure) for name, measure in ((xlabel, x), (ylabel, y))]
    sentences = []
    for i, (condition, members) in enumerate(found.items()):
        shown = members[:, np.isfinite(members).all(axis=0)]
        style: dict[str, Any] = {"color": COLOURS[i % len(COLOURS)], "ms": 6.5, "alpha": 0.75, "mew": 0}
        ax.plot(*shown, MARKS[i % len(MARKS)], label="\n".join(textwrap.wrap(condition, 26)), **style)
        spans = [
            f"{name} {number(values.min())} to {number(values.max())}"
            for name, values in zip(names, shown, strict=True)
            if values.size
        ]
        sentences.append(f"{condition}: {', '.join(spans) or 'no point'}")
    rank = trend(*pairs)
    ax.set(xlabel=names[0] + scales[0], ylabel=names[1] + scales[1])
    quiet_grid(ax, "both", which="both")
    said = f"rank correlation {interval_text(rank.rho, rank.low, rank.high)}, {rank.n} points"
    said += f", {rank.left_out} not finite" if rank.left_out else ""
    below = (-0.1, -0.17)
    ax.legend(title=said, title_fontsize=10, ncols=2, loc="upper left", bbox_to_anchor=below, alignment="left")
    return finish(ax, sentence(f"{names[1]} against {names[0]}; {said}. ") + "; ".join(sentences) + ".", title)
