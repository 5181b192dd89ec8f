"""Shaded 3-D scenes of a surface: red is high, blue is low, contour lines on the surface, clipping shown."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lossatlas._files import written_whole
from lossatlas.figures import page
from lossatlas.figures.attachments import Attachment, data_file
from lossatlas.figures.page import Bundle
from lossatlas.figures.provenance import how_made
from lossatlas.scenes import captions, renderer, web
from lossatlas.scenes.frame import Frame, Grid, contour_levels, faces, legible_contours, surface_parts, touching, walls
from lossatlas.scenes.renderer import Label, Part
from lossatlas.scenes.trajectories import PathOnSurface, path_parts

if TYPE_CHECKING:
    import pyvista as pv

SUFFIXES = (".vtp", ".vts")
READINGS = ("loss", "accuracy")  # read out at a point, beside what is drawn


@dataclass(frozen=True)
class Scene:
    """A surface in 3-D: on a page as the value of a cell, in a window through `.plotter(off_screen=False).show()`."""

    title: str
    alt: str
    caption: str
    frame: Frame
    clipped: float  # share of the grid's points that lie above the clip
    parts: tuple[Part, ...] = field(repr=False)
    labels: tuple[Label, ...] = field(repr=False)
    other_ticks: tuple[Label, ...] = field(repr=False)  # of the height on the other scale, log or linear
    levels: tuple[float, ...] = field(repr=False)  # of the contour lines, as shares of the box
    axes: tuple[np.ndarray, np.ndarray] = field(repr=False)  # alphas and betas of the grid
    readings: Mapping[str, np.ndarray] = field(repr=False)  # (n_alpha, n_beta): values to be read out at its points
    path: PathOnSurface | None = field(default=None, repr=False)  # if a page can walk along it
    data: Mapping[str, xr.Dataset] = field(default_factory=dict, repr=False)  # the surface and the path
    export_options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of `export`, for the same heights

    def plotter(self, *, off_screen: bool = True) -> pv.Plotter:
        """Return a PyVista plotter with everything in it, to be changed, shown and saved.

        With `off_screen=False` its `.show()` opens a window, which needs a display.
        """
        return renderer.plotter(self.parts, self.labels, off_screen=off_screen)

    def screenshot(self) -> bytes:
        """Return the picture with its labels as PNG on a transparent background."""
        return renderer.still(self.parts, self.labels)

    def vtksz(self) -> bytes:
        """Return the scene for VTK.js viewers. The same scene gives the same bytes."""
        return web.vtksz(self.parts)

    def files(self) -> list[Attachment]:
        """Return the files offered below the scene: its numbers as NetCDF, and the surface for ParaView."""
        name = self.title or self.caption
        with tempfile.TemporaryDirectory() as folder:
            vts = export(self.data["surface"], Path(folder, "surface.vts"), **self.export_options).read_bytes()
        numbers = data_file({name: [one] for name, one in self.data.items()}, name=name)
        return [numbers, Attachment(f"{Path(numbers.name).stem}.vts", "ParaView (VTK)", vts)]

    def bundle(self) -> Bundle:
        """Return everything that a page needs to show the scene, as plain data (see `lossatlas.figures.page`)."""
        frame, (width, height) = self.frame, renderer.SIZE
        labels = web.placed_labels(self.labels, self.other_ticks, scale=frame.scale, other_scale=frame.other_scale)
        name = next(label.text for label in self.labels if label.axis == "z" and label.name)
        about = web.about(frame, self.parts, switchable=bool(self.other_ticks), levels=self.levels, path=self.path)
        shown: Bundle = {
            "title": self.title,
            "alt": self.alt,
            "caption": self.caption,
            "about": about,
            "labels": labels,
            "bar": web.colour_bar(labels, name=name, clipped=self.clipped > 0),
        }
        data, readings = self.vtksz(), web.readings(*self.axes, self.readings)
        identity = page.digest([shown, page.digest(data), readings])
        still = renderer.still(self.parts, media="WEBP")
        return {
            "id": identity,
            **shown,
            "still": page.asset(still, "image/webp", width=width, height=height),
            "script": page.asset(web.data_script(identity, data, readings), "text/javascript"),
            "files": [file.asset() for file in self.files()],
            "made": how_made(self.data.values()),
        }

    def _repr_html_(self) -> str:
        return page.render(_scenes([self]))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return page.mimebundle(_scenes([self]))


class SceneRow(tuple[Scene, ...]):
    """Scenes beside each other on a page."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return page.render(_scenes(self, row=True))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return page.mimebundle(_scenes(self, row=True))


def _scenes(shown: Sequence[Scene], *, row: bool = False) -> Bundle:
    """Return scenes as one bundle of a page."""
    return {"kind": "scenes", "row": row, "scenes": [one.bundle() for one in shown]}


def scene(
    surface: xr.Dataset,
    *,
    variable: str = "loss",
    height: str = "log",
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
    contours: int = 12,
    path: xr.Dataset | None = None,
    title: str | None = None,
    alt: str | None = None,
    resolution: int = 101,
) -> Scene:
    """A surface over (alpha, beta) as a shaded scene.

    `height` is "log" (log10 of the value; values at or below 0 stand at the lowest positive one) or "linear".
    What is above `clip` (a value, not a height) is cut to a grey plateau. Without `clip`, heights are cut at
    four times the median height, both counted from the lowest: a paraboloid stays whole, high walls do not
    flatten the rest. `clim`, two values, sets the box and the colours instead of the surface's own range;
    what lies outside is cut. Points that are not finite are cut out with the cells around them. Between the
    grid's points the surface is a cubic spline (:func:`lossatlas.geometry.interpolator`), on about `resolution`
    points a side; on a rough surface fewer than `contours` lines are drawn. `path` is a trajectory (variables
    alpha and beta over step), drawn on the surface; on a page it can be walked step by step where all of it
    lies on the grid.

    Raises ValueError for a surface that cannot be drawn and for arguments that do not fit it.
    """
    grid = Grid.of(surface, variable, height)
    frame = Frame.around([grid], clip, clim)
    contours = legible_contours([grid], frame, contours, resolution)
    return _scene(surface, grid, frame, contours, path, title, alt, resolution)


def compare(
    surfaces: Mapping[str, xr.Dataset],
    *,
    variable: str = "loss",
    height: str = "log",
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
    contours: int = 12,
    paths: Mapping[str, xr.Dataset] | None = None,
    resolution: int = 101,
) -> SceneRow:
    """Scenes side by side, one for each titled surface, with one box, clip, colour scale and camera.

    The arguments are those of `scene`; `paths` holds trajectories under the titles of their surfaces.
    """
    if not surfaces:
        raise ValueError("surfaces is empty; expected at least one titled surface")
    paths = paths or {}
    if unknown := set(paths) - set(surfaces):
        raise ValueError(f"paths has titles {sorted(unknown)} without a surface; expected some of {list(surfaces)}")
    grids = {title: Grid.of(surface, variable, height) for title, surface in surfaces.items()}
    frame = Frame.around(list(grids.values()), clip, clim)
    contours = legible_contours(list(grids.values()), frame, contours, resolution)
    return SceneRow(
        _scene(surfaces[title], grid, frame, contours, paths.get(title), title, None, resolution)
        for title, grid in grids.items()
    )


def export(
    surface: xr.Dataset,
    path: Path | str,
    *,
    variable: str = "loss",
    height: str = "log",
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
) -> Path:
    """Write a surface for ParaView: `.vts` (a structured grid) or `.vtp` (polygons), by the suffix of `path`.

    Points are the surface's own, x = alpha, y = beta, z = height, cut as in `scene`. Point data: `height`
    before the cut, `clipped` (1 where it was cut), and every variable of the surface over (alpha, beta).
    Points that are not finite are left out with the cells around them (`.vtp`) or hidden (`.vts`).
    """
    import pyvista as pv

    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"path={str(path)!r} has suffix {path.suffix!r}; expected one of {', '.join(SUFFIXES)}")
    grid = Grid.of(surface, variable, height)
    frame = Frame.around([grid], clip, clim)
    x, y = np.meshgrid(grid.alphas, grid.betas, indexing="ij")
    finite = np.isfinite(grid.heights)
    z = np.clip(np.where(finite, grid.heights, frame.low), frame.low, frame.high)
    mesh: pv.PolyData | pv.StructuredGrid = pv.StructuredGrid(x, y, z)
    order = "F"  # VTK counts points along alpha first
    if path.suffix == ".vtp":
        order = "C"
        points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
        mesh = pv.PolyData.from_regular_faces(points, faces(z.shape)[~touching(~finite).ravel()])
    else:
        mesh.hide_points(~finite.ravel(order="F"))
    mesh.point_data["height"] = grid.heights.ravel(order)
    mesh.point_data["clipped"] = (finite & (grid.heights > frame.high)).astype(np.uint8).ravel(order)
    for name, values in surface.data_vars.items():
        if set(values.dims) == {"alpha", "beta"}:
            mesh.point_data[name] = values.transpose("alpha", "beta").to_numpy().ravel(order)
    mesh.set_active_scalars("height")
    with written_whole(path) as temporary:
        mesh.save(temporary)
    return path


def _scene(
    surface: xr.Dataset,
    grid: Grid,
    frame: Frame,
    contours: int,
    path: xr.Dataset | None,
    title: str | None,
    alt: str | None,
    resolution: int,
) -> Scene:
    labels = captions.labels(grid, frame)
    parts = surface_parts(grid, frame, contours=contours, resolution=resolution)
    steps, outside, on_surface = 0, 0, None
    if path is not None:
        if missing := {"alpha", "beta"} - set(path.variables):
            raise ValueError(f"path has no {' and no '.join(sorted(missing))}; it has {list(path.variables)}")
        drawn, on_surface, outside = path_parts(grid, frame, path, resolution=resolution)
        parts += drawn
        steps = path["alpha"].size
    other = frame.switched()
    other_ticks = captions.heights(other) if other else []
    ticks = {axis: [x.at for x in labels if x.axis == axis and not x.name] for axis in "xyz"}
    parts.append(walls(ticks, role="walls"))
    if other_ticks:
        hidden = ticks | {"z": [x.at for x in other_ticks]}
        parts.append(walls(hidden, role="other walls", opacity=0.0))
    names = dict.fromkeys((grid.name, *(name for name in READINGS if name in surface)))
    both = {name: surface[name] for name in names if set(surface[name].dims) == {"alpha", "beta"}}
    return Scene(
        title=title or "",
        alt=alt or captions.alt(surface, grid, frame, title),
        caption=captions.caption(grid, frame, contours=contours, steps=steps, outside=outside),
        frame=frame,
        clipped=captions.above(grid, frame),
        parts=tuple(parts),
        labels=tuple(labels),
        other_ticks=tuple(other_ticks),
        levels=tuple((contour_levels(frame, contours) - frame.low) / (frame.high - frame.low)),
        axes=(grid.alphas, grid.betas),
        readings={name: np.asarray(values.transpose("alpha", "beta"), dtype=float) for name, values in both.items()},
        path=on_surface,
        data={"surface": surface} if path is None else {"surface": surface, "path": path},
        export_options={
            "variable": grid.name,
            "height": "log" if frame.log else "linear",
            "clim": (frame.level(frame.low), frame.level(frame.high)),
        },
    )
