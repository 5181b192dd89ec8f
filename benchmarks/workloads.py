"""The five networks, their data and their grids that the engine is measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lossatlas as la
from limits import Needed, needed
from lossatlas.directions import Plane
from lossatlas.networks import losses

STEPS = 150  # of Adam, so that the surface is that of a network which has learned something
BATCH = 64


@dataclass(frozen=True)
class Workload:
    """What is measured: a network on samples of a dataset, and ``points`` along each side of the grid.

    The network is trained for ``steps`` steps.
    """

    title: str
    dataset: str
    points: int
    samples: int | None  # of the test split; None: all rows of both splits
    build: Callable[[la.Dataset], nn.Module]
    options: dict | None = None  # of the dataset
    steps: int = STEPS


class Residual(nn.Module):
    """Two 3×3 convolutions with batch normalization; the input, subsampled where it must be, is added."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm2(self.second(F.relu(self.norm1(self.first(x)))))
        short = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(hidden + short)


def resnet_20(data: la.Dataset) -> nn.Module:
    """ResNet-20 for images of 32×32 (He et al. 2016, section 4.2), shortcuts without weights."""
    stages = [(16, 16, 1), (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1)]
    stages += [(32, 64, 2), (64, 64, 1), (64, 64, 1)]
    return nn.Sequential(
        nn.Conv2d(data.train[0].shape[1], 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        *(Residual(*stage) for stage in stages),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, len(data.classes)),
    )


WORKLOADS = {
    "a": Workload(
        "model 7, seismic-bumps, all rows", "seismic-bumps", 101, None, lambda d: la.build_model("feedforward-4", d)
    ),
    "b": Workload("model 3, MNIST, 10,000 images", "mnist", 41, 10_000, lambda d: la.build_model("feedforward-16", d)),
    "c": Workload("model 1, CIFAR-10, 1,000 images", "cifar10", 31, 1_000, lambda d: la.build_model("cnn-1", d)),
    "d": Workload(
        "model 5, Shakespeare, 1,000 sequences of 45",
        "shakespeare",
        31,
        1_000,
        lambda d: la.build_model("rnn", d, hidden=140),
        {"sequence_length": 45},
    ),
    "e": Workload("ResNet-20 with batch norm, CIFAR-10, 500 images", "cifar10", 23, 500, resnet_20),
}


@dataclass(frozen=True)
class Case:
    """A workload made ready: everything that each contender is given."""

    model: nn.Module
    plane: Plane
    data: tuple[Tensor, Tensor]
    loss: str
    grid: np.ndarray
    needed: Needed  # at one point


def make(workload: Workload, *, points: int | None = None) -> Case:
    """Load, train for a moment, draw the plane. ``points``: another grid."""
    data = la.load_dataset(workload.dataset, **(workload.options or {}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = trained(workload.build(data), data, workload.steps)
    if workload.samples is None:
        samples = tuple(torch.cat(parts) for parts in zip(data.train, data.test, strict=True))
    else:
        samples = la.fixed_sample(data.test, workload.samples)
    plane = la.random_plane(model, seed=0)
    grid = np.linspace(-1, 1, points or workload.points)
    return Case(model, plane, samples, data.loss, grid, needed(model, plane, samples, data.loss))


def trained(model: nn.Module, data: la.Dataset, steps: int) -> nn.Module:
    """The model after a few steps of Adam, in eval mode."""
    score = losses.make_score(data.loss)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(steps):
        chosen = torch.randint(len(data.train[0]), (BATCH,))
        optimizer.zero_grad()
        score(model(data.train[0][chosen]), data.train[1][chosen])[0].mean().backward()
        optimizer.step()
    return model.eval().requires_grad_(False)
