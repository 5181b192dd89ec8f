"""Figures of the topology of surfaces: persistence diagrams, and counts of components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas._text import number
from lossatlas.figures.bands import band, legend, quiet_grid, set_scale
from lossatlas.figures.labelled import groups
from lossatlas.figures.theme import (
    COLOURS,
    MARKS,
    QUIET,
    canvas,
    finish,
    styled,
)

FEATURES = (("component", "components"), ("loop", "loops"), ("cavity", "cavities"))  # by dimension
BAND, ROUNDING = "#c9c9c9", "#8a8a8a"


@styled
def persistence_diagram(
    features: xr.Dataset | Mapping[str, xr.Dataset | Sequence[xr.Dataset]],
    *,
    xlabel: str = "birth (loss)",
    ylabel: str = "death (loss)",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw at which level each feature of a surface begins and ends, with the band of what is not real.

    A feature lies as far above the diagonal as it lasts. Grey bands along the diagonal show what rounding may make and
    what surfaces of the same spectrum with random phases have. Filled marks are significant features, hollow ones are
    not; triangles at the top never end.

    Parameters
    ----------
    features : Dataset over component (and condition, seed), or mapping of str to Datasets
        What :func:`lossatlas.geometry.persistence` returns, or :func:`lossatlas.geometry.significance`, which adds the
        band of random phases.
    xlabel, ylabel : str
        The labels of the axes, with their units.
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
        If a Dataset holds no features with a birth.

    Examples
    --------
    >>> from lossatlas import geometry
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 2.0, 1.0])}, {"alpha": [0, 1, 2]})
    >>> persistence_diagram({"SGD": geometry.persistence(line)}).alt
    'Persistence diagram. SGD: 2 components, 1 of which never ends; the longest other lasts from 1 to 2.'
    """
    found = groups("features", features, xr.Dataset)
    for label, members in found.items():
        for member in members:
            if any(name not in member or member[name].dims != ("component",) for name in ("birth", "death")):
                held = list(member.data_vars)
                raise ValueError(f"features[{label!r}] has no 'birth' and 'death' over component; it has {held}")
    ends = np.concatenate([m[n].to_numpy().ravel() for s in found.values() for m in s for n in ("birth", "death")])
    if not np.isfinite(ends).any():
        raise ValueError("features: none has a finite birth; expected at least one")
    low, high = ends[np.isfinite(ends)].min(), ends[np.isfinite(ends)].max()
    margin = 0.06 * (high - low or 1.0)
    low, top = low - margin, high + 2 * margin
    ax = canvas(ax, (4.8, 4.4))
    for name, colour, words in (("threshold", BAND, "random phases"), ("rounding", ROUNDING, "rounding")):
        widths = [m[name].to_numpy().ravel() for s in found.values() for m in s if name in m]
        width = float(np.nanmax(np.concatenate([*widths, [0.0]])))
        if width > 0:
            ax.fill_between(
                [low, top], [low, top], [low + width, top + width], color=colour, lw=0, label=words, zorder=0
            )
    ax.plot([low, top], [low, top], color=QUIET, lw=0.8, zorder=1)
    said = []
    for i, (label, members) in enumerate(found.items()):
        birth, death, real = (
            np.concatenate([np.asarray(each, dtype=float) for each in column])
            for column in zip(*(_ends(member) for member in members), strict=True)
        )
        colour, mark = COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)]
        lasting = np.isfinite(death)
        style: dict[str, Any] = {"ls": "", "color": colour, "mew": 1.2, "zorder": 3}
        for filled in (True, False):
            drawn = lasting & (real == filled)
            face: dict[str, Any] = {} if filled else {"mfc": "white"}
            ax.plot(birth[drawn], death[drawn], mark, ms=6, label=label if filled else None, **style, **face)
        ax.plot(birth[~lasting], np.full((~lasting).sum(), high + margin), "^", ms=7, **style)
        said.append(f"{label}: {_words(members, birth, death)}")
    ax.set(xlim=(low, top), ylim=(low, top), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    if len(found) > 1 or len(ax.get_legend_handles_labels()[0]) > 1:
        ax.legend(loc="lower right")
    return finish(ax, f"Persistence diagram. {'. '.join(said)}.", title)


def _ends(member: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return birth, death, and whether a feature is real as far as is known, of what is no filling of a stack."""
    birth, death = (member[name].to_numpy().astype(float) for name in ("birth", "death"))
    real = np.ones(birth.shape, dtype=bool)
    if "significant" in member:
        real = member["significant"].to_numpy().astype(bool)
    elif "rounding" in member:
        real = member["persistence"].to_numpy() > member["rounding"].to_numpy()
    known = np.isfinite(birth)
    return birth[known], death[known], real[known]


def _words(members: Sequence[xr.Dataset], birth: np.ndarray, death: np.ndarray) -> str:
    """Return what a diagram holds, in words."""
    kind = FEATURES[int(members[0].attrs.get("dimension", 0))][len(birth) != 1]
    ends = np.isfinite(death)
    never = int((~ends).sum())
    text = f"{len(birth)} {kind}"
    if never:
        text += f", {never} of which never end{'s' if never == 1 else ''}"
    if ends.any():
        longest = np.where(ends, death - birth, -1).argmax()
        other = " other" if never else ""
        text += f"; the longest{other} lasts from {number(birth[longest])} to {number(death[longest])}"
    if any("significant" in member for member in members):
        text += f"; {sum(int(member['significant'].sum()) for member in members)} significant"
    return text


@styled
def component_counts(
    counts: xr.Dataset | Mapping[str, xr.Dataset | Sequence[xr.Dataset]],
    *,
    xlabel: str = "λ (loss)",
    log: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw N(λ), the number of components of the sublevel sets, against the level, with mean and interval of seeds.

    Parameters
    ----------
    counts : Dataset over level (and condition, seed), or mapping of str to Datasets
        What :func:`lossatlas.geometry.sublevel_components` returns.
    xlabel : str
        The label of the horizontal axis, with its unit.
    log : bool
        Whether the level is on a logarithmic axis.
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
        If a Dataset has no components over level, or seeds have different levels.

    Examples
    --------
    >>> from lossatlas import geometry
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 2.0, 1.0])}, {"alpha": [0, 1, 2]})
    >>> component_counts({"SGD": geometry.sublevel_components(line, None)}).alt
    'Components of the sublevel sets against the level. SGD: at most 2, first at λ = 1; 1 at λ = 2.'
    """
    found = groups("counts", counts, xr.Dataset)
    for label, members in found.items():
        for member in members:
            if "components" not in member or member["components"].dims != ("level",) or "level" not in member.coords:
                raise ValueError(f"counts[{label!r}] has no 'components' over level; it has {list(member.data_vars)}")
            if not np.array_equal(member["level"], members[0]["level"]):
                raise ValueError(f"counts[{label!r}]: the seeds have different levels; expected the same")
    ax = canvas(ax, (5.4, 3.6))
    every = np.concatenate([members[0]["level"].to_numpy() for members in found.values()])
    note = set_scale(ax, "x", every, log=log)
    said, seeds = [], set()
    for i, (label, members) in enumerate(found.items()):
        levels = members[0]["level"].to_numpy()
        rows = np.array([member["components"].to_numpy() for member in members], dtype=float)
        steps, stepped = np.repeat(levels, 2)[1:], np.repeat(rows, 2, axis=1)[:, :-1]  # the count holds until the next
        middle = band(ax, steps, stepped, label=label, bounds=(0.0, np.inf), color=COLOURS[i % len(COLOURS)])[::2]
        seeds.add(len(members))
        highest = int(middle.argmax())
        said.append(
            f"{label}: at most {number(middle[highest])}, first at λ = {number(levels[highest])}; "
            f"{number(middle[-1])} at λ = {number(levels[-1])}"
        )
    ax.set(xlabel=xlabel + note, ylabel="components N(λ)")
    ax.locator_params(axis="y", integer=True)
    ax.set_ylim(bottom=0)
    quiet_grid(ax)
    legend(ax, seeds)
    return finish(ax, "Components of the sublevel sets against the level. " + ". ".join(said) + ".", title)
