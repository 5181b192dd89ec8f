"""One measure against another, a point a trained network, with Matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossatlas._text import interval_text, number
from lossatlas.evidence import by_condition, trend
from lossatlas.figures.bands import quiet_grid
from lossatlas.figures.theme import COLOURS, MARKS, canvas, finish, sentence, styled
from lossatlas.geometry import spoken


@styled
def scatter(
    records: Sequence[Mapping],
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
    """Two measures of the same networks, a point a record, a colour and a mark a condition.

    `records` as in :func:`lossatlas.evidence.by_condition`, each with the measures `x` and `y`. Pairs with a
    value that is not finite are not drawn and counted below. The rank correlation of all points, with its 95%
    interval, stands above the legend. Raises ValueError for a record without one of the measures.
    """
    across, up = (by_condition(records, measure) for measure in (x, y))
    groups = {condition: np.array([across[condition], up[condition]]) for condition in across}
    ax = canvas(ax, (5.4, 4.2 + 0.28 * -(-len(groups) // 2)))
    ax.set_xscale("log" if log_x else "linear")
    ax.set_yscale("log" if log_y else "linear")
    names = [name or spoken(measure) for name, measure in ((xlabel, x), (ylabel, y))]
    sentences = []
    for i, (condition, pairs) in enumerate(groups.items()):
        shown = pairs[:, np.isfinite(pairs).all(axis=0)]
        style = {"color": COLOURS[i % len(COLOURS)], "ms": 6.5, "alpha": 0.75, "mew": 0}
        ax.plot(*shown, MARKS[i % len(MARKS)], label="\n".join(textwrap.wrap(condition, 26)), **style)
        spans = [
            f"{name} {number(values.min())} to {number(values.max())}"
            for name, values in zip(names, shown, strict=True)
            if values.size
        ]
        sentences.append(f"{condition}: {', '.join(spans) or 'no point'}")
    found = trend(*np.concatenate(list(groups.values()), axis=1))
    ax.set(xlabel=names[0], ylabel=names[1])
    quiet_grid(ax, "both", which="both")
    said = f"rank correlation {interval_text(found.rho, found.low, found.high)}, {found.n} points"
    said += f", {found.left_out} not finite" if found.left_out else ""
    below = {"loc": "upper left", "bbox_to_anchor": (-0.1, -0.17), "alignment": "left"}
    ax.legend(title=said, title_fontsize=10, ncols=2, **below)
    return finish(ax, sentence(f"{names[1]} against {names[0]}; {said}. ") + "; ".join(sentences) + ".", title)
