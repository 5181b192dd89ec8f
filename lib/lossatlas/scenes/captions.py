"""A scene in numbers and words: the ticks of its axes, its caption, its alternative text."""

from __future__ import annotations

import xarray as xr

from lossatlas._text import number
from lossatlas.figures.alt_text import describe, percent
from lossatlas.figures.colour_scale import Transform
from lossatlas.scenes.frame import Frame, Grid
from lossatlas.scenes.renderer import BOX_HEIGHT, Label

SCALES = {"log": "a logarithmic scale", "symlog": "a symmetric logarithmic scale", "linear": "a linear scale"}


def labels(grid: Grid, frame: Frame) -> list[Label]:
    """Return the ticks and the names of the three axes."""
    texts = []
    for axis, name, (low, high) in (("x", "α", frame.alpha), ("y", "β", frame.beta)):
        for value in Transform("linear").round_heights(low, high, 5):
            texts.append(Label(number(value), axis, float((value - low) / (high - low) - 0.5)))
        texts.append(Label(name, axis, 0.0, name=True))
    return [*texts, *height_ticks(frame), Label(grid.name, "z", BOX_HEIGHT + 0.07, name=True)]


def bar_name(name: str, frame: Frame) -> str:
    """Return the name of the colour bar, with its scale if that is not the requested one."""
    if not frame.transform.nonpositive:
        return name
    return f"{name} ({'symmetric log' if frame.scale == 'symlog' else 'linear'} scale)"


def height_ticks(frame: Frame) -> list[Label]:
    """Return the ticks of the height: round values between the floor and the ceiling of the box, at most seven."""
    return [
        Label(number(frame.level(height)), "z", float(BOX_HEIGHT * frame.share(height)))
        for height in frame.transform.round_heights(frame.low, frame.high, 7)
    ]


def share_above(grid: Grid, frame: Frame) -> float:
    """Return the share of the grid's points that lie above the box, where they are clipped."""
    return float((grid.finite & (grid.heights > frame.high)).mean())


def caption(grid: Grid, frame: Frame, *, contours: int, steps: int = 0, outside: int = 0) -> str:
    """Return what a reader must know to read the scene.

    `steps` of a path are drawn; `outside` of them lie off the grid.
    """
    low, high = number(frame.level(frame.low)), number(frame.level(frame.high))
    said = [f"Height: {_height(grid, frame)}, from {low} to {high}, with {contours} contour lines at equal steps."]
    if grid.units[0] and grid.units[0] == grid.units[1]:
        said.append(f"Unit of α and β: {grid.units[0]}.")
    if frame.transform.nonpositive:
        count = int((grid.values[grid.finite] <= 0).sum())
        scale = f"Some values{f' ({_points(count)})' if count else ''} are at or below 0 and have no logarithm"
        said.append(f"{scale}, so the scale is {'symmetric' if frame.scale == 'symlog' else 'linear'}.")
    if share := share_above(grid, frame):
        said.append(f"Grey: clipped at {high} ({percent(share)} of the grid).")
    if share := float((grid.finite & (grid.heights < frame.low)).mean()):
        said.append(f"Lower values drawn at {low} ({percent(share)} of the grid).")
    if missing := int((~grid.finite).sum()):
        said.append(f"Holes: {_points(missing)} of the grid without a finite value.")
    if steps:
        off = f", {outside} of them off the grid" if outside else ""
        said.append(f"Yellow: the path, {steps} points{off}; the ball is its end.")
    return " ".join(said)


def _height(grid: Grid, frame: Frame) -> str:
    """Return the quantity that is the height, in words."""
    if frame.scale == "log":
        return f"log₁₀ of the {grid.name}"
    if frame.scale == "linear":
        return f"the {grid.name}"
    threshold = number(frame.transform.threshold)
    return f"the symmetric logarithm of the {grid.name} (linear from −{threshold} to {threshold})"


def _points(count: int) -> str:
    return f"{count} point{'s' if count > 1 else ''}"


def alt(surface: xr.Dataset, grid: Grid, frame: Frame, title: str | None) -> str:
    """Return the scene in words, from its numbers, for readers who do not see it."""
    text = f"Shaded surface on {SCALES[frame.scale]}. {describe(surface, variable=grid.name)}"
    if share := share_above(grid, frame):
        text += f" Cut flat at {number(frame.level(frame.high))}: {percent(share)} of the grid."
    return f"{title}. {text}" if title else text
