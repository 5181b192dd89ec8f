"""The data of a surface: checked once, then held as blocks of samples.

``inputs`` are a tensor, or a dict, tuple or list of tensors, with the samples along the first dimension of each;
``targets`` are one tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from lossatlas.networks import losses

BLOCK_SAMPLES = 8192  # samples held in one block, and the largest pass

Batch = tuple[object, Tensor]


def take(inputs, part: slice):
    """Some of the samples."""
    return tree_map(lambda tensor: tensor[part], inputs)


def count(inputs) -> int:
    """The number of samples."""
    return len(tree_leaves(inputs)[0])


def split(batch: Batch, size: int) -> Iterator[Batch]:
    """A batch in parts of at most ``size`` samples."""
    inputs, targets = batch
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        yield take(inputs, part), targets[part]


def first(batch: Batch, samples: int) -> Batch:
    """The first few samples of a batch."""
    return next(split(batch, samples))


def join(batches: list[Batch]) -> Batch:
    """Several batches as one."""
    if len(batches) == 1:
        return batches[0]
    return tree_map(lambda *tensors: torch.cat(tensors), *batches)


def cast(batch: Batch, dtype: torch.dtype) -> Batch:
    """A batch with its real numbers in one type; whole numbers stay what they are."""
    return tree_map(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor, batch)


def move(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device."""
    return tree_map(lambda tensor: tensor.to(device), batch)


def _is_batch(found: object) -> bool:
    """Whether something is (inputs, targets)."""
    if not (isinstance(found, tuple | list) and len(found) == 2 and isinstance(found[1], Tensor)):
        return False
    leaves = tree_leaves(found[0])
    return bool(leaves) and all(isinstance(leaf, Tensor) and leaf.dim() for leaf in leaves)


def read(data) -> Iterator[Batch]:
    """(inputs, targets) batch by batch, from one such pair or from any iterable of them. Raises ValueError."""
    expected = "expected (inputs, targets), two tensors, or batches of such pairs"
    if not isinstance(data, Iterable):
        raise ValueError(f"data: got {type(data).__name__}; {expected}")
    seen = 0
    for batch in [data] if _is_batch(data) else data:
        if not _is_batch(batch):
            raise ValueError(f"data: got {type(batch).__name__}; {expected}")
        inputs, targets = batch
        for tensor in tree_leaves(inputs):
            if len(tensor) != len(targets):
                raise ValueError(f"data: {len(tensor)} inputs but {len(targets)} targets")
        if len(targets):
            seen += len(targets)
            yield tree_map(torch.Tensor.detach, inputs), targets.detach()
    if not seen:
        raise ValueError("data: empty; at least one sample is needed")


def try_outputs(model: nn.Module, inputs) -> Tensor:
    """The outputs of a few samples. Raises ValueError where they do not go through the model."""
    leaves = tree_leaves(inputs)
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in leaves)
    dtypes = ", ".join(str(tensor.dtype) for tensor in leaves)
    try:
        with torch.no_grad():
            outputs = model(inputs)
    except (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"data: inputs of shape {shapes} and dtype {dtypes} do not go through {type(model).__name__}: {error}"
        ) from error
    if not isinstance(outputs, Tensor):
        raise ValueError(
            f"model: {type(model).__name__} returned {type(outputs).__name__}; expected one tensor: "
            "predict=lambda model, inputs: … can pick it"
        )
    return outputs


def checked(model: nn.Module, loss: str | Callable, batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Pass batches on, after trying the model and the loss on the first and checking every one's targets."""
    shape: tuple[int, ...] | None = None
    for inputs, targets in batches:
        if shape is None:
            few, theirs = move(first((inputs, targets), 2), device)
            outputs = try_outputs(model, few)
            shape = tuple(outputs.shape[1:])
            if callable(loss):
                losses.make_score(loss)(outputs, theirs)
        losses.check_targets(loss, (len(targets), *shape), targets)
        yield inputs, targets


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
