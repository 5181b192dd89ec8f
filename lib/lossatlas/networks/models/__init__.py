"""The networks of the chapters by name, one family a file.

A new model is one file with an :class:`~lossatlas.networks.models.architecture.Architecture` and one line here.
"""

from __future__ import annotations

import torch
from torch import nn

from lossatlas._checks import whole_number
from lossatlas.networks.models import convolutional, densely_connected, feedforward, recurrent, residual, vgg
from lossatlas.networks.models.architecture import Architecture
from lossatlas.networks.models.convexified import ConvexifiedNetwork, fit_convexified, fit_top
from lossatlas.networks.models.convolutional import ConvNet
from lossatlas.networks.models.densely_connected import DenseNet
from lossatlas.networks.models.feedforward import ACTIVATIONS, FeedForward
from lossatlas.networks.models.patch_features import PatchFeatures
from lossatlas.networks.models.recurrent import CharacterRNN
from lossatlas.networks.models.residual import ResNet
from lossatlas.networks.models.vgg import VGG9

__all__ = [
    "ACTIVATIONS",
    "MODELS",
    "VGG9",
    "Architecture",
    "CharacterRNN",
    "ConvNet",
    "ConvexifiedNetwork",
    "DenseNet",
    "FeedForward",
    "PatchFeatures",
    "ResNet",
    "build_model",
    "fit_convexified",
    "fit_top",
]

MODELS: dict[str, Architecture] = {  # the comments give the numbers of the report's Table 1
    "cnn-1": convolutional.ONE_CONVOLUTION,  # 1
    "cnn-3": convolutional.THREE_CONVOLUTIONS,  # 2
    "feedforward-16": feedforward.SIXTEEN,  # 3
    "feedforward-16-skip": feedforward.SIXTEEN_WITH_SKIP,  # 4
    "rnn": recurrent.CHARACTERS,  # 5
    "feedforward-2": feedforward.ONE_HIDDEN,  # 6
    "feedforward-4": feedforward.THREE_HIDDEN,  # 7
    "feedforward": feedforward.ANY_DEPTH,  # 3 at any depth, width and skips
    "resnet": residual.RESIDUAL,  # the networks of Li et al. (2018): this, and the next two
    "vgg-9": vgg.NINE,
    "densenet": densely_connected.DENSELY_CONNECTED,
}


def build_model(name: str, data, *, seed: int = 0, **options) -> nn.Module:
    """Return a newly initialised network, sized for a dataset.

    Parameters
    ----------
    name
        One of ``MODELS``.
    data
        A :class:`~lossatlas.Dataset`; its shapes, classes and loss decide the sizes.
    seed
        Decides the weights. The global random state stays as it was.
    options
        ``hidden`` for ``"rnn"``; ``depth``, ``width`` and ``skips`` for ``"feedforward"``; ``depth``, ``width`` and
        ``shortcuts`` for ``"resnet"``; ``width`` for ``"vgg-9"``; ``depth`` and ``growth`` for ``"densenet"``.

    Raises
    ------
    ValueError
        If the name or an option is unknown, or an option is out of range.

    Examples
    --------
    >>> import lossatlas as la
    >>> la.build_model("feedforward", la.load_dataset("digits"), depth=2, width=8).layers[0]
    Linear(in_features=64, out_features=8, bias=True)
    """
    if name not in MODELS:
        raise ValueError(f"model {name!r} is unknown: expected one of {tuple(MODELS)}")
    seed = whole_number(seed, "seed", least=0)
    shape = tuple(data.train[0].shape[1:])
    outputs = 1 if data.loss == "bce_with_logits" else len(data.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name](shape, outputs, **options)
