"""`make new-chapter`: the skeleton of a chapter, which runs and passes every check as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lossatlas._files import write_whole

from ..console import Failure
from .chapters import CHECK, REPORT, chapters

LAST = "book/findings"  # new chapters come before this page
INTRODUCTION = """# {title}

**Question.** {question}

**The source** says what it claims, in one or two sentences with the numbers of its figures.

**We find**, in three sentences with at most four numbers. The roughness is {{glue:}}`narrow` around a narrow network
and {{glue:}}`wide` around a wide one."""
PARAMETERS = """\
seeds = 5  # training seeds per condition [1 to 100]
grid_points = 21  # points along each side of the grid [3 to 501]
extent = 1.0  # half-width of the grid, in filter-normalized steps [0.001 to 1000]
epochs = 5  # of training, Adam [1 to 10000]
widths = [8, 32]  # units of the hidden layer, narrow and wide [2 of 1 to 2000]
results = "data/results"  # stored results; what is missing is computed"""
SETUP = """\
from lossatlas import evidence, figures, scenes
from lossatlas.networks import Recipe
from lossatlas.study import Condition, RandomPlane, Slice, Study

study = Study("{name}", results=results)
adam = Recipe("adam", learning_rate=0.01, epochs=epochs)
conditions = narrow, wide = [
    Condition(
        word, "digits", "feedforward", adam, {{"depth": 2, "width": width}}
    )
    for word, width in zip(("narrow", "wide"), widths, strict=True)
]"""
PICTURES = """\
grid = Slice(RandomPlane(0), alpha=extent, points=grid_points)
first = {c.label: study.surface(c, 0, slice=grid) for c in conditions}
figures.figure_html(
    figures.panels(first, columns=2),
    caption="Test loss on the digits, one seed of each network, on one "
    "colour scale.",
)"""
SCENES = """\
scenes.compare(first)"""
MEASURES = """\
names = ["roughness", "nonconvex_share"]
measured = study.measure(conditions, range(seeds), [grid], names)
found = measured.mean(("plane", "split"), keep_attrs=True)
rough = {c: found.roughness.sel(condition=c.label) for c in conditions}
figures.say(narrow=figures.amount(rough[narrow]))
figures.say(wide=figures.amount(rough[wide]))
figures.figure_html(
    figures.dots(found, names),
    caption="Roughness and non-convex share of the surfaces: one dot per seed, "
    "the mean and its 95 % interval.",
)"""
VERDICT = """\
smoother = evidence.claim(
    "a wider network has a smoother landscape",
    found.roughness,
    a=narrow.label,
    b=wide.label,
    expected="less",
    figure="ours",
)
# With expects={"supported": [...], "contradicted": [...]}, the build fails
# if the data say otherwise than the text.
study.conclude([smoother], answer="The answer, in one or two sentences.")"""
EXERCISE = """\
## What would change our mind

What this chapter cannot tell.

## Exercises

:::{exercise} A closer look
What will the roughness be on half the width? Predict, then check.
:::

:::{solution} A closer look
Closer to a minimum, a smooth loss looks more like a quadratic.
:::"""
SOLUTION = """\
near = Slice(RandomPlane(0), alpha=extent / 2, points=grid_points)
closer = study.measure(conditions, range(seeds), [near], ["roughness"])
figures.seeds_table(closer.mean(("plane", "split"), keep_attrs=True))"""
CELLS = (
    ("markdown", "introduction", INTRODUCTION, []),
    ("code", "parameters", PARAMETERS, ["parameters"]),
    ("code", "check-parameters", f"from lossatlas.study import check_parameters\n\n{CHECK}", ["remove-cell"]),
    ("code", "setup", SETUP, []),
    ("markdown", "pictures", "## The pictures\n\nWhat to look for in the picture.", []),
    ("code", "panels", PICTURES, ["lead"]),
    ("code", "scenes", SCENES, []),
    ("markdown", "measures", "What is there.\n\n## Measures over seeds\n\nWhat is measured, and why.", []),
    ("code", "dots", MEASURES, []),
    ("markdown", "evidence", "## The evidence\n\nHow the claim is read as a measure.", []),
    ("code", "claims", VERDICT, []),
    ("markdown", "exercise", EXERCISE, []),
    ("code", "solution", SOLUTION, ["solution"]),
)


def create(root: Path, name: str, *, title: str = "", question: str = "") -> Path:
    """Write the notebook of a new chapter and its line in `_toc.yml`; return the notebook's path.

    Raises Failure if the name is not lower-case words with underscores between them, or if it is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise Failure(f"NAME={name}: expected lower-case words with underscores between them, such as weight_decay")
    path = root / "book" / f"{name}.ipynb"
    toc = root / "_toc.yml"
    if path.exists() or f"book/{name}\n" in toc.read_text(encoding="utf-8"):
        raise Failure(f"NAME={name}: there is such a chapter already; the chapters are {', '.join(chapters(root))}")
    title = title or name.replace("_", " ").capitalize()
    question = question or f"What does this chapter ask about {title.lower()}?"
    words = {"name": name, "title": title, "question": question}
    cells = []
    for kind, identity, text, tags in CELLS:
        text = text.format(**words) if text in (INTRODUCTION, SETUP) else text
        cell = {"cell_type": kind, "id": identity, "metadata": {"tags": tags} if tags else {}}
        cell |= {"execution_count": None, "outputs": []} if kind == "code" else {}
        cells.append(cell | {"source": text.splitlines(keepends=True)})
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "lossatlas": {"title": title, "question": question, "part": REPORT},
    }
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    write_whole(path, (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode())
    write_whole(toc, _with_line(toc.read_text(encoding="utf-8"), f"book/{name}").encode())
    return path


def _with_line(contents: str, page: str) -> str:
    """Return a table of contents with one more page, before the findings if it lists them, else as the last."""
    lines = contents.rstrip("\n").split("\n")
    listed = [number for number, line in enumerate(lines) if line.lstrip().startswith("- file:")]
    if not listed:
        return "\n".join([*lines, "chapters:", f"  - file: {page}", ""])
    last = next((number for number in listed if lines[number].split()[-1] == LAST), None)
    place = listed[-1] + 1 if last is None else last
    indent = re.match(" *", lines[listed[-1] if last is None else last])[0]
    return "\n".join([*lines[:place], f"{indent}- file: {page}", *lines[place:], ""])
