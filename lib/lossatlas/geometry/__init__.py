"""What shape a surface has, in numbers."""

from lossatlas.geometry.grid import grid_values, interpolate, interpolator
from lossatlas.geometry.radial import rays, steepest_share
from lossatlas.geometry.shape import (
    MEASURES,
    anisotropy,
    barrier,
    basin_area,
    measures,
    minima,
    nonconvex_share,
    origin_value,
    persistence,
    roughness,
    rounding,
    sharpness,
    sublevel_components,
)

__all__ = [
    "MEASURES",
    "anisotropy",
    "barrier",
    "basin_area",
    "grid_values",
    "interpolate",
    "interpolator",
    "measures",
    "minima",
    "nonconvex_share",
    "origin_value",
    "persistence",
    "rays",
    "roughness",
    "rounding",
    "sharpness",
    "steepest_share",
    "sublevel_components",
]
