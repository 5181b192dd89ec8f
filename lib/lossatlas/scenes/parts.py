"""The parts of a scene: the shaded surface, its plateau, its contour lines, and the walls of the box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lossatlas.scenes.frame import FineSurface, Frame
from lossatlas.scenes.meshes import as_strips, rounded, tube
from lossatlas.scenes.renderer import BOX_HEIGHT, CLIPPED, COLOURS, Part

if TYPE_CHECKING:
    import pyvista as pv

SHADED = {"ambient": 0.36, "diffuse": 0.72, "specular": 0.15, "specular_power": 15}
SURFACE, CONTOURS, WALLS, OTHER_WALLS = "surface", "contours", "walls", "other walls"  # roles of parts
LINES = 28.0  # the greatest length of all contour lines on a surface, in sides of the box: more of them hide it


def faces(shape: tuple[int, ...]) -> np.ndarray:
    """Return the cells of a grid as point numbers (cells, 4), anticlockwise seen from above; C order."""
    number = np.arange(shape[0] * shape[1]).reshape(shape)
    corners = [number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]]
    return np.stack(corners, axis=-1).reshape(-1, 4)


def surface_parts(fine: FineSurface, frame: Frame, *, contours: int, name: str) -> list[Part]:
    """Return the shaded surface, the plateau if it is clipped, and the contour lines on it.

    Raises
    ------
    ValueError
        If holes cover all of it.
    """
    import matplotlib
    import pyvista as pv

    if fine.holes.all():
        raise ValueError(f"no cell of the grid has a finite {name} at all its corners; nothing to draw")
    heights = fine.heights
    x, y = np.meshgrid(fine.alphas, fine.betas, indexing="ij")
    slopes = np.gradient(
        BOX_HEIGHT * heights / (frame.high - frame.low),
        fine.alphas / (frame.alpha[1] - frame.alpha[0]),
        fine.betas / (frame.beta[1] - frame.beta[0]),
    )
    normals = np.stack([-slopes[0], -slopes[1], np.ones_like(heights)], axis=-1).reshape(-1, 3)
    points = frame.to_box(x, y, np.full(heights.shape, frame.low))
    sheet = pv.PolyData.from_regular_faces(points, faces(heights.shape)[~fine.holes.ravel()])
    sheet.point_data["height"] = heights.ravel()
    sheet.point_data["slope"] = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    levels = contour_levels(frame, contours)
    shown, parts = sheet, []
    if frame.clip is not None:
        shown, cut = sheet.clip_scalar(scalars="height", value=frame.clip, both=True)
        parts.append(Part(_raised(as_strips(cut), frame), {"color": CLIPPED} | SHADED))
        levels = np.append(levels, frame.clip)
    # A page computes the logarithm of linear heights: near the floor of the box it needs them finer.
    raised = _raised(as_strips(shown), frame, bits=18 if frame.scale == "linear" else 12)
    raised.point_data["colour"] = matplotlib.colormaps[COLOURS](raised.points[:, 2] / BOX_HEIGHT, bytes=True)[:, :3]
    raised.set_active_scalars("colour")
    raised.point_data.active_normals = rounded(shown["slope"], 6)
    parts.append(Part(raised, SHADED, SURFACE))
    levels = levels[(levels > heights.min()) & (levels < heights.max())]
    if len(levels):
        lines = _raised(sheet.contour(levels, scalars="height"), frame)
        parts.append(Part(tube(lines, radius=0.002, sides=3), {"color": "#1f1f1f", "lighting": False}, CONTOURS))
    return [part for part in parts if part.mesh.n_cells]


def legible_contours(surfaces: Sequence[FineSurface], frame: Frame, contours: int) -> int:
    """Return how many of ``contours`` levels fit on every surface before their lines hide a rough one.

    The lines of n levels at equal steps 1/(n + 1) of the height of the box are about (n + 1)·∫|∇h| long, by the
    coarea formula, where h is the height as a share of the box.
    """
    lengths = []
    for fine in surfaces:
        share, (rows, columns) = frame.share(fine.heights), fine.heights.shape
        slopes = np.gradient(share, np.linspace(0, 1, rows), np.linspace(0, 1, columns))
        lengths.append(np.where(fine.holes, 0, np.hypot(*slopes)[:-1, :-1]).mean())
    longest = max(lengths)
    return contours if (contours + 1) * longest <= LINES else max(1, int(LINES / longest) - 1)


def contour_levels(frame: Frame, contours: int) -> np.ndarray:
    """Return the heights of the contour lines, at equal steps between the floor and the ceiling of the box."""
    return np.linspace(frame.low, frame.high, contours + 2)[1:-1]


def walls(ticks: dict[str, list[float]], *, role: str, opacity: float = 0.4) -> Part:
    """Return the box: its edges and a line at every tick, drawn only on the walls behind the surface.

    The lines are thin strips that face outwards, and strips which face the viewer are not drawn. So the walls in
    front stay open, from wherever the camera looks and in every viewer.
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
    cells: np.ndarray = np.arange(len(points)).reshape(-1, 4)
    mesh = pv.PolyData.from_regular_faces(points, cells)
    mesh.points = rounded(points, 12)
    return Part(mesh, {"color": "#808080", "lighting": False, "opacity": opacity, "culling": "front"}, role)


def _raised(mesh: pv.PolyData, frame: Frame, *, bits: int = 12) -> pv.PolyData:
    """Lift a flat mesh to its point data `height`, which it loses with all others, and return it."""
    heights = rounded(BOX_HEIGHT * frame.share(mesh["height"]), bits)
    mesh.points = np.column_stack([rounded(mesh.points[:, :2], 12), heights])
    mesh.clear_point_data()
    return mesh
