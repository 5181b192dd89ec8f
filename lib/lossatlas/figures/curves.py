"""Figures of curves and points over seeds, with Matplotlib: profiles, training curves, measures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas._text import interval_text, number
from lossatlas.evidence import by_condition, mean_interval
from lossatlas.figures.bands import ANY, NEXT_TO_ZERO, band, legend, quiet_grid
from lossatlas.figures.theme import (
    COLOURS,
    INK,
    MARKS,
    QUIET,
    axis_label,
    canvas,
    finish,
    sentence,
    styled,
    value_label,
)
from lossatlas.geometry import grid_values, quantity, spoken

DASHES = ("-", "--", ":", "-.")
MOST = 200  # points of a training curve; between more of them dashes run together


def _members(entry):
    """The Datasets or DataArrays under one label, whether it is one or several (seeds)."""
    return [entry] if isinstance(entry, xr.Dataset | xr.DataArray) else list(entry)


@styled
def profile(
    lines: Mapping[str, xr.Dataset | Sequence[xr.Dataset]],
    *,
    variable: str = "loss",
    log: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """A variable along lines through weight space, by label: a Dataset over alpha, or several (seeds).

    A slice of a surface is a line too: `surface.sel(beta=0, method="nearest")`. Points that are not finite
    leave a gap. Raises ValueError for a Dataset that is no line, or seeds on different grids.
    """
    if not lines:
        raise ValueError("lines: empty; expected at least one labelled line")
    ax = canvas(ax, (5.4, 3.6))
    ax.set_yscale("log" if log else "linear")
    sentences, seeds = [], set()
    for i, (label, entry) in enumerate(lines.items()):
        members = _members(entry)
        grids = [grid_values(line, variable) for line in members]
        if any(len(axes) != 1 for axes, _ in grids):
            raise ValueError(f"lines[{label!r}] is a surface; take a slice, as .sel(beta=0, method='nearest')")
        (alphas,), _ = grids[0]
        if any(not np.array_equal(axes[0], alphas) for axes, _ in grids):
            raise ValueError(f"lines[{label!r}]: the seeds have different values of alpha; expected one grid")
        rows = np.array([np.where(np.isfinite(values), values, np.nan) for _, values in grids])
        middle = band(ax, alphas, rows, label=label, color=COLOURS[i % len(COLOURS)], ls=DASHES[i // len(COLOURS) % 4])
        seeds.add(len(members))
        known = np.isfinite(middle)
        if known.any():
            lowest = np.nanargmin(middle)
            sentences.append(
                f"{label}: lowest {number(middle[lowest])} at α = {number(alphas[lowest])}, "
                f"{number(middle[known][0])} and {number(middle[known][-1])} at the ends"
            )
    first = _members(next(iter(lines.values())))[0]
    ax.axvline(0, color=QUIET, lw=0.8, ls=(0, (2, 3)), zorder=0)
    ax.set(xlabel=axis_label(first, "alpha"), ylabel=value_label(first, variable))
    quiet_grid(ax)
    legend(ax, seeds)
    return finish(ax, f"{value_label(first, variable)} along α. ".capitalize() + "; ".join(sentences) + ".", title)


@styled
def loss_curves(
    history: Mapping[str, xr.Dataset | Sequence[xr.Dataset]],
    *,
    variables: Sequence[str] = ("train_loss", "test_loss"),
    log: bool = True,
    ylabel: str = "loss",
    legend_below: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Training histories over epochs, by label: a Dataset over epoch, or several (seeds) of them.

    The first of `variables` is a full line, the next dashed; all share the vertical axis. Seeds that stopped
    early end their curve: the mean is over the epochs that all have. Long histories are drawn at 200 epochs,
    evenly spaced. `legend_below` puts the legend under the axes, in a figure that is so much higher.
    """
    if not history:
        raise ValueError("history: empty; expected at least one labelled history")
    ax = canvas(ax, (5.4, 3.6))
    ax.set_yscale("log" if log else "linear")
    sentences, seeds = [], set()
    for i, (label, entry) in enumerate(history.items()):
        members = _members(entry)
        seeds.add(len(members))
        for j, variable in enumerate(variables):
            for member in members:
                if variable not in member or member[variable].dims != ("epoch",):
                    raise ValueError(
                        f"history[{label!r}] has no {variable!r} over epoch; it has {list(member.data_vars)}"
                    )
            epochs = min(member.sizes["epoch"] for member in members)
            drawn = np.linspace(0, epochs - 1, min(epochs, MOST)).round().astype(int)
            rows = np.array([member[variable].to_numpy()[drawn] for member in members], dtype=float)
            rows = np.where(np.isfinite(rows), rows, np.nan)
            name = spoken(variable)
            parts = [label] * (len(history) > 1) + [name] * (len(variables) > 1)
            middle = band(
                ax,
                members[0]["epoch"].to_numpy()[drawn],
                rows,
                label=", ".join(parts) or None,
                color=COLOURS[i % len(COLOURS)],
                ls=DASHES[j % len(DASHES)],
            )
            sentences.append(
                f"{label}, {name}: {number(middle[0])} after the first epoch, {number(middle[-1])} after the last"
            )
    ax.set(xlabel="epoch", ylabel=ylabel)
    ax.xaxis.get_major_locator().set_params(integer=True)
    quiet_grid(ax)
    legend(ax, seeds, below=legend_below)
    return finish(ax, "Training curves. " + "; ".join(sentences) + ".", title)


@styled
def dots(
    records: Sequence[Mapping],
    measure: str,
    *,
    log: bool = False,
    xlabel: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """A measure of every seed as a dot, a row a condition, with the mean and its 95% interval.

    `records` as in :func:`lossatlas.evidence.by_condition`. Values that are not finite are counted beside the
    condition. Raises ValueError for a record without the measure.
    """
    groups = by_condition(records, measure)
    ax = canvas(ax, (5.4, 1.3 + 0.55 * len(groups)))
    ax.set_xscale("log" if log else "linear")
    names, sentences = [], []
    for i, (condition, values) in enumerate(groups.items()):
        values = np.array(values)
        finite = values[np.isfinite(values)]
        mean = mean_interval(values, bounds=quantity(measure).bounds)
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
    if not log:
        ax.locator_params(axis="x", nbins=6)  # so that numbers of many digits stay apart
    name = xlabel or spoken(measure)
    ax.set_yticks(range(len(groups)), names)
    ax.set_ylim(len(groups) - 0.45, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    what, _, direction = quantity(measure).words.partition("; ")
    lines = [f"{name}: {what}" if what else name, f"{direction}; bars: 95% interval".removeprefix("; ")]
    ax.set_xlabel("\n".join(part for line in lines for part in textwrap.wrap(line, 50)), fontsize=10, linespacing=1.4)
    quiet_grid(ax, "x")
    return finish(ax, sentence(f"{name} of every seed. ") + "; ".join(sentences) + ".", title)


@styled
def curve_against(
    groups: Mapping[str, Mapping[float, Sequence[float]]],
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
    """A measure against a number (depth, width): by label, the values of all seeds at each x.

    Seeds are small dots, their mean a line, its 95% interval a band, which ends at `bounds`, the least and the
    largest value that the measure can have. On a logarithmic axis, x = 0 stands one decade left of the smallest
    other. `legend_below` puts the legend under the axes.
    """
    if not groups or not all(groups.values()):
        raise ValueError("groups: expected at least one label, each with the values of seeds at one x or more")
    ax = canvas(ax, (5.4, 3.6))
    ticks = sorted({float(key) for at in groups.values() for key in at})
    if log_x and ticks[0] == 0 < ticks[-1]:
        ax.set_xscale("symlog", linthresh=ticks[1], linscale=0.9)  # 0 to the smallest is a decade
    else:
        ax.set_xscale("log" if log_x else "linear")
    ax.set_yscale("log" if log_y else "linear")
    sentences, seeds = [], set()
    for i, (label, at) in enumerate(groups.items()):
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
    ax.set(xlabel=xlabel, ylabel=ylabel)
    quiet_grid(ax)
    legend(ax, seeds, below=legend_below)
    return finish(ax, sentence(f"{ylabel} against {xlabel}. ") + "; ".join(sentences) + ".", title)


@styled
def histograms(
    groups: Mapping[str, xr.DataArray | Sequence[xr.DataArray]],
    *,
    xlabel: str,
    ylabel: str = "share",
    log: bool = True,
    legend_below: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Distributions as lines, by label: the share in each bin over one coordinate (the bins' centres).

    Several arrays under a label are seeds: their mean with its 95% interval. Empty bins leave a gap where
    the vertical axis is logarithmic. `legend_below` puts the legend under the axes.
    """
    if not groups:
        raise ValueError("groups: empty; expected at least one labelled distribution")
    ax = canvas(ax, (5.4, 3.6))
    ax.set_yscale("log" if log else "linear")
    sentences, seeds = [], set()
    for i, (label, entry) in enumerate(groups.items()):
        members = _members(entry)
        if any(member.ndim != 1 for member in members):
            raise ValueError(f"groups[{label!r}]: expected one dimension, got {members[0].dims}")
        centres = members[0][members[0].dims[0]].to_numpy()
        rows = np.array([member.to_numpy() for member in members], dtype=float)
        middle = band(
            ax,
            centres,
            np.where(rows > 0, rows, np.nan) if log else rows,
            label=label,
            bounds=(0.0, np.inf),
            color=COLOURS[i % len(COLOURS)],
            ls=DASHES[i // len(COLOURS) % 4],
        )
        seeds.add(len(members))
        inside = np.where(np.isfinite(middle), middle, 0)
        spread = np.sqrt((inside * centres**2).sum() / inside.sum())
        sentences.append(f"{label}: root mean square {number(spread)}, highest at {number(centres[inside.argmax()])}")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.locator_params(axis="x", nbins=6)  # so that numbers of many digits stay apart
    quiet_grid(ax)
    legend(ax, seeds, below=legend_below)
    return finish(ax, sentence(f"{ylabel} against {xlabel}. ") + "; ".join(sentences) + ".", title)
