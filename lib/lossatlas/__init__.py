"""Loss landscapes of neural networks: directions, surfaces, and what they mean."""

from lossatlas.datasets.load import DATASETS, Dataset, DatasetUnavailable, fixed_sample, load_dataset
from lossatlas.directions.subspaces import (
    Line,
    Plane,
    line_between,
    pca_plane,
    plane_from_directions,
    random_line,
    random_plane,
    weight_layers,
)
from lossatlas.directions.trajectory import project
from lossatlas.evaluation.surface import evaluate
from lossatlas.networks.models import MODELS, build_model
from lossatlas.networks.training import Recipe, Run, fit

__all__ = [
    "DATASETS",
    "MODELS",
    "Dataset",
    "DatasetUnavailable",
    "Line",
    "Plane",
    "Recipe",
    "Run",
    "build_model",
    "evaluate",
    "fit",
    "fixed_sample",
    "line_between",
    "load_dataset",
    "pca_plane",
    "plane_from_directions",
    "project",
    "random_line",
    "random_plane",
    "weight_layers",
]
