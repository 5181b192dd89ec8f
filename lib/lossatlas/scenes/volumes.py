"""A surface over three directions in 3-D: isosurfaces and slices of a volume.

The box is that of the other scenes; gamma runs along its height, and colours are those of the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

from lossatlas._text import listed, number
from lossatlas.figures.colour_scale import Transform
from lossatlas.figures.page import Bundle
from lossatlas.geometry import grid_values
from lossatlas.scenes import captions, web
from lossatlas.scenes.checks import check_integer, check_text
from lossatlas.scenes.drawn import Drawn
from lossatlas.scenes.frame import SCALES, Frame, Grid, touching
from lossatlas.scenes.meshes import as_strips, rounded
from lossatlas.scenes.parts import SHADED, WALLS, contour_levels, faces, walls
from lossatlas.scenes.renderer import BOX_HEIGHT, COLOURS, Label, Part

if TYPE_CHECKING:
    import pyvista as pv

ISOSURFACE, SLICE = "isosurface", "slice"  # roles of the parts
POINTS = 11_000  # of all isosurfaces together, so that a page stays small
SIDE = 41  # points along a side of a slice
OPACITY = 0.32


@dataclass(frozen=True, kw_only=True)
class Volume(Drawn):
    """A volume in 3-D: on a page as the value of a cell, in a window through `.plotter(off_screen=False).show()`."""

    name: str

    def around(self) -> Bundle:
        """Return what stands around the volume on a page: `about`, `labels` and `bar`."""
        frame = self.frame
        ticks = web.placed_labels([captions.height_ticks(frame)], [frame.scale])
        bar = web.colour_bar(
            [tick | {"scale": None} for tick in ticks],
            name=captions.bar_name(self.name, frame),
            clipped=False,
        )
        about = web.about(frame, self.parts, scales=[frame.scale], levels=[], path=None)
        return {"about": about, "labels": web.placed_labels([self.labels], [frame.scale]), "bar": bar}


def volume(
    surface: xr.Dataset,
    *,
    variable: str = "loss",
    scale: str = "log",
    levels: int = 3,
    slices: bool = True,
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
    title: str | None = None,
    alt: str | None = None,
) -> Volume:
    """Return a surface over (alpha, beta, gamma) as isosurfaces and slices: red is high, blue is low.

    Points that are not finite are cut out with the cells around them. Isosurfaces run where the volume, interpolated
    linearly on its scale, has the level.

    Parameters
    ----------
    surface : xarray.Dataset
        With a variable over alpha, beta and gamma.
    variable : str
        The variable to draw.
    scale : str
        "log" or "linear", of colours and levels. Values at or below zero have no logarithm: as for :func:`scene`.
    levels : int
        How many isosurfaces are drawn, at equal steps of the scale.
    slices : bool
        Whether the planes α = 0, β = 0 and γ = 0 are drawn (through the middle of an axis that does not hold 0).
    clip, clim
        As for :func:`scene`; values beyond the ends have the colours of the ends.
    title, alt : str, optional
        The title, and the volume in words (by default made from its numbers).

    Returns
    -------
    Volume

    Raises
    ------
    ValueError
        For a surface that cannot be drawn, and for arguments that do not fit it.

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 9)
    >>> losses = 1 + axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    >>> names = ("alpha", "beta", "gamma")
    >>> bowl = xr.Dataset({"loss": (names, losses)}, dict.fromkeys(names, axis))
    >>> volume(bowl, scale="linear", levels=2).caption
    'Isosurfaces of the loss at 2 and 3. Slices at α = 0, β = 0 and γ = 0. Colours on a linear scale from 1 to 4.'
    """
    check_integer("levels", levels, least=0)
    check_text("title", title)
    check_text("alt", alt)
    if not isinstance(slices, bool):
        raise ValueError(f"slices={slices!r}; expected True or False")
    if scale not in SCALES:
        raise ValueError(f"scale={scale!r}; expected one of {list(SCALES)}")
    if not (levels or slices):
        raise ValueError("levels=0 without slices; expected at least one isosurface, or slices=True")
    axes, values = grid_values(surface, variable)
    if len(axes) != 3:
        raise ValueError(f"{variable} has dimensions {surface[variable].dims}; a volume needs alpha, beta and gamma")
    if not np.isfinite(values).any():
        raise ValueError(f"{variable} has no finite value; there is nothing to draw")
    transform = Transform.of(values.ravel(), log=scale == "log")
    grid = Grid(axes[0], axes[1], values, transform.heights(values), transform, variable, ("", ""))
    frame = Frame.around([grid], clip, clim)
    box = [(axis - axis[0]) / np.ptp(axis) - 0.5 for axis in axes[:2]]
    box.append(BOX_HEIGHT * (axes[2] - axes[2][0]) / np.ptp(axes[2]))
    isosurfaces, coarse = _isosurfaces(box, grid.heights, contour_levels(frame, levels), frame)
    parts = list(isosurfaces.values())
    at = [0.0 if axis[0] <= 0 <= axis[-1] else float(axis[[0, -1]].mean()) for axis in axes]
    if slices:
        places = [float(np.interp(one, axis, side)) for one, axis, side in zip(at, axes, box, strict=True)]
        parts += [_slice(box, grid.heights, across, place, frame) for across, place in enumerate(places)]
    parts = [part for part in parts if part.mesh.n_cells]
    if not parts:
        raise ValueError(f"{variable}: no cell of the grid has finite values at all its corners; nothing to draw")
    labels = _labels(axes)
    ticks = {axis: [x.at for x in labels if x.axis == axis and not x.name] for axis in "xyz"}
    parts.append(walls(ticks, role=WALLS))
    words = _words(variable, frame, list(isosurfaces), coarse, at if slices else [])
    return Volume(
        title=title or "",
        alt=alt or f"{f'{title}. ' if title else ''}{_described(variable, axes, values)} {words}",
        caption=words,
        frame=frame,
        name=variable,
        parts=tuple(parts),
        labels=tuple(labels),
        data={"surface": surface},
    )


def _colours(heights: np.ndarray, frame: Frame) -> np.ndarray:
    from matplotlib import colormaps

    return np.asarray(colormaps[COLOURS](frame.share(heights), bytes=True))[..., :3]


def _isosurfaces(
    box: list[np.ndarray], heights: np.ndarray, levels: np.ndarray, frame: Frame
) -> tuple[dict[float, Part], int | None]:
    """Return the isosurfaces by their levels, the lowest first, together of at most `POINTS` points.

    If the grid gives more, they are drawn on fewer grid points a side; that number is the second value, else None.
    """
    import pyvista as pv

    sides, coarse = box, None
    found = _contours(box, heights, levels, frame)
    while sum(mesh.n_points for mesh in found) > POINTS:
        coarse = int(0.85 * max(len(side) for side in sides))
        sides = [np.linspace(side[0], side[-1], min(coarse, len(side))) for side in box]
        values = RegularGridInterpolator(box, heights)(np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1))
        found = _contours(sides, values, levels, frame)
    parts = {}
    for mesh, level in zip(found, levels, strict=True):
        if not mesh.n_cells:
            continue
        smooth = mesh.compute_normals(cell_normals=False, split_vertices=False)
        strips = as_strips(pv.PolyData(smooth.points, faces=smooth.faces))
        strips.point_data.active_normals = rounded(smooth.point_data["Normals"], 6)
        strips.points = rounded(strips.points, 12)
        colour = "#{:02x}{:02x}{:02x}".format(*_colours(np.array(level), frame))
        parts[frame.level(float(level))] = Part(strips, {"color": colour, "opacity": OPACITY} | SHADED, ISOSURFACE)
    return parts, coarse


def _contours(sides: list[np.ndarray], heights: np.ndarray, levels: np.ndarray, frame: Frame) -> list[pv.PolyData]:
    """Return a mesh of triangles for each level, in the cells that are finite at all corners."""
    import pyvista as pv

    finite = np.isfinite(heights)
    cells = pv.RectilinearGrid(*sides)
    cells.point_data["height"] = np.where(finite, heights, frame.low).ravel(order="F")
    whole = ~(touching(~finite)[..., 1:] | touching(~finite)[..., :-1])
    if not whole.any():
        return [pv.PolyData() for _ in levels]
    kept = cells if whole.all() else cells.extract_cells(whole.ravel(order="F"))
    found = [kept.contour([level], scalars="height", compute_normals=False) for level in levels]
    return [mesh.triangulate().clean() if mesh.n_cells else mesh for mesh in found]


def _slice(box: list[np.ndarray], heights: np.ndarray, across: int, place: float, frame: Frame) -> Part:
    """Return the plane at a place across an axis, coloured by what the volume has there."""
    import pyvista as pv

    sides = [np.linspace(axis[0], axis[-1], min(SIDE, 4 * (len(axis) - 1) + 1)) for axis in box]
    sides[across] = np.array([place])
    points = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).squeeze(across)
    inside = RegularGridInterpolator(box, heights)(points)  # NaN beside holes
    finite = np.isfinite(inside)
    cells = faces(inside.shape)[~touching(~finite).ravel()]
    sheet = as_strips(pv.PolyData.from_regular_faces(rounded(points.reshape(-1, 3), 12), cells))
    sheet.point_data["colour"] = _colours(np.where(finite, inside, frame.low), frame).reshape(-1, 3)
    sheet.set_active_scalars("colour")
    return Part(sheet, {"lighting": False}, SLICE)


def _labels(axes: tuple[np.ndarray, ...]) -> list[Label]:
    found = []
    for axis, letter, values in zip("xyz", "αβγ", axes, strict=True):
        low, high = float(values[0]), float(values[-1])
        for value in Transform("linear").round_heights(low, high, 5):
            share = (value - low) / (high - low)
            found.append(Label(number(value), axis, float(BOX_HEIGHT * share if axis == "z" else share - 0.5)))
        found.append(Label(letter, axis, BOX_HEIGHT + 0.07 if axis == "z" else 0.0, name=True))
    return found


def _words(name: str, frame: Frame, levels: list[float], coarse: int | None, at: list[float]) -> str:
    """Return what a reader must know to read the volume."""
    said = []
    if levels:
        kind = "Isosurface" if len(levels) == 1 else "Isosurfaces"
        said.append(f"{kind} of the {name} at {listed([number(level) for level in levels])}.")
    if coarse:
        said.append(f"They are drawn on {coarse} points a side.")
    if at:
        places = [f"{letter} = {number(one)}" for letter, one in zip("αβγ", at, strict=True)]
        said.append(f"Slices at {listed(places)}.")
    low, high = number(frame.level(frame.low)), number(frame.level(frame.high))
    beyond = "; higher values have its last colour" if frame.clip is not None else ""
    said.append(f"Colours on {captions.SCALES[frame.scale]} from {low} to {high}{beyond}.")
    return " ".join(said)


def _described(name: str, axes: tuple[np.ndarray, ...], values: np.ndarray) -> str:
    """Return the extremes of a volume in words."""

    def place(index: int) -> str:
        at = np.unravel_index(index, values.shape)
        return ", ".join(f"{n} = {number(axis[i])}" for n, axis, i in zip("αβγ", axes, at, strict=True))

    known = np.where(np.isfinite(values), values, np.nan)
    low, high = int(np.nanargmin(known)), int(np.nanargmax(known))
    size = " × ".join(str(axis.size) for axis in axes)
    missing = int(np.isnan(known).sum())
    holes = f" {missing} point{' is' if missing == 1 else 's are'} not finite." if missing else ""
    return (
        f"Volume of the {name} over α, β and γ ({size} points): lowest {number(values.flat[low])} at {place(low)}, "
        f"highest {number(values.flat[high])} at {place(high)}.{holes}"
    )
