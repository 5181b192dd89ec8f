"""Directions of planes under a training path: its two main directions, as stored, and random ones of length 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch

from lossatlas import vectors
from lossatlas.directions import pca_plane, random_direction
from lossatlas.vectors import Params

if TYPE_CHECKING:
    from lossatlas.study.conditions import Condition
    from lossatlas.study.study import Study


def random_units(origin: Params, seed: int) -> Iterable[Params]:
    """Yield Gaussian directions over the weights, one after another, each of length 1; biases do not move."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        drawn = random_direction(origin, generator=generator, normalize=None)
        yield vectors.scale(1 / vectors.norm(drawn), drawn)


def main_directions(study: Study, condition: Condition, seed: int, checkpoints: Sequence[Params] = ()) -> list[Params]:
    """Return the two directions of the PCA plane of a path, as stored.

    The network is trained once more if they are not stored. They are kept, and used, in half precision, which tilts
    them by less than a thousandth.
    """

    def compute() -> Params:
        plane = pca_plane(checkpoints or cpu_checkpoints(study.train(condition, seed).checkpoints))
        pairs = zip(("delta", "eta"), plane.directions, strict=True)
        return {f"{role}.{name}": t.half() for role, d in pairs for name, t in d.items() if t.dim() >= 2}

    kept = study.tensors("pca-plane", condition, seed, compute=compute)
    zero = vectors.zeros_like(study.params(condition, seed))
    return [
        {
            name: kept[f"{role}.{name}"].to(tensor) if f"{role}.{name}" in kept else tensor
            for name, tensor in zero.items()
        }
        for role in ("delta", "eta")
    ]


def cpu_checkpoints(checkpoints: Sequence[Params]) -> list[Params]:
    """Return the checkpoints with every tensor on the CPU."""
    return [{name: tensor.cpu() for name, tensor in point.items()} for point in checkpoints]
