"""What batch-normalization layers divide by: the checkpoint's statistics, the batch's, or new ones at every point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lossatlas.directions.subspaces import Subspace
from lossatlas.evaluation.batches import Batch, move, samples_in
from lossatlas.evaluation.runner import Runner

if TYPE_CHECKING:
    from lossatlas.evaluation.plain_loop import PlainLoop

BATCH_NORM = ("running", "batch", "recalibrate")


def layers_with_statistics(model: nn.Module) -> list[_BatchNorm]:
    """Return the batch-normalization layers that keep running statistics."""
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.running_mean is not None]


def check_batch_norm(model: nn.Module, batch_norm: str, statistics: object = None) -> None:
    """Raise ValueError for an unknown choice, or one that this model has no layer or no use for."""
    if batch_norm not in BATCH_NORM:
        raise ValueError(f"batch_norm={batch_norm!r}: expected one of {BATCH_NORM}")
    if batch_norm != "running" and not layers_with_statistics(model):
        raise ValueError(
            f"batch_norm={batch_norm!r}: {type(model).__name__} has no batch-norm layer with running statistics"
        )
    if statistics is not None and batch_norm != "recalibrate":
        raise ValueError(f"statistics: given with batch_norm={batch_norm!r}, expected only with 'recalibrate'")


def points_below_zero(plane: Subspace, coefficients: np.ndarray) -> int:
    """Return at how many points (n, d) a running variance that travels with the subspace is below zero.

    Statistics are interpolated between networks. Outside, they are extrapolated, and a variance below zero has no
    square root: the loss is NaN there.
    """
    below = np.zeros(len(coefficients), dtype=bool)
    for name, variance in plane.buffers.items():
        if plane.buffer_directions and name.rpartition(".")[2] == "running_var":
            steps = np.stack([given[name].double().cpu().numpy().ravel() for given in plane.buffer_directions])
            below |= ((coefficients @ steps + variance.double().cpu().numpy().ravel()) < 0).any(axis=1)
    return int(below.sum())


def use_batch_statistics(model: nn.Module) -> None:
    """Let go of the running statistics: a layer without any takes those of the batch, in eval mode too."""
    for layer in layers_with_statistics(model):
        layer.running_mean = layer.running_var = layer.num_batches_tracked = None
        layer.track_running_stats = False


@contextmanager
def estimating(layers: Sequence[_BatchNorm]) -> Iterator[None]:
    """Inside, every batch that passes adds to the layers' statistics, all batches with the same weight."""
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a cumulative average
        layer.train()
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()


def check_batches(loop: PlainLoop, data: Sequence[Batch]) -> None:
    """Raise ValueError if the smallest batch has too few samples for statistics of its own."""
    device = next(iter(loop.origin.values())).device
    batch = move(min(data, key=samples_in), device)
    loop.write([0.0] * len(loop.directions))
    try:
        with torch.no_grad(), estimating(layers_with_statistics(loop.model)):
            loop.call(batch)
    except (RuntimeError, ValueError) as error:
        raise loop.refused(batch, error) from error


def recalibrate(runner: Runner, batches: Sequence[Batch], point: Tensor) -> None:
    """Estimate the statistics of a runner's model anew at a point (1, d), by one pass over the batches."""
    with estimating(layers_with_statistics(runner.model)):
        for batch in batches:
            runner.prepare(*move(batch, point.device))
            runner.run(point)
