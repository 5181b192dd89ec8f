"""Which layers have outputs that only a pooling uses: found by following the outputs through one small pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
POOL = aten.max_pool2d_with_indices.default
RELU = aten.relu.default, aten.relu_.default
DEFAULTS: tuple = (None, None, [], [0, 0], [1, 1], False)  # of max_pool2d


@dataclass(frozen=True)
class Pooling:
    """Maximum pooling in separate windows, the only use of a layer's output, perhaps after a ReLU.

    Parameters
    ----------
    layer : str
        Name of the layer whose output is pooled.
    window : tuple of int
        Height and width of a window.
    rectified : bool
        Whether a ReLU comes between.
    """

    layer: str
    window: tuple[int, int]
    rectified: bool


def separate_windows(arguments: Sequence) -> tuple[int, int] | None:
    """Return the window of a ``max_pool2d`` with these arguments, or None if windows overlap or leave gaps."""
    _, window, stride, padding, dilation, ceil = (*arguments, *DEFAULTS[len(arguments) :])
    plain = not any(padding) and set(dilation) == {1} and not ceil and list(stride or window) == list(window)
    return (window[0], window[-1]) if plain else None


class _Uses(TorchDispatchMode):
    """Records what is done with some tensors, with their ReLUs, and with the indices of their maxima."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[Tensor] = []
        self.calls: list[tuple[Tensor, Any, tuple, Any]] = []  # a watched tensor, the operation on it, what it gave

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        for tensor in list(self.watched):
            if any(tensor is other for other in given):
                self.calls.append((tensor, func, args, result))
                if func in RELU and result is not tensor:
                    self.watched.append(result)
                if func is POOL:
                    self.watched.append(result[1])
        return result

    def of(self, tensor: Tensor) -> list[tuple[Any, tuple, Any]]:
        """Return the calls on a tensor, in order."""
        return [tuple(call) for watched, *call in self.calls if watched is tensor]


def poolings(model: nn.Module, layers: Sequence[str], inputs) -> tuple[Pooling, ...]:
    """Return the layers whose output only a pooling uses, perhaps after a ReLU.

    Parameters
    ----------
    model : Module
        The network, at any weights.
    layers : sequence of str
        Names of layers, each of which is called once.
    inputs
        A few samples.
    """
    outputs: dict[str, Tensor] = {}

    def watch(name: str) -> Callable:
        def hook(module: nn.Module, args: tuple, output: Tensor) -> None:
            outputs[name] = output
            uses.watched.append(output)

        return hook

    handles = [model.get_submodule(name).register_forward_hook(watch(name)) for name in layers]
    try:
        with torch.no_grad(), _Uses() as uses:
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    found = []
    for name, output in outputs.items():
        calls = uses.of(output)
        rectified = bool(calls) and calls[0][0] in RELU
        if rectified and calls[0][2] is not output:
            calls += uses.of(calls[0][2])
        if len(calls) != 1 + rectified or calls[-1][0] is not POOL:
            continue
        _, arguments, (_, indices) = calls[-1]
        window = separate_windows(arguments)
        if window and not uses.of(indices):
            found.append(Pooling(name, window, rectified))
    return tuple(found)
