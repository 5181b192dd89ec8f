"""Loss landscapes of neural networks: directions, surfaces, and what they mean.

Names are imported when they are first used, so that reading a stored surface does not load PyTorch. Every Dataset of
a surface has the methods of `lossatlas.accessor.Landscape` under `.landscape`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import lossatlas.accessor  # noqa: F401  (registers `Dataset.landscape`)
from lossatlas._version import __version__  # noqa: F401

if TYPE_CHECKING:
    from lossatlas.curvature import hessian_plane
    from lossatlas.datasets import DATASETS, Dataset, DatasetUnavailable, fixed_sample, load_dataset
    from lossatlas.directions import (
        Axis,
        Box,
        Curve,
        Line,
        Plane,
        Subspace,
        line_between,
        pca_plane,
        plane_from_directions,
        plane_through,
        project,
        random_box,
        random_line,
        random_plane,
        weight_layers,
    )
    from lossatlas.evaluation import evaluate
    from lossatlas.networks import MODELS, PRETRAINED, Recipe, Run, build_model, fit, load_pretrained

_HOMES = {
    "curvature": ("hessian_plane",),
    "datasets": ("DATASETS", "Dataset", "DatasetUnavailable", "fixed_sample", "load_dataset"),
    "directions": (
        "Axis",
        "Box",
        "Curve",
        "Line",
        "Plane",
        "Subspace",
        "line_between",
        "pca_plane",
        "plane_from_directions",
        "plane_through",
        "project",
        "random_box",
        "random_line",
        "random_plane",
        "weight_layers",
    ),
    "evaluation": ("evaluate",),
    "networks": ("MODELS", "PRETRAINED", "Recipe", "Run", "build_model", "fit", "load_pretrained"),
}
_HOME = {name: package for package, names in _HOMES.items() for name in names}

__all__ = [
    "DATASETS",
    "MODELS",
    "PRETRAINED",
    "Axis",
    "Box",
    "Curve",
    "Dataset",
    "DatasetUnavailable",
    "Line",
    "Plane",
    "Recipe",
    "Run",
    "Subspace",
    "build_model",
    "evaluate",
    "fit",
    "fixed_sample",
    "hessian_plane",
    "line_between",
    "load_dataset",
    "load_pretrained",
    "pca_plane",
    "plane_from_directions",
    "plane_through",
    "project",
    "random_box",
    "random_line",
    "random_plane",
    "weight_layers",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
