"""A tanh recurrent network step by step, faster on many weight settings than PyTorch's own call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.evaluation.kernels import dense
from lossatlas.evaluation.strategies import Hooks, Strategy, Transform
from lossatlas.evaluation.sweep import Profile, Sweep
from lossatlas.vectors import Params


class SteppedRNN(nn.Module):
    """The same function as a one-layer, one-way tanh ``nn.RNN``, with the same parameter names.

    One product a step instead of a general kernel, and ``tanh(x) = 2σ(2x) − 1``, whose logistic function is
    several times faster than tanh on a CPU. Where the inputs are known to be one-hot, ``codes`` (L, N) holds which
    (else it is empty), and the product with the input weights becomes a lookup of rows.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor
    codes: Tensor

    def __init__(self, layer: nn.RNN):
        super().__init__()
        self.onednn = False  # whether its products are oneDNN's
        self.batch_first, self.hidden_size = layer.batch_first, layer.hidden_size
        for name, parameter in layer.named_parameters():
            self.register_parameter(name, parameter)
        self.register_buffer("codes", torch.empty(0, dtype=torch.int64))

    def forward(self, inputs: Tensor, initial: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """States at every step and the last one, shaped as ``nn.RNN`` returns them."""
        weights, recurrent = self.weight_ih_l0.t(), 2 * self.weight_hh_l0
        bias = self.bias_ih_l0 + self.bias_hh_l0 if hasattr(self, "bias_ih_l0") else 0.0
        if len(self.codes):
            table = 2 * (weights + bias)
            steps: Iterable[Tensor] = (F.embedding(codes, table) for codes in self.codes)  # one at a time, in the cache
            length, samples = self.codes.shape
        else:
            steps = doubled = 2 * (self.time_first(inputs) @ weights + bias)
            length, samples = doubled.shape[:2]
        state = weights.new_zeros(samples, self.hidden_size) if initial is None else initial[0]
        below, states = weights.new_tensor(-1.0), weights.new_empty(0)
        for t, step in enumerate(steps):
            gate = torch.sigmoid(dense.product(state, recurrent, step, onednn=self.onednn))
            state = torch.add(below, gate, alpha=2)
            if t == 0:
                shape = (samples, length) if self.batch_first else (length, samples)
                states = state.new_empty(*shape, self.hidden_size)
            states.select(1 if self.batch_first else 0, t).copy_(state)  # while it is in the cache
        return states, state[None]

    def time_first(self, inputs: Tensor) -> Tensor:
        """Return the inputs as (L, N, features)."""
        return inputs.transpose(0, 1) if self.batch_first else inputs

    def look_up(self, inputs: Tensor) -> None:
        """Take inputs that stay the same from now on: where they are one-hot, only which is kept."""
        inputs = self.time_first(inputs)
        codes = inputs.argmax(-1)
        one_hot = bool((inputs.gather(-1, codes[..., None]) == 1).all()) and bool((inputs.count_nonzero(-1) == 1).all())
        self.codes = codes.contiguous() if one_hot else codes[:0]


def steppable(layer: nn.Module) -> bool:
    """Whether :class:`SteppedRNN` can stand in for a layer."""
    return type(layer) is nn.RNN and layer.nonlinearity == "tanh" and layer.num_layers == 1 and not layer.bidirectional


class RecurrentStepsHooks(Hooks):
    """Looks at the inputs of the recurrent layers, once for a chunk of data."""

    def __init__(self, layers: dict[str, SteppedRNN]):
        self.layers, self.reads = layers, tuple(layers)

    def prepare(self, layer_inputs: Mapping[str, Tensor]) -> None:
        """Find which inputs are one-hot."""
        for name, layer in self.layers.items():
            layer.look_up(layer_inputs[name])

    def shared(self, coefficients: Tensor) -> Params:
        """Return the codes of one-hot inputs."""
        return {f"{name}.codes": layer.codes for name, layer in self.layers.items() if len(layer.codes)}


@dataclass(frozen=True)
class RecurrentSteps(Transform):
    """Compute tanh recurrent layers step by step."""

    name = "stepped"
    words = "recurrent steps"

    def applies(self, sweep: Sweep, profile: Profile, inputs, targets: Tensor) -> bool:
        """Return whether the network has such a layer."""
        return any(map(steppable, sweep.model.modules()))

    def apply(self, model: nn.Module, sweep: Sweep, profile: Profile, strategy: Strategy) -> Hooks:
        """Put a :class:`SteppedRNN` in the place of each of these layers."""
        layers = {name: SteppedRNN(layer) for name, layer in model.named_modules() if name and steppable(layer)}
        for name, layer in layers.items():
            model.set_submodule(name, layer)
        return RecurrentStepsHooks(layers)
