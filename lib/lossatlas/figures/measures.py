"""Figures of measures of trained networks: a dot a seed, one measure against another or against a number."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas._text import interval_text, number
from lossatlas.evidence import by_condition, mean_interval, trend
from lossatlas.figures.bands import ANY, NEXT_TO_ZERO, band, legend, quiet_grid, set_scale
from lossatlas.figures.labelled import groups, records
from lossatlas.figures.theme import COLOURS, INK, MARKS, canvas, finish, sentence, styled
from lossatlas.geometry import quantity, spoken


@styled
def dots(
    measured: xr.Dataset | Sequence[Mapping],
    measure: str,
    *,
    log: bool = False,
    xlabel: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a measure of every seed as a dot, a row a condition, with the mean and its 95% interval.

    Values that are not finite are counted beside the condition.

    Parameters
    ----------
    measured : Dataset over condition and seed, or sequence of mappings
        Measures as variables; or records (see :func:`lossatlas.evidence.by_condition`).
    measure : str
        Which of them to draw.
    log : bool
        Whether the axis is logarithmic. With values at or below zero it is not, and its label says so.
    xlabel : str, optional
        The name of the measure, with its unit.
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
        If a record lacks the measure.

    Examples
    --------
    >>> records = [{"condition": "SGD", "seed": seed, "auc": 0.5 + seed / 10} for seed in range(3)]
    >>> dots(records, "auc", xlabel="AUC").alt.startswith("AUC of every seed. SGD: mean 0.6 [")
    True
    """
    found = by_condition(records("measured", measured), measure)
    known = quantity(measured[measure] if isinstance(measured, xr.Dataset) else measure)
    ax = canvas(ax, (5.4, 1.3 + 0.55 * len(found)))
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
        missing = values.size - finite.size
        names.append("\n".join(textwrap.wrap(condition, 18)) + (f"\n({missing} not finite)" if missing else ""))
        sentences.append(
            f"{condition}: mean {interval_text(mean.mean, mean.low, mean.high)} over {mean.n} seeds"
            + (f", {missing} not finite" if missing else "")
        )
    if ax.get_xscale() == "linear":
        ax.locator_params(axis="x", nbins=6)  # so that numbers of many digits stay apart
    name = xlabel or known.label
    ax.set_yticks(range(len(found)), names)
    ax.set_ylim(len(found) - 0.45, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    what, _, direction = known.words.partition("; ")
    lines = [f"{name}: {what}" if what else name, f"{direction}; bars: 95% interval".removeprefix("; "), said.strip()]
    ax.set_xlabel("\n".join(part for line in lines for part in textwrap.wrap(line, 50)), fontsize=10, linespacing=1.4)
    quiet_grid(ax, "x")
    return finish(ax, sentence(f"{name} of every seed. ") + "; ".join(sentences) + ".", title)


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


@styled
def curve_against(
    values: xr.DataArray | Mapping[str, Mapping[float, Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    log_y: bool = False,
    bounds: tuple[float, float] = ANY,
    legend_below: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a measure against a number, such as depth or width.

    Seeds are small dots, their mean is a line, its 95% interval a band.

    Parameters
    ----------
    values : xarray.DataArray, or mapping of str to mapping of float to sequence of float
        Over one dimension with numbers as its coordinate, and condition and seed if it has them; or by label the
        values of all seeds at each x.
    xlabel, ylabel : str
        The labels of the axes, with their units.
    log_x, log_y : bool
        Whether an axis is logarithmic. x = 0 then stands one decade left of the smallest other. With values at or
        below zero the vertical axis is not logarithmic, and its label says so.
    bounds : tuple of two floats
        The least and the largest value that the measure can have, at which the band ends.
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
        If there are no values, or they are not numbers by x.

    Examples
    --------
    >>> curve_against({"plain": {2: [1.0, 3.0], 4: [5.0, 5.0]}}, xlabel="depth", ylabel="loss").alt
    'Loss against depth. plain: 2 at 2, 5 at 4.'
    """
    found = _by_number(values)
    ax = canvas(ax, (5.4, 3.6))
    ticks = sorted({key for at in found.values() for key in at})
    if log_x and ticks[0] == 0 < ticks[-1]:
        ax.set_xscale("symlog", linthresh=ticks[1], linscale=0.9)  # 0 to the smallest is a decade
    else:
        ax.set_xscale("log" if log_x else "linear")
    everything = [value for at in found.values() for seeds in at.values() for value in seeds]
    said = set_scale(ax, "y", np.array(everything), log=log_y)
    sentences, seeds = [], set()
    for i, (label, at) in enumerate(found.items()):
        x = np.array(sorted(at), dtype=float)
        longest = max(len(at[key]) for key in at)
        rows = np.full((longest, len(x)), np.nan)
        for j, key in enumerate(sorted(at)):
            rows[: len(at[key]), j] = at[key]
            seeds.add(len(at[key]))
        rows[~np.isfinite(rows)] = np.nan
        colour, mark = COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)]
        middle = band(ax, x, rows, label=label, bounds=bounds, color=colour, marker=mark, ms=5)
        ax.plot(
            np.broadcast_to(x, rows.shape).ravel(),
            rows.ravel(),
            mark,
            color=colour,
            ms=3.5,
            alpha=0.35,
            mew=0,
        )
        sentences.append(
            f"{label}: " + ", ".join(f"{number(m)} at {number(v)}" for v, m in zip(x, middle, strict=True))
        )
    if log_x:
        ax.set_xticks(ticks, [number(tick) for tick in ticks])
        ax.minorticks_off()
    ax.set(xlabel=xlabel, ylabel=ylabel + said)
    quiet_grid(ax)
    legend(ax, seeds, below=legend_below)
    return finish(ax, sentence(f"{ylabel} against {xlabel}. ") + "; ".join(sentences) + ".", title)


def _by_number(values: object) -> dict[str, dict[float, list[float]]]:
    """Return by label the values of all seeds at each x. Raises ValueError if they are not that."""
    if isinstance(values, xr.DataArray):
        found: dict[str, dict[float, list[float]]] = {}
        for label, members in groups("values", values, xr.DataArray).items():
            if any(one.ndim != 1 or one.dims[0] not in one.coords for one in members):
                raise ValueError(
                    f"values has dimensions {values.dims}; expected one with numbers beside condition and seed"
                )
            across = members[0][members[0].dims[0]].to_numpy()
            if across.dtype.kind not in "fiu":
                raise ValueError(f"values has {members[0].dims[0]}={across.tolist()!r:.60}; expected numbers")
            found[label] = {float(x): [float(one[i]) for one in members] for i, x in enumerate(across)}
        return found
    expected = "expected an xarray.DataArray, or by label the values of seeds at one x or more"
    if isinstance(values, xr.Dataset) or not isinstance(values, Mapping):
        raise ValueError(f"values is a {type(values).__name__}; {expected}")
    if not values or not all(isinstance(at, Mapping) and at for at in values.values()):
        raise ValueError(f"values={values!r:.80}: {expected}")
    try:
        return {
            str(label): {float(x): [float(value) for value in seeds] for x, seeds in at.items()}
            for label, at in values.items()
        }
    except (TypeError, ValueError):
        raise ValueError(f"values={values!r:.80}: {expected}") from None
