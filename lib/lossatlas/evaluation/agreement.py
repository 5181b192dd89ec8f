"""Whether a strategy gives the values of the plain loop."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from lossatlas.evaluation.batches import split, take
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.threads import ThreadedRunner

OTHERS = 0.05  # share of the largest value by which quantities other than the loss may differ
CHECKED = 8  # most points at which a candidate is compared with the loop


def rounding(points: Tensor) -> float:
    """Return the relative difference that rounding alone can cause, in the arithmetic of `points` on their device.

    On a GPU, PyTorch computes convolutions in TensorFloat-32 by default, with a 10-bit mantissa, and chooses other
    algorithms for other batch sizes. The plain loop itself is no more precise there.
    """
    if points.dtype == torch.float64:
        return 1e-10
    lower = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    return 1e-3 if points.device.type == "cuda" and lower else 1e-5


def agrees(
    runner: Runner | ThreadedRunner, reference: Runner, inputs, targets: Tensor, points: Tensor, *, cut: bool = True
) -> bool:
    """Return whether a strategy gives the loop's values at a few points; False if it cannot run this model.

    With `cut`, the loop groups the same samples in other passes. A strategy whose values depend on the grouping then
    does not agree.
    """
    whole = any(transform.whole_passes for transform in runner.strategy.transforms)
    samples = runner.strategy.samples
    if not whole:
        samples = min(64, samples, reference.strategy.samples)
    inputs, targets = take(inputs, slice(samples)), targets[:samples]
    few = max(3, min(runner.strategy.points, CHECKED))
    points = points[: max(few, runner.strategy.points) if whole else few]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # vmap warns of slow operations, but the timing decides
            runner.prepare(inputs, targets)
            losses, *others = runner.run(points)[: len(runner.sweep.quantities), :few]
    except Exception:  # whatever the error, the loop remains
        return False
    quantities, two_thirds = len(runner.sweep.quantities), len(targets) - len(targets) // 3
    total = losses.new_zeros((quantities, len(losses)))
    for part in split((inputs, targets), two_thirds) if cut else [(inputs, targets)]:
        reference.prepare(*part)
        total += reference.run(points[:few])[:quantities]
    expected, *others_expected = total
    relative = 0.05 if runner.sweep.half else rounding(points)
    small = 0.1 * relative * float(expected.abs().nan_to_num(0, 0, 0).median())  # for losses close to zero
    counts = zip(others, others_expected, strict=True)  # such as correct predictions; rounding decides ties
    return torch.allclose(losses, expected, rtol=relative, atol=small, equal_nan=True) and all(
        torch.allclose(a, b, rtol=OTHERS, atol=OTHERS * float(b.abs().nan_to_num(0, 0, 0).max()), equal_nan=True)
        for a, b in counts
    )
