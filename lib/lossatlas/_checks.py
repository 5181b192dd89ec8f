"""Checks of arguments: each returns the plain Python value or raises an error that names the argument.

NumPy scalars are accepted and turned into Python numbers, so that a request can always be written as JSON.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Collection
from numbers import Real
from types import UnionType

import numpy as np


def whole_number(value: object, name: str, *, least: int | None = None, most: int | None = None) -> int:
    """Return a whole number from ``least`` to ``most``. Raises ValueError for anything else, booleans included.

    Examples
    --------
    >>> whole_number(np.int64(3), "seed", least=0)
    3
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
        good = (least is None or number >= least) and (most is None or number <= most)
    except TypeError:
        good = False
    if not good:
        bounds = [f"at least {least}"] * (least is not None) + [f"at most {most}"] * (most is not None)
        of = " of " if bounds else ""
        raise ValueError(f"{name}={value!r}: expected a whole number{of}{' and '.join(bounds)}")
    return number


def real_number(
    value: object, name: str, *, least: float = -math.inf, above: float = -math.inf, below: float = math.inf
) -> float:
    """Return a finite number within bounds (``least`` is allowed, ``above`` and ``below`` are not).

    Raises ValueError for anything else, booleans included.
    """
    ok = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not (ok and value >= least and above < value < below):  # type: ignore[operator]
        words = "zero or more" if least == 0 else "a positive number" if above == 0 else "a finite number"
        limits = ((least, "at least"), (above, "above"), (below, "below"))
        bounds = [f"{word} {limit:g}" for limit, word in limits if limit != 0 and math.isfinite(limit)]
        raise ValueError(f"{name}={value!r}: expected {', '.join([words, *bounds])}")
    return float(value)  # type: ignore[arg-type]


def one_of(value: object, name: str, choices: Collection) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``."""
    if not isinstance(value, str | None) or value not in choices:
        raise ValueError(f"{name}={value!r}: expected one of {tuple(choices)}")


def flag(value: object, name: str) -> bool:
    """Return True or False. Raises ValueError for anything that is neither."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={value!r}: expected True or False")
    return bool(value)


def instance_of(value: object, name: str, kind: type | tuple[type, ...] | UnionType, expected: str) -> None:
    """Raise ValueError unless ``value`` is an instance of ``kind``; ``expected`` says in words what that is."""
    if not isinstance(value, kind):
        raise ValueError(f"{name}={value!r:.80}: expected {expected}")


def set_fields(instance: object, **values: object) -> None:
    """Replace fields of a frozen dataclass, in its ``__post_init__``, by their checked values."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def path_like(value: object, name: str) -> None:
    """Raise ValueError unless ``value`` is a path or text."""
    instance_of(value, name, (str, os.PathLike), "a path")
