"""A training path on a surface: a tube just above it, a ball at its end, and the place of every step.

The rings of the tube follow the path, so that a viewer can draw it up to a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

from lossatlas.scenes.frame import FineSurface, Frame
from lossatlas.scenes.meshes import as_strips, rounded
from lossatlas.scenes.parts import SHADED
from lossatlas.scenes.renderer import Part

if TYPE_CHECKING:
    import pyvista as pv

COLOUR = "#ffd21f"
RINGS = 8  # from one step to the next, so that the tube follows the surface
SIDES = 8
RADIUS, BALL_RADIUS = 0.005, 0.014
LIFT = 0.006  # above the surface
TUBE, END = "path", "end of the path"  # roles of the parts


@dataclass(frozen=True)
class PathOnSurface:
    """The steps of a path that lies on the grid from beginning to end.

    `points` (steps, 3) are places in the box; `values` holds the epoch of each step, or its number, as `unit` says.
    """

    points: np.ndarray
    unit: str
    values: tuple[float, ...]


def path_parts(fine: FineSurface, frame: Frame, path: xr.Dataset) -> tuple[list[Part], PathOnSurface | None, int]:
    """Return the parts of a path, its steps in the box, and the number of steps that lie off the grid.

    The steps are None if the path leaves the grid or stands still.
    """
    steps = np.stack([np.asarray(path[axis], dtype=float) for axis in ("alpha", "beta")], axis=1)
    height = RegularGridInterpolator((fine.alphas, fine.betas), fine.heights, bounds_error=False)
    between = np.arange((len(steps) - 1) * RINGS + 1) / RINGS
    dense = np.stack([np.interp(between, np.arange(len(steps)), axis) for axis in steps.T], axis=1)
    above = height(dense)
    inside = np.isfinite(above)
    points = frame.to_box(dense[:, 0], dense[:, 1], np.where(inside, above, frame.low)) + np.array([0, 0, LIFT])
    runs = np.split(np.arange(len(points)), np.flatnonzero(np.diff(inside)) + 1)
    parts = [tube(points[run]) for run in runs if inside[run[0]] and len(run) > 1 and np.ptp(points[run], axis=0).any()]
    on_surface = None
    if parts and inside.all():
        unit = "epoch" if "epoch" in path.variables else "step"
        values = path[unit].to_numpy() if unit in path.variables else np.arange(len(steps))
        on_surface = PathOnSurface(points[::RINGS], unit, tuple(float(value) for value in values))
    if inside[-1]:
        parts.append(Part(_ball(points[-1]), {"color": COLOUR} | SHADED, END))
    return parts, on_surface, int((~inside[::RINGS]).sum())


def _ball(centre: np.ndarray) -> pv.PolyData:
    import pyvista as pv

    mesh = as_strips(pv.Sphere(radius=BALL_RADIUS, center=centre))
    mesh.points = rounded(mesh.points, 12)
    return mesh


def tube(points: np.ndarray, *, colour: str = COLOUR, role: str = TUBE) -> Part:
    """Return a tube along a line of points (n, 3): a ring around each, joined lengthwise by one strip a side."""
    import pyvista as pv

    forward = np.gradient(points, axis=0)
    lengths = np.linalg.norm(forward, axis=1)
    known = np.flatnonzero(lengths)
    # A point at which the line stands still takes the direction of the nearest point at which it moves.
    forward = forward[known[np.argmin(abs(np.arange(len(points))[:, None] - known), axis=1)]]
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    side = np.cross(forward[0], np.eye(3)[np.argmin(abs(forward[0]))])
    sides = []
    for direction in forward:  # carried along without turning around the line
        side = side - (side @ direction) * direction
        if np.linalg.norm(side) < 1e-6:
            side = np.cross(direction, np.eye(3)[np.argmin(abs(direction))])
        side = side / np.linalg.norm(side)
        sides.append(side)
    across = np.stack([sides, np.cross(forward, sides)], axis=1)
    angles = np.arange(SIDES) * 2 * np.pi / SIDES
    rings = points[:, None] + RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1) @ across
    numbers = np.arange(len(points) * SIDES).reshape(-1, SIDES)
    along = [np.stack([numbers[:, k], numbers[:, k - 1]], axis=1).ravel() for k in range(SIDES)]
    cells = np.concatenate([np.append(len(one), one) for one in along])
    mesh = pv.PolyData(rounded(rings.reshape(-1, 3), 12), strips=cells)
    return Part(mesh, {"color": colour, "lighting": False}, role)
