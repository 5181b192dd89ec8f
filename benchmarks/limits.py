"""What a point needs at least, and how long the machine takes for it at its best."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lossatlas.directions import Plane
from lossatlas.evaluation.metrics import make_quantities
from lossatlas.evaluation.sweep import Sweep, profile

aten = torch.ops.aten
SIGMOIDS = aten.sigmoid.default, aten.tanh.default  # tanh(x) = 2σ(2x) − 1
SOFTMAX = aten._log_softmax.default
POOL = aten.max_pool2d_with_indices.default
REDUCTIONS = aten.mean.dim, aten.argmax.default
SOFTMAX_STEPS = 3  # the maximum, its subtraction and the sum


@dataclass(frozen=True)
class Needed:
    """What one point of a grid needs, without what is the same at every point.

    Attributes
    ----------
    products
        Multiplications and additions of matrix products and convolutions.
    steps
        Simple operations on single numbers: an addition, a maximum, a multiplication with an addition.
    sigmoids, exponentials
        Values of these functions; a tanh counts as a sigmoid.
    bytes
        Read and written to move the weights.
    """

    products: float
    steps: float
    sigmoids: float
    exponentials: float
    bytes: float

    def seconds(self, rates: dict[str, float]) -> float:
        """How long a machine with these rates takes at least: for the arithmetic or for the memory.

        A step takes as long as a multiplication and an addition in a matrix product.
        """
        best = max(rate for name, rate in rates.items() if name.startswith("float32"))
        arithmetic = (self.products + 2 * self.steps) / best
        arithmetic += self.sigmoids / rates["sigmoid"] + self.exponentials / rates["exponential"]
        return max(arithmetic, self.bytes / rates["memory"])


class Steps(TorchDispatchMode):
    """Counts what a pass does to single numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = self.sigmoids = self.exponentials = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func in SIGMOIDS:
            self.sigmoids += result.numel()
        elif func is SOFTMAX:
            self.exponentials += result.numel()
            self.steps += SOFTMAX_STEPS * result.numel()
        elif func is POOL:
            self.steps += math.prod(args[1]) * result[0].numel()
        elif func in REDUCTIONS:
            self.steps += args[0].numel()
        elif torch.Tag.pointwise in func.tags:
            self.steps += result.numel()
        return result


def needed(model: nn.Module, plane: Plane, data: tuple[Tensor, Tensor], loss: str) -> Needed:
    """What a point needs for a network on some data.

    A layer whose input does not move needs one step for every output. The product of one-hot inputs with the
    weights of a recurrent layer is a lookup. Batch normalization is part of the convolution before it.
    """
    few = data[0][:2], data[1][:2]
    sweep = Sweep(model, plane.origin, plane.directions, make_quantities(loss))
    fixed = profile(sweep, few[0]).fixed_inputs
    outputs = 0

    def count(layer: nn.Module, args: tuple, output: Tensor) -> None:
        nonlocal outputs
        outputs += output.numel()

    handles = [model.get_submodule(name).register_forward_hook(count) for name in fixed]
    with torch.no_grad(), FlopCounterMode(display=False) as products, Steps() as steps:
        found = model(few[0])
        for quantity in sweep.quantities:
            quantity(found, few[1])
    for handle in handles:
        handle.remove()
    counts = products.get_flop_counts()
    total = sum(counts["Global"].values())
    total -= sum(sum(counts[f"{type(model).__name__}.{name}"].values()) for name in fixed)
    for layer in model.modules():
        if isinstance(layer, nn.RNN):
            total -= 2 * few[0].numel() * layer.input_size * layer.hidden_size
    times = len(data[0]) / len(few[0])
    moving = sum(plane.origin[name].nbytes for name in sweep.moving)
    return Needed(
        total * times,
        (steps.steps + outputs) * times,
        steps.sigmoids * times,
        steps.exponentials * times,
        moving * (len(plane.directions) + 2.0),
    )
