"""Residual networks for small images, with and without their shortcuts (He et al. 2016, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.networks.models.architecture import Architecture, positive, truth, widening

STAGES = (16, 32, 64)  # filters of the three stages at width 1


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with batch normalization, and a shortcut without weights around both.

    Parameters
    ----------
    inputs, outputs : int
        Channels before and after the block.
    stride : int
        Of the first convolution: 1, or 2 if the block halves the image.
    shortcut : bool
        Whether the block adds its input. If the shapes differ, the shortcut takes every second pixel and pads the
        new channels with zeros on either side ("option A").
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, shortcut: bool = True):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut, self.stride, self.more = shortcut, stride, outputs - inputs

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, outputs, H / stride, W / stride)."""
        hidden = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(images)))))
        if self.shortcut:
            kept = images[:, :, :: self.stride, :: self.stride] if self.stride > 1 else images
            before = self.more // 2
            hidden = hidden + (F.pad(kept, (0, 0, 0, 0, before, self.more - before)) if self.more else kept)
        return F.relu(hidden)


def make_stage(inputs: int, outputs: int, blocks: int, *, stride: int, shortcuts: bool) -> nn.Sequential:
    """Return blocks of one width, of which the first changes the shape of the images."""
    first = BasicBlock(inputs, outputs, stride=stride, shortcut=shortcuts)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, shortcut=shortcuts) for _ in range(blocks - 1)))


class ResNet(nn.Module):
    """A residual network of ``6n + 2`` weight layers for images: three stages of n blocks, then a dense layer.

    Parameters
    ----------
    image : (int, int, int)
        Channels, height and width of an input.
    depth : int
        Weight layers: 20, 32, 44, 56, 110, or any other ``6n + 2``.
    width : float
        Factor on the filters of every stage, which are 16, 32 and 64 at 1. The first stage has at least 1 filter.
    shortcuts : bool
        Whether blocks add their input; without it, Li et al. (2018) call the network "noshort".
    outputs : int
        Number of classes.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.

    Examples
    --------
    >>> network = ResNet((3, 32, 32), depth=20)
    >>> sum(parameter.numel() for parameter in network.parameters())
    269722
    """

    def __init__(
        self,
        image: Sequence[int] = (3, 32, 32),
        *,
        depth: int = 20,
        width: float = 1.0,
        shortcuts: bool = True,
        outputs: int = 10,
    ):
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth={depth!r}: expected 6n + 2 weight layers, such as 20, 32, 44, 56 or 110")
        filters = [max(1, round(widening(width, "width") * stage)) for stage in STAGES]
        self.conv1 = nn.Conv2d(image[0], filters[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters[0])
        first, second, third = filters
        self.layer1 = make_stage(first, first, blocks, stride=1, shortcuts=shortcuts)
        self.layer2 = make_stage(first, second, blocks, stride=2, shortcuts=shortcuts)
        self.layer3 = make_stage(second, third, blocks, stride=2, shortcuts=shortcuts)
        self.linear = nn.Linear(third, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, outputs) of images (N, C, H, W)."""
        hidden = F.relu(self.bn1(self.conv1(images)))
        hidden = self.layer3(self.layer2(self.layer1(hidden)))
        return self.linear(hidden.mean((2, 3)))


RESIDUAL = Architecture(
    lambda shape, outputs, **options: ResNet(shape, outputs=outputs, **options),
    options={"depth": positive, "width": widening, "shortcuts": truth},
)
