"""Surfaces as files for ParaView."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from lossatlas._files import written_whole
from lossatlas.scenes.frame import Frame, Grid, grids_of, touching
from lossatlas.scenes.parts import faces

if TYPE_CHECKING:
    import pyvista as pv

SUFFIXES = (".vtp", ".vts")


def export(
    surface: xr.Dataset,
    path: Path | str,
    *,
    variable: str = "loss",
    height: str = "log",
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
) -> Path:
    """Write a surface for ParaView, and return the path of the file.

    Points are the surface's own, x = alpha, y = beta, z = height, cut as in `scene`. Point data: `height`
    before the cut, `clipped` (1 for points that were cut), and every variable of the surface over (alpha, beta).
    Points that are not finite are left out with the cells around them (`.vtp`) or hidden (`.vts`).

    Parameters
    ----------
    surface : xarray.Dataset
        With a variable over alpha and beta.
    path : path
        The file, with the suffix `.vts` (a structured grid) or `.vtp` (polygons).
    variable, height, clip, clim
        As for `scene`.

    Raises
    ------
    ValueError
        For a surface that cannot be drawn, for another suffix, and for arguments that do not fit the surface.

    Examples
    --------
    >>> import numpy as np, tempfile, xarray as xr
    >>> axis = np.linspace(-1, 1, 11)
    >>> losses = 0.1 + axis[:, None] ** 2 + axis**2
    >>> bowl = xr.Dataset({"loss": (("alpha", "beta"), losses)}, {"alpha": axis, "beta": axis})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(bowl, f"{folder}/bowl.vts").name
    'bowl.vts'
    """
    if not isinstance(path, str | Path) or Path(path).suffix not in SUFFIXES:
        given = str(path) if isinstance(path, Path) else path
        raise ValueError(f"path={given!r}; expected a file with one of the suffixes {', '.join(SUFFIXES)}")
    (grid,) = grids_of([surface], variable, height)
    return write(surface, grid, Frame.around([grid], clip, clim), Path(path))


def write(surface: xr.Dataset, grid: Grid, frame: Frame, path: Path) -> Path:
    """Write a surface with the heights of a grid, cut to the box of a frame."""
    import pyvista as pv

    x, y = np.meshgrid(grid.alphas, grid.betas, indexing="ij")
    z = np.clip(np.where(grid.finite, grid.heights, frame.low), frame.low, frame.high)
    mesh: pv.PolyData | pv.StructuredGrid = pv.StructuredGrid(x, y, z)
    order: Literal["C", "F"] = "F"  # VTK counts points along alpha first
    if path.suffix == ".vtp":
        order = "C"
        points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
        mesh = pv.PolyData.from_regular_faces(points, faces(z.shape)[~touching(~grid.finite).ravel()])
    else:
        mesh.hide_points(~grid.finite.ravel(order="F"))
    mesh.point_data["height"] = grid.heights.ravel(order)
    mesh.point_data["clipped"] = (grid.finite & (grid.heights > frame.high)).astype(np.uint8).ravel(order)
    for name, values in surface.data_vars.items():
        if set(values.dims) == {"alpha", "beta"}:
            mesh.point_data[str(name)] = values.transpose("alpha", "beta").to_numpy().ravel(order)
    mesh.set_active_scalars("height")
    with written_whole(path) as temporary:
        mesh.save(temporary)
    return path
