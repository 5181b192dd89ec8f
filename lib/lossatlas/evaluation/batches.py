"""The data of a surface: read and checked once, then held as batches, or as blocks of samples that can be cut.

A batch is ``(inputs, targets)``. Both may be tensors or any nesting of mappings, lists, tuples and objects that hold
tensors; the targets may be None. A batch can be cut if every tensor has the samples along its first dimension.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

BLOCK_SAMPLES = 8192  # samples held in one block, and the largest pass
EXPECTED = "expected (inputs, targets), (inputs,), or an iterable of such batches (a DataLoader)"

Batch = tuple[Any, Any]


def map_tensors(function: Callable[[Tensor], Tensor], tree, seen: dict[int, Any] | None = None):
    """Return a copy of a nest of containers with a function applied to every tensor, once per tensor.

    The containers keep their types: mappings, named tuples, data classes and other objects that hold tensors.
    Everything else stays as it is.
    """
    seen = {} if seen is None else seen
    if id(tree) in seen:
        return seen[id(tree)]

    def each(value):
        return map_tensors(function, value, seen)

    result = tree
    if isinstance(tree, Tensor):
        result = function(tree)
    elif isinstance(tree, Mapping):
        result = _like_mapping(tree, {key: each(value) for key, value in tree.items()})
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        result = type(tree)(*map(each, tree))
    elif isinstance(tree, list | tuple):
        result = type(tree)(map(each, tree))
    elif dataclasses.is_dataclass(tree) or _holds_tensors(tree):
        result = copy.copy(tree)
        for name, value in vars(tree).items():
            object.__setattr__(result, name, each(value))
    seen[id(tree)] = result
    return result


def _like_mapping(mapping: Mapping, items: dict) -> Mapping:
    if type(mapping) is dict:
        return items
    try:
        result = copy.copy(mapping)
        for key, value in items.items():
            result[key] = value  # type: ignore[index]
        return result
    except TypeError:  # it cannot be changed
        return type(mapping)(items)  # type: ignore[call-arg]


def _holds_tensors(value) -> bool:
    if isinstance(value, torch.nn.Module | type) or callable(value) or not hasattr(value, "__dict__"):
        return False
    return any(isinstance(held, Tensor) for held in vars(value).values())


def tensors_in(tree) -> list[Tensor]:
    """Return the tensors of a nest of containers, each once."""
    found: list[Tensor] = []
    map_tensors(lambda tensor: found.append(tensor) or tensor, tree)  # type: ignore[func-returns-value]
    return found


def samples_in(batch: Batch) -> int:
    """Return the number of samples of a batch: the length of its targets, or of its inputs if there are none."""
    inputs, targets = batch
    tree = inputs if targets is None else targets
    if isinstance(tree, list) and tree and not all(isinstance(item, Tensor) for item in tree):
        return len(tree)  # one dict of targets per image
    return next((len(tensor) for tensor in tensors_in(tree) if tensor.dim()), 1)


def can_be_cut(batch: Batch) -> bool:
    """Return whether every tensor of a batch has the samples along its first dimension."""
    inputs, targets = batch
    if not isinstance(targets, Tensor) or not targets.dim():
        return False
    leaves = tree_leaves(inputs)
    return bool(leaves) and all(
        isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == len(targets) for leaf in leaves
    )


def same_form(one: Batch, other: Batch) -> bool:
    """Return whether two batches that can be cut can also be joined."""
    (leaves, spec), (others, other_spec) = tree_flatten(one), tree_flatten(other)
    return spec == other_spec and all(
        a.shape[1:] == b.shape[1:] and a.dtype == b.dtype and a.device == b.device
        for a, b in zip(leaves, others, strict=True)
    )


def take(inputs, part: slice | Tensor):
    """Return some of the samples."""
    return tree_map(lambda tensor: tensor[part], inputs)


def count(inputs) -> int:
    """Return the number of samples of inputs that can be cut."""
    return len(tree_leaves(inputs)[0])


def split(batch: Batch, size: int) -> Iterator[Batch]:
    """Cut a batch into parts of at most ``size`` samples."""
    inputs, targets = batch
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        some = take(inputs, part)
        yield some, (some if targets is inputs else targets[part])  # a loss may differentiate one by the other


def first(batch: Batch, samples: int) -> Batch:
    """Return the first few samples of a batch."""
    return next(split(batch, samples))


def join(batches: Sequence[Batch]) -> Batch:
    """Join several batches to one."""
    if len(batches) == 1:
        return batches[0]
    return tree_map(lambda *tensors: torch.cat(tensors), *batches)


def cast(batch: Batch, dtype: torch.dtype) -> Batch:
    """Return a batch with its real numbers in one type; whole numbers keep theirs."""
    return map_tensors(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor, batch)


def move(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device."""
    return map_tensors(lambda tensor: tensor.to(device), batch)


def _plain(tensor: Tensor) -> Tensor:
    """Return a tensor that can be used in any pass. Raise ValueError if it holds no ordinary numbers."""
    if tensor.is_meta:
        raise ValueError("data: holds a meta tensor, which has no values; expected tensors with values")
    if tensor.layout != torch.strided or tensor.is_nested:
        kind = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
        raise ValueError(f"data: holds a tensor of layout {kind}; expected dense tensors (see Tensor.to_dense)")
    tensor = tensor.detach()
    return tensor.clone() if tensor.is_inference() else tensor


def _as_batch(given) -> Batch | None:
    """Return ``(inputs, targets)`` if this is a batch, else None."""
    if isinstance(given, Mapping):
        batch = given, None
    elif isinstance(given, tuple | list) and len(given) in (1, 2):
        batch = given[0], (given[1] if len(given) == 2 else None)
    else:
        return None
    inputs = batch[0]
    return batch if isinstance(inputs, Tensor) or tensors_in(inputs) else None


def _kind(value) -> str:
    """Return what something is, for a message."""
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of {', '.join(type(part).__name__ for part in value[:4])}"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _is_one_batch(data) -> bool:
    """Return whether ``data`` is one batch, and not an iterable of batches."""
    if isinstance(data, Mapping):
        return True
    if not isinstance(data, tuple | list):
        return False
    if len(data) == 1:
        return isinstance(data, tuple) and isinstance(data[0], Tensor | Mapping)
    if len(data) != 2:
        return False
    inputs, targets = data
    if targets is None:
        return isinstance(data, tuple) and isinstance(inputs, Tensor | Mapping)
    if isinstance(targets, Mapping):
        return isinstance(data, tuple) or isinstance(inputs, Tensor)
    listed = all(isinstance(part, list) and part for part in data)
    per_image = listed and isinstance(inputs[0], Tensor) and all(isinstance(target, Mapping) for target in targets)
    return isinstance(targets, Tensor) or per_image


def read(data, name: str = "data") -> Iterator[Batch]:
    """Yield the batches of ``data``, detached and without those that are empty.

    Parameters
    ----------
    data : tuple, mapping or iterable
        One batch, or an iterable of batches: ``(inputs, targets)``, ``(inputs,)`` or a mapping (no targets).
    name : str
        What messages call it.

    Raises
    ------
    ValueError
        If it holds no batches, or sparse or meta tensors.

    Examples
    --------
    >>> [(inputs.shape, targets) for inputs, targets in read((torch.zeros(4, 2),))]
    [(torch.Size([4, 2]), None)]
    """
    if not isinstance(data, Iterable) or isinstance(data, Tensor | str):
        raise ValueError(f"{name}: got {_kind(data)}; {EXPECTED}")
    seen = 0
    for given in [data] if _is_one_batch(data) else data:
        batch = _as_batch(given)
        if batch is None:
            alone = isinstance(data, tuple) and not isinstance(given, tuple | list)
            raise ValueError(f"{name}: got {_kind(data if alone else given)}; {EXPECTED}")
        inputs, targets = batch
        if isinstance(inputs, Tensor) and isinstance(targets, Tensor) and inputs.dim() and targets.dim():
            _check_lengths(inputs, targets)
        if any(isinstance(part, Tensor) and part.dim() and not len(part) for part in batch):
            continue
        seen += 1
        yield map_tensors(_plain, batch)
    if not seen:
        raise ValueError(f"{name}: empty; at least one sample is needed")


def _check_lengths(inputs: Tensor, targets: Tensor) -> None:
    if len(inputs) != len(targets):
        raise ValueError(f"data: {len(inputs)} inputs but {len(targets)} targets")


def blocks(batches: Iterable[Batch], size: int = BLOCK_SAMPLES) -> Iterator[Batch]:
    """Regroup batches into blocks of at most ``size`` samples, as full as the order of the batches allows."""
    held: list[Batch] = []
    samples = 0
    for batch in batches:
        for part in split(batch, size):
            if held and samples + len(part[1]) > size:
                yield join(held)
                held, samples = [], 0
            held.append(part)
            samples += len(part[1])
    if held:
        yield join(held)


def shapes(inputs) -> str:
    """Return the shapes and types of inputs, for a message."""
    tensors = tensors_in(inputs)
    listed = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
    return f"shape {listed} and dtype {', '.join(str(tensor.dtype) for tensor in tensors)}"
