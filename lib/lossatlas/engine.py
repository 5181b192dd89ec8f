"""Many weight settings of one network, evaluated on the same data.

The engine knows points of weight space only as coefficients along directions. The points are worked off in
chunks, each by one call of :func:`sums`. It goes through the data in blocks (outermost, so that a block stays
in the processor's cache) and through the points inside a block, in one of several ways that a short
measurement on the first block chooses between:

- *loop*: one point at a time, as a user would write it; always possible, and the reference that every
  other way is checked against before it is used;
- *batched*: several points in one pass (``torch.func.vmap``), which spares small networks the cost of
  calling each operation;
- *cached*: a layer whose input does not move with the weights has an output that is affine in the
  coefficients, ``W(α)x = Wx + α·Δx``, so that one product a direction serves the whole grid. It combines
  with both ways above. Images may also be held channels-last, which pooling on a CPU likes far better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lossatlas.batches import Batch, move, split
from lossatlas.runner import Runner, Strategy, Sweep
from lossatlas.tuning import choose

CHUNK_SECONDS = 5.0  # what a chunk of points is to take: what an interrupted run may lose
CHUNK_POINTS = 16  # a chunk has at least so many (what is prepared for it is to be shared), …
LONGEST_CHUNK = 30.0  # … unless they take longer than this many seconds


def tuned(sweep: Sweep, blocks: Sequence[Batch], coefficients: Tensor) -> tuple[Runner, float]:
    """The fastest runner found for these data and points (n, d), and the seconds that one point takes it."""
    with torch.no_grad():
        inputs, targets = move(blocks[0], coefficients.device)
        runner, seconds = choose(sweep, inputs, targets, coefficients)
    return runner, seconds * sum(len(targets) for _, targets in blocks)


def sums(
    runner: Runner, blocks: Sequence[Batch], coefficients: Tensor, advance: Callable[[int], object] = lambda n: None
) -> Tensor:
    """Sums of loss and of correct predictions over all the data at points (n, d): float64 (2, n).

    ``correct`` is NaN where nothing can be right or wrong; ``advance(k)`` is called after every k sample
    evaluations. The bits at a point do not depend on the others in its chunk, as long as chunks begin where
    :func:`chunks` lets them.
    """
    total = torch.zeros((2, len(coefficients)), dtype=torch.float64, device=coefficients.device)
    with torch.no_grad():
        for block in blocks:
            for inputs, targets in split(move(block, coefficients.device), runner.strategy.samples):
                runner.prepare(inputs, targets)
                loss, correct = runner.run(coefficients, advance)
                total[0] += loss
                total[1] += correct
    return total


def chunks(points: int, row: int, strategy: Strategy, seconds: float) -> list[slice]:
    """Points of a grid in chunks of about ``CHUNK_SECONDS``, where one takes ``seconds``.

    Rows (of ``row`` points) stay whole where they are short enough, and so do groups of points that share a
    pass; what comes after the last whole row (θ* itself) joins the last chunk.
    """
    wanted = max(1, int(CHUNK_SECONDS / max(seconds, 1e-12)))
    if wanted < CHUNK_POINTS:
        wanted = max(wanted, min(CHUNK_POINTS, int(LONGEST_CHUNK / seconds)))
    grid = points // row * row
    if strategy.points > 1:
        starts = range(0, grid, math.ceil(wanted / strategy.points) * strategy.points)
    elif wanted >= row:
        starts = range(0, grid, wanted // row * row)
    else:
        part = math.ceil(row / math.ceil(row / wanted))
        starts = [first + within for first in range(0, grid, row) for within in range(0, row, part)]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], points], strict=True)]
