"""From a surface to meshes in a box: heights, clipping, interpolation, contour lines, the walls.

The box is that of `lossatlas.scenes.renderer`: alpha and beta from -1/2 to 1/2, the height from 0 to `BOX_HEIGHT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from lossatlas.geometry import fill_holes, grid_values, interpolator
from lossatlas.scenes.meshes import as_strips, rounded, tube
from lossatlas.scenes.renderer import BOX_HEIGHT, CLIPPED, COLOURS, Part

if TYPE_CHECKING:
    import pyvista as pv

SHADED = {"ambient": 0.36, "diffuse": 0.72, "specular": 0.15, "specular_power": 15}
HEIGHTS = ("log", "linear")
SURFACE, CONTOURS = "surface", "contours"  # roles of parts
LINES = 28.0  # sides of the box that all contour lines on a surface are long at most: more of them hide it


@dataclass(frozen=True)
class Grid:
    """A surface's points: `values` and `heights` are (n_alpha, n_beta), NaN and infinities among them."""

    alphas: np.ndarray
    betas: np.ndarray
    values: np.ndarray
    heights: np.ndarray
    log: bool
    name: str
    units: tuple[str, str]

    @classmethod
    def of(cls, surface: xr.Dataset, variable: str, height: str) -> Grid:
        """Checked and turned into heights; raises ValueError for what cannot be drawn."""
        if height not in HEIGHTS:
            raise ValueError(f"height={height!r}; expected one of {list(HEIGHTS)}")
        axes, values = grid_values(surface, variable)
        if len(axes) != 2:
            raise ValueError(f"{variable} has dimensions {surface[variable].dims}; a scene needs ('alpha', 'beta')")
        finite = values[np.isfinite(values)]
        if not finite.size:
            raise ValueError(f"{variable} has no finite value; there is nothing to draw")
        heights = values
        if height == "log":
            if not (finite > 0).any():
                raise ValueError(f"{variable} has no positive value; expected height='linear' for it")
            lowest = finite[finite > 0].min()
            heights = np.where(np.isfinite(values), np.log10(np.maximum(values, lowest)), values)
        units = tuple(str(surface[axis].attrs.get("units", "")) for axis in ("alpha", "beta"))
        return cls(*axes, values, heights, height == "log", variable, units)

    @property
    def finite(self) -> np.ndarray:
        return np.isfinite(self.heights)


@dataclass(frozen=True)
class Frame:
    """What scenes have in common that are to be compared: the box in the surface's own units.

    `low` and `high` are heights (log10 of the values where `log`); they bound the box and the colours. `clip`
    is `high` where something is higher and is cut to a flat plateau there, otherwise None.
    """

    alpha: tuple[float, float]
    beta: tuple[float, float]
    low: float
    high: float
    clip: float | None
    log: bool

    @classmethod
    def around(cls, grids: Sequence[Grid], clip: float | None = None, clim: tuple[float, float] | None = None) -> Frame:
        """The one box for all grids; `clip` and `clim` are values, as in `lossatlas.scenes.scene`."""
        log = grids[0].log
        heights = np.concatenate([grid.heights[grid.finite] for grid in grids])
        low, top = heights.min(), heights.max()
        if clim is not None:
            if clip is not None:
                raise ValueError(f"clip={clip} beside clim={clim}; expected one of them: clim cuts at its upper end")
            low, high = (_height(level, log, f"clim={clim}") for level in clim)
            if low >= high:
                raise ValueError(f"clim={clim}; expected (lowest, highest), the first below the second")
        elif clip is not None:
            high = min(top, _height(clip, log, f"clip={clip}"))
            if high <= low < top:
                raise ValueError(f"clip={clip}; expected more than the lowest value, {10**low if log else low:.4g}")
        else:
            ceiling = low + 4 * (np.median(heights) - low)
            high = ceiling if low < ceiling < top else top
        if high <= low:  # a flat surface: any box holds it
            high = low + 1.0
        spans = [
            (float(min(points[0] for points in axis)), float(max(points[-1] for points in axis)))
            for axis in ([grid.alphas for grid in grids], [grid.betas for grid in grids])
        ]
        return cls(*spans, float(low), float(high), float(high) if top > high else None, log)

    @property
    def scale(self) -> str:
        return "log" if self.log else "linear"

    @property
    def other_scale(self) -> str:
        return "linear" if self.log else "log"

    def switched(self) -> Frame | None:
        """The box of the same values at the other height; None where the lowest value has no logarithm."""
        if not self.log and self.low <= 0:
            return None
        low, high = (10.0**self.low, 10.0**self.high) if self.log else np.log10([self.low, self.high]).tolist()
        return replace(self, low=low, high=high, clip=None if self.clip is None else high, log=not self.log)

    def level(self, height: float) -> float:
        """The value (a loss, say) at a height."""
        return 10.0**height if self.log else height

    def to_box(self, alpha: np.ndarray, beta: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Points (n, 3) of the box; heights outside the box are moved to its floor or ceiling."""
        sides = [
            (np.ravel(values) - low) / (high - low) - 0.5
            for values, (low, high) in ((alpha, self.alpha), (beta, self.beta))
        ]
        share = (np.ravel(height) - self.low) / (self.high - self.low)
        return np.stack([*sides, BOX_HEIGHT * np.clip(share, 0, 1)], axis=1)


def _height(level: float, log: bool, said: str) -> float:
    if not np.isfinite(level) or (log and level <= 0):
        raise ValueError(f"{said}; expected a finite{' positive' if log else ''} number")
    return float(np.log10(level)) if log else float(level)


def refine(points: np.ndarray, resolution: int) -> np.ndarray:
    """About `resolution` points, the given ones among them (unless there are more than that already)."""
    cells = len(points) - 1
    if cells >= resolution:
        return np.linspace(points[0], points[-1], resolution)
    times = max(1, round((resolution - 1) / cells))
    return np.interp(np.arange(cells * times + 1) / times, np.arange(cells + 1), points)


def interpolate(grid: Grid, frame: Frame, resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A finer surface: alphas, betas, heights, and which of its cells lie in a hole.

    Heights above the clip are kept up to twice the frame's height, so that the plateau's border runs where
    the surface crosses it. No height leaves the range of the grid's own.
    """
    if resolution < 2:
        raise ValueError(f"resolution={resolution}; expected at least 2")
    alphas, betas = refine(grid.alphas, resolution), refine(grid.betas, resolution)
    nodes = np.where(grid.finite, np.clip(grid.heights, frame.low, 2 * frame.high - frame.low), np.nan)
    heights = interpolator((grid.alphas, grid.betas), nodes)(*np.meshgrid(alphas, betas, indexing="ij"))
    heights = fill_holes(heights)  # drawn nowhere: it gives slopes to the borders of the holes
    inside = [
        np.searchsorted(coarse, (fine[1:] + fine[:-1]) / 2) - 1
        for coarse, fine in ((grid.alphas, alphas), (grid.betas, betas))
    ]
    return alphas, betas, heights, touching(~grid.finite)[np.ix_(*inside)]


def touching(points: np.ndarray) -> np.ndarray:
    """Which cells (n-1, m-1) have one of the marked points (n, m) at a corner."""
    return points[1:, 1:] | points[:-1, 1:] | points[1:, :-1] | points[:-1, :-1]


def faces(shape: tuple[int, int]) -> np.ndarray:
    """The cells of a grid as point numbers (cells, 4), anticlockwise seen from above; C order."""
    number = np.arange(shape[0] * shape[1]).reshape(shape)
    corners = [number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]]
    return np.stack(corners, axis=-1).reshape(-1, 4)


def surface_parts(grid: Grid, frame: Frame, *, contours: int, resolution: int) -> list[Part]:
    """The shaded surface, the plateau where it is clipped, and the contour lines on it."""
    import matplotlib
    import pyvista as pv

    if contours < 0:
        raise ValueError(f"contours={contours}; expected 0 or more")
    alphas, betas, heights, holes = interpolate(grid, frame, resolution)
    if holes.all():
        raise ValueError(f"no cell of the grid has a finite {grid.name} at all its corners; nothing to draw")
    x, y = np.meshgrid(alphas, betas, indexing="ij")
    steep = np.gradient(
        BOX_HEIGHT * heights / (frame.high - frame.low),
        alphas / (frame.alpha[1] - frame.alpha[0]),
        betas / (frame.beta[1] - frame.beta[0]),
    )
    normals = np.stack([-steep[0], -steep[1], np.ones_like(heights)], axis=-1).reshape(-1, 3)
    points = frame.to_box(x, y, np.full(heights.shape, frame.low))
    sheet = pv.PolyData.from_regular_faces(points, faces(heights.shape)[~holes.ravel()])
    sheet.point_data["height"] = heights.ravel()
    sheet.point_data["slope"] = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    levels = contour_levels(frame, contours)
    shown, parts = sheet, []
    if frame.clip is not None:
        shown, cut = sheet.clip_scalar(scalars="height", value=frame.clip, both=True)
        parts.append(Part(_raised(as_strips(cut), frame), {"color": CLIPPED} | SHADED))
        levels = np.append(levels, frame.clip)
    # A page computes the logarithm of linear heights: near the floor of the box it needs them finer.
    raised = _raised(as_strips(shown), frame, bits=12 if frame.log else 18)
    raised.point_data["colour"] = matplotlib.colormaps[COLOURS](raised.points[:, 2] / BOX_HEIGHT, bytes=True)[:, :3]
    raised.set_active_scalars("colour")
    raised.point_data.active_normals = rounded(shown["slope"], 6)
    parts.append(Part(raised, SHADED, SURFACE))
    levels = levels[(levels > heights.min()) & (levels < heights.max())]
    if len(levels):
        lines = _raised(sheet.contour(levels, scalars="height"), frame)
        parts.append(Part(tube(lines, radius=0.002, sides=3), {"color": "#1f1f1f", "lighting": False}, CONTOURS))
    return [part for part in parts if part.mesh.n_cells]


def legible_contours(grids: Sequence[Grid], frame: Frame, contours: int, resolution: int) -> int:
    """How many of ``contours`` levels can be drawn on every grid before their lines crowd a rough surface.

    The lines of n levels at equal steps 1/(n + 1) of the box's height are about (n + 1)·∫|∇h| long, by the coarea
    formula, where h is the height as a share of the box.
    """
    lengths = []
    for grid in grids:
        alphas, betas, heights, holes = interpolate(grid, frame, resolution)
        share = np.clip((heights - frame.low) / (frame.high - frame.low), 0, 1)
        slopes = np.gradient(share, np.linspace(0, 1, len(alphas)), np.linspace(0, 1, len(betas)))
        lengths.append(np.where(holes, 0, np.hypot(*slopes)[:-1, :-1]).mean())
    longest = max(lengths)
    return contours if (contours + 1) * longest <= LINES else max(1, int(LINES / longest) - 1)


def contour_levels(frame: Frame, contours: int) -> np.ndarray:
    """The heights of the contour lines, at equal steps between the floor and the ceiling of the box."""
    return np.linspace(frame.low, frame.high, contours + 2)[1:-1]


def walls(ticks: dict[str, list[float]], *, role: str, opacity: float = 0.4) -> Part:
    """The box: its edges and a line at every tick, drawn on the walls behind the surface only.

    The lines are thin strips that face outwards, and strips which face the viewer are not drawn; so the walls
    in front stay open from wherever one looks, in every viewer.
    """
    import pyvista as pv

    ends = [(-0.5, 0.5), (-0.5, 0.5), (0.0, BOX_HEIGHT)]
    strips = []
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        for side in (0, 1):
            for along, across in ((i, j), (j, i)):
                for at in (*ends[across], *ticks["xyz"[across]]):
                    half = 0.0026 if at in ends[across] else 0.0018
                    strip = np.empty((4, 3))
                    strip[:, k] = ends[k][side] + (0.002 if side else -0.002)
                    strip[:, along] = np.array(ends[along])[[0, 1, 1, 0]]
                    strip[:, across] = at + half * np.array([-1, -1, 1, 1])
                    # Anticlockwise as seen from outside.
                    strips.append(strip if (along == i) == (side == 1) else strip[::-1])
    points = np.concatenate(strips)
    mesh = pv.PolyData.from_regular_faces(points, np.arange(len(points)).reshape(-1, 4))
    mesh.points = rounded(points, 12)
    return Part(mesh, {"color": "#808080", "lighting": False, "opacity": opacity, "culling": "front"}, role)


def _raised(mesh: pv.PolyData, frame: Frame, *, bits: int = 12) -> pv.PolyData:
    """A flat mesh lifted to its point data `height`, which it loses with all others."""
    share = (mesh["height"] - frame.low) / (frame.high - frame.low)
    heights = rounded(BOX_HEIGHT * np.clip(share, 0, 1), bits)
    mesh.points = np.column_stack([rounded(mesh.points[:, :2], 12), heights])
    mesh.clear_point_data()
    return mesh
