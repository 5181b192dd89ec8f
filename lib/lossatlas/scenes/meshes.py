"""Meshes made small for a page: rounded numbers, triangle strips, lines as thin tubes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyvista as pv


def rounded(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Return numbers rounded to multiples of 2^-bits, which no eye can see and which halves a file."""
    return (np.round(np.asarray(numbers, dtype=float) * 2**bits) / 2**bits).astype(np.float32)


def as_strips(mesh: pv.PolyData) -> pv.PolyData:
    """Return the same shape and points as triangle strips, which take a third of the space; `height` stays.

    The strips of a flat mesh are the longest.
    """
    import pyvista as pv

    bare = pv.PolyData(mesh.points, faces=mesh.triangulate().faces)
    if "height" in mesh.point_data:
        bare.point_data["height"] = mesh["height"]
    return bare.strip()


def tube(lines: pv.PolyData, *, radius: float, sides: int) -> pv.PolyData:
    """Return lines as thin tubes: a viewer on a page draws bare lines one pixel thin, however sharp the screen.

    Points are left out if a line moves by less than a third of a pixel without them.
    """
    import pyvista as pv
    from vtkmodules.vtkFiltersCore import vtkDecimatePolylineFilter

    lines = lines.clean(tolerance=0.005, absolute=True) if lines.n_lines else lines
    tubes = pv.PolyData()
    if lines.n_lines:
        thin = vtkDecimatePolylineFilter()
        thin.SetInputData(lines.strip(join=True))
        thin.SetTargetReduction(0.99)
        thin.SetMaximumError(4e-7)  # a square, in lengths of the box
        thin.Update()
        drawn = pv.wrap(thin.GetOutput()).tube(radius=radius, n_sides=sides)
        tubes = pv.PolyData(rounded(drawn.points, 12), strips=drawn.strips)
    return tubes
