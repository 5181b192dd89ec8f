"""Many weight settings of one network, evaluated on the same data.

The engine knows points of weight space only as coefficients along directions. It goes through the data
in blocks (outermost, so that a block stays in the processor's cache) and through the points inside a
block, in one of several ways that a short measurement on the first block chooses between:

- *loop*: one point at a time, as a user would write it; always possible, and the reference that every
  other way is checked against before it is used;
- *batched*: several points in one pass (``torch.func.vmap``), which spares small networks the cost of
  calling each operation;
- *cached*: a layer whose input does not move with the weights has an output that is affine in the
  coefficients, ``W(α)x = Wx + α·Δx``, so that one product a direction serves the whole grid. It combines
  with both ways above. Images may also be held channels-last, which pooling on a CPU likes far better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lossatlas.runner import Strategy, Sweep
from lossatlas.tuning import choose

BLOCK_SAMPLES = 8192  # samples held at a time, and the largest pass


@dataclass(frozen=True)
class Sums:
    """Sums over samples at each point, float64 (n,); ``correct`` is None where nothing can be right or wrong."""

    loss: Tensor
    correct: Tensor | None
    samples: int
    strategy: Strategy


def blocks(batches: Iterable[tuple[Tensor, Tensor]], size: int = BLOCK_SAMPLES) -> Iterator[tuple[Tensor, Tensor]]:
    """Regroup batches into blocks of at most ``size`` samples, as full as the order of the batches allows."""
    held: list[tuple[Tensor, Tensor]] = []
    count = 0
    for inputs, targets in batches:
        for x, y in zip(torch.split(inputs, size), torch.split(targets, size), strict=True):
            if held and count + len(x) > size:
                yield torch.cat([a for a, _ in held]), torch.cat([b for _, b in held])
                held, count = [], 0
            held.append((x, y))
            count += len(x)
    if held:
        yield torch.cat([a for a, _ in held]), torch.cat([b for _, b in held])


def run(
    sweep: Sweep, batches: Iterable[tuple[Tensor, Tensor]], coefficients: Tensor, *, advance: Callable[[int], object]
) -> Sums:
    """Sums over all the data at every point.

    ``batches``: (inputs, targets) on the sweep's device, gone through once; ``coefficients``: (n, d);
    ``advance(k)`` is called after every k sample evaluations.
    """
    total = torch.zeros(len(coefficients), dtype=torch.float64, device=coefficients.device)
    right = torch.zeros_like(total)
    samples, runner = 0, None
    with torch.no_grad():
        for inputs, targets in blocks(batches):
            if runner is None:
                runner = choose(sweep, inputs, targets, coefficients)
            size = runner.strategy.samples
            for x, y in zip(torch.split(inputs, size), torch.split(targets, size), strict=True):
                runner.prepare(x, y)
                loss, correct = runner.run(coefficients, advance)
                total += loss
                right += correct
            samples += len(inputs)
    return Sums(total, None if bool(right.isnan().all()) else right, samples, runner.strategy)
