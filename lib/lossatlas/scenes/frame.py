"""From a surface to heights in a box: the grid that was evaluated, the box, and the finer surface that is drawn.

The box is that of `lossatlas.scenes.renderer`: alpha and beta from -1/2 to 1/2, the height from 0 to `BOX_HEIGHT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from lossatlas.figures.colour_scale import Transform, limits
from lossatlas.geometry import fill_holes, grid_values, interpolator
from lossatlas.scenes.renderer import BOX_HEIGHT

SCALES = ("log", "linear")  # that a caller may ask for


@dataclass(frozen=True)
class Grid:
    """A surface's points: `values` and `heights` are (n_alpha, n_beta); heights are NaN where values are not finite."""

    alphas: np.ndarray
    betas: np.ndarray
    values: np.ndarray
    heights: np.ndarray
    transform: Transform
    name: str
    units: tuple[str, str]

    @property
    def finite(self) -> np.ndarray:
        """Which points have a height."""
        return np.isfinite(self.heights)


def grids_of(surfaces: Sequence[xr.Dataset], variable: str, scale: str) -> list[Grid]:
    """Return checked surfaces as grids with heights on one scale.

    `scale` is "log" or "linear". Surfaces with values at or below zero have no logarithm: they get the scale that
    `lossatlas.figures.colour_scale.Transform` chooses for them.

    Raises
    ------
    ValueError
        If a surface cannot be drawn.
    """
    if scale not in SCALES:
        raise ValueError(f"height={scale!r}; expected one of {list(SCALES)}")
    checked = []
    for surface in surfaces:
        axes, values = grid_values(surface, variable)
        if len(axes) != 2:
            raise ValueError(f"{variable} has dimensions {surface[variable].dims}; a scene needs ('alpha', 'beta')")
        if not np.isfinite(values).any():
            raise ValueError(f"{variable} has no finite value; there is nothing to draw")
        checked.append((axes, values))
    transform = Transform.of(np.concatenate([values.ravel() for _, values in checked]), log=scale == "log")
    return [
        Grid(*axes, values, transform.heights(values), transform, variable, _units(surface))
        for surface, (axes, values) in zip(surfaces, checked, strict=True)
    ]


def _units(surface: xr.Dataset) -> tuple[str, str]:
    alpha, beta = (str(surface[axis].attrs.get("units", "")) for axis in ("alpha", "beta"))
    return alpha, beta


@dataclass(frozen=True)
class Frame:
    """The box in the surface's own units, which scenes that are compared have in common.

    `low` and `high` are heights; they bound the box and the colours. `clip` is `high` if something is higher and
    is cut to a flat plateau there, otherwise None.
    """

    alpha: tuple[float, float]
    beta: tuple[float, float]
    low: float
    high: float
    clip: float | None
    transform: Transform

    @classmethod
    def around(cls, grids: Sequence[Grid], clip: float | None = None, clim: tuple[float, float] | None = None) -> Frame:
        """Return the one box for all grids; `clip` and `clim` are values, as in `lossatlas.scenes.scene`."""
        transform = grids[0].transform
        heights = np.concatenate([grid.heights[grid.finite] for grid in grids])
        values = np.concatenate([grid.values[grid.finite] for grid in grids])
        low, high = limits(values, transform, variable=grids[0].name, clip=clip, clim=clim)
        top = heights.max()
        if clip is None and clim is None:
            ceiling = low + 4 * (np.median(heights) - low)
            high = ceiling if low < ceiling < top else high
        alpha, beta = (
            (float(min(points[0] for points in axis)), float(max(points[-1] for points in axis)))
            for axis in ([grid.alphas for grid in grids], [grid.betas for grid in grids])
        )
        return cls(alpha, beta, float(low), float(high), float(high) if top > high else None, transform)

    @property
    def scale(self) -> str:
        """The scale of the height: "log", "linear" or "symlog"."""
        return self.transform.kind

    def switched(self) -> Frame | None:
        """Return the box of the same values with the height on the other scale, linear or logarithmic.

        None if the height is linear and the lowest value has no logarithm.
        """
        low, high = self.level(self.low), self.level(self.high)
        if self.scale == "linear" and low <= 0:
            return None
        other = replace(self.transform, kind="log" if self.scale == "linear" else "linear")
        ends = other.height(low), other.height(high)
        return replace(self, low=ends[0], high=ends[1], clip=None if self.clip is None else ends[1], transform=other)

    def level(self, height: float) -> float:
        """Return the value (a loss, say) at a height."""
        return self.transform.value(height)

    def share(self, heights: np.ndarray) -> np.ndarray:
        """Return heights as shares of the box, those outside moved to its floor or ceiling."""
        return np.clip((heights - self.low) / (self.high - self.low), 0, 1)

    def to_box(self, alpha: np.ndarray, beta: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Return points (n, 3) of the box; heights outside the box are moved to its floor or ceiling."""
        sides = [
            (np.ravel(values) - low) / (high - low) - 0.5
            for values, (low, high) in ((alpha, self.alpha), (beta, self.beta))
        ]
        return np.stack([*sides, BOX_HEIGHT * self.share(np.ravel(height))], axis=1)


@dataclass(frozen=True)
class FineSurface:
    """A surface on a finer grid: heights (n_alpha, n_beta), and which of its cells lie in a hole."""

    alphas: np.ndarray
    betas: np.ndarray
    heights: np.ndarray
    holes: np.ndarray


def refine(grid: Grid, frame: Frame, resolution: int) -> FineSurface:
    """Return the surface on about `resolution` points a side, interpolated in the height that is drawn.

    Heights above the clip are kept up to twice the height of the box, so that the border of the plateau runs
    where the surface crosses it. No height leaves the range of the grid's own.
    """
    alphas, betas = (_refine_axis(points, resolution) for points in (grid.alphas, grid.betas))
    nodes = np.where(grid.finite, np.clip(grid.heights, frame.low, 2 * frame.high - frame.low), np.nan)
    heights = interpolator((grid.alphas, grid.betas), nodes)(*np.meshgrid(alphas, betas, indexing="ij"))
    inside = [
        np.searchsorted(coarse, (fine[1:] + fine[:-1]) / 2) - 1
        for coarse, fine in ((grid.alphas, alphas), (grid.betas, betas))
    ]
    holes = touching(~grid.finite)[np.ix_(*inside)]
    return FineSurface(alphas, betas, fill_holes(heights), holes)  # what fills holes gives slopes to their borders


def _refine_axis(points: np.ndarray, resolution: int) -> np.ndarray:
    """Return about `resolution` points, the given ones among them unless there are more than that already."""
    cells = len(points) - 1
    if cells >= resolution:
        return np.linspace(points[0], points[-1], resolution)
    times = max(1, round((resolution - 1) / cells))
    return np.interp(np.arange(cells * times + 1) / times, np.arange(cells + 1), points)


def touching(points: np.ndarray) -> np.ndarray:
    """Return which cells (n-1, m-1) have one of the marked points (n, m) at a corner."""
    return points[1:, 1:] | points[:-1, 1:] | points[1:, :-1] | points[:-1, :-1]
