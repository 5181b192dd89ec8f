"""Executed notebooks as readers get them."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from lossatlas._parameters import assignments

from ..notebooks import chapters, parameters

AGAIN = """## Make this page again

The <a href="../_sources/book/{name}.ipynb" download="{name}.ipynb">executed notebook</a> holds everything that this
page shows. In a copy of the repository, one command makes it again:

```sh
{commands}
```"""


def with_values(source: str, values: Mapping[str, Any]) -> str:
    """Return the source of a `parameters` cell with other values; comments and layout stay."""
    text = source.encode()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    spans = []
    for name, node in assignments(source).items():
        if name in values and ast.literal_eval(node) != values[name]:
            begin = starts[node.lineno - 1] + node.col_offset
            spans.append((begin, starts[node.end_lineno - 1] + node.end_col_offset, values[name]))
    for begin, end, value in sorted(spans, reverse=True):
        text = text[:begin] + repr(value).encode() + text[end:]
    return text.decode()


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return an executed notebook as readers get it: one parameters cell, with the values that were used.

    Papermill's own cell with the injected values is removed, and so are its notes on paths and times, which are
    those of one machine.
    """
    values = notebook.metadata.pop("papermill", {}).get("parameters", {})
    if chapters.tagged(notebook, "parameters"):
        for cell in chapters.tagged(notebook, "parameters"):
            cell.source = with_values(cell.source, values)
        injected = chapters.tagged(notebook, "injected-parameters")
        notebook.cells = [cell for cell in notebook.cells if cell not in injected]
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
    return notebook


def title(notebook: nbformat.NotebookNode) -> str:
    """Return the title of a page: its first heading."""
    lines = (line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line.lstrip("#").strip() for line in lines if line.startswith("# ")), "")


def again(root: Path, name: str, *, notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the last cell of a page: a link to its notebook, and the commands that make the page again."""
    path = chapters.find(root, name)
    defaults = {parameter.name: parameter.value for parameter in chapters.parameters(path).values()}
    used = {}
    for cell in chapters.tagged(notebook, "parameters"):
        used |= {key: ast.literal_eval(node) for key, node in assignments(cell.source).items()}
    other = {key: value for key, value in used.items() if value != defaults[key] and key != "results"}
    lines = [f"make chapter NAME={name}" + (f" PARAMS={shlex.quote(parameters.joined(other))}" if other else "")]
    if "results" in defaults and (root / "data" / "results" / name / "claims.json").exists():  # what it compares
        lines.append(f"make reproduce CHAPTER={name}  # from nothing, which takes hours")
    text = AGAIN.format(name=name, commands="\n".join(lines))
    return nbformat.v4.new_markdown_cell(text, id="again")
