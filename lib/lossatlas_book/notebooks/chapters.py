"""The book's chapters: where they are, what they say of themselves, and what keeps them from being committed."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import nbformat
import yaml

from lossatlas._chapters import chapter_paths
from lossatlas._parameters import Parameter, read_parameters

from ..console import Failure

ABOUT = ("title", "question", "part")  # what the metadata of a chapter say under "lossatlas"
REPORT = "The report"  # the part of the book to which new chapters belong
RESEARCH = (REPORT, "Sharp, flat, deep and wide", "What theory says", "Landscapes to order")  # they answer questions
PARTS = ("Start here", *RESEARCH, "Using it")  # as the contents name them
CHECK = "check_parameters(globals())"


def chapters(root: Path) -> dict[str, Path]:
    """Return name and notebook of every chapter, in the order of the table of contents (others last, by name)."""
    return chapter_paths(root)


def find(root: Path, name: str) -> Path:
    """Return the notebook of a chapter. Raises Failure with the list of chapters if there is none."""
    known = chapters(root)
    if name not in known:
        said = f"unknown chapter {name!r}" if name else "no chapter was named"
        raise Failure(f"{said}; expected one of: {', '.join(known) or '(none)'}")
    return known[name]


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook from disk. Raises Failure if it cannot be read as one."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise Failure(f"{path}: not a readable notebook: {error}") from error


def about(path: Path) -> dict[str, Any]:
    """Return what a chapter's notebook says of itself in its metadata."""
    return read(path).metadata.get("lossatlas", {})


def reads_from(path: Path, names: Iterable[str]) -> set[str]:
    """Return those of other chapters, by the names of their folders, whose results a chapter reads."""
    folders = [pattern.partition("/")[0] for pattern in about(path).get("reads", [])]
    return {name for name in names if name != path.stem and any(fnmatch(name, folder) for folder in folders)}


def listed_parts(root: Path) -> dict[str, str]:
    """Return the part of the book under which `_toc.yml` lists each page, by the page's name."""
    toc = root / "_toc.yml"
    content = yaml.safe_load(toc.read_text(encoding="utf-8")) if toc.exists() else {}
    return {
        Path(entry["file"]).name: part["caption"]
        for part in content.get("parts", [])
        for entry in part.get("chapters", [])
    }


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    """Return the cells that carry a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def parameters(path: Path) -> dict[str, Parameter]:
    """Return the parameters of a chapter, read (not run) from its one cell tagged `parameters`."""
    cells = tagged(read(path), "parameters")
    if len(cells) != 1:
        raise Failure(f"{path}: has {len(cells)} cells tagged 'parameters'; expected exactly one")
    try:
        return read_parameters(cells[0].source)
    except (ValueError, SyntaxError) as error:
        raise Failure(f"{path}: {error}") from None


def problems(path: Path) -> list[str]:
    """Return what keeps a notebook from being committed: outputs, missing metadata, unclear parameters."""
    notebook = read(path)
    found = [*_about_problems(notebook), *_part_problems(path, notebook), *_parameter_problems(path)]
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count):
            found.append(f"cell {number} has outputs or an execution count; clear them")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("its kernel is not 'python3'")
    return [f"{path.name}: {problem}" for problem in found]


def _about_problems(notebook: nbformat.NotebookNode) -> list[str]:
    said = notebook.metadata.get("lossatlas", {})
    found = [f"its metadata has no lossatlas.{key}" for key in ABOUT if not said.get(key)]
    if said.get("part", PARTS[0]) not in PARTS:
        found.append(f"its metadata has lossatlas.part {said['part']!r}; expected one of {', '.join(PARTS)}")
    heading = notebook.cells[0].source.partition("\n")[0] if notebook.cells else ""
    if said.get("title") and heading != f"# {said['title']}":
        found.append(f"it begins with {heading!r}, but its metadata calls it {said['title']!r}")
    return found


def _part_problems(path: Path, notebook: nbformat.NotebookNode) -> list[str]:
    said, listed = notebook.metadata.get("lossatlas", {}).get("part"), listed_parts(path.parents[1]).get(path.stem)
    if listed is None or said == listed:
        return []
    return [f"its metadata has lossatlas.part {said!r}, but _toc.yml lists it under {listed!r}"]


def _parameter_problems(path: Path) -> list[str]:
    try:
        known = parameters(path)
    except Failure as failure:
        return [str(failure)]
    found = []
    for parameter in known.values():
        first = parameter.value[0] if isinstance(parameter.value, list | tuple) and parameter.value else parameter.value
        if not parameter.words:
            found.append(f"parameter {parameter.name!r} has no comment")
        if isinstance(first, int | float) and not isinstance(first, bool) and not parameter.limits:
            found.append(f"parameter {parameter.name!r} has no limits in its comment, such as [1 to 100]")
        try:
            parameter.check(parameter.value)
        except ValueError as error:
            found.append(f"the default of a parameter is beyond its limits: {error}")
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    place = next(number for number, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", []))
    if not any(cell.source.strip().endswith(CHECK) for cell in cells[place + 1 : place + 2]):
        found.append(f"the code after its parameters is not {CHECK}")
    return found
