"""Where to look: subspaces of weight space and the directions that span them."""

from lossatlas.directions.curves import Curve
from lossatlas.directions.gaussian import (
    random_box,
    random_direction,
    random_line,
    random_plane,
)
from lossatlas.directions.interpolation import line_between, plane_through
from lossatlas.directions.moving import weight_layers
from lossatlas.directions.random_walk import random_walk, random_walk_shares
from lossatlas.directions.scaling import normalize_direction, relative_length
from lossatlas.directions.subspaces import Axis, Box, Line, Plane, Subspace, plane_from_directions
from lossatlas.directions.svd import reconstruction_errors, smallest_errors, svd_by_eigenvectors
from lossatlas.directions.trajectory import (
    dot_products,
    effective_dimensions,
    pca_plane,
    project,
)

__all__ = [
    "Axis",
    "Box",
    "Curve",
    "Line",
    "Plane",
    "Subspace",
    "dot_products",
    "effective_dimensions",
    "line_between",
    "normalize_direction",
    "pca_plane",
    "plane_from_directions",
    "plane_through",
    "project",
    "random_box",
    "random_direction",
    "random_line",
    "random_plane",
    "random_walk",
    "random_walk_shares",
    "reconstruction_errors",
    "relative_length",
    "smallest_errors",
    "svd_by_eigenvectors",
    "weight_layers",
]
