"""Densely connected networks for small images (Huang et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.networks.models.architecture import Architecture, positive

BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}  # published layers of each block


class DenseLayer(nn.Module):
    """A 1×1 and a 3×3 convolution, each after batch normalization and ReLU; the output is added as new channels."""

    def __init__(self, inputs: int, growth: int):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return images with ``growth`` more channels."""
        hidden = self.conv1(F.relu(self.bn1(images)))
        return torch.cat([images, self.conv2(F.relu(self.bn2(hidden)))], dim=1)


class Transition(nn.Module):
    """Half the channels by a 1×1 convolution, half the image by average pooling."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, outputs, H / 2, W / 2)."""
        return F.avg_pool2d(self.conv(F.relu(self.bn(images))), 2)


class DenseNet(nn.Module):
    """Blocks of layers that each see all feature maps before them.

    Parameters
    ----------
    image : (int, int, int)
        Channels, height and width of an input.
    depth : int or sequence of int
        121, 169 or 201, or the number of layers of each block.
    growth : int
        Channels that a layer adds; the first convolution has twice as many. Published networks have 32.
    outputs : int
        Number of classes.

    References
    ----------
    Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> DenseNet((3, 32, 32), depth=(2, 2), growth=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        image: Sequence[int] = (3, 32, 32),
        *,
        depth: int | Sequence[int] = 121,
        growth: int = 32,
        outputs: int = 10,
    ):
        super().__init__()
        if isinstance(depth, int) and depth not in BLOCKS:
            raise ValueError(f"depth={depth!r}: expected one of {tuple(BLOCKS)} or the number of layers of each block")
        blocks = BLOCKS[depth] if isinstance(depth, int) else [positive(layers, "depth") for layers in depth]
        channels = 2 * positive(growth, "growth")
        self.conv = nn.Conv2d(image[0], channels, 3, padding=1, bias=False)
        self.blocks = nn.Sequential()
        for number, layers in enumerate(blocks):
            for _ in range(layers):
                self.blocks.append(DenseLayer(channels, growth))
                channels += growth
            if number < len(blocks) - 1:
                self.blocks.append(Transition(channels, channels // 2))
                channels //= 2
        self.bn, self.linear = nn.BatchNorm2d(channels), nn.Linear(channels, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, outputs) of images (N, C, H, W)."""
        hidden = F.relu(self.bn(self.blocks(self.conv(images))))
        return self.linear(hidden.mean((2, 3)))


def blocks_or_depth(value: object, name: str) -> int | list[int]:
    """Return a published depth or the layers of each block. Raises ValueError for anything else."""
    if isinstance(value, list | tuple) and value:
        return [positive(layers, name) for layers in value]
    return positive(value, name)


DENSELY_CONNECTED = Architecture(
    lambda shape, outputs, **options: DenseNet(shape, outputs=outputs, **options),
    options={"depth": blocks_or_depth, "growth": positive},
)
