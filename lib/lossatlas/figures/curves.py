"""Figures of curves over seeds: profiles along a line, training curves, distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas._text import number
from lossatlas.figures.bands import band, legend, quiet_grid, set_scale
from lossatlas.figures.labelled import check_names, groups
from lossatlas.figures.theme import (
    COLOURS,
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


@styled
def profile(
    lines: xr.Dataset | Mapping[str, xr.Dataset | Sequence[xr.Dataset]],
    *,
    variable: str = "loss",
    log: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a variable along lines through weight space, with the mean and 95% interval of seeds.

    Points that are not finite leave a gap.

    Parameters
    ----------
    lines : Dataset over alpha (and condition, seed), or mapping of str to Datasets
        By label a Dataset over alpha, or several (seeds). A slice of a surface is a line too:
        `surface.sel(beta=0, method="nearest")`.
    variable : str
        What to draw.
    log : bool
        Whether the vertical axis is logarithmic. With values at or below zero it is not, and its label says so.
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
        If a Dataset is no line, or seeds have different grids.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [2.0, 1.0, 3.0])}, {"alpha": [-1, 0, 1]})
    >>> profile({"SGD": line}).alt
    'Loss along α. SGD: lowest 1 at α = 0, 2 and 3 at the ends.'
    """
    found = groups("lines", lines, xr.Dataset)
    ax = canvas(ax, (5.4, 3.6))
    everything = [grid_values(line, variable)[1].ravel() for members in found.values() for line in members]
    said = set_scale(ax, "y", np.concatenate(everything), log=log)
    sentences, seeds = [], set()
    for i, (label, members) in enumerate(found.items()):
        grids = [grid_values(line, variable) for line in members]
        if any(len(axes) != 1 for axes, _ in grids):
            raise ValueError(f"lines[{label!r}] is a surface; take a slice, as .sel(beta=0, method='nearest')")
        (alphas,), _ = grids[0]
        if any(not np.array_equal(axes[0], alphas) for axes, _ in grids):
            raise ValueError(f"lines[{label!r}]: the seeds have different values of alpha; expected one grid")
        rows = np.array([np.where(np.isfinite(values), values, np.nan) for _, values in grids])
        style = {"color": COLOURS[i % len(COLOURS)], "ls": DASHES[i // len(COLOURS) % 4]}
        middle = band(ax, alphas, rows, label=label, bounds=quantity(members[0][variable]).bounds, **style)
        seeds.add(len(members))
        known = np.isfinite(middle)
        if known.any():
            lowest = np.nanargmin(middle)
            sentences.append(
                f"{label}: lowest {number(middle[lowest])} at α = {number(alphas[lowest])}, "
                f"{number(middle[known][0])} and {number(middle[known][-1])} at the ends"
            )
    first = next(iter(found.values()))[0]
    ax.axvline(0, color=QUIET, lw=0.8, ls=(0, (2, 3)), zorder=0)
    ax.set(xlabel=axis_label(first, "alpha"), ylabel=value_label(first, variable) + said)
    quiet_grid(ax)
    legend(ax, seeds)
    return finish(ax, f"{value_label(first, variable)} along α. ".capitalize() + "; ".join(sentences) + ".", title)


@styled
def loss_curves(
    history: xr.Dataset | Mapping[str, xr.Dataset | Sequence[xr.Dataset]],
    *,
    variables: Sequence[str] = ("train_loss", "test_loss"),
    log: bool = True,
    ylabel: str = "loss",
    legend_below: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw training curves, with the mean and 95% interval of seeds.

    Seeds that stopped early end their curve: the mean is over the epochs that all have. Long histories are drawn at
    200 epochs, evenly spaced.

    Parameters
    ----------
    history : Dataset over epoch (and condition, seed), or mapping of str to Datasets
        By label a Dataset over epoch, or several (seeds).
    variables : sequence of str
        The first is a full line, the next is dashed; all share the vertical axis.
    log : bool
        Whether the vertical axis is logarithmic. With values at or below zero it is not, and its label says so.
    ylabel : str
        The label of the vertical axis, with its unit.
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
        If a history lacks a variable over epoch.

    Examples
    --------
    >>> run = xr.Dataset({"train_loss": ("epoch", [2.0, 0.5])}, {"epoch": [1, 2]})
    >>> loss_curves({"SGD": run}, variables=["train_loss"]).alt
    'Training curves. SGD, training loss: 2 after the first epoch, 0.5 after the last.'
    """
    variables = check_names("variables", variables)
    found = groups("history", history, xr.Dataset)
    for label, members in found.items():
        for variable in variables:
            for member in members:
                if variable not in member or member[variable].dims != ("epoch",):
                    raise ValueError(
                        f"history[{label!r}] has no {variable!r} over epoch; it has {list(member.data_vars)}"
                    )
        if isinstance(history, xr.Dataset):  # one length for all, filled with NaN after the end of a run
            found[label] = [member.isel(epoch=slice(_length(member, variables))) for member in members]
    ax = canvas(ax, (5.4, 3.6))
    everything = [member[name].to_numpy() for members in found.values() for member in members for name in variables]
    said = set_scale(ax, "y", np.concatenate(everything), log=log)
    sentences, seeds = [], set()
    for i, (label, members) in enumerate(found.items()):
        seeds.add(len(members))
        for j, variable in enumerate(variables):
            epochs = min(member.sizes["epoch"] for member in members)
            drawn = np.linspace(0, epochs - 1, min(epochs, MOST)).round().astype(int)
            rows = np.array([member[variable].to_numpy()[drawn] for member in members], dtype=float)
            rows = np.where(np.isfinite(rows), rows, np.nan)
            name = spoken(variable)
            parts = [label] * (len(found) > 1) + [name] * (len(variables) > 1)
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
    ax.set(xlabel="epoch", ylabel=ylabel + said)
    ax.locator_params(axis="x", integer=True)
    quiet_grid(ax)
    legend(ax, seeds, below=legend_below)
    return finish(ax, "Training curves. " + "; ".join(sentences) + ".", title)


def _length(member: xr.Dataset, variables: Sequence[str]) -> int:
    """Return how many epochs a run has until only NaN follows, at least one."""
    known = np.any([member[name].notnull().to_numpy() for name in variables], axis=0)
    return int(known.nonzero()[0].max(initial=0)) + 1


@styled
def histograms(
    shares: xr.DataArray | Mapping[str, xr.DataArray | Sequence[xr.DataArray]],
    *,
    xlabel: str,
    ylabel: str = "share",
    log: bool = True,
    legend_below: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw distributions as lines, with the mean and 95% interval of seeds.

    Parameters
    ----------
    shares : DataArray over the bins' centres (and condition, seed), or mapping of str to DataArrays
        The share in each bin; by label an array over the centres, or several (seeds).
    xlabel, ylabel : str
        The labels of the axes, with their units.
    log : bool
        Whether the vertical axis is logarithmic; empty bins leave a gap then.
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
        If an array does not have one dimension with a coordinate.

    Examples
    --------
    >>> shares = xr.DataArray([0.25, 0.5, 0.25], {"weight": [-1, 0, 1]}, ["weight"])
    >>> histograms({"plain": shares}, xlabel="weight").alt
    'Share against weight. plain: root mean square 0.707, highest at 0.'
    """
    found = groups("shares", shares, xr.DataArray)
    ax = canvas(ax, (5.4, 3.6))
    ax.set_yscale("log" if log else "linear")
    sentences, seeds = [], set()
    for i, (label, members) in enumerate(found.items()):
        if any(member.ndim != 1 or member.dims[0] not in member.coords for member in members):
            raise ValueError(f"shares[{label!r}]: expected one dimension with a coordinate, got {members[0].dims}")
        if any(not np.array_equal(member[member.dims[0]], members[0][members[0].dims[0]]) for member in members):
            raise ValueError(f"shares[{label!r}]: the seeds have different bins; expected the same")
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
