"""Checks of arguments: what comes in is brought into one form, or refused by a ValueError that names it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from lossatlas import vectors
from lossatlas._checks import whole_number
from lossatlas.vectors import Params

SEEDS = -(2**63), 2**64 - 1  # what torch.Generator.manual_seed takes


def seed_of(value: Any) -> int:
    """Return a seed as an int."""
    return whole_number(value, "seed", least=SEEDS[0], most=SEEDS[1])


def scale_of(value: Any) -> float:
    """Return a factor as a float. Raises ValueError unless it is finite and not zero."""
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"scale={value!r}: expected a number") from None
    if not math.isfinite(number) or number == 0:
        raise ValueError(f"scale={number}: expected a finite number other than 0")
    return number


def names(value: Any, name: str) -> list[str] | None:
    """Return names as a list; one name may stand for itself, and None for all. Raises ValueError for anything else."""
    if value is None or isinstance(value, str):
        return None if value is None else [value]
    found = list(value) if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes | Tensor) else [None]
    if not all(isinstance(one, str) for one in found):
        raise ValueError(f"{name}={value!r}: expected names of layers or parameters, or None for all")
    return [str(one) for one in found]


def numbers(values: Any, name: str, *, lowest: float = -math.inf) -> np.ndarray:
    """Return finite numbers as a float64 array of one dimension. Raises ValueError for anything else."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name}: got {type(values).__name__}, expected a sequence of numbers") from None
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name}: shape {array.shape}, expected one dimension with at least one number")
    if not np.isfinite(array).all() or (array < lowest).any():
        bad = int(np.flatnonzero(~np.isfinite(array) | (array < lowest))[0])
        least = "" if math.isinf(lowest) else f", at least {lowest:g}"
        raise ValueError(f"{name}[{bad}] = {array[bad]}: expected a finite number{least}")
    return array


def finite_matrix(values: Any, name: str) -> np.ndarray:
    """Return a NumPy array of two dimensions and finite numbers. Raises ValueError for anything else."""
    try:
        matrix = np.asarray(values)
        finite = matrix.ndim == 2 and matrix.size > 0 and bool(np.isfinite(matrix).all())
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name}: got {type(values).__name__}, expected a matrix of numbers") from None
    if not finite:
        raise ValueError(f"{name}: shape {matrix.shape}, expected two dimensions and finite numbers")
    return matrix if matrix.dtype.kind in "fc" else matrix.astype(np.float64)


def description_of(values: Any) -> dict:
    """Return a description as plain JSON values. Raises ValueError for what JSON cannot hold."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise ValueError(f"description: got {type(values).__name__}, expected a mapping")

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic | Tensor):
            return value.tolist()
        return os.fspath(value) if isinstance(value, os.PathLike) else list(value)

    try:
        return json.loads(json.dumps(dict(values), default=plain))
    except (TypeError, ValueError) as error:
        raise ValueError(f"description: {error}; expected values that JSON can hold") from None


def tensors(values: Any, what: str) -> Params:
    """Return a dict of strided tensors that hold values, detached. Raises ValueError for anything else."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{what}: got {type(values).__name__}, expected a dict of tensors")
    found: Params = {}
    for name, tensor in values.items():
        if not isinstance(name, str):
            raise ValueError(f"{what}: the key {name!r} is no name of a parameter")
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{what}[{name!r}]: got {type(tensor).__name__}, expected a tensor (torch.as_tensor)")
        if is_lazy(tensor):
            raise ValueError(f"{what}[{name!r}] has no shape yet: call the model on a batch once before")
        if tensor.is_meta:
            raise ValueError(f"{what}[{name!r}] is a meta tensor, which has no values: load the weights first")
        if tensor.layout is not torch.strided:
            raise ValueError(f"{what}[{name!r}]: layout {tensor.layout}, expected an ordinary (strided) tensor")
        found[name] = tensor.detach()
    if not found:
        raise ValueError(f"{what} has no parameters")
    return found


def movable(tensor: Tensor) -> bool:
    """Return whether a tensor holds real or complex numbers; whole numbers and quantized tensors stay as they are."""
    return tensor.is_floating_point() or tensor.is_complex()


def check_finite(values: Mapping[str, Tensor], what: str) -> None:
    """Raise ValueError that names the first tensor with NaN or infinity in it."""
    for name, tensor in values.items():
        if movable(tensor) and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{what}: {name!r} has values that are not finite (NaN or infinity)")


def direction_like(reference: Mapping[str, Tensor], direction: Any, what: str) -> Params:
    """Return a direction in the order, dtypes and devices of the parameters that it moves.

    Raises ValueError if it lacks a parameter, has another shape, is complex where the parameter is real, is not
    finite, or moves nothing.
    """
    given = tensors(direction, what)
    vectors.check_same_shape(reference, given, what=what)
    found, moves = {}, False
    for name, tensor in reference.items():
        step, moving = given[name], bool(given[name].any()) if movable(given[name]) else False
        if not movable(tensor):
            if moving:
                raise ValueError(f"{what}: {name!r} holds {tensor.dtype} values, which cannot move; expected zeros")
            found[name] = torch.zeros_like(tensor)
            continue
        if not movable(step) or (step.is_complex() and not tensor.is_complex()):
            raise ValueError(f"{what}: {name!r} is {step.dtype}, expected {tensor.dtype}")
        found[name], moves = step.to(tensor), moves or moving
    check_finite(found, what)
    if not moves:
        raise ValueError(f"{what}: zero everywhere, so that nothing moves along it")
    return found
