"""The variations of MNIST: digits that are turned, and put on noise or photographs (Larochelle et al. 2007)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MADE_AFTER = (
    "variations after Larochelle, Erhan, Courville, Bergstra and Bengio, An Empirical Evaluation of Deep "
    "Architectures on Problems with Many Factors of Variation, ICML 2007"
)
LUMA = (0.299, 0.587, 0.114)  # grey of red, green and blue (ITU-R BT.601)


@dataclass(frozen=True)
class Variation:
    """Describe how digits are changed.

    Parameters
    ----------
    rotated
        Whether each is turned by an angle drawn from the whole circle.
    background
        ``"noise"``, ``"photographs"`` or None.
    words
        The same in words.
    """

    rotated: bool
    background: str | None
    words: str


TURNED = "Digits are turned by a uniform angle (bilinear)."
ON_PHOTOGRAPHS = (
    "The background is a random 28×28 crop of a grey CIFAR-10 image of the same split; a pixel is the brighter one."
)
VARIATIONS = {
    "mnist-rand": Variation(False, "noise", "The background is uniform noise; a pixel is the brighter one."),
    "mnist-rot": Variation(True, None, TURNED),
    "mnist-img": Variation(False, "photographs", ON_PHOTOGRAPHS),
    "mnist-img-rot": Variation(True, "photographs", f"{TURNED} {ON_PHOTOGRAPHS}"),
}


def varied(variation: Variation, images: Tensor, photographs: Tensor | None = None, *, seed: int) -> Tensor:
    """Return digits changed as a variation says.

    Parameters
    ----------
    variation : Variation
        One of ``VARIATIONS``.
    images : Tensor
        Digits of shape (N, 1, height, width) between 0 and 1, white on black.
    photographs : Tensor, optional
        Colour images (M, 3, H, W) between 0 and 1, at least as large, for a background of photographs.
    seed : int
        Decides angles and backgrounds.

    Raises
    ------
    ValueError
        If photographs are needed and missing.

    Examples
    --------
    >>> digits = torch.zeros(2, 1, 28, 28)
    >>> varied(VARIATIONS["mnist-rand"], digits, seed=0).mean().round(decimals=1)
    tensor(0.5000)
    """
    draw = torch.Generator().manual_seed(seed)
    if variation.rotated:
        images = turned(images, 2 * torch.pi * torch.rand(len(images), generator=draw))
    if variation.background == "noise":
        return images.maximum(torch.rand(images.shape, generator=draw))
    if variation.background == "photographs":
        if photographs is None:
            raise ValueError("photographs=None: expected the images behind the digits")
        return images.maximum(crops(photographs, images.shape, draw))
    return images


def turned(images: Tensor, angles: Tensor) -> Tensor:
    """Return images turned about their centres.

    Parameters
    ----------
    images : Tensor
        Shape (N, channels, height, width). Corners that turn in are zero.
    angles : Tensor
        Radians, counter-clockwise, shape (N,).

    Examples
    --------
    >>> turned(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([torch.pi / 2])).round()
    tensor([[[[2., 4.],
              [1., 3.]]]])
    """
    cosines, sines, zeros = angles.cos(), angles.sin(), torch.zeros_like(angles)
    height, width = images.shape[-2:]
    rows = [cosines, -sines * height / width, zeros, sines * width / height, cosines, zeros]
    turns = torch.stack(rows, dim=1).view(-1, 2, 3)
    places = F.affine_grid(turns, list(images.shape), align_corners=False)
    return F.grid_sample(images, places, align_corners=False)


def crops(photographs: Tensor, shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    """Return random grey crops of random photographs, of shape (N, 1, height, width)."""
    number, _, height, width = shape
    room = (photographs.shape[-2] - height + 1, photographs.shape[-1] - width + 1)
    chosen = torch.randint(len(photographs), (number,), generator=draw)
    top, left = (torch.randint(most, (number, 1, 1), generator=draw) for most in room)
    rows, columns = top + torch.arange(height)[:, None], left + torch.arange(width)
    grey = torch.zeros(number, 1, height, width)
    for channel, share in enumerate(LUMA):
        grey[:, 0] += share * photographs[chosen[:, None, None], channel, rows, columns]
    return grey
