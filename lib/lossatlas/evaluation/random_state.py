"""The state of the random number generators that a model or loss may draw from.

A loss that draws random numbers is a function of the weights only if every point sees the same numbers. So the state
at the call of ``evaluate`` is kept, and set again before every point; afterwards all generators are as they were.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import nn

OWN_KINDS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


@dataclass(frozen=True)
class RandomState:
    """The states of the global generators of PyTorch, NumPy and Python, and of generators that someone owns."""

    python: tuple
    numpy: dict[str, Any]
    torch_cpu: torch.Tensor
    torch_cuda: tuple[tuple[int, torch.Tensor], ...]
    owned: tuple[tuple[Any, Any], ...]

    @classmethod
    def now(cls, *owned) -> RandomState:
        """Return the present state, that of these generators included."""
        devices = range(torch.cuda.device_count()) if torch.cuda.is_available() and torch.cuda.is_initialized() else ()
        return cls(
            random.getstate(),
            np.random.get_state(legacy=False),
            torch.get_rng_state(),
            tuple((device, torch.cuda.get_rng_state(device)) for device in devices),
            tuple((generator, _state(generator)) for generator in owned),
        )

    def restore(self) -> None:
        """Set all generators to this state."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch_cpu)
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            for device, state in self.torch_cuda:
                torch.cuda.set_rng_state(state, device)
            for device in set(range(torch.cuda.device_count())) - {device for device, _ in self.torch_cuda}:
                with torch.cuda.device(device):  # CUDA was first used after the state was taken
                    torch.cuda.manual_seed(int(self.torch_cpu[:4].view(torch.int32)[0]) & 0x7FFFFFFF)
        for generator, state in self.owned:
            _set(generator, state)

    def changed(self) -> bool:
        """Return whether anything was drawn since this state."""
        now = RandomState.now(*(generator for generator, _ in self.owned))
        cuda = dict(self.torch_cuda)
        return not (
            _same(self.python, now.python)
            and _same(self.numpy, now.numpy)
            and _same(self.torch_cpu, now.torch_cpu)
            and all(device in cuda and _same(cuda[device], state) for device, state in now.torch_cuda)
            and all(_same(a, b) for (_, a), (_, b) in zip(self.owned, now.owned, strict=True))
        )


def _same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def _state(generator):
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state(legacy=False) if isinstance(generator, np.random.RandomState) else generator.getstate()


def _set(generator, state) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


@contextmanager
def same_random_state(*owned) -> Iterator[RandomState]:
    """Leave the generators as they were found; give the state at the beginning."""
    state = RandomState.now(*owned)
    try:
        yield state
    finally:
        state.restore()


def owned_generators(*sources: nn.Module | Callable | str | None) -> list:
    """Return the generators that modules and functions hold: as attributes, in closures, or as globals they name."""
    found: dict[int, Any] = {}
    seen: set[int] = set()

    def look(value, depth: int) -> None:
        if isinstance(value, OWN_KINDS):
            found[id(value)] = value
        if depth == 0 or id(value) in seen or isinstance(value, torch.Tensor | np.ndarray | str | int | float):
            return
        seen.add(id(value))
        if isinstance(value, nn.Module):
            for module in value.modules():
                look_all(vars(module).values(), 2)
                forward = getattr(type(module), "forward", None)
                if not type(module).__module__.startswith("torch."):
                    look(forward, 2)
        elif isinstance(value, dict):
            look_all(value.values(), depth - 1)
        elif isinstance(value, list | tuple):
            look_all(value, depth - 1)
        elif not callable(value) or not hasattr(value, "__code__"):
            look_all(getattr(value, "__dict__", {}).values() if not isinstance(value, type) else (), depth - 1)
        if callable(value) and not isinstance(value, nn.Module | type):
            look(getattr(value, "__self__", None), depth - 1)
            look_all((getattr(value, name, None) for name in ("func", "args", "keywords", "__defaults__")), depth - 1)
            look_all((cell.cell_contents for cell in getattr(value, "__closure__", None) or () if _filled(cell)), 2)
            code, known = getattr(value, "__code__", None), getattr(value, "__globals__", {})
            names = code.co_names if isinstance(code, CodeType) else ()
            look_all((known[name] for name in names if isinstance(known.get(name), OWN_KINDS)), 1)

    def look_all(values, depth: int) -> None:
        for value in list(values):
            look(value, depth)

    for source in sources:
        look(source, 3)
    return list(found.values())


def _filled(cell) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
