"""Convolutional networks for images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.networks.models.architecture import Architecture


class ConvNet(nn.Module):
    """Apply convolutions ("same" padding), each with ReLU and 2×2 max-pooling, then dense 100, ReLU, dense out.

    Parameters
    ----------
    image
        (channels, height, width) of an input.
    filters
        Number of filters of each convolution.
    kernel
        Side of the filters, in pixels.
    outputs
        Number of outputs.

    Notes
    -----
    Weights are initialised after He et al. (2015), biases with zero.

    Examples
    --------
    >>> import torch
    >>> ConvNet((1, 8, 8), filters=[4], kernel=3)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(self, image: tuple[int, int, int], *, filters: Sequence[int], kernel: int, outputs: int = 10):
        super().__init__()
        channels, height, width = image
        shrink = 2 ** len(filters)
        if min(height, width) < shrink:
            raise ValueError(f"image={image!r}: expected at least {shrink} pixels a side for {len(filters)} poolings")
        pairs = itertools.pairwise([channels, *filters])
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, kernel, padding="same") for a, b in pairs)
        self.hidden = nn.Linear(filters[-1] * (height // shrink) * (width // shrink), 100)
        self.output = nn.Linear(100, outputs)
        for layer in (*self.convolutions, self.hidden, self.output):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs (N, outputs) for images (N, channels, height, width)."""
        for convolution in self.convolutions:
            images = F.max_pool2d(F.relu(convolution(images)), 2)
        return self.output(F.relu(self.hidden(images.flatten(1))))


ONE_CONVOLUTION = Architecture(lambda shape, outputs: ConvNet(shape, filters=[32], kernel=7, outputs=outputs))
THREE_CONVOLUTIONS = Architecture(
    lambda shape, outputs: ConvNet(shape, filters=[16, 32, 48], kernel=3, outputs=outputs)
)
