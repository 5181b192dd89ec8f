"""Small pictures of curves beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas.figures.curves import profile
from lossatlas.figures.labelled import check_whole
from lossatlas.figures.theme import QUIET, Picture, styled


@styled
def profile_panels(
    lines: Mapping[str, xr.Dataset | Mapping[str, xr.Dataset | Sequence[xr.Dataset]]],
    *,
    variable: str = "loss",
    log: bool = False,
    columns: int = 3,
    share_scale: bool = True,
) -> Figure:
    """Draw titled panels of lines through weight space, each as :func:`profile` draws it.

    If the lines of all panels have the same labels, one legend stands below the panels.

    Panels whose lines have the same labels share one legend below them.

    Parameters
    ----------
    lines : mapping of str to what `profile` takes
        By title a Dataset over alpha (and condition, seed), or Datasets by label.
    variable : str
        What to draw.
    log : bool
        Whether the vertical axes are logarithmic.
    columns : int
        How many panels stand in a row at most.
    share_scale : bool
        Whether all panels have one vertical axis.

    Returns
    -------
    matplotlib.figure.Figure
        Its `alt` describes it.

    Raises
    ------
    ValueError
        If there is no panel, or a panel holds no lines.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [2.0, 1.0, 3.0])}, {"alpha": [-1, 0, 1]})
    >>> profile_panels({"SGD": line}).alt
    'SGD: Loss along α. SGD: lowest 1 at α = 0, 2 and 3 at the ends.'
    """
    if not isinstance(lines, Mapping) or isinstance(lines, xr.Dataset) or not lines:
        raise ValueError(f"lines is a {type(lines).__name__}; expected a mapping from titles to lines")
    columns = min(check_whole("columns", columns, least=1), len(lines))
    rows = -(-len(lines) // columns)
    width = min(3.4, max(2.5, 7.5 / columns))
    figure = Picture(figsize=(width * columns, 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for i, (ax, (title, entry)) in enumerate(zip(grid, lines.items(), strict=False)):
        alone = isinstance(entry, xr.Dataset) and "condition" not in entry.dims
        profile({str(title): entry} if alone else entry, variable=variable, log=log, title=str(title), ax=ax)
        if i % columns:
            ax.set_ylabel("")
            ax.tick_params(labelleft=not share_scale)
    if share_scale:
        ends = np.array([ax.get_ylim() for ax in grid[: len(lines)]])
        for ax in grid[: len(lines)]:
            ax.set_ylim(ends[:, 0].min(), ends[:, 1].max())
    for ax in grid[len(lines) :]:
        ax.remove()
    _share_legend(figure, list(grid[: len(lines)]))
    return figure


def _share_legend(figure: Picture, panels: Sequence[Axes]) -> None:
    """Put one legend below the panels, instead of one into each, if all are the same and name several lines."""
    legends = [ax.get_legend() for ax in panels]
    labels = [ax.get_legend_handles_labels()[1] for ax in panels]
    titles = {legend.get_title().get_text() if legend else "" for legend in legends}
    if len(panels) == 1 or len(labels[0]) < 2 or any(found != labels[0] for found in labels) or len(titles) > 1:
        return
    for legend in legends:
        if legend:
            legend.remove()
    handles, columns = panels[0].get_legend_handles_labels()[0], 3
    made = figure.legend(handles, labels[0], title=titles.pop(), ncols=columns, loc="outside lower center")
    made.get_title().set_color(QUIET)
    made.get_title().set_fontsize(10)
    figure.set_figheight(figure.get_figheight() + 0.25 * (2 + -(-len(labels[0]) // columns)))
