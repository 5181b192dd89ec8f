"""The parameters of a chapter: their defaults, and the values that they may have.

The cell tagged ``parameters`` assigns plain values. The comment behind each says what it is and, in brackets at its
end, which values it may have:

- ``hidden = 32  # units of a layer [1 to 2000]``: a number within bounds, which are allowed themselves;
- ``rates = [0.1, 0.2]  # learning rates [0 to 10]``: a list of at least one such number;
- ``batches = [5, 64, 512]  # small, medium, large [3 of 1 to 10000]``: a list of exactly three;
- ``dataset = "digits"  # to train on [one of digits, mnist]``: one of several texts;
- ``parts = "ab"  # to measure [some of a, b, c]``: any of several letters, or none.
"""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COMMENT = re.compile(r"(?P<words>.*?)\s*(?:\[(?P<limits>[^\[\]]*)\])?")
RANGE = re.compile(r"(?:(?P<count>\d+) of )?(?P<low>\S+) to (?P<high>\S+)")
CHOICE = re.compile(r"(?P<how>one|some) of (?P<choices>.+)")
INJECTED = "# Parameters\n"  # the first line of the cell into which papermill writes given values


@dataclass(frozen=True)
class Limits:
    """The values that a parameter may have: numbers from ``low`` to ``high``, or some of ``choices``."""

    text: str
    low: float = -math.inf
    high: float = math.inf
    count: int | None = None
    choices: tuple[str, ...] = ()
    several: bool = False

    @classmethod
    def read(cls, text: str) -> Limits:
        """Return the limits that the text in a comment's brackets states. Raises ValueError if it states none."""
        if found := CHOICE.fullmatch(text):
            choices = tuple(choice.strip() for choice in found["choices"].split(","))
            return cls(text, choices=choices, several=found["how"] == "some")
        if found := RANGE.fullmatch(text):
            count = int(found["count"]) if found["count"] else None
            return cls(text, low=float(found["low"]), high=float(found["high"]), count=count)
        raise ValueError(f"[{text}]: expected [LOW to HIGH], [N of LOW to HIGH], [one of A, B] or [some of A, B]")

    def allow(self, value: Any) -> bool:
        """Return whether a value, or every item of a list, is within the limits."""
        if isinstance(value, list | tuple):
            right = len(value) == self.count if self.count else len(value) > 0
            return right and all(self.allow(item) for item in value)
        if self.choices:
            return set(value) <= set(self.choices) if self.several else value in self.choices
        return not isinstance(value, str) and self.low <= value <= self.high


@dataclass(frozen=True)
class Parameter:
    """One parameter of a chapter: ``value`` is its default, ``words`` say what it is."""

    name: str
    value: Any
    words: str = ""
    limits: Limits | None = None

    @property
    def kind(self) -> str:
        """The type in words, as messages name it."""
        if isinstance(self.value, list | tuple):
            inner = type(self.value[0]).__name__ if self.value else "value"
            return f"list of {inner}"
        return "any value" if self.value is None else type(self.value).__name__

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        limits = f", {self.limits.text}" if self.limits else ""
        return f"{self.kind}{limits}" + (f" ({self.words})" if self.words else "")

    def __str__(self) -> str:
        limits = f" [{self.limits.text}]" if self.limits else ""
        return f"{self.name} = {self.value!r}" + (f"  # {self.words}{limits}" if self.words else "")

    def check(self, value: Any) -> Any:
        """Return a value as the type of the default. Raises ValueError for another type and beyond the limits."""
        try:
            value = _typed(value, self.value)
        except TypeError:
            raise ValueError(f"{self.name}={value!r}: expected {self.expected}, such as {self.value!r}") from None
        if self.limits and not self.limits.allow(value):
            raise ValueError(f"{self.name}={value!r}: expected {self.expected}")
        return value


def _typed(value: Any, default: Any) -> Any:
    """Return a value as the type of a default. Raises TypeError if it is of another."""
    if isinstance(default, list | tuple) and isinstance(value, list | tuple):
        return [_typed(item, default[0] if default else None) for item in value]
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise TypeError(value)
        return float(value)
    if default is not None and type(value) is not type(default):
        raise TypeError(value)
    return value


def assignments(source: str) -> dict[str, ast.expr]:
    """Return name and value expression of every plain assignment ``name = value`` in a cell, in order."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
    return found


def read_parameters(source: str) -> dict[str, Parameter]:
    """Return the parameters that a cell assigns, without running it.

    Papermill's own inspection gives defaults as texts and cuts them at a ``#`` inside a string, so it is not used here.
    Raises ValueError if a default is no plain value or the brackets of a comment are not as they should be.
    """
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for name, node in assignments(source).items():
        try:
            value = ast.literal_eval(node)
        except ValueError:
            raise ValueError(f"the default of {name!r} is not a plain value") from None
        comment = COMMENT.fullmatch(comments.get(node.end_lineno or 0, ""))
        words, limits = (comment["words"], comment["limits"]) if comment else ("", None)
        try:
            found[name] = Parameter(name, value, words, Limits.read(limits) if limits else None)
        except ValueError as error:
            raise ValueError(f"the comment behind {name!r}: {error}") from None
    return found


def check_parameters(names: Mapping[str, Any]) -> None:
    """Check the parameters of the notebook that calls this with ``globals()``, before it computes anything.

    The limits are read from the cell that assigns the parameters, which is the first that the notebook has run.
    Outside of a notebook there is nothing to check.

    Raises
    ------
    ValueError
        If a parameter has another type than its default or is beyond its limits, or if papermill was given a
        parameter that the notebook does not have.

    Examples
    --------
    >>> cells = ["", "hidden = 0  # units of a layer [1 to 2000]", "check_parameters(globals())"]
    >>> check_parameters({"hidden": 0, "In": cells})
    Traceback (most recent call last):
    ValueError: hidden=0: expected int, 1 to 2000 (units of a layer)
    """
    known: dict[str, Parameter] = {}
    given: set[str] = set()
    for source in names.get("In", [])[:-1]:
        if source.startswith(INJECTED):
            given |= set(assignments(source))
            continue
        try:
            found = read_parameters(source)
        except (ValueError, SyntaxError, tokenize.TokenError):
            continue  # another cell
        if all(parameter.words for parameter in found.values()) and len(found) == len(ast.parse(source).body):
            known |= found
    if unknown := sorted(given - set(known)):
        raise ValueError(f"parameter {unknown[0]!r}: expected one of {', '.join(known)}")
    for name, parameter in known.items():
        parameter.check(names[name])
