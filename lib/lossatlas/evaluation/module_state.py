"""Modules that are not ours: copied if they can be, borrowed and put back as they were if not."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lossatlas.vectors import Params

MODULE_ATTRIBUTES = frozenset(vars(nn.Module()))  # those of every module, such as its hooks


class Passing(nn.Module):
    """A wrapper that only calls the module inside it, under the same parameter names as the one it replaces.

    It stands in for ``DataParallel``, which would divide batches between devices, and for compiled modules, whose
    programs hold the weights that they were compiled with.
    """

    def __init__(self, name: str, inside: nn.Module):
        super().__init__()
        self.add_module(name, inside)
        self.name = name

    def forward(self, *args, **options):
        """Call the module inside."""
        return getattr(self, self.name)(*args, **options)


def _inside(module: nn.Module) -> str | None:
    """Return the attribute that holds the wrapped module if this one only wraps it."""
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return "module"
    return "_orig_mod" if type(module).__name__ == "OptimizedModule" else None


def check_model(model) -> None:
    """Check that something can be evaluated.

    Raises
    ------
    ValueError
        If it is no module, has no parameters, or has parameters without values.
    """
    if isinstance(model, type):
        raise ValueError(f"model: got the class {model.__name__}; expected an instance, such as {model.__name__}()")
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: got {type(model).__name__}; expected a torch.nn.Module")
    named = dict(model.named_parameters())
    if not named:
        raise ValueError(f"model: {type(model).__name__} has no parameters, so its loss is the same everywhere")
    for name, tensor in (*named.items(), *model.named_buffers()):
        if is_lazy(tensor):
            raise ValueError(f"model: {name!r} has no shape yet; call the model on a batch once before")
        if tensor.is_meta:
            raise ValueError(f"model: {name!r} is a meta tensor, which has no values; load the weights first")
        if tensor.layout != torch.strided:
            layout = str(tensor.layout).removeprefix("torch.")
            raise ValueError(f"model: {name!r} has layout {layout}; expected a dense tensor (see Tensor.to_dense)")
    for module in model.modules():
        if type(module).__name__ in ("FullyShardedDataParallel", "FSDPModule"):
            raise ValueError("model: FullyShardedDataParallel holds only a part of the weights; gather them first")


def _own_attributes(module: nn.Module) -> dict[str, Any]:
    """Return a module's attributes other than its parameters, buffers and children."""
    known = ("_parameters", "_buffers", "_modules")
    return {name: value for name, value in vars(module).items() if name not in known}


def attributes(model: nn.Module) -> tuple[tuple[nn.Module, dict[str, Any], list[tuple[Any, Any]]], ...]:
    """Return what the modules hold beside tensors and children, with the contents of containers, for :func:`put_back`.

    The contents are those of lists, dicts and sets that are attributes themselves, not of others inside them.
    """
    return tuple(
        (module, own, [(value, copy.copy(value)) for name, value in own.items() if _is_container(name, value)])
        for module in model.modules()
        for own in [_own_attributes(module)]
    )


def _is_container(name: str, value: Any) -> bool:
    return type(value) in (list, dict, set) and name not in MODULE_ATTRIBUTES


def put_back(held: tuple[tuple[nn.Module, dict[str, Any], list[tuple[Any, Any]]], ...]) -> None:
    """Give modules the attributes that they had, and no others, and containers the contents that they had."""
    for module, values, containers in held:
        own = vars(module)
        for name in [name for name in own if name not in values and not name.startswith("_")]:
            del own[name]
        own.update(values)
        for container, contents in containers:
            container.clear()
            (container.extend if isinstance(container, list) else container.update)(contents)


def copied(model: nn.Module) -> nn.Module | None:
    """Return a copy of a module with weights of its own, or None if it cannot be copied.

    Tensors that were computed from weights (a weight-normalized layer keeps one after every pass) are copied by
    value. What cannot be copied, such as a lock or an open file, is shared with the original.
    """
    memo: dict[int, Any] = {}
    with torch.no_grad():
        for module in model.modules():
            for value in _own_attributes(module).values():
                for tensor in _computed(value):
                    memo[id(tensor)] = tensor.detach().clone()
        for module in model.modules():
            for value in _own_attributes(module).values():
                try:
                    copy.deepcopy(value, {**memo, **{id(part): part for part in model.modules()}})
                except Exception:  # whatever it raises, it is shared
                    memo[id(value)] = value
        try:
            copy_of_it = copy.deepcopy(model, memo)
        except Exception:  # as above
            return None
    return None if _reaches_back(copy_of_it, model) else _unwrapped(copy_of_it)


def own_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a module as :func:`copied` makes it. Raises ValueError if it cannot be copied."""
    copy_of_it = copied(model)
    if copy_of_it is None:
        raise ValueError(f"model: {type(model).__name__} cannot be copied; expected a module that copy.deepcopy copies")
    return copy_of_it


def _reaches_back(copy_of_it: nn.Module, model: nn.Module) -> bool:
    """Return whether a function that the copy holds uses a module or tensor of the original: closures are shared."""
    originals = {id(part) for part in (*model.modules(), *model.parameters(), *model.buffers())}

    def reaches(value, depth: int) -> bool:
        if id(value) in originals:
            return True
        if depth == 0:
            return False
        if isinstance(value, dict):
            return any(reaches(item, depth - 1) for item in list(value.values()))
        if isinstance(value, list | tuple):
            return any(reaches(item, depth - 1) for item in value)
        cells = getattr(value, "__closure__", None) or ()
        held = [getattr(value, name, None) for name in ("func", "args", "__self__", "__wrapped__", "__defaults__")]
        return any(reaches(item, depth - 1) for item in (*held, *map(_content, cells)) if item is not None)

    attributes = (value for module in copy_of_it.modules() for value in _own_attributes(module).values())
    return any(reaches(value, 4) for value in attributes if not isinstance(value, str | int | float | Tensor))


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # still empty
        return None


def _computed(value) -> list[Tensor]:
    """Return the tensors with a history in a value, or one level inside it."""
    values = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
    return [tensor for tensor in values if isinstance(tensor, Tensor) and not tensor.is_leaf]


def _unwrapped(model: nn.Module) -> nn.Module:
    """Return a copied module with every wrapper that only calls replaced."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            inside = _inside(child)
            if inside:
                module._modules[name] = Passing(inside, getattr(child, inside))
    inside = _inside(model)
    return Passing(inside, getattr(model, inside)) if inside else model


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Leave a module's tensors, modes, gradients and attributes as they were found."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    values = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    storages = {name: tensor.data for name, tensor in tensors.items()}  # a module that is cast or moved has others
    flags = {name: (parameter.requires_grad, parameter.grad) for name, parameter in model.named_parameters()}
    own = {module: dict(vars(module)) for module in model.modules()}
    contents = attributes(model)
    held = {module: (dict(module._parameters), dict(module._buffers)) for module in model.modules()}
    try:
        yield
    finally:
        with torch.no_grad():
            for module, (parameters, buffers) in held.items():
                vars(module).update(own[module])
                for name in set(vars(module)) - set(own[module]):
                    del vars(module)[name]
                for name, parameter in parameters.items():
                    module._parameters[name] = parameter
                for name, buffer in buffers.items():
                    module._buffers[name] = buffer
            put_back(contents)
            for name, tensor in tensors.items():
                tensor.data = storages[name]
                tensor.copy_(values[name])
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(flags[name][0])
                parameter.grad = flags[name][1]


@contextmanager
def private(model: nn.Module) -> Iterator[tuple[nn.Module, bool]]:
    """Give a module to write into, and whether it is a copy; if it is not, it is put back as it was.

    The module is in eval mode, and none of its parameters needs a gradient.
    """
    copy_of_it = copied(model)
    if copy_of_it is not None:
        copy_of_it.eval()
        _freeze(copy_of_it)
        yield copy_of_it, True
        return
    with borrowed(model) as own:
        yield own, False


@contextmanager
def borrowed(model: nn.Module) -> Iterator[nn.Module]:
    """Give the user's model to write into, in eval mode and without a wrapper; afterwards it is as it was."""
    with kept(model):
        model.eval()
        _freeze(model)
        inside = _inside(model)
        yield Passing(inside, getattr(model, inside)).eval() if inside else model


def _freeze(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def tensors_of(model: nn.Module) -> Params:
    """Return a model's parameters and buffers by name: the tensors themselves."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def write(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Copy values into the parameters and buffers of a model, whichever differ."""
    own = tensors_of(model)
    with torch.no_grad():
        for name, value in values.items():
            if own[name] is not value:
                own[name].copy_(value)
