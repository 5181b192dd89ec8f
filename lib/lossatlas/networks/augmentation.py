"""Augmentation: training images are moved a little at random, so that a network sees each of them in many places."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PADDING = 4  # pixels on every side, as in Li et al. (2018)


def shift_and_flip(images: Tensor, generator: torch.Generator, *, padding: int = PADDING) -> Tensor:
    """Return images that are shifted by up to ``padding`` pixels in both directions, half of them flipped.

    Parameters
    ----------
    images
        (N, C, H, W), on any device. Pixels that move in from outside are zero.
    generator
        On the CPU; decides shifts and flips, each image by itself.
    padding
        The largest shift.

    Returns
    -------
    Tensor
        (N, C, H, W), in the memory format of ``images``.

    Examples
    --------
    >>> images = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> shift_and_flip(images, torch.Generator().manual_seed(1), padding=0)[0, 0].tolist()
    [[2.0, 1.0, 0.0], [5.0, 4.0, 3.0], [8.0, 7.0, 6.0]]
    """
    n, channels, height, width = images.shape
    down, right = torch.randint(2 * padding + 1, (2, n), generator=generator)
    flipped = torch.rand(n, generator=generator)[:, None] < 0.5
    rows, columns = torch.arange(height).repeat(n, 1), torch.arange(width).repeat(n, 1)
    columns = torch.where(flipped, columns.flip(1), columns)
    rows, columns = ((start[:, None] + place).to(images.device) for start, place in ((down, rows), (right, columns)))
    padded = F.pad(images, (padding, padding, padding, padding))
    sample, channel = torch.arange(n, device=images.device), torch.arange(channels, device=images.device)
    moved = padded[
        sample[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]
    channels_last = images.is_contiguous(memory_format=torch.channels_last)
    return moved.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
