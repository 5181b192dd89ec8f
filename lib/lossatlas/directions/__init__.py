"""Where to look: lines and planes through weight space."""

from lossatlas.directions.subspaces import (
    Line,
    Plane,
    line_between,
    normalize_direction,
    pca_plane,
    plane_from_directions,
    random_direction,
    random_line,
    random_plane,
    weight_layers,
)
from lossatlas.directions.svd import reconstruction_errors, smallest_errors, svd_by_eigenvectors
from lossatlas.directions.trajectory import (
    dot_products,
    effective_dimensions,
    project,
    random_walk,
    random_walk_shares,
)

__all__ = [
    "Line",
    "Plane",
    "dot_products",
    "effective_dimensions",
    "line_between",
    "normalize_direction",
    "pca_plane",
    "plane_from_directions",
    "project",
    "random_direction",
    "random_line",
    "random_plane",
    "random_walk",
    "random_walk_shares",
    "reconstruction_errors",
    "smallest_errors",
    "svd_by_eigenvectors",
    "weight_layers",
]
