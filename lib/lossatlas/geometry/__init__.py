"""What shape a surface has, in numbers."""

from lossatlas.geometry.convexity import nonconvex_share
from lossatlas.geometry.curve_types import curve_type
from lossatlas.geometry.diagrams import diagram_distance, surface_distance
from lossatlas.geometry.grid import DIMENSIONS, Grid, axis_names, grid_values, interpolate, reduce
from lossatlas.geometry.interpolation import fill_holes, interpolator
from lossatlas.geometry.null_model import random_phases, significance
from lossatlas.geometry.radial import rays, steepest_share
from lossatlas.geometry.records import Measure
from lossatlas.geometry.registry import MEASURES, measures, quantity, spoken
from lossatlas.geometry.rounding import rounding
from lossatlas.geometry.shape import anisotropy, asymmetry, basin_area, origin_value, roughness, sharpness
from lossatlas.geometry.stacking import stack
from lossatlas.geometry.topology import barrier, minima, persistence, sublevel_components
from lossatlas.geometry.trees import merge_tree, tree_paths

__all__ = [
    "DIMENSIONS",
    "MEASURES",
    "Grid",
    "Measure",
    "anisotropy",
    "asymmetry",
    "axis_names",
    "barrier",
    "basin_area",
    "curve_type",
    "diagram_distance",
    "fill_holes",
    "grid_values",
    "interpolate",
    "interpolator",
    "measures",
    "merge_tree",
    "minima",
    "nonconvex_share",
    "origin_value",
    "persistence",
    "quantity",
    "random_phases",
    "rays",
    "reduce",
    "roughness",
    "rounding",
    "sharpness",
    "significance",
    "spoken",
    "stack",
    "steepest_share",
    "sublevel_components",
    "surface_distance",
    "tree_paths",
]
