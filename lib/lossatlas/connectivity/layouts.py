"""The layout of a tensor inside a network: which unit stands where. And the operations that keep or change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

FIXED, ZERO = 0, -1  # units of inputs and outputs, which stay; channels of padding, which are zero
IMAGE, FEATURES, FLAT = "image", "features", "flat"

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)
ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign),
    *(nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Identity),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
)
POOL_NAMES = {f"{kind}_pool{d}d" for kind in ("max", "avg", "adaptive_avg", "adaptive_max") for d in (1, 2, 3)}
ELEMENTWISE_NAMES = {
    *("relu", "relu_", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign"),
    *("sigmoid", "logsigmoid", "tanh", "hardtanh", "hardswish", "hardsigmoid", "dropout", "dropout2d"),
    *("abs", "neg", "exp", "square", "sin", "cos", "clone", "contiguous", "detach", "float", "double"),
}
BINARY_NAMES = {"add", "add_", "iadd", "sub", "isub", "mul", "imul", "truediv", "div", "pow", "maximum", "minimum"}
ADDING_NAMES = {"add", "add_", "iadd", "sub", "isub"}
EXPECTED = (
    "expected dense and convolutional layers, batch or layer normalization, pooling, flatten, sums and activations"
)


@dataclass(frozen=True)
class Layout:
    """The units of a tensor inside a network, along its channels (an image) or its last axis (features).

    ``units`` is None for what the network is given, whose units are fixed and whose number does not matter. A flat
    layout holds all places of the first channel, then those of the next.
    """

    units: tuple[int, ...] | None
    form: str = IMAGE


NUMBER = object()  # what is no tensor: sizes, shapes


def flattened(layout: Layout) -> Layout:
    """Return the layout after all axes but the first became one."""
    return Layout(layout.units, FLAT) if layout.form == IMAGE else layout


def keeps_channels(index: Any) -> bool:
    """Return whether an index takes all channels of an image."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(part, slice) for part in parts) and (len(parts) < 2 or parts[1] == slice(None))


def all_move(*layouts: Layout) -> bool:
    """Return whether no channel of some layouts is padding."""
    return all(unit != ZERO for layout in layouts for unit in layout.units or ())
