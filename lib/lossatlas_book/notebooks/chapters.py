"""The book's chapters: where they are, which parameters they have, and what may be given for them."""

from __future__ import annotations

import ast
import io
import json
import math
import shlex
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml

from ..console import Failure

BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a chapter: `value` is its default, `comment` what stands behind it in the cell."""

    name: str
    value: Any
    comment: str = ""

    @property
    def kind(self) -> str:
        """The type in words, as it is named in messages."""
        if isinstance(self.value, list | tuple):
            inner = type(self.value[0]).__name__ if self.value else "value"
            return f"list of {inner}"
        return "any value" if self.value is None else type(self.value).__name__

    def __str__(self) -> str:
        return f"{self.name} = {self.value!r}" + (f"  # {self.comment}" if self.comment else "")


def chapters(root: Path) -> dict[str, Path]:
    """Name and notebook of every chapter, in the order of the table of contents (others last, by name)."""
    contents = (root / "_toc.yml").read_text(encoding="utf-8").split() if (root / "_toc.yml").exists() else []
    places = {text: place for place, text in enumerate(contents)}
    paths = sorted((root / "book").glob("*.ipynb"))
    paths.sort(key=lambda path: places.get(f"book/{path.stem}", len(contents)))
    return {path.stem: path for path in paths}


def find(root: Path, name: str) -> Path:
    """The notebook of a chapter; raises Failure with the list of chapters when there is none."""
    known = chapters(root)
    if name not in known:
        said = f"unknown chapter {name!r}" if name else "no chapter was named"
        raise Failure(f"{said}; expected one of: {', '.join(known) or '(none)'}")
    return known[name]


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook from disk; raises Failure when it cannot be read as one."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise Failure(f"{path}: not a readable notebook: {error}") from error


def about(path: Path) -> dict[str, Any]:
    """What a chapter's notebook says of itself in its metadata."""
    return read(path).metadata.get("lossatlas", {})


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    """The cells that carry a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def assignments(source: str) -> dict[str, ast.expr]:
    """Name and value expression of every plain assignment `name = value` in a cell, in order."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
    return found


def parameters(path: Path) -> dict[str, Parameter]:
    """The parameters of a chapter, read (not run) from its one cell tagged `parameters`."""
    cells = tagged(read(path), "parameters")
    if len(cells) != 1:
        raise Failure(f"{path}: has {len(cells)} cells tagged 'parameters'; expected exactly one")
    source = cells[0].source
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
            raise Failure(f"{path}: the default of {name!r} is not a plain value") from None
        found[name] = Parameter(name, value, comments.get(node.end_lineno, ""))
    return found


def _number(text: str, kind: type) -> int | float:
    value = kind(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(text)
    return value


def _scalar(text: str, like: Any) -> Any:
    """Text as a value of the type of `like`; raises ValueError where it is none."""
    if isinstance(like, bool):
        if text.lower() not in BOOLEANS:
            raise ValueError(text)
        return BOOLEANS[text.lower()]
    if isinstance(like, int | float):
        return _number(text, type(like))
    if isinstance(like, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _from_text(text: str, parameter: Parameter) -> Any:
    default = parameter.value
    if isinstance(default, dict):
        return _checked(json.loads(text), parameter)
    if not isinstance(default, list | tuple):
        return _scalar(text, default)
    if text.lstrip().startswith("["):
        return _checked(json.loads(text), parameter)
    items = [item.strip() for item in text.split(",") if item.strip()]
    return [_scalar(item, default[0] if default else None) for item in items]


def _checked(value: Any, parameter: Parameter) -> Any:
    """A value that already has a type (from YAML or JSON), if it is of the default's type."""
    default = parameter.value
    if isinstance(default, list | tuple) and isinstance(value, list):
        inner = Parameter(parameter.name, default[0] if default else None)
        return [_checked(item, inner) for item in value]
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return _number(str(value), float)
    if default is not None and type(value) is not type(default):
        raise ValueError(value)
    return value


def validate(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Values for a chapter's parameters, checked against its `parameters` cell before anything runs.

    Texts are read as the default's type says: `21`, `0.5`, `true`, `a,b,c` or JSON for lists. Raises
    Failure for a parameter that the chapter does not have and for a value of another type.
    """
    known = parameters(path)
    values = {}
    for name, value in given.items():
        if name not in known:
            listing = "\n".join(f"    {parameter}" for parameter in known.values())
            raise Failure(f"chapter {path.stem!r} has no parameter {name!r}; its parameters are:\n{listing}")
        parameter = known[name]
        read_as = _from_text if isinstance(value, str) and not isinstance(parameter.value, str) else _checked
        try:
            values[name] = read_as(value, parameter)
        except (ValueError, TypeError):
            raise Failure(
                f"parameter {name}={value!r} of chapter {path.stem!r}: "
                f"expected {parameter.kind}, such as {parameter.value!r}"
            ) from None
    return values


def split(text: str) -> dict[str, str]:
    """'grid_points=21 seeds=2' as a dict of texts; quotes keep blanks together, as in a shell."""
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
    """Values of parameters as the text that `split` and `validate` read."""

    def text(value: Any) -> str:
        plain = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        return shlex.quote(plain) if not plain or set(plain) & set("\"'\\ \t\n#") else plain

    return " ".join(f"{name}={text(value)}" for name, value in values.items())


def profile(root: Path, name: str) -> dict[str, dict[str, Any]]:
    """A profile, `book/profiles/<name>.yml`: for each chapter in it, the checked parameter values."""
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
    return {chapter: validate(find(root, chapter), values or {}) for chapter, values in content.items()}


def with_results(root: Path, values: dict[str, dict[str, Any]], folder: Path) -> dict[str, dict[str, Any]]:
    """Values by chapter, with a results folder of their own in those that have one, apart from the published."""
    place = str(folder.relative_to(root) if folder.is_relative_to(root) else folder)
    stores = {name for name in values if "results" in parameters(find(root, name))}
    return {name: {"results": place, **given} if name in stores else given for name, given in values.items()}


def problems(path: Path) -> list[str]:
    """What keeps a notebook from being committed: outputs, counts, no or several parameter cells."""
    notebook = read(path)
    found = [f"{path.name}: {error}" for error in _parameter_problems(path)]
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count):
            found.append(f"{path.name}: cell {number} has outputs or an execution count; clear them")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append(f"{path.name}: its kernel is not 'python3'")
    return found


def _parameter_problems(path: Path) -> list[str]:
    try:
        without = [p.name for p in parameters(path).values() if not p.comment]
    except Failure as failure:
        return [str(failure)]
    return [f"parameter {name!r} has no comment" for name in without]
