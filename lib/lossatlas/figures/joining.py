"""The merge tree of a surface, drawn beside its contours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas._text import number
from lossatlas.figures.alt_text import describe
from lossatlas.figures.bands import quiet_grid, set_scale
from lossatlas.figures.colour_scale import ColourScale
from lossatlas.figures.contour_lines import draw_contour, shape
from lossatlas.figures.labelled import check_kind, check_whole
from lossatlas.figures.theme import CASING, INK, LETTERS, Picture, finish, styled, value_label
from lossatlas.geometry import grid_values, tree_paths
from lossatlas.geometry.trees import main_tree


@styled
def merge_tree(
    surface: xr.Dataset,
    *,
    most: int = 12,
    variable: str = "loss",
    log: bool = True,
    levels: int | Sequence[float] = 8,
    clip: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the merge tree of a surface beside its contours, with minima and saddles marked in both.

    Minima have the same number in both pictures, from the lowest up. Lines on the contours lead from each saddle to
    the nodes below it, never above the saddle.

    Parameters
    ----------
    surface : xarray.Dataset
        Over alpha and beta.
    most : int
        How many minima are drawn at most: the most persistent, if rounding cannot have made them.
    variable : str
        What to draw.
    log : bool
        Whether colours and heights follow the logarithm of the value, as in :func:`contour`.
    levels, clip
        As in :func:`contour`.
    title : str, optional
        Above the contours.

    Returns
    -------
    matplotlib.figure.Figure
        Its `alt` describes it.

    Raises
    ------
    ValueError
        If the surface cannot be drawn, or an argument does not fit it.

    Examples
    --------
    >>> axis = np.linspace(-1.5, 1.5, 31)
    >>> wells = 0.5 + np.add.outer((axis**2 - 1) ** 2 + 0.1 * axis, axis**2)
    >>> surface = xr.Dataset({"loss": (("alpha", "beta"), wells)}, {"alpha": axis, "beta": axis})
    >>> merge_tree(surface).alt.split("Merge tree: ")[1]
    '2 minima, 1 saddle. Lowest minimum 0.4 at α = −1, β = 0; minimum 2 (0.6 at α = 1, β = 0) joins at 1.5.'
    """
    check_kind("surface", surface, xr.Dataset)
    check_whole("most", most, least=1)
    scale = ColourScale.over([surface], variable=variable, log=log, clip=clip, clim=None)
    figure = Picture(figsize=(9.4, 0.75 + 3.75 * shape(surface)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    draw_contour(left, surface, variable=variable, scale=scale, levels=levels, labels=False, resolution=101)
    scale.add_bar(left, value_label(surface, variable), shrink=0.95)
    tree = main_tree(surface, most, variable=variable)
    numbers = numbered(tree)
    for path in tree_paths(surface, tree, variable=variable).values():
        left.plot(path["alpha"], path["beta"], color="white", lw=1.1, path_effects=CASING, zorder=3)
    for node, about in tree.nodes.items():
        style: dict[str, Any] = {"color": "white", "mec": INK, "mew": 1.0, "ls": "", "zorder": 5}
        place = about["alpha"], about["beta"]
        left.plot(*place, "o" if node in numbers else "X", ms=8, **style)
        if node in numbers:
            left.annotate(
                str(numbers[node]),
                place,
                (6, 5),
                textcoords="offset points",
                color="white",
                path_effects=CASING,
                zorder=6,
                annotation_clip=True,
            )
    _draw_tree(right, tree, numbers, grid_values(surface, variable)[1], log=log)
    right.set_ylabel(value_label(surface, variable) + right.get_ylabel())
    alt = f"{describe(surface, variable=variable)} Merge tree: {tree_words(tree, numbers)}"
    return finish(left, alt, title)


def numbered(tree: nx.DiGraph) -> dict[Any, int]:
    """Return a number for each minimum, from the lowest up.

    Examples
    --------
    >>> tree = nx.DiGraph()
    >>> tree.add_node((2, 3), kind="minimum")
    >>> numbered(tree)
    {(2, 3): 1}
    """
    return {node: i + 1 for i, node in enumerate(node for node, kind in tree.nodes("kind") if kind == "minimum")}


def _draw_tree(ax: Axes, tree: nx.DiGraph, numbers: dict[Any, int], values: np.ndarray, *, log: bool) -> None:
    """Draw a merge tree: minima side by side, each node at the height of its value."""
    heights = {node: about["value"] for node, about in tree.nodes.items()}
    top = max(values[np.isfinite(values)].min(), *heights.values()) if heights else 1.0
    ax.set_ylabel(set_scale(ax, "y", np.array([*heights.values(), top]), log=log))
    places: dict[Any, float] = {}

    def place(node: Any) -> float:
        below = sorted(tree.predecessors(node), key=lambda one: heights[one])
        places[node] = float(np.mean([place(one) for one in below])) if below else float(len(leaves))
        if not below:
            leaves.append(node)
        return places[node]

    leaves: list[Any] = []
    for end in (node for node in tree if not tree.out_degree(node)):
        place(end)
        ax.annotate(
            "",
            (places[end], 1.0),
            (places[end], heights[end]),
            xycoords=("data", "axes fraction"),
            textcoords="data",
            arrowprops={"arrowstyle": "-", "color": INK, "lw": 1.3, "ls": ":"},
        )
    for lower, upper in tree.edges:
        x, y = [places[upper], places[lower], places[lower]], [heights[upper], heights[upper], heights[lower]]
        ax.plot(x, y, color=INK, lw=1.3, zorder=2)
    for node in tree:
        mark = "o" if node in numbers else "X"
        ax.plot(places[node], heights[node], mark, ms=8, color="white", mec=INK, mew=1.0, zorder=3)
        if node in numbers:
            ax.annotate(
                str(numbers[node]), (places[node], heights[node]), (0, -15), textcoords="offset points", ha="center"
            )
    ax.margins(0.12, 0.15)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    quiet_grid(ax)


def tree_words(tree: nx.DiGraph, numbers: dict[Any, int]) -> str:
    """Return a merge tree in words: its sizes, its lowest minimum, and where the next ones join.

    Examples
    --------
    >>> tree_words(nx.DiGraph(), {})
    '0 minima, 0 saddles.'
    """

    def at(node: Any) -> str:
        about = tree.nodes[node]
        places = [f"{LETTERS[name]} = {number(about[name])}" for name in LETTERS if name in about]
        return f"{number(about['value'])} at {', '.join(places)}"

    saddles = len(tree) - len(numbers)
    text = f"{len(numbers)} minim{'um' if len(numbers) == 1 else 'a'}, {saddles} saddle{'' if saddles == 1 else 's'}."
    said = []
    for node, count in list(numbers.items())[:4]:
        about = tree.nodes[node]
        if count == 1:
            said.append(f"Lowest minimum {at(node)}")
        elif np.isfinite(about["persistence"]):
            said.append(f"minimum {count} ({at(node)}) joins at {number(about['value'] + about['persistence'])}")
    return f"{text} {'; '.join(said)}." if said else text
