"""Images held with their channels last, which convolutions and pooling on a CPU do faster."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lossatlas.evaluation.strategies import Hooks, Strategy, Transform
from lossatlas.evaluation.sweep import Profile, Sweep


class ChannelsLastHooks(Hooks):
    """Lays every chunk of images out with the channels last."""

    def arrange(self, inputs: Tensor) -> Tensor:
        """Return the same images, channels last in memory."""
        return inputs.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class ChannelsLast(Transform):
    """Hold images and the weights of convolutions with the channels last in memory."""

    name = "channels_last"
    words = "channels last"

    def applies(self, sweep: Sweep, profile: Profile, inputs, targets: Tensor) -> bool:
        """Return whether the inputs are one tensor of images (N, C, H, W)."""
        return isinstance(inputs, Tensor) and inputs.dim() == 4

    def apply(self, model: nn.Module, sweep: Sweep, profile: Profile, strategy: Strategy) -> Hooks:
        """Give the model weights of this layout."""
        laid_out: dict[int, nn.Parameter] = {}  # tied weights stay tied
        for module in model.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                if parameter.dim() == 4:
                    weight = parameter.detach().contiguous(memory_format=torch.channels_last)
                    own = laid_out.setdefault(id(parameter), nn.Parameter(weight, requires_grad=False))
                    module.register_parameter(name, own)
        return ChannelsLastHooks()
