"""Nested levels of samples: a few, eight times as many, and so on to all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lossatlas.evaluation.batches import BLOCK_SAMPLES, Batch, join, split, take
from lossatlas.evaluation.work import Work

FEWEST = 256  # samples of the lowest level
FACTOR = 8  # samples of a level over those of the level below
LEAST_FACTOR = 3  # the same for all samples over those of the level below
CLASSES = 256  # targets with more values than this are no classes


def sizes(samples: int) -> list[int]:
    """Return the numbers of samples of the levels.

    Examples
    --------
    >>> sizes(500), sizes(1000), sizes(10_000), sizes(50_000)
    ([500], [256, 1000], [256, 2048, 10000], [256, 2048, 16384, 50000])
    """
    found, size = [], FEWEST
    while LEAST_FACTOR * size <= samples:
        found.append(size)
        size *= FACTOR
    return [*found, samples]


def order(targets: Tensor, seed: int) -> Tensor:
    """Return a random order of samples, in which every first part has the classes in nearly the same shares.

    Targets with one value a sample are classes if they have few values. Otherwise the order is random.

    Examples
    --------
    >>> targets = torch.tensor([0] * 40 + [1] * 20)
    >>> targets[order(targets, 0)[:30]].bincount()
    tensor([20, 10])
    """
    generator = np.random.default_rng(seed)
    positions = generator.random(len(targets))
    if targets.numel() == len(targets):
        values, classes = torch.unique(targets.reshape(-1).cpu(), return_inverse=True)
        for number in range(len(values)) if len(values) <= min(CLASSES, len(targets) // 2) else ():
            members = generator.permutation(np.flatnonzero(classes.numpy() == number))
            positions[members] = (np.arange(len(members)) + positions[members]) / len(members)
    return torch.from_numpy(np.argsort(positions, kind="stable"))


def divided(work: Work, seed: int) -> Work:
    """Return the work with its samples in levels, in an order that a seed decides; as it is if there is one level."""
    wanted = sizes(work.samples)
    if len(wanted) == 1:
        return work
    whole = join(list(work.blocks))
    chosen = order(whole[1], seed)
    blocks: list[Batch] = []
    levels, start = [], 0
    for stop in wanted:
        added = list(split(_taken(whole, chosen[start:stop].to(whole[1].device)), BLOCK_SAMPLES))
        levels.append(slice(len(blocks), len(blocks) + len(added)))
        blocks, start = blocks + added, stop
    return replace(work, blocks=blocks, levels=tuple(levels))


def _taken(batch: Batch, part: Tensor) -> Batch:
    """Return some samples of a batch; targets that are the inputs stay so."""
    inputs, targets = batch
    some = take(inputs, part)
    return some, (some if targets is inputs else targets[part])
