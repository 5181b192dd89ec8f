"""Meshes made small for a page: rounded numbers, triangle strips, lines as thin tubes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyvista as pv


def rounded(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Rounded to multiples of 2^-bits, which changes nothing to be seen and halves a file."""
    return (np.round(np.asarray(numbers, dtype=float) * 2**bits) / 2**bits).astype(np.float32)


def as_strips(mesh: pv.PolyData) -> pv.PolyData:
    """The same shape and points as triangle strips, which take a third of the space; those of a flat mesh are longest.

    Of the point data, `height` stays.
    """
    import pyvista as pv

    bare = pv.PolyData(mesh.points, faces=mesh.triangulate().faces)
    if "height" in mesh.point_data:
        bare.point_data["height"] = mesh["height"]
    return bare.strip()


def tube(lines: pv.PolyData, *, radius: float, sides: int) -> pv.PolyData:
    """Lines as thin tubes: a viewer on a page draws bare lines one pixel thin, however sharp the screen.

    Points without which a line moves by less than a third of a pixel are left out.
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
