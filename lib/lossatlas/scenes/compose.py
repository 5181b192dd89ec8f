"""Shaded scenes of a surface in 3-D, one alone or several to be compared."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lossatlas.figures import page
from lossatlas.figures.attachments import Attachment
from lossatlas.figures.joining import numbered, tree_words
from lossatlas.figures.page import Bundle
from lossatlas.geometry.trees import main_tree
from lossatlas.scenes import captions, trees, web
from lossatlas.scenes.checks import check_integer, check_path, check_text, check_titled
from lossatlas.scenes.drawn import Drawn, on_a_page
from lossatlas.scenes.frame import FineSurface, Frame, Grid, grids_of, refine
from lossatlas.scenes.paraview import write
from lossatlas.scenes.parts import OTHER_WALLS, WALLS, contour_levels, legible_contours, surface_parts, walls
from lossatlas.scenes.renderer import Label
from lossatlas.scenes.trajectories import PathOnSurface, path_parts

READINGS = ("loss", "accuracy")  # read out at a point, beside what is drawn


@dataclass(frozen=True, kw_only=True)
class Scene(Drawn):
    """A surface in 3-D: on a page as the value of a cell, in a window through `.plotter(off_screen=False).show()`."""

    grid: Grid = field(repr=False)
    clipped: float  # share of the grid's points that lie above the clip
    other_ticks: tuple[Label, ...] = field(repr=False)  # of the height on the other scale, log or linear
    levels: tuple[float, ...] = field(repr=False)  # of the contour lines, as shares of the box
    values: Mapping[str, np.ndarray] = field(repr=False)  # (n_alpha, n_beta): to be read out at its points
    path: PathOnSurface | None = field(default=None, repr=False)  # if a page can walk along it

    def files(self) -> list[Attachment]:
        """Return the files offered below the scene: its numbers as NetCDF, and the surface for ParaView."""
        with tempfile.TemporaryDirectory() as folder:
            vts = write(self.data["surface"], self.grid, self.frame, Path(folder, "surface.vts")).read_bytes()
        (numbers,) = super().files()
        return [numbers, Attachment(f"{Path(numbers.name).stem}.vts", "ParaView (VTK)", vts)]

    def readings(self) -> Bundle:
        """Return the values that a page reads out at the points of the grid."""
        return web.readings(self.grid.alphas, self.grid.betas, self.values)

    def around(self) -> Bundle:
        """Return what stands around the scene on a page: `about`, `labels` and `bar`."""
        frame, other = self.frame, self.frame.switched()
        scales = [frame.scale, *([other.scale] if other else [])]
        labels = web.placed_labels([self.labels, self.other_ticks][: len(scales)], scales)
        bar = web.colour_bar(labels, name=captions.bar_name(self.grid.name, frame), clipped=self.clipped > 0)
        about = web.about(frame, self.parts, scales=scales, levels=self.levels, path=self.path)
        return {"about": about, "labels": labels, "bar": bar}


class SceneRow(tuple[Scene, ...]):
    """Scenes beside each other on a page."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return page.render(on_a_page(self, row=True))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return page.mimebundle(on_a_page(self, row=True))


def scene(
    surface: xr.Dataset,
    *,
    variable: str = "loss",
    height: str = "log",
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
    contours: int = 12,
    path: xr.Dataset | None = None,
    minima: int = 0,
    title: str | None = None,
    alt: str | None = None,
    resolution: int = 101,
) -> Scene:
    """Return a surface over (alpha, beta) as a shaded scene: red is high, blue is low.

    Points that are not finite are cut out with the cells around them. Between the grid's points the surface is
    interpolated in the height that is drawn.

    Parameters
    ----------
    surface : xarray.Dataset
        With a variable over alpha and beta.
    variable : str
        The variable that is the height.
    height : str
        "log" (log10 of the value) or "linear". A surface with values at or below zero has no logarithm: it gets a
        symmetric logarithm or a linear height, and its caption and colour bar say so.
    clip : float, optional
        The value above which the surface is cut to a grey plateau. By default heights are cut at four times the
        median height, both counted from the lowest: a paraboloid stays whole, and high walls do not flatten the rest.
    clim : tuple of float, optional
        The values at the floor and the ceiling of the box, instead of the surface's own range and `clip`.
    contours : int
        The number of contour lines; fewer are drawn on a rough surface.
    path : xarray.Dataset, optional
        A trajectory, drawn on the surface: alpha and beta over step. A page can follow it step by step if all of it
        lies on the grid.
    minima : int
        How many minima of the merge tree are marked at most, the most persistent first, with the saddles at which
        their basins join and the paths between them (see :func:`lossatlas.geometry.merge_tree`).
    title, alt : str, optional
        The title, and the scene in words for readers who do not see it (by default made from its numbers).
    resolution : int
        About so many points a side are drawn.

    Raises
    ------
    ValueError
        For a surface that cannot be drawn, and for arguments that do not fit it.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> axis = np.linspace(-1, 1, 11)
    >>> losses = 0.1 + axis[:, None] ** 2 + axis**2
    >>> bowl = xr.Dataset({"loss": (("alpha", "beta"), losses)}, {"alpha": axis, "beta": axis})
    >>> scene(bowl, title="A bowl", contours=6).caption
    'Height: log₁₀ of the loss, from 0.1 to 2.1, with 6 contour lines at equal steps.'
    """
    contours, resolution = (
        check_integer("contours", contours, least=0),
        check_integer("resolution", resolution, least=2),
    )
    check_integer("minima", minima, least=0)
    check_text("title", title)
    check_text("alt", alt)
    if path is not None:
        check_path(path)
    (grid,) = grids_of([surface], variable, height)
    frame = Frame.around([grid], clip, clim)
    fine = refine(grid, frame, resolution)
    contours = legible_contours([fine], frame, contours)
    return _scene(surface, grid, frame, fine, contours, path, title, alt, minima)


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
    """Return scenes side by side, one for each titled surface, with one box, clip, colour scale and camera.

    Parameters
    ----------
    surfaces : mapping of str to xarray.Dataset
        The surfaces by their titles.
    paths : mapping of str to xarray.Dataset, optional
        Trajectories by the titles of their surfaces.
    variable, height, clip, clim, contours, resolution
        As for `scene`, for all surfaces together.

    Raises
    ------
    ValueError
        For surfaces that cannot be drawn, and for arguments that do not fit them.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> axis = np.linspace(-1, 1, 11)
    >>> losses = 0.1 + axis[:, None] ** 2 + axis**2
    >>> bowl = xr.Dataset({"loss": (("alpha", "beta"), losses)}, {"alpha": axis, "beta": axis})
    >>> row = compare({"low": bowl, "high": 10 * bowl})
    >>> [one.title for one in row], row[0].frame == row[1].frame
    (['low', 'high'], True)
    """
    contours, resolution = (
        check_integer("contours", contours, least=0),
        check_integer("resolution", resolution, least=2),
    )
    surfaces = check_titled("surfaces", surfaces, what="surface")
    if not surfaces:
        raise ValueError("surfaces is empty; expected at least one titled surface")
    trajectories = check_titled("paths", {} if paths is None else paths, what="trajectory")
    if unknown := set(trajectories) - set(surfaces):
        raise ValueError(f"paths has titles {sorted(unknown)} without a surface; expected some of {list(surfaces)}")
    for title, path in trajectories.items():
        check_path(path, f"paths[{title!r}]")
    grids = grids_of(list(surfaces.values()), variable, height)
    frame = Frame.around(grids, clip, clim)
    fine = [refine(grid, frame, resolution) for grid in grids]
    contours = legible_contours(fine, frame, contours)
    return SceneRow(
        _scene(surface, grid, frame, finer, contours, trajectories.get(title), title, None)
        for (title, surface), grid, finer in zip(surfaces.items(), grids, fine, strict=True)
    )


def _scene(
    surface: xr.Dataset,
    grid: Grid,
    frame: Frame,
    fine: FineSurface,
    contours: int,
    path: xr.Dataset | None,
    title: str | None,
    alt: str | None,
    minima: int = 0,
) -> Scene:
    labels = captions.labels(grid, frame)
    parts = surface_parts(fine, frame, contours=contours, name=grid.name)
    steps, outside, on_surface = 0, 0, None
    if path is not None:
        drawn, on_surface, outside = path_parts(fine, frame, path)
        parts += drawn
        steps = path["alpha"].size
    caption = captions.caption(grid, frame, contours=contours, steps=steps, outside=outside)
    described = alt or captions.alt(surface, grid, frame, title)
    if minima:
        tree = main_tree(surface, minima, variable=grid.name)
        parts += trees.tree_parts(fine, frame, surface, tree, grid.name)
        caption += f" {trees.words(tree)}"
        described += "" if alt else f" Merge tree: {tree_words(tree, numbered(tree))}"
    other = frame.switched()
    other_ticks = captions.height_ticks(other) if other else []
    ticks = {axis: [x.at for x in labels if x.axis == axis and not x.name] for axis in "xyz"}
    parts.append(walls(ticks, role=WALLS))
    if other:
        hidden = ticks | {"z": [x.at for x in other_ticks]}
        parts.append(walls(hidden, role=OTHER_WALLS, opacity=0.0))
    names = dict.fromkeys((grid.name, *(name for name in READINGS if name in surface)))
    both = {name: surface[name] for name in names if set(surface[name].dims) == {"alpha", "beta"}}
    return Scene(
        title=title or "",
        alt=described,
        caption=caption,
        frame=frame,
        grid=grid,
        clipped=captions.share_above(grid, frame),
        parts=tuple(parts),
        labels=tuple(labels),
        other_ticks=tuple(other_ticks),
        levels=tuple((contour_levels(frame, contours) - frame.low) / (frame.high - frame.low)),
        values={name: np.asarray(values.transpose("alpha", "beta"), dtype=float) for name, values in both.items()},
        path=on_surface,
        data={"surface": surface} if path is None else {"surface": surface, "path": path},
    )
