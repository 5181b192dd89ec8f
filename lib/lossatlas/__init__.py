"""Loss landscapes of neural networks: directions, surfaces, and what they mean."""

from lossatlas.directions import (
    Line,
    Plane,
    line_between,
    pca_plane,
    plane_from_directions,
    random_line,
    random_plane,
    weight_layers,
)
from lossatlas.surface import evaluate
from lossatlas.trajectory import project

__all__ = [
    "Line",
    "Plane",
    "evaluate",
    "line_between",
    "pca_plane",
    "plane_from_directions",
    "project",
    "random_line",
    "random_plane",
    "weight_layers",
]
