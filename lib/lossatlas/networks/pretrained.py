"""Residual networks for CIFAR-10 that were trained by others."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from lossatlas._checks import one_of
from lossatlas.datasets.cache import find_files
from lossatlas.datasets.sources import Fetch, Files, download
from lossatlas.networks.models import ResNet

ADDRESS = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # by which these networks were given their pixels
PUBLISHED = {  # depth: the published file, and the SHA-256 of its tensors in safetensors form
    20: ("resnet20-12fca82f.th", "02926273efb1deadb6dc654c7087baea932ef2026d9f854680d6858146d85838"),
    32: ("resnet32-d509ac18.th", "897ca9a2e3e0f83d51ba9f0b65434c9242c2d4c896ded18d40f5bab4254875da"),
    44: ("resnet44-014dd654.th", "c0e417f177f2f9e763c00e58d95804957cda4a81899671d43ee57b972594bc76"),
    56: ("resnet56-4bfd9763.th", "cf29b05e3acebb9dc28868ebd84a604ff452971bb6770f22beaff48708079aee"),
}
PRETRAINED = {f"resnet{depth}-cifar10": depth for depth in PUBLISHED}


class PretrainedResNet(ResNet):
    """A residual network whose pixels, between 0 and 1, are standardized before the first layer.

    Parameters
    ----------
    depth : int
        Weight layers, ``6n + 2``.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, depth: int):
        super().__init__((3, 32, 32), depth=depth)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, 10) of images (N, 3, 32, 32) between 0 and 1."""
        return super().forward((images - self.mean) / self.deviation)


def load_pretrained(name: str, *, root: str | Path | None = None) -> PretrainedResNet:
    """Return a residual network that others trained on CIFAR-10, in eval mode.

    It takes the images of ``load_dataset("cifar10")`` as they are. Its weights come from ``data/raw/<name>/``, a folder
    that ``LOSSATLAS_DATA`` names, or the address where they were published, and are checked by SHA-256.

    Parameters
    ----------
    name
        "resnet20-cifar10", "resnet32-cifar10", "resnet44-cifar10" or "resnet56-cifar10".
    root
        Folder of the cache, if it is not ``data/raw``.

    Raises
    ------
    ValueError
        If no network has this name.
    DatasetUnavailable
        If no source holds the weights; the message says what each answered.

    References
    ----------
    Idelbayev, "Proper ResNet Implementation for CIFAR10/CIFAR100 in PyTorch", 2018 (BSD 2-clause licence).
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.

    Examples
    --------
    >>> load_pretrained("resnet50-cifar10")
    Traceback (most recent call last):
    ValueError: name='resnet50-cifar10': expected one of ('resnet20-cifar10', 'resnet32-cifar10', \
'resnet44-cifar10', 'resnet56-cifar10')
    """
    one_of(name, "name", PRETRAINED)
    depth = PRETRAINED[name]
    contents, _ = find_files(name, root, wanted=_files(depth))
    network = PretrainedResNet(depth=depth)
    network.load_state_dict(safetensors.torch.load(contents[f"resnet{depth}.safetensors"]))
    return network.eval()


def _files(depth: int) -> Files:
    checksum = PUBLISHED[depth][1]
    fetchers = (("its author's repository", _published(depth)),)
    return Files({f"resnet{depth}.safetensors": f"sha256:{checksum}"}, fetchers, what="pretrained network")


def _published(depth: int) -> Fetch:
    """Return what downloads a published checkpoint and turns it into safetensors; nothing in it is executed."""

    def fetch(folder: Path) -> dict[str, bytes]:
        found = download(f"{ADDRESS}/{PUBLISHED[depth][0]}", folder)
        checkpoint = torch.load(io.BytesIO(found), map_location="cpu", weights_only=True)
        return {f"resnet{depth}.safetensors": safetensors.torch.save(_tensors(checkpoint["state_dict"]))}

    return fetch


def _tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a network that was trained in ``DataParallel``, under its own names."""
    return {name.removeprefix("module."): value.contiguous() for name, value in state.items()}
