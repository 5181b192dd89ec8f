"""How the cells of an executed notebook are arranged on its page: the answer first, code on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from lossatlas._parameters import Parameter, read_parameters
from lossatlas.figures import Table

from ..notebooks import chapters, parameters

CLOSED = {"remove-input", "remove-cell", "hide-input", "hide-cell"}  # tags of cells that show no open code
LEAD = "lead"  # tag of the one cell whose output is shown under the opening text
SOLUTION = "solution"  # tag of cells that belong to the solution before them; its fold is theirs
OTHER_VALUES = """To use other values, execute the chapter again:

```sh
make chapter NAME={name} PARAMS="{values}"
```"""


def arrange(notebook: NotebookNode, name: str) -> None:
    """Arrange the cells of an executed notebook as its page shows them.

    The output of the cell tagged `lead` moves under the opening text. The cell tagged `parameters` becomes a table
    with the command that changes them. All other code is folded; cells that show nothing share the fold of the next.

    Parameters
    ----------
    notebook : NotebookNode
        Changed in place.
    name : str
        The name of the chapter.

    Raises
    ------
    ValueError
        If several cells are tagged `lead`, or if one is and the notebook does not begin with text.
    """
    _tabulate_parameters(notebook, name)
    _fold_code(notebook)
    _move_lead(notebook)
    _join_folds(notebook)


def _fold_code(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and not {*CLOSED, SOLUTION} & set(tags):
            cell.metadata["tags"] = [*tags, "hide-input"]


def _move_lead(notebook: NotebookNode) -> None:
    leads = chapters.tagged(notebook, LEAD)
    if not leads:
        return
    if len(leads) > 1 or notebook.cells[0].cell_type != "markdown":
        raise ValueError(f"{len(leads)} cells are tagged {LEAD!r}; expected one, in a notebook that begins with text")
    (cell,) = leads
    cell.metadata["tags"] = [tag for tag in cell.metadata["tags"] if tag != LEAD]
    moved = [output for output in cell.outputs if not _glued(output)]
    cell.outputs = [output for output in cell.outputs if _glued(output)]
    tags = [LEAD, "remove-input"]
    source = "# a page leaves out cells without code"
    notebook.cells.insert(1, new_code_cell(source, outputs=moved, id="lead", metadata={"tags": tags}))


def _join_folds(notebook: NotebookNode) -> None:
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        before = cells[-1] if cells else None
        if before is not None and _is_folded(before) and _is_folded(cell) and all(map(_glued, before.outputs)):
            cell.source = f"{before.source}\n\n\n{cell.source}"
            cell.outputs = [*before.outputs, *cell.outputs]
            cells.pop()
        cells.append(cell)
    notebook.cells = cells


def _is_folded(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and "hide-input" in cell.metadata.get("tags", [])


def _glued(output: NotebookNode) -> bool:
    """Return whether an output is kept for the text, and not shown where it stands."""
    return bool(output.get("data")) and all(kind.startswith("application/papermill.record/") for kind in output.data)


def _tabulate_parameters(notebook: NotebookNode, name: str) -> None:
    cells = []
    for cell in notebook.cells:
        known = read_parameters(cell.source) if "parameters" in cell.metadata.get("tags", []) else {}
        if known:
            cell.outputs = [new_output("display_data", parameters_table(known)._repr_mimebundle_())]
            cell.metadata["tags"] = [*cell.metadata["tags"], "remove-input"]
        cells.append(cell)
        if values := example(known):
            cells.append(new_markdown_cell(OTHER_VALUES.format(name=name, values=values), id="other-values"))
    notebook.cells = cells


def parameters_table(known: Mapping[str, Parameter]) -> Table:
    """Return the parameters of a chapter as a table: name, value, and meaning with what else they may be."""
    rows = tuple(
        (one.name, _text(one.value), (one.words, one.limits.text) if one.limits else one.words)
        for one in known.values()
    )
    return Table(("Parameter", "Value", "Meaning"), rows, name="la-parameters")


def example(known: Mapping[str, Parameter]) -> str:
    """Return the first two parameters of a chapter with their values, as a command sets them."""
    first = [one for one in known.values() if one.name != "results"][:2]
    return parameters.joined({one.name: one.value for one in first})


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
