"""Which axes of which parameters hold the same units of a network, so that they can only be permuted together.

The graph of a module is traced with torch.fx and walked once. Every layer with weights makes new units; what adds two
tensors ties their units; and two units can change places if they occur along the same axes.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.fx
from torch import Tensor, nn

from lossatlas.connectivity.layouts import (
    ADDING_NAMES,
    BINARY_NAMES,
    CONVOLUTIONS,
    ELEMENTWISE,
    ELEMENTWISE_NAMES,
    EXPECTED,
    FEATURES,
    FIXED,
    FLAT,
    IMAGE,
    NORMS,
    NUMBER,
    POOL_NAMES,
    POOLS,
    ZERO,
    Layout,
    all_move,
    flattened,
    keeps_channels,
)


@dataclass(frozen=True)
class Channels:
    """What can be permuted in a network.

    Attributes
    ----------
    axes : dict of (str, int) to list of int
        The unit at every index along the axes of parameters and running statistics. Units that are tied have one
        number; 0 and -1 stand for what stays.
    groups : list of list of int
        Units that can change places with each other, in the order of the graph.
    values : dict of str to (list of int, str)
        The units and the form of the tensors that go into and come out of layers with weights, by the name of their
        node.
    """

    axes: dict[tuple[str, int], list[int]]
    groups: list[list[int]]
    values: dict[str, tuple[list[int], str]]

    @property
    def unchanged(self) -> np.ndarray:
        """The order in which every unit keeps its place: the unit at the place of each, by its number."""
        return np.arange(1 + max((unit for units in self.axes.values() for unit in units), default=0))


def traced(model: nn.Module, what: str) -> torch.fx.GraphModule:
    """Return the graph of a module. Raises ValueError if it has none, or takes more than one tensor."""
    try:
        graph = torch.fx.symbolic_trace(model)
    except Exception as error:  # whatever a forward pass raises
        raise ValueError(f"{what}: {type(model).__name__} cannot be traced by torch.fx: {error}") from error
    inputs = [node for node in graph.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise ValueError(f"{what}: {type(model).__name__} takes {len(inputs)} inputs, expected one tensor")
    return graph


def channels_of(model: nn.Module, what: str) -> Channels:
    """Return what can be permuted in a module.

    Raises
    ------
    ValueError
        Naming the first layer or operation for which permutations are not known.

    Examples
    --------
    >>> channels = channels_of(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), "model")
    >>> channels.groups, channels.axes["2.weight", 1]
    ([[1, 2, 3]], [1, 2, 3])
    """
    return _Walk(model, what).run()


class _Walk:
    """One walk along the graph, which collects the units along every axis."""

    def __init__(self, model: nn.Module, what: str):
        self.graph, self.what = traced(model, what), what
        self.parents = [FIXED]
        self.axes: dict[tuple[str, int], list[int]] = {}
        self.values: dict[str, tuple[list[int], str]] = {}
        self.names = {id(tensor): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
        self.modules = dict(self.graph.named_modules())

    def run(self) -> Channels:
        """Walk along the graph."""
        found: dict[torch.fx.Node, Any] = {}
        for node in self.graph.graph.nodes:
            found[node] = self.step(node, found)
        axes = {key: [self.root(unit) for unit in units] for key, units in self.axes.items()}
        values = {name: ([self.root(unit) for unit in units], form) for name, (units, form) in self.values.items()}
        return Channels(axes, _groups(axes), values)

    def refuse(self, name: str) -> ValueError:
        """Return the error for what cannot be permuted."""
        return ValueError(f"{self.what}: {name} cannot be aligned; {EXPECTED}")

    def root(self, unit: int) -> int:
        """Return the number under which a unit and those tied to it are known."""
        while unit > 0 and self.parents[unit] != unit:
            unit = self.parents[unit]
        return unit

    def tie(self, one: int, other: int) -> None:
        """Let two units only move together."""
        low, high = sorted((self.root(one), self.root(other)))
        self.parents[high] = low

    def fix(self, layout: Layout) -> None:
        """Let the units of a layout stay."""
        for unit in layout.units or ():
            if unit > 0:
                self.tie(unit, FIXED)

    def step(self, node: torch.fx.Node, found: dict) -> Any:
        """Return the layout of what a node computes."""
        if node.op == "placeholder":
            return Layout(None)
        if node.op == "output":
            result = node.args[0]
            if not isinstance(result, torch.fx.Node):
                raise ValueError(f"{self.what}: returns {type(result).__name__}, expected one tensor")
            self.fix(found[result])
            return None
        args = [found[arg] if isinstance(arg, torch.fx.Node) else arg for arg in node.args]
        if node.op == "call_module":
            module = self.modules[str(node.target)]
            return self.layer(module, str(node.target), args[0], node)
        if node.op == "get_attr":
            tensor = operator.attrgetter(str(node.target))(self.graph)
            if not isinstance(tensor, Tensor) or tensor.numel() != 1:
                raise self.refuse(f"the use of {node.target!r} outside a layer")
            return NUMBER
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return self.function(str(name).removeprefix("_"), args, dict(node.kwargs), found)

    # Layers

    def layer(self, module: nn.Module, name: str, layout: Any, node: torch.fx.Node) -> Layout:
        """Return the layout that a layer of PyTorch's makes of another."""
        kind = f"layer {name!r} ({type(module).__name__})"
        if not isinstance(layout, Layout) or len(node.args) != 1 or module._forward_hooks or module._forward_pre_hooks:
            raise self.refuse(kind)
        if type(module) in ELEMENTWISE or (isinstance(module, nn.PReLU) and module.num_parameters == 1):
            return layout
        if type(module) in POOLS:
            return self.image(layout, kind)
        if type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
            return flattened(layout)
        if type(module) is nn.Linear:
            return self.weighted(module, layout, FEATURES, kind, node)
        if type(module) in CONVOLUTIONS and module.groups == 1:
            return self.weighted(module, self.image(layout, kind), IMAGE, kind, node)
        if type(module) in NORMS:
            return self.scaled(module, layout, kind)
        if type(module) is nn.LayerNorm and len(module.normalized_shape) == 1 and layout.form == FEATURES:
            return self.scaled(module, layout, kind)
        raise self.refuse(kind)

    def weighted(self, module: nn.Module, layout: Layout, form: str, kind: str, node: torch.fx.Node) -> Layout:
        """Return the new units of a dense or convolutional layer; its weights see those of the layout."""
        weight = module._parameters.get("weight")
        if weight is None:
            raise self.refuse(f"{kind} without a parameter 'weight'")
        if layout.form == IMAGE and form == FEATURES and layout.units is not None:
            raise self.refuse(f"{kind} on the channels of an image that is not flattened")
        seen = weight.shape[1]
        if layout.units is not None:
            places, rest = divmod(seen, len(layout.units))
            if rest or (places > 1 and layout.form != FLAT):
                raise self.refuse(f"{kind} with {seen} inputs for {len(layout.units)} channels")
            units = [unit for unit in layout.units for _ in range(places)]
            self.values[str(node.args[0])] = list(layout.units), layout.form
        else:
            units = [FIXED] * seen
        self.hold(weight, 1, units)
        made = self.axes.get((self.names[id(weight)], 0))
        if made is None:
            first = len(self.parents)
            made = list(range(first, first + weight.shape[0]))
            self.parents += made
        self.hold(weight, 0, made)
        if (bias := module._parameters.get("bias")) is not None:
            self.hold(bias, 0, made)
        self.values[node.name] = made, form
        return Layout(tuple(made), form)

    def scaled(self, module: nn.Module, layout: Layout, kind: str) -> Layout:
        """Return the layout after a normalization, whose scales and statistics belong to its units."""
        held = (*module._parameters.values(), *module._buffers.values())
        tensors = [tensor for tensor in held if tensor is not None and tensor.dim()]
        if layout.units is None:
            return layout
        units = tuple(max(unit, FIXED) for unit in layout.units)  # what was zero has a value of its own now
        if any(tuple(tensor.shape) != (len(units),) for tensor in tensors) or layout.form == FLAT:
            raise self.refuse(f"{kind} over other axes than the {len(units)} channels before it")
        for tensor in tensors:
            self.hold(tensor, 0, list(units))
        return Layout(units, layout.form)

    def hold(self, tensor: Tensor, axis: int, units: Sequence[int]) -> None:
        """Note the units along an axis. A tensor that is used twice ties those of both uses."""
        key = self.names[id(tensor)], axis
        known = self.axes.setdefault(key, list(units))
        for one, other in zip(known, units, strict=True):
            self.tie(max(one, FIXED), max(other, FIXED)) if one != other else None

    def image(self, layout: Layout, kind: str) -> Layout:
        """Return the layout of an image. Raises ValueError for another form."""
        if layout.units is not None and layout.form != IMAGE:
            raise self.refuse(f"{kind} on {layout.form} units")
        return layout

    # Functions and methods

    def function(self, name: str, args: list, kwargs: dict, found: dict) -> Any:
        """Return the layout that a function or method makes of others."""
        called = f"the operation {name!r}"
        first = args[0] if args else None
        if name in ("size", "getattr") or (name == "getitem" and first is NUMBER):
            return NUMBER
        if name == "cat":
            return self.joined(args, kwargs, found, called)
        if name in BINARY_NAMES and len(args) == 2:
            return self.combined(args[0], args[1], called, adding=name in ADDING_NAMES)
        if not isinstance(first, Layout):
            raise self.refuse(called)
        if name in ELEMENTWISE_NAMES:
            return first
        if name in POOL_NAMES:
            return self.image(first, called)
        if (name == "flatten" and args[1:] == [1]) or (name == "flatten" and kwargs == {"start_dim": 1}):
            return flattened(first)
        if name in ("view", "reshape") and len(args) == 3 and args[1] is NUMBER and args[2] == -1:
            return flattened(first)
        if name in ("mean", "amax", "sum"):
            return self.reduced(first, args[1] if len(args) > 1 else kwargs.get("dim"), kwargs, called)
        if name == "getitem" and keeps_channels(args[1]):
            return self.image(first, called)
        if name == "pad":
            return self.padded(first, args[1:], kwargs, called)
        raise self.refuse(called)

    def combined(self, one: Any, other: Any, called: str, *, adding: bool) -> Any:
        """Return the layout of a sum or product, whose units are tied channel by channel."""
        if not isinstance(one, Layout) or not isinstance(other, Layout):
            return one if isinstance(one, Layout) else other if isinstance(other, Layout) else NUMBER
        if one.units is None or other.units is None:
            self.fix(one)
            self.fix(other)
            return Layout(None)
        if len(one.units) != len(other.units) or one.form != other.form or not (adding or all_move(one, other)):
            raise self.refuse(f"{called} of tensors with different channels")
        units = []
        for a, b in zip(one.units, other.units, strict=True):
            if a != ZERO and b != ZERO:
                self.tie(a, b)
            units.append(b if a == ZERO else a)
        return Layout(tuple(units), one.form)

    def joined(self, args: list, kwargs: dict, found: dict, called: str) -> Layout:
        """Return the layout of tensors that stand behind each other along the channels."""
        parts = [found.get(part) for part in args[0]] if args and isinstance(args[0], Iterable) else []
        axis = args[1] if len(args) > 1 else kwargs.get("dim")
        layouts = [part for part in parts if isinstance(part, Layout) and part.units is not None]
        if axis != 1 or not parts or len(layouts) < len(parts) or len({layout.form for layout in layouts}) > 1:
            raise self.refuse(called)
        return Layout(tuple(unit for layout in layouts for unit in layout.units or ()), layouts[0].form)

    def reduced(self, layout: Layout, dims: Any, kwargs: dict, called: str) -> Layout:
        """Return the layout after a mean over all places of an image."""
        dims = (dims,) if isinstance(dims, int) else tuple(dims or ())
        if layout.units is None or layout.form != IMAGE or sorted(dims) not in ([2], [2, 3], [-2, -1]):
            raise self.refuse(called)
        return layout if kwargs.get("keepdim") else Layout(layout.units, FEATURES)

    def padded(self, layout: Layout, args: list, kwargs: dict, called: str) -> Layout:
        """Return the layout with channels of zeros before and behind."""
        widths = list(args[0] if args else kwargs.get("pad", ()))
        mode = args[1] if len(args) > 1 else kwargs.get("mode", "constant")
        value = args[2] if len(args) > 2 else kwargs.get("value")
        if mode != "constant" or value or layout.form != IMAGE or len(widths) > 6 or layout.units is None:
            raise self.refuse(called)
        before, behind = widths[4:6] if len(widths) == 6 else (0, 0)
        if min(before, behind) < 0:
            raise self.refuse(called)
        return Layout((*(ZERO,) * before, *layout.units, *(ZERO,) * behind), IMAGE)


def _groups(axes: dict[tuple[str, int], list[int]]) -> list[list[int]]:
    """Return the units that occur along exactly the same axes, for every set of axes; those that stay are left out."""
    places: dict[int, list[tuple[str, int]]] = {}
    for key, units in axes.items():
        for unit in units:
            if unit > 0:
                places.setdefault(unit, []).append(key)
    groups: dict[tuple, list[int]] = {}
    for unit in sorted(places):
        groups.setdefault(tuple(places[unit]), []).append(unit)
    return [units for units in groups.values() if len(units) > 1]
