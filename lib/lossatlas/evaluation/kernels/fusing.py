"""Fuse operations of a traced pass: convolutions absorb what follows them, and pooling takes maxima of slices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from lossatlas.evaluation.kernels import dense
from lossatlas.evaluation.pooling import separate_windows

aten, mkldnn = torch.ops.aten, torch.ops.mkldnn
# Functions that a dense layer can apply to its output.
AFTER = {aten.relu.default: "relu", aten.sigmoid.default: "sigmoid", aten.tanh.default: "tanh"}


def fuse(traced: GraphModule) -> GraphModule:
    """Return the pass with fewer and faster operations on a CPU, and the same values up to rounding.

    This changes the graph itself. If oneDNN supports a 2-D convolution, its weights absorb the batch normalization by
    running statistics after it (w·γ/√(σ² + ε), Jacob et al., CVPR 2018, equation 14), and it also adds a shortcut and
    applies a ReLU that follow. A dense layer applies the ReLU, sigmoid or tanh after it. Pooling of channels-last
    images takes maxima of slices, which needs no indices. A ReLU before pooling moves behind it, where fewer values
    are left.
    """
    graph = traced.graph
    for node in graph.find_nodes(op="call_function", target=aten.constant_pad_nd.default):
        if not any(node.args[1]):  # a shortcut that needs no padding
            node.replace_all_uses_with(node.args[0])
    for node in graph.find_nodes(op="call_function", target=aten.alias.default):
        node.replace_all_uses_with(node.args[0])
    graph.eliminate_dead_code()
    for node in graph.find_nodes(op="call_function", target=aten.convolution.default):
        if can_fuse(node):
            fuse_convolution(node)
    for target in (torch.ops.lossatlas.dense.default, aten.addmm.default):
        for node in graph.find_nodes(op="call_function", target=target):
            fuse_dense(node)
    take_maxima(traced)
    for node in graph.find_nodes(op="call_function", target=aten.max_pool2d_with_indices.default):
        if has_windows(node):
            pool_by_maxima(node)
    graph.eliminate_dead_code()
    traced.recompile()
    return traced


def can_fuse(convolution: Node) -> bool:
    """Return whether oneDNN can fuse this convolution with other operations."""
    inputs, transposed = known(arguments_of(convolution)[0]), arguments_of(convolution)[6]
    if inputs is None or inputs.dim() != 4 or transposed:
        return False
    return dense.available(inputs.device, torch.float32) and inputs.dtype in (torch.float32, torch.bfloat16)


def fuse_convolution(convolution: Node) -> None:
    """Replace a convolution and the operations after it by one operation."""
    graph = convolution.graph
    inputs, weight, bias, stride, padding, dilation, _, _, groups = arguments_of(convolution)
    last, norm = convolution, only_user(convolution, aten.native_batch_norm.default)
    values_alone = norm is not None and all(arguments_of(user)[1] == 0 for user in norm.users)
    if norm and values_alone and not arguments_of(norm)[5]:  # normalizes by running statistics
        with graph.inserting_before(norm):
            weight, bias = folded(weight, bias, norm)
        (last,) = norm.users
    other = None
    addition = only_user(last, aten.add.Tensor)
    if addition and not addition.kwargs:
        addend = arguments_of(addition)[arguments_of(addition)[0] is last]
        if isinstance(addend, Node) and alike(addend, last) and used_up(addend, addition, convolution):
            other, last = addend, addition  # the sum overwrites the addend
    relu = only_user(last, aten.relu.default)
    last = relu or last
    options = weight, bias, padding, stride, dilation, groups
    with graph.inserting_before(last):
        if other is None:
            alone: tuple = ("relu" if relu else "none", [], "")
            fused = graph.call_function(mkldnn._convolution_pointwise.default, (inputs, *options, *alone))
        else:
            then: tuple = ("add", 1.0, "relu" if relu else None, [], "")
            fused = graph.call_function(mkldnn._convolution_pointwise_.binary, (other, inputs, *options, *then))
    fused.meta = dict(last.meta)
    last.replace_all_uses_with(fused)


def fuse_dense(layer: Node) -> None:
    """Let a oneDNN product apply the function after it. A product in lower precision becomes a oneDNN product."""
    rows, weight, bias = arguments_of(layer)[:3]
    if layer.target is aten.addmm.default:
        bias, rows, turned = arguments_of(layer)
        seen, added = known(rows), known(bias)
        lower = seen is not None and seen.device.type == "cpu" and seen.dtype == torch.bfloat16
        layered = turned.target is aten.t.default and added is not None and added.dim() == 1 and not layer.kwargs
        if not (lower and layered):
            return
        weight = arguments_of(turned)[0]
    last = next(filter(None, (only_user(layer, function) for function in AFTER)), layer)
    with layer.graph.inserting_before(last):
        arguments = rows, weight, bias, next((word for target, word in AFTER.items() if target is last.target), "none")
        fused = layer.graph.call_function(torch.ops.lossatlas.dense.default, arguments)
    fused.meta = dict(last.meta)
    last.replace_all_uses_with(fused)


def arguments_of(node: Node) -> tuple[Any, ...]:
    """Return what an operation takes: nodes and plain values, as its schema says."""
    return node.args


def known(node: Node) -> Any:
    """Return the shape, type and strides that a result had when it was traced, as a tensor; None if unknown."""
    return node.meta.get("val")


def only_user(node: Node, target) -> Node | None:
    """Return the only operation that uses a result, if it is of the `target` kind and uses it once."""
    users = list(node.users)
    if len(users) != 1 or users[0].target is not target or arguments_of(users[0]).count(node) != 1:
        return None
    return users[0]


def alike(a: Node, b: Node) -> bool:
    """Return whether two results have the same shape and type."""
    one, other = known(a), known(b)
    tensors = isinstance(one, Tensor) and isinstance(other, Tensor)
    return tensors and one.shape == other.shape and one.dtype == other.dtype


def convolves(node: Node) -> bool:
    """Return whether an operation is a convolution, fused or plain."""
    ours = mkldnn._convolution_pointwise.default, mkldnn._convolution_pointwise_.binary
    return node.target in (aten.convolution.default, *ours)


def used_up(other: Node, addition: Node, convolution: Node) -> bool:
    """Return whether `addition` may overwrite a result: it is no view, and only earlier convolutions use it."""
    new = convolves(other) or other.target in (aten.relu.default, aten.constant_pad_nd.default)
    users = [user for user in other.users if user is not addition]
    return new and all(convolves(user) and user < convolution for user in users)


def folded(weight: Node, bias: Node | None, norm: Node) -> tuple[Node, Node]:
    """Return the weight and bias of a convolution that absorbs its normalization. Constants are computed here."""
    graph, module = norm.graph, norm.graph.owning_module
    assert module is not None
    _, gamma, beta, mean, variance, _, _, epsilon = arguments_of(norm)

    def call(operation, *arguments, **options) -> Node:
        if any(isinstance(given, Node) and given.op != "get_attr" for given in arguments):
            return graph.call_function(operation, arguments, options)
        values = (getattr(module, str(given.target)) if isinstance(given, Node) else given for given in arguments)
        name = f"folded_{len(module._buffers)}"
        module.register_buffer(name, operation(*values, **options))
        return graph.get_attr(name)

    def full(node: Node) -> Node:
        """Return a value before it was rounded to a lower precision."""
        return arguments_of(node)[0] if node.target is aten._to_copy.default else node

    scale = call(aten.rsqrt.default, call(aten.add.Tensor, variance, epsilon))
    scale = scale if gamma is None else call(aten.mul.Tensor, scale, gamma)
    shift = call(aten.neg.default, mean) if bias is None else call(aten.sub.Tensor, full(bias), mean)
    shift = call(aten.mul.Tensor, shift, scale)
    shift = shift if beta is None else call(aten.add.Tensor, shift, beta)
    scaled = call(aten.mul.Tensor, full(weight), call(aten.view.default, scale, [-1, 1, 1, 1]))
    dtype = known(arguments_of(norm)[0]).dtype
    if dtype == torch.float32:
        return scaled, shift
    return call(aten._to_copy.default, scaled, dtype=dtype), call(aten._to_copy.default, shift, dtype=dtype)


def has_windows(pool: Node) -> bool:
    """Return whether a pooling cuts channels-last images into separate windows, and no one uses its indices."""
    image = known(arguments_of(pool)[0])
    if image is None or image.device.type != "cpu" or image.dim() != 4 or image.shape[1] == 1 or pool.kwargs:
        return False
    separate = separate_windows(arguments_of(pool)) is not None and values_alone(pool)
    return separate and image.is_contiguous(memory_format=torch.channels_last)


def values_alone(pool: Node) -> bool:
    """Return whether no one uses the indices of a pooling."""
    return all(arguments_of(user)[1] == 0 for user in pool.users)


def take_maxima(traced: GraphModule) -> GraphModule:
    """Let a traced pass read the maxima of windows themselves, instead of images that have these maxima."""
    traced.graph.eliminate_dead_code()
    for spread in traced.graph.find_nodes(op="call_function", target=torch.ops.lossatlas.spread.default):
        pooled, window, _, rectified = arguments_of(spread)
        relu = only_user(spread, aten.relu.default) or only_user(spread, aten.relu_.default)
        pool = only_user(relu or spread, aten.max_pool2d_with_indices.default)
        if pool is None or bool(relu) != rectified or not values_alone(pool):
            continue
        if separate_windows(arguments_of(pool)) == tuple(window):
            (result,) = pool.users
            with traced.graph.inserting_before(result):  # a copy, if a later operation may overwrite it
                found = traced.graph.call_function(aten.clone.default, (pooled,)) if overwrites(result) else pooled
            result.replace_all_uses_with(found)
            for node in filter(None, (result, pool, relu, spread)):  # one in place is never dead code
                traced.graph.erase_node(node)
    traced.recompile()
    return traced


def overwrites(node: Node) -> bool:
    """Return whether an operation after this one works in place."""
    later = (other for other in node.graph.nodes if other > node and other.op == "call_function")
    return any(getattr(getattr(other.target, "_schema", None), "is_mutable", False) for other in later)


def pool_by_maxima(pool: Node) -> None:
    """Replace a pooling by maxima of slices."""
    graph, (source, kernel) = pool.graph, arguments_of(pool)[:2]
    (result,) = pool.users
    relu = source.target is aten.relu.default and len(source.users) == 1
    found = arguments_of(source)[0] if relu else source
    with graph.inserting_before(result):
        for axis, size in enumerate(kernel, start=2):
            end = known(source).shape[axis] // size * size
            slices = [graph.call_function(aten.slice.Tensor, (found, axis, i, end, size)) for i in range(size)]
            found = slices[0]
            for other in slices[1:]:
                found = graph.call_function(aten.maximum.default, (found, other))
        if relu:
            found = graph.call_function(aten.relu.default, (found,))
    result.replace_all_uses_with(found)
