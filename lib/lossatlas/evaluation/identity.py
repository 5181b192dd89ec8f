"""What makes two evaluations the same: the tensors, the code and the state behind them, and the values they give."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

RELATIVE = 1e-3  # by how much a value may differ from a stored one: devices round differently
ABSOLUTE = 1e-5  # the same for values that all but vanish, as a share of the median
DEEPEST = 6  # levels of functions and objects that are followed


def fingerprint(tensors, code: str = "") -> str:
    """Return twelve hexadecimal digits of some text and of what a tree of tensors holds: types, shapes, bytes."""
    digest = hashlib.sha256(code.encode())
    for tensor in tree_leaves(tensors):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:12]


def describe(text: str, tensors, code: str = "") -> str:
    """Return a text with the fingerprint of what it is about."""
    return f"{text}, {fingerprint(tensors, code)}"


def describe_function(function: str | Callable | None) -> str | None:
    """Return a function's name with a fingerprint of its source and of the values that it holds.

    Parameters
    ----------
    function : callable, str or None
        A function, a module, a partial or any other object that can be called. Its source is compared without
        comments and layout. Its values are those it closes over, its defaults, the constants and tensors among the
        global names that it uses, and the attributes of an object. A name or None stays as it is.

    Examples
    --------
    >>> def power(p):
    ...     return lambda outputs, targets: (outputs - targets).abs() ** p
    >>> describe_function(power(1)) == describe_function(power(1))
    True
    >>> describe_function(power(1)) == describe_function(power(2))
    False
    """
    if function is None or isinstance(function, str):
        return function
    name = getattr(function, "__name__", type(function).__name__)
    return f"{name}, {hashlib.sha256(_contents(function, 0).encode()).hexdigest()[:12]}"


def _contents(value, depth: int) -> str:
    """Return what a value is, as text that is the same in every process."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | torch.dtype | torch.device):
        return repr(value)
    if isinstance(value, Tensor):
        return f"tensor {fingerprint([value])}"
    if isinstance(value, np.ndarray | np.generic):
        return f"array {value.dtype} {value.shape} {hashlib.sha256(np.asarray(value).tobytes()).hexdigest()}"
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if depth > DEEPEST:
        return kind
    inside = functools.partial(_contents, depth=depth + 1)
    if isinstance(value, Mapping):
        return f"{kind} {{{', '.join(f'{inside(key)}: {inside(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"{kind} [{', '.join(map(inside, value))}]"
    if isinstance(value, set | frozenset):
        return f"{kind} {sorted(map(inside, value))}"
    if isinstance(value, functools.partial):
        return f"{kind} {inside(value.func)} {inside(value.args)} {inside(value.keywords)}"
    if isinstance(value, types.MethodType):
        return f"{kind} {inside(value.__func__)} {inside(value.__self__)}"
    if isinstance(value, types.FunctionType):
        used = inspect.getclosurevars(value) if _readable(value) else None
        constants = {**used.nonlocals, **_constants(used.globals)} if used else {}
        return (
            f"{kind} {_source(value)} {inside(constants)} {inside(value.__defaults__)} {inside(value.__kwdefaults__)}"
        )
    if isinstance(value, type | types.BuiltinFunctionType | types.ModuleType):
        return f"{kind} {getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"
    if isinstance(value, nn.Module):
        state = {name: tensor for name, tensor in value.state_dict().items() if isinstance(tensor, Tensor)}
        plain = {k: v for k, v in vars(value).items() if not k.startswith("_")}
        return f"{kind} {_source(type(value))} {value!r} {inside(state)} {inside(plain)}"
    return f"{kind} {_source(type(value))} {inside(getattr(value, '__dict__', {}))}"


def _readable(function: types.FunctionType) -> bool:
    try:
        inspect.getclosurevars(function)
    except ValueError:  # a cell that is still empty
        return False
    return True


def _constants(names: Mapping) -> dict:
    """Those global values that are numbers, texts, arrays, tensors or functions of the user's."""
    kinds = bool | int | float | complex | str | Tensor | np.ndarray | list | tuple | dict | types.FunctionType
    return {name: value for name, value in sorted(names.items()) if isinstance(value, kinds)}


def _source(code) -> str:
    """Return the source of a function or class without comments and layout, or what is known without source."""
    try:
        text = textwrap.dedent(inspect.getsource(code))
    except (OSError, TypeError):
        compiled = getattr(code, "__code__", None)
        return f"{code.__qualname__} {compiled.co_code.hex() if compiled else ''}"
    try:
        return ast.dump(ast.parse(text))
    except SyntaxError:  # a lambda in the middle of a statement
        return text


def same_values(now: Sequence[float], stored: Sequence[float]) -> bool:
    """Return whether numbers are the stored ones up to rounding, each relative to its own size.

    Examples
    --------
    >>> same_values([390.0, 0.3115], [390.0, 0.3116])
    True
    >>> same_values([390.0, 0.3115], [390.0, 0.8175])
    False
    """
    ours, theirs = np.array(now, dtype=np.float64), np.array(stored, dtype=np.float64)
    if ours.shape != theirs.shape:
        return False
    finite = np.abs(theirs[np.isfinite(theirs)])
    small = ABSOLUTE * float(np.median(finite)) if len(finite) else 0.0
    return bool(np.allclose(ours, theirs, rtol=RELATIVE, atol=small, equal_nan=True))
