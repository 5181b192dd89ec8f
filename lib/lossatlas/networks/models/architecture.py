"""What a model's name stands for: a function that builds it and the options that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from lossatlas._checks import real_number, whole_number


@dataclass(frozen=True)
class Architecture:
    """Build a module for the shape of one input and a number of outputs.

    Parameters
    ----------
    build
        ``build(shape, outputs, **options)`` returns the module.
    options
        A check for each option, ``check(value, name)``; it returns the plain value or raises ValueError.

    Examples
    --------
    >>> linear = Architecture(lambda shape, outputs: nn.Linear(shape[0], outputs))
    >>> linear((3,), 2)
    Linear(in_features=3, out_features=2, bias=True)
    """

    build: Callable[..., nn.Module]
    options: Mapping[str, Callable[[object, str], object]] = field(default_factory=dict)

    def checked(self, options: Mapping) -> dict:
        """Return the options as plain values. Raises ValueError for an unknown one and for one out of range."""
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            raise ValueError(f"options: {unknown} not known to this model; it takes {sorted(self.options) or 'none'}")
        return {name: self.options[name](value, name) for name, value in options.items()}

    def __call__(self, shape: Sequence[int], outputs: int, **options) -> nn.Module:
        """Return a new module."""
        return self.build(tuple(shape), outputs, **self.checked(options))


def positive(value: object, name: str) -> int:
    """Return a whole number of at least one."""
    return whole_number(value, name, least=1)


def widening(value: object, name: str) -> float:
    """Return a positive factor on all channels."""
    return real_number(value, name, above=0)


def truth(value: object, name: str) -> bool:
    """Return a truth value. Raises ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r}: expected True or False")
    return value
