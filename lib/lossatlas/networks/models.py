"""The seven networks of the report's Table 1, as plain modules.

Layer numbers count weight layers from 1, as the report does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class FeedForward(nn.Module):
    """Dense layers of the given sizes; the activation follows every layer but the last.

    ``skips``: pairs (a, b): the output of layer a (after its activation) is added to the input of layer b;
    both must be as wide as each other. He initialisation for ReLU, Glorot for the others; biases zero.
    """

    def __init__(self, sizes: Sequence[int], *, activation: str = "relu", skips: Sequence[tuple[int, int]] = ()):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r}: expected one of {tuple(ACTIVATIONS)}")
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.activation = activation
        self.skips = tuple((int(a), int(b)) for a, b in skips)
        for a, b in self.skips:
            if not 1 <= a < b - 1 < len(self.layers) or sizes[a] != sizes[b - 1]:
                raise ValueError(f"skips: ({a}, {b}) needs 1 <= a, a + 1 < b <= {len(self.layers)} and equal widths")
        for layer in self.layers:
            if activation == "relu":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        activate = ACTIVATIONS[self.activation]
        hidden = inputs.flatten(1)
        kept: dict[int, Tensor] = {}
        starts = {a for a, _ in self.skips}
        for number, layer in enumerate(self.layers, start=1):
            for a, b in self.skips:
                if b == number:
                    hidden = hidden + kept[a]
            hidden = layer(hidden)
            if number < len(self.layers):
                hidden = activate(hidden)
            if number in starts:
                kept[number] = hidden
        return hidden


class ConvNet(nn.Module):
    """Convolutions ('same' padding), each with ReLU and 2×2 max-pooling, then dense 100, ReLU, dense out.

    ``image``: (channels, height, width). He initialisation, biases zero.
    """

    def __init__(self, image: tuple[int, int, int], *, filters: Sequence[int], kernel: int, outputs: int = 10):
        super().__init__()
        channels, height, width = image
        widths = [channels, *filters]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, kernel, padding="same") for a, b in itertools.pairwise(widths)
        )
        shrink = 2 ** len(filters)
        self.hidden = nn.Linear(filters[-1] * (height // shrink) * (width // shrink), 100)
        self.output = nn.Linear(100, outputs)
        for layer in (*self.convolutions, self.hidden, self.output):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        for convolution in self.convolutions:
            images = F.max_pool2d(F.relu(convolution(images)), 2)
        return self.output(F.relu(self.hidden(images.flatten(1))))


class CharacterRNN(nn.Module):
    """One tanh recurrent layer over one-hot characters, then a dense layer to the vocabulary.

    Input: int64 (N, L); output: logits (N, V, L), classes along dimension 1 as PyTorch's losses expect.
    """

    def __init__(self, vocabulary: int, *, hidden: int = 140):
        super().__init__()
        self.vocabulary = vocabulary
        self.recurrent = nn.RNN(vocabulary, hidden, batch_first=True)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, characters: Tensor) -> Tensor:
        codes = torch.eye(self.vocabulary, dtype=self.recurrent.weight_hh_l0.dtype, device=characters.device)
        states, _ = self.recurrent(F.embedding(characters, codes))  # one-hot
        return self.output(states).transpose(1, 2)


def _deep(shape: Sequence[int], outputs: int, *, depth: int = 16, width: int = 100, skips=()) -> FeedForward:
    return FeedForward([math.prod(shape), *[width] * (depth - 1), outputs], skips=skips)


# name: (shape of one input, number of outputs, **options) -> module; the comments give Table 1's numbers
MODELS: dict[str, Callable[..., nn.Module]] = {
    "cnn-1": lambda shape, outputs: ConvNet(shape, filters=[32], kernel=7, outputs=outputs),  # 1
    "cnn-3": lambda shape, outputs: ConvNet(shape, filters=[16, 32, 48], kernel=3, outputs=outputs),  # 2
    "feedforward-16": lambda shape, outputs: _deep(shape, outputs),  # 3
    "feedforward-16-skip": lambda shape, outputs: _deep(shape, outputs, skips=[(2, 14)]),  # 4
    "rnn": lambda shape, outputs, hidden=140: CharacterRNN(outputs, hidden=hidden),  # 5
    "feedforward-2": lambda shape, outputs: FeedForward([shape[-1], 1024, outputs], activation="sigmoid"),  # 6
    "feedforward-4": lambda shape, outputs: FeedForward([shape[-1], 128, 64, 32, outputs], activation="sigmoid"),  # 7
    "feedforward": _deep,  # 3 at any depth, width and skips
}


def build_model(name: str, data, *, seed: int = 0, **options) -> nn.Module:
    """A freshly initialised network of Table 1, sized for a dataset.

    ``name``: one of ``MODELS``; ``data``: a :class:`~lossatlas.datasets.Dataset`; ``options``: ``hidden`` for
    ``"rnn"``, ``depth``, ``width`` and ``skips`` for ``"feedforward"``. The seed alone decides the weights;
    the global random state is untouched. Raises ValueError for an unknown name.
    """
    if name not in MODELS:
        raise ValueError(f"model {name!r} is unknown: expected one of {tuple(MODELS)}")
    shape = tuple(data.train[0].shape[1:])
    outputs = 1 if data.loss == "bce_with_logits" else len(data.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name](shape, outputs, **options)
