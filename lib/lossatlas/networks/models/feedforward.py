"""Dense networks, with or without skip connections. Layers are counted from 1."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas._checks import whole_number
from lossatlas.networks.models.architecture import Architecture, positive

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class FeedForward(nn.Module):
    """Apply dense layers of the given sizes; the activation follows every layer but the last.

    Parameters
    ----------
    sizes
        Number of inputs, then the width of every layer.
    activation
        One of ``ACTIVATIONS``.
    skips
        Pairs (a, b): the output of layer a, after its activation, is added to the input of layer b. Both must have
        the same width.

    Raises
    ------
    ValueError
        If the activation is unknown, a size is not a whole number of at least one, or a skip does not fit.

    Notes
    -----
    Weights are initialised after He et al. (2015) for ReLU and after Glorot and Bengio (2010) otherwise, biases with
    zero.

    Examples
    --------
    >>> FeedForward([3, 5, 2])(torch.zeros(4, 3)).shape
    torch.Size([4, 2])
    """

    def __init__(self, sizes: Sequence[int], *, activation: str = "relu", skips: Sequence[tuple[int, int]] = ()):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r}: expected one of {tuple(ACTIVATIONS)}")
        sizes = [positive(size, f"sizes[{i}]") for i, size in enumerate(sizes)]
        if len(sizes) < 2:
            raise ValueError(f"sizes={sizes!r}: expected the number of inputs and at least one layer")
        layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        self.layers = nn.ModuleList(layers)
        self.activation = activation
        self.skips = tuple((a, b) for a, b in layer_pairs(skips, "skips"))
        for a, b in self.skips:
            if not 1 <= a < b - 1 < len(self.layers) or sizes[a] != sizes[b - 1]:
                raise ValueError(f"skips: ({a}, {b}) needs 1 <= a, a + 1 < b <= {len(self.layers)} and equal widths")
        for layer in layers:
            if activation == "relu":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs (N, last size) for inputs (N, ...)."""
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


def layer_pairs(value: object, name: str) -> list[list[int]]:
    """Return pairs of layer numbers as lists. Raises ValueError for anything else."""
    if not isinstance(value, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in value
    ):
        raise ValueError(f"{name}={value!r}: expected a list of pairs of layers, such as [(2, 4)]")
    return [[whole_number(layer, name, least=1) for layer in pair] for pair in value]


def deep(shape: Sequence[int], outputs: int, *, depth: int = 16, width: int = 100, skips=()) -> FeedForward:
    """Return ``depth`` layers of ``width`` units each, the last one of ``outputs``."""
    return FeedForward([math.prod(shape), *[width] * (depth - 1), outputs], skips=skips)


SIXTEEN = Architecture(lambda shape, outputs: deep(shape, outputs))
SIXTEEN_WITH_SKIP = Architecture(lambda shape, outputs: deep(shape, outputs, skips=[(2, 14)]))
ONE_HIDDEN = Architecture(lambda shape, outputs: FeedForward([shape[-1], 1024, outputs], activation="sigmoid"))
THREE_HIDDEN = Architecture(lambda shape, outputs: FeedForward([shape[-1], 128, 64, 32, outputs], activation="sigmoid"))
ANY_DEPTH = Architecture(deep, options={"depth": positive, "width": positive, "skips": layer_pairs})
