"""Values for the parameters of chapters: from a command line and from profiles, checked before anything runs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import yaml

from lossatlas._parameters import Parameter

from ..console import Failure
from .chapters import chapters, find, parameters

BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _scalar(text: str, like: Any) -> Any:
    """Text as a value of the type of `like`; raises ValueError if it is none."""
    if isinstance(like, bool):
        if text.lower() not in BOOLEANS:
            raise ValueError(text)
        return BOOLEANS[text.lower()]
    if isinstance(like, int | float):
        return type(like)(text)
    if isinstance(like, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _from_text(text: str, default: Any) -> Any:
    """Text as a value like a default: lists may be JSON, or items with commas between them."""
    if isinstance(default, dict):
        return json.loads(text)
    if not isinstance(default, list | tuple):
        return _scalar(text, default)
    if text.lstrip().startswith("["):
        return json.loads(text)
    items = [item.strip() for item in text.split(",") if item.strip()]
    return [_scalar(item, default[0] if default else None) for item in items]


def _checked(value: Any, parameter: Parameter) -> Any:
    if isinstance(value, str) and not isinstance(parameter.value, str):
        try:
            value = _from_text(value, parameter.value)
        except ValueError:
            such = f"{parameter.expected}, such as {parameter.value!r}"
            raise ValueError(f"{parameter.name}={value!r}: expected {such}") from None
    return parameter.check(value)


def validate(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Return values for a chapter's parameters, checked against its `parameters` cell before anything runs.

    Texts are read as the default's type says: `21`, `0.5`, `true`, `a,b,c` or JSON for lists. Raises Failure for a
    parameter that the chapter does not have, for a value of another type, and for one beyond the parameter's limits.
    """
    known = parameters(path)
    values = {}
    for name, value in given.items():
        if name not in known:
            listing = "\n".join(f"    {parameter}" for parameter in known.values())
            raise Failure(f"chapter {path.stem!r} has no parameter {name!r}; its parameters are:\n{listing}")
        try:
            values[name] = _checked(value, known[name])
        except ValueError as error:
            raise Failure(f"chapter {path.stem!r}, parameter {error}") from None
    return values


def split(text: str) -> dict[str, str]:
    """Return 'grid_points=21 seeds=2' as a dict of texts; quotes keep blanks together, as in a shell."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Failure(f"parameters {text!r}: {error}") from None
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Failure(f"parameters {text!r}: expected name=value, got {word!r}")
        if name in given:
            raise Failure(f"parameters {text!r}: {name!r} is given twice")
        given[name] = value
    return given


def joined(values: dict[str, Any]) -> str:
    """Return values of parameters as the text that `split` and `validate` read."""

    def text(value: Any) -> str:
        plain = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        return shlex.quote(plain) if not plain or set(plain) & set("\"'\\ \t\n#") else plain

    return " ".join(f"{name}={text(value)}" for name, value in values.items())


def profile(root: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return a profile, `book/profiles/<name>.yml`: for each chapter, the checked values that it names."""
    folder = root / "book" / "profiles"
    path = folder / f"{name}.yml"
    known = sorted(file.stem for file in folder.glob("*.yml"))
    if name not in known:
        raise Failure(f"unknown profile {name!r}; expected one of: {', '.join(known) or '(none)'}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise Failure(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(v, dict | None) for v in content.values()):
        raise Failure(f"{path}: expected 'chapter: {{parameter: value}}'")
    content = dict.fromkeys(chapters(root)) | content
    return {chapter: validate(find(root, chapter), values or {}) for chapter, values in content.items()}


def with_results(root: Path, values: dict[str, dict[str, Any]], folder: Path) -> dict[str, dict[str, Any]]:
    """Return values by chapter, with a results folder of their own in those that have one, apart from the published."""
    place = str(folder.relative_to(root) if folder.is_relative_to(root) else folder)
    stores = {name for name in values if "results" in parameters(find(root, name))}
    return {name: {"results": place, **given} if name in stores else given for name, given in values.items()}
