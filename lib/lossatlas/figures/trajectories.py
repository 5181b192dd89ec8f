"""Figures of training paths on a plane through weight space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from lossatlas._text import number
from lossatlas.figures.labelled import check_path, check_whole, titled
from lossatlas.figures.theme import CASING, LETTERS, PATH, Picture, axis_label, finish, root, styled


@styled
def path_panels(paths: xr.Dataset | Mapping[str, xr.Dataset], *, columns: int = 2, marks: int = 6) -> Figure:
    """Draw titled paths beside each other, without a surface, each on axes of its own.

    Parameters
    ----------
    paths : mapping of str to xarray.Dataset, or Dataset over condition
        Each with alpha and beta over step, and epoch if it is known.
    columns : int
        How many paths stand in a row at most.
    marks : int
        About how many points of a path have their epoch (or step) beside them.

    Returns
    -------
    matplotlib.figure.Figure
        Its `alt` describes it.

    Raises
    ------
    ValueError
        If there is no path.

    Examples
    --------
    >>> path = xr.Dataset({"alpha": ("step", [1.0, 0.4, 0.0]), "beta": ("step", [0.5, 0.1, 0.0])})
    >>> path_panels({"SGD": path}).alt
    'SGD: a path of 3 points from α = 1, β = 0.5 to α = 0, β = 0.'
    """
    drawn = {title: check_path(f"paths[{title!r}]", path) for title, path in titled("paths", paths).items()}
    columns = min(check_whole("columns", columns, least=1), len(drawn))
    check_whole("marks", marks, least=0)
    rows = -(-len(drawn) // columns)
    figure = Picture(figsize=(3.5 * columns, 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, path in zip(grid, drawn.values(), strict=False):
        spans = [np.ptp(path[name].to_numpy()) for name in LETTERS]
        ax.margins(0.22)
        ax.grid(color="#e4e4e4")
        ax.set_aspect("equal" if 0.3 < spans[1] / (spans[0] or 1) < 3 else "auto", adjustable="datalim")
        ax.plot(path["alpha"], path["beta"], alpha=0)  # so that the axes know their range
        ax.set(xlabel=axis_label(path, "alpha"), ylabel=axis_label(path, "beta"))
    for ax in grid[len(drawn) :]:
        ax.remove()
    figure.draw_without_rendering()  # so that the axes know their place
    for ax, (title, path) in zip(grid, drawn.items(), strict=False):
        draw_path(ax, path, marks=marks)
        finish(ax, f"a path of {path.sizes['step']} points from {end(path, 0)} to {end(path, -1)}.", title)
    return figure


def end(path: xr.Dataset, step: int) -> str:
    """Return the place of one point of a path in words."""
    return ", ".join(f"{letter} = {number(float(path[name][step]))}" for name, letter in LETTERS.items())


def draw_path(ax: Axes, path: xr.Dataset, *, marks: int = 0) -> None:
    """Draw a trajectory from a ring to a dot, with the epochs (or steps) of about `marks` points beside it."""
    points = np.stack([path[name].to_numpy() for name in LETTERS], axis=1)
    ax.plot(
        *points.T,
        color=PATH,
        lw=1.9,
        path_effects=[withStroke(linewidth=3.6, foreground="#1a1a1a")],
        zorder=5,
    )
    ax.plot(*points.T, ".", color="#1a1a1a", ms=3.2, zorder=6)
    ends: dict[str, Any] = {"marker": "o", "ms": 8.5, "mec": "#1a1a1a", "mew": 1.7, "ls": "", "zorder": 7}
    ax.plot(*points[0], mfc="white", label="start", **ends)
    ax.plot(*points[-1], mfc=PATH, label="end", **ends)
    if not marks:
        return
    on_screen = ax.transData.transform(points)
    length = np.append(0, np.cumsum(np.hypot(*np.diff(on_screen, axis=0).T)))
    chosen = sorted({int(np.argmin(abs(length - at))) for at in np.linspace(0, length[-1], marks)})
    name = "epoch" if "epoch" in path else "step"
    first_last = [i for i in (0, len(points) - 1) if i in chosen]
    sides: dict[int, tuple[str, np.ndarray]] = {}
    taken: list[Bbox] = []
    for i in [*first_last, *(i for i in chosen if i not in first_last)]:
        ahead = on_screen[min(i + 1, len(points) - 1)] - on_screen[max(i - 1, 0)]
        ahead = ahead / (np.hypot(*ahead) or 1)
        aside = np.array([ahead[1], -ahead[0]])  # to the right of the path
        slanting = [(side + along) / 2**0.5 for side in (aside, -aside) for along in (ahead, -ahead)]
        text = f"{name} {number(float(path[name][i]))}" if i == chosen[0] else number(float(path[name][i]))
        places = [(side, _place(ax, on_screen[i], side, text)) for side in (aside, -aside, *slanting)]
        free = [
            (box.count_contains(on_screen), n)  # of the points of the path it hides few
            for n, (_, box) in enumerate(places)
            if ax.bbox.containsx(box.x0) and ax.bbox.containsx(box.x1) and not box.count_overlaps(taken)
        ]
        if free or i in first_last:  # a point between the ends has no text if no room is left
            side, box = places[min(free)[1] if free else 0]
            sides[i] = text, side
            taken.append(box)
    for i, (text, side) in sorted(sides.items()):
        ax.annotate(
            text,
            points[i],
            tuple(13 * side),
            textcoords="offset points",
            ha=_alignment(side),
            va="center",
            fontsize=10,
            color="white",
            path_effects=CASING,
            zorder=8,
        )


def _alignment(side: np.ndarray) -> str:
    return "left" if side[0] > 0.4 else "right" if side[0] < -0.4 else "center"


def _place(ax: Axes, point: np.ndarray, side: np.ndarray, text: str) -> Bbox:
    """Return about the box on screen of a text of 10 points beside a point, to its `side`."""
    pixel = root(ax).dpi / 72
    x, y = point + 13 * pixel * side
    width, height = 6.6 * len(text) * pixel, 11 * pixel
    left = x - {"left": 0, "center": width / 2, "right": width}[_alignment(side)]
    return Bbox.from_bounds(left, y - height / 2, width, height)
