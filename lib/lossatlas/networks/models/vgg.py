"""VGG-9, the network without shortcuts of Li et al. (2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.networks.models.architecture import Architecture, widening

FILTERS = (64, 64, None, 128, 128, None, 256, 256, 256, None)  # at width 1; None is 2×2 max-pooling
HIDDEN = 256  # units of the dense layer at width 1


class VGG9(nn.Module):
    """Seven 3×3 convolutions and two dense layers, with batch normalization after all but the last.

    Parameters
    ----------
    image : (int, int, int)
        Channels, height and width of an input; height and width are at least 8.
    width : float
        Factor on all channels, which are 64, 128 and 256 at 1.
    outputs : int
        Number of classes.

    References
    ----------
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015; the
    cropped form is that of Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018.

    Examples
    --------
    >>> import torch
    >>> VGG9((3, 32, 32), width=0.25)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, image: Sequence[int] = (3, 32, 32), *, width: float = 1.0, outputs: int = 10):
        super().__init__()
        width = widening(width, "width")
        channels, height, breadth = image
        if min(height, breadth) < 8:
            raise ValueError(f"image={tuple(image)!r}: expected a height and width of at least 8 pixels")
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for filters in FILTERS:
            if filters is not None:
                count = max(1, round(width * filters))
                self.convolutions.append(nn.Conv2d(channels, count, 3, padding=1))
                self.norms.append(nn.BatchNorm2d(count))
                channels = count
        hidden = max(1, round(width * HIDDEN))
        self.hidden = nn.Linear(channels * (height // 8) * (breadth // 8), hidden)
        self.hidden_norm = nn.BatchNorm1d(hidden)
        self.output = nn.Linear(hidden, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, outputs) of images (N, C, H, W)."""
        layers = iter(zip(self.convolutions, self.norms, strict=True))
        for filters in FILTERS:
            if filters is None:
                images = F.max_pool2d(images, 2)
            else:
                convolution, norm = next(layers)
                images = F.relu(norm(convolution(images)))
        return self.output(F.relu(self.hidden_norm(self.hidden(images.flatten(1)))))


NINE = Architecture(
    lambda shape, outputs, **options: VGG9(shape, outputs=outputs, **options), options={"width": widening}
)
