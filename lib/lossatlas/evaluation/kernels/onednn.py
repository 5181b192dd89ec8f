"""Dense layers and recurrent steps by oneDNN's matrix products."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.evaluation.kernels import dense
from lossatlas.evaluation.kernels.recurrent import SteppedRNN
from lossatlas.evaluation.strategies import Hooks, Strategy, Transform
from lossatlas.evaluation.sweep import Profile, Sweep


class OneDNNLinear(nn.Module):
    """The same function as an ``nn.Linear``, with the same parameter names."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``inputs·weightᵀ + bias``."""
        if inputs.dtype != self.weight.dtype:  # PyTorch's own layer says what is wrong
            return F.linear(inputs, self.weight, self.bias)
        outputs = torch.ops.lossatlas.dense(inputs, self.weight, self.bias)
        return outputs if inputs.dim() == 2 else outputs.view(*inputs.shape[:-1], len(self.weight))


@dataclass(frozen=True)
class OneDNN(Transform):
    """Compute the products of dense layers and recurrent steps by oneDNN."""

    name = "onednn"
    words = "oneDNN"
    batches = False

    def applies(self, sweep: Sweep, profile: Profile, inputs, targets: Tensor) -> bool:
        """Return whether this PyTorch has these products for such weights on the device."""
        return sweep.half is None and dense.available(targets.device, next(iter(sweep.origin.values())).dtype)

    def apply(self, model: nn.Module, sweep: Sweep, profile: Profile, strategy: Strategy) -> Hooks:
        """Put a :class:`OneDNNLinear` in the place of every dense layer."""
        for name, layer in list(model.named_modules()):
            if isinstance(layer, SteppedRNN):
                layer.onednn = True
            elif name and type(layer) is nn.Linear:
                model.set_submodule(name, OneDNNLinear(layer))
        return Hooks()
