"""What a scene says in numbers and words: the ticks of its axes, its caption, its alternative text."""

from __future__ import annotations

import numpy as np
import xarray as xr

from lossatlas import geometry
from lossatlas._text import number
from lossatlas.scenes.frame import Frame, Grid
from lossatlas.scenes.renderer import BOX_HEIGHT, Label


def labels(grid: Grid, frame: Frame) -> list[Label]:
    """Ticks and names of the three axes."""
    found = []
    for axis, name, span in (("x", "α", frame.alpha), ("y", "β", frame.beta)):
        for value in _round_numbers(*span):
            found.append(Label(number(value), axis, (value - span[0]) / (span[1] - span[0]) - 0.5))
        found.append(Label(name, axis, 0.0, name=True))
    return [*found, *heights(frame), Label(grid.name, "z", BOX_HEIGHT + 0.07, name=True)]


def heights(frame: Frame) -> list[Label]:
    """Ticks of the height."""
    found = []
    for value in _round_levels(frame):
        height = np.log10(value) if frame.log else value
        found.append(Label(number(value), "z", float(BOX_HEIGHT * (height - frame.low) / (frame.high - frame.low))))
    return found


def _round_numbers(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    values = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return [float(value) for value in values if low - slack <= value <= high + slack]


def _round_levels(frame: Frame) -> list[float]:
    """Round values between the floor and the ceiling of the box, three to seven of them."""
    if not frame.log:
        return _round_numbers(frame.low, frame.high)
    powers = range(int(np.floor(frame.low)), int(np.ceil(frame.high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5)):
        values = [d * 10.0**p for p in powers for d in digits if frame.low <= np.log10(d * 10.0**p) <= frame.high]
        if len(values) >= 3:
            return values[:: -(-len(values) // 7)]
    return _round_numbers(10**frame.low, 10**frame.high)


def above(grid: Grid, frame: Frame) -> float:
    """The share of the grid's points that lie above the box, where they are clipped."""
    return float((grid.finite & (grid.heights > frame.high)).mean())


def caption(grid: Grid, frame: Frame, *, contours: int, steps: int = 0, outside: int = 0) -> str:
    """What a reader must know to read the scene; `steps` of a path are drawn, `outside` lie off the grid."""
    scale = f"log₁₀ of the {grid.name}" if frame.log else f"the {grid.name}"
    low, high = number(frame.level(frame.low)), number(frame.level(frame.high))
    said = [f"Height: {scale}, from {low} to {high}, with {contours} contour lines at equal steps."]
    if grid.units[0] and grid.units[0] == grid.units[1]:
        said.append(f"Unit of α and β: {grid.units[0]}.")
    if frame.log and (count := int((grid.values[grid.finite] <= 0).sum())):
        said.append(f"{_points(count)} at or below 0 drawn at the lowest positive value.")
    if share := above(grid, frame):
        said.append(f"Grey: clipped at {high} ({_percent(share)} of the grid).")
    if share := float((grid.finite & (grid.heights < frame.low)).mean()):
        said.append(f"Lower values drawn at {low} ({_percent(share)} of the grid).")
    if missing := int((~grid.finite).sum()):
        said.append(f"Holes: {_points(missing)} of the grid without a finite value.")
    if steps:
        off = f", {outside} of them off the grid" if outside else ""
        said.append(f"Yellow: the path, {steps} points{off}; the ball is its end.")
    return " ".join(said)


def _points(count: int) -> str:
    return f"{count} point{'s' if count > 1 else ''}"


def _percent(share: float) -> str:
    return "less than 1\u00a0%" if share < 0.01 else f"{100 * share:.0f}\u00a0%"


def alt(surface: xr.Dataset, grid: Grid, frame: Frame, title: str | None) -> str:
    """The scene in words, from its numbers, for those who do not see it."""
    values = np.where(grid.finite, grid.values, np.nan)
    ends = []
    for word, index in (("lowest", np.nanargmin(values)), ("highest", np.nanargmax(values))):
        i, j = np.unravel_index(index, values.shape)
        where = f"α = {number(grid.alphas[i])}, β = {number(grid.betas[j])}"
        ends.append(f"{word} {number(values[i, j])} at {where}")
    spans = [f"{number(points[0])} to {number(points[-1])}" for points in (grid.alphas, grid.betas)]
    text = f"Shaded surface of the {grid.name} over α from {spans[0]} and β from {spans[1]}"
    text += f", on a logarithmic scale: {'; '.join(ends)}." if frame.log else f": {'; '.join(ends)}."
    if share := above(grid, frame):
        text += f" Cut flat at {number(frame.level(frame.high))}: {_percent(share)} of the grid."
    text += f" {_shape(surface, grid)}"
    return (f"{title}. {text}" if title else text).strip()


def _shape(surface: xr.Dataset, grid: Grid) -> str:
    """How the surface curves, how many low places it has, and how it rises to its edges."""
    if min(grid.values.shape) < 3:
        return ""
    bent = float(geometry.nonconvex_share(surface, variable=grid.name))
    if np.isnan(bent):
        return ""
    count = int(geometry.minima(surface, variable=grid.name))
    if bent == 0:
        said = "Convex: it curves upwards everywhere."
    elif bent < 0.02:
        said = f"Almost convex: it curves downwards on {_percent(bent)} of the grid."
    else:
        said = f"Not convex: in some direction it curves downwards on {_percent(bent)} of the grid."
    said += " It has one low place." if count == 1 else f" It has {count} separate low places."
    rim = np.concatenate([grid.values[[0, -1]].ravel(), grid.values[1:-1, [0, -1]].ravel()])
    if (rim := rim[np.isfinite(rim)]).size:
        said += f" At half of its edge it is above {number(np.median(rim))}."
    return said
