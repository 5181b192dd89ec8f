"""Wrong calls of public functions: each must end in a ValueError that names the argument and what was expected."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import pytest

Table = Mapping[str, Sequence[tuple[str, Callable[[], object]]]]


def functions_without_wrong_calls(package: ModuleType, table: Table, *, takes_anything: set[str]) -> list[str]:
    """The public functions of a package that are neither in the table nor said to take anything."""
    functions = {name for name in package.__all__ if inspect.isfunction(getattr(package, name))}
    return sorted(functions - set(table) - takes_anything)


def cases(table: Table) -> list:
    """Parameters of a test: the name of the function, the pattern of the message, and the call."""
    return [
        pytest.param(pattern, call, id=f"{name}-{i}")
        for name, calls in table.items()
        for i, (pattern, call) in enumerate(calls)
    ]


def check(pattern: str, call: Callable[[], object]) -> None:
    """Fail unless the call raises a ValueError whose message matches."""
    with pytest.raises(ValueError) as caught:
        call()
    assert type(caught.value) is ValueError and re.search(pattern, str(caught.value)), str(caught.value)
