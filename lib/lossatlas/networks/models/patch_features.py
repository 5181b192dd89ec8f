"""Random features of the patches of images: what a convexified layer is linear in (Zhang et al. 2016)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas._checks import one_of, real_number, whole_number

KINDS = ("fourier", "nystroem")
AT_ONCE = 100  # images whose patches are in memory together
FITTED_ON = 1000  # training images behind the whitening and the scaling
PATCHES = 50_000  # the most of their patches that are looked at
RIDGE = 1e-4  # added to eigenvalues of the kernel: without it rounding decides what patches that are alike become


def contrast_normalized(images: Tensor, side: int) -> Tensor:
    """Return the patches (N, places, channels · side²) of images, minus their mean and over their norm plus 0.1.

    Examples
    --------
    >>> contrast_normalized(torch.ones(1, 1, 3, 3), 2).shape
    torch.Size([1, 4, 4])
    """
    patches = F.unfold(images, side).mT
    patches = patches - patches.mean(-1, keepdim=True)
    return patches / (patches.norm(dim=-1, keepdim=True) + 0.1)


class PatchFeatures(nn.Module):
    """Nonlinear features of the patches of an image, for a Gaussian kernel, averaged over neighbouring patches.

    Every patch, minus its mean and over its norm plus 0.1, is whitened (ZCA) and scaled to length one. Random features
    map it to a vector whose inner products approximate ``exp(-gamma · distance²)``. Their averages over
    ``pooling`` × ``pooling`` patches, minus a mean over training images and times a common scale, are returned. All of
    it is held in buffers: nothing here is trained by gradients.

    Parameters
    ----------
    image : (int, int, int)
        Channels, height and width of an input.
    features : int
        Random features of a patch.
    side : int
        Pixels along the side of a patch.
    pooling : int
        Patches along the side of the squares that are averaged.
    gamma : float
        Of the Gaussian kernel.
    kind : str
        ``"fourier"`` (Rahimi and Recht 2007) or ``"nystroem"``, as scikit-learn draws them.

    Examples
    --------
    >>> PatchFeatures((1, 28, 28), features=50)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 50, 12, 12])
    """

    mean: Tensor
    whitening: Tensor
    points: Tensor
    mixing: Tensor
    center: Tensor
    scale: Tensor

    def __init__(
        self,
        image: Sequence[int],
        *,
        features: int = 200,
        side: int = 5,
        pooling: int = 2,
        gamma: float = 2.0,
        kind: str = "fourier",
    ):
        super().__init__()
        channels, height, width = image
        self.side, self.pooling = whole_number(side, "side", least=1), whole_number(pooling, "pooling", least=1)
        one_of(kind, "kind", KINDS)
        self.gamma, self.kind = real_number(gamma, "gamma", above=0), kind
        features = whole_number(features, "features", least=1)
        if min(height, width) < side + pooling - 1:
            raise ValueError(f"image={tuple(image)}: expected at least {side + pooling - 1} pixels a side")
        self.grid = (height - side + 1, width - side + 1)  # of patches
        length = channels * side**2
        shapes = {"mean": (length,), "points": (features, length)}
        shapes["mixing"] = (features,) if kind == "fourier" else (features, features)
        shapes |= {"center": (features, *(places // pooling for places in self.grid))}
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("whitening", torch.eye(length))
        self.register_buffer("scale", torch.ones(()))

    def patches(self, images: Tensor) -> Tensor:
        """Return the patches (N, places, channels · side²), whitened and of length one, row by row of the image."""
        raw = contrast_normalized(images, self.side)
        return F.normalize((raw - self.mean) @ self.whitening, dim=-1)

    def maps(self, images: Tensor) -> Tensor:
        """Return the averages of features (N, features, height, width), before their mean is subtracted."""
        patches = self.patches(images)
        if self.kind == "fourier":
            features = (patches @ self.points.mT).add_(self.mixing).cos_() * (2 / len(self.points)) ** 0.5
        else:
            squares = patches.square().sum(-1, keepdim=True) + self.points.square().sum(-1)
            distances = squares - 2 * patches @ self.points.mT
            features = torch.exp(-self.gamma * distances) @ self.mixing.mT
        return F.avg_pool2d(features.mT.unflatten(-1, self.grid), self.pooling)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, features, height, width) of images (N, channels, height, width)."""
        maps = torch.cat([self.maps(some) for some in images.split(AT_ONCE)])
        return (maps - self.center) * self.scale


def fit_patch_features(features: PatchFeatures, images: Tensor, *, seed: int = 0) -> None:
    """Fit the whitening, the random features and the scaling of patch features to training images, in place.

    Parameters
    ----------
    features : PatchFeatures
        What is fitted.
    images : Tensor
        Shape (N, channels, height, width); the first 1000 are looked at. Their mean feature becomes zero, and the
        mean square of their norms one.
    seed : int
        Decides the random features, and the patches that are looked at.

    Examples
    --------
    >>> features, images = PatchFeatures((1, 8, 8), features=20), torch.rand(30, 1, 8, 8)
    >>> fit_patch_features(features, images)
    >>> round(float(features(images).flatten(1).square().sum(1).mean()), 3)
    1.0
    """
    from sklearn.kernel_approximation import Nystroem, RBFSampler
    from sklearn.metrics.pairwise import rbf_kernel

    seed, images = whole_number(seed, "seed", least=0), images[:FITTED_ON]
    draw = torch.Generator().manual_seed(seed)
    raw = contrast_normalized(images, features.side).flatten(0, 1)
    raw = raw[torch.randperm(len(raw), generator=draw)[:PATCHES]].double()
    variances, axes = torch.linalg.eigh(torch.atleast_2d(raw.T.cov(correction=0)))
    scales = (variances.clamp(min=0) + 0.1 * variances.mean() + 1e-12).rsqrt()  # the 0.1 keeps noise small
    features.mean, features.whitening = raw.mean(0).float(), ((axes * scales) @ axes.T).float()
    sample = F.normalize((raw.float() - features.mean) @ features.whitening, dim=-1).numpy()
    options = {"gamma": features.gamma, "n_components": len(features.points), "random_state": seed}
    if features.kind == "fourier":
        drawn = RBFSampler(**options).fit(sample)
        points, mixing = drawn.random_weights_.T, drawn.random_offset_
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # fewer patches than features
            drawn = Nystroem(**options).fit(sample)
        points = drawn.components_
        values, axes = np.linalg.eigh(rbf_kernel(points.astype(float), gamma=features.gamma))
        mixing = (axes / np.sqrt(values.clip(0) + RIDGE)) @ axes.T
    features.points, features.mixing = (torch.from_numpy(part.copy()).float() for part in (points, mixing))
    maps = torch.cat([features.maps(some) for some in images.split(AT_ONCE)])
    features.center = maps.mean(0)
    features.scale = (maps - features.center).flatten(1).square().sum(1).mean().rsqrt()
