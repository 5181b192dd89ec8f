"""Compute dense layers with oneDNN, whose matrix products are twice as fast as the default on many processors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import GraphModule

# PyTorch's own versions of these operations cannot be compiled with weights that change. Operations of our own pass
# through the compiler unchanged.
_library = torch.library.Library("lossatlas", "DEF")
_library.define('dense(Tensor inputs, Tensor weight, Tensor? bias, str then="none") -> Tensor')
_library.define("dense_add(Tensor inputs, Tensor weight, Tensor other) -> Tensor")


@torch.library.impl(_library, "dense", "CPU")
def _dense(inputs: Tensor, weight: Tensor, bias: Tensor | None, then: str = "none") -> Tensor:
    """Multiply rows (N, k) by a weight (m, k) to (N, m), and apply the function `then`, such as "relu"."""
    rows = inputs.reshape(-1, weight.shape[1])
    return torch.ops.mkldnn._linear_pointwise.default(rows, weight, bias, then, [], "")


@torch.library.impl(_library, "dense_add", "CPU")
def _dense_add(inputs: Tensor, weight: Tensor, other: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.binary(inputs, other, weight, None, "add")


@torch.library.register_fake("lossatlas::dense", lib=_library)
def _dense_shape(inputs: Tensor, weight: Tensor, bias: Tensor | None, then: str = "none") -> Tensor:
    return inputs.new_empty((inputs.numel() // weight.shape[1], weight.shape[0]))


@torch.library.register_fake("lossatlas::dense_add", lib=_library)
def _dense_add_shape(inputs: Tensor, weight: Tensor, other: Tensor) -> Tensor:
    return torch.empty_like(other)


def available(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether these operations exist for a device and type: single precision on a CPU that oneDNN supports."""
    here = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return here and device.type == "cpu" and dtype == torch.float32


def product(inputs: Tensor, weight: Tensor, other: Tensor, *, onednn: bool) -> Tensor:
    """Return ``other + inputs·weightᵀ`` for inputs (N, k), weight (m, k) and other (N, m)."""
    if onednn:
        return torch.ops.lossatlas.dense_add(inputs, weight, other)
    if torch.is_autocast_enabled(inputs.device.type):  # only the product is in lower precision
        return other + F.linear(inputs, weight)
    return torch.addmm(other, inputs, weight.t())


def take_whole(traced: GraphModule) -> GraphModule:
    """Let dense layers of a traced program take inputs before flattening: the compiler loops over them as they are."""
    views = (torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default)
    for node in traced.graph.find_nodes(op="call_function", target=torch.ops.lossatlas.dense.default):
        if node.args[0].target in views:
            node.update_arg(0, node.args[0].args[0])
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced
