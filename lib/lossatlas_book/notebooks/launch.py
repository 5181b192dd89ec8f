"""What lets a chapter run where the pages' Binder and Colab buttons open it.

Both open a chapter of a repository by itself: Binder in the folder `book/`, Colab without the repository. One cell puts
that right. It needs the repository's address, which `_config.yml` alone knows, and nobody who has the repository needs
it; so the chapters are committed without it, and get it on the branch that the buttons open.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import yaml

from . import chapters

IDENTITY = "launch"  # of the cell in every chapter
CELL = """\
# Binder starts in the folder of this page, Colab without the book: both get what a copy of the repository has.
import os
import subprocess
import sys
from pathlib import Path

if not Path("_toc.yml").exists():
    if "google.colab" in sys.modules:
        if not Path("lossatlas").exists():
            fetch = ["git", "clone", "--depth", "1", "--branch", {branch!r}]
            subprocess.run([*fetch, {url!r}, "lossatlas"], check=True)
        install = [sys.executable, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "./lossatlas[book]"], check=True)
        os.chdir("lossatlas")
    elif Path("../_toc.yml").exists():
        os.chdir("..")"""


def prepare(root: Path) -> list[str]:
    """Put the cell into every chapter of a checkout, before its first code; returns the chapters' names.

    Where `_config.yml` names no repository there are no buttons, and nothing is changed. A cell from an earlier call is
    replaced.
    """
    repository = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    if not repository["url"]:
        return []
    source = CELL.format(url=repository["url"], branch=repository["branch"])
    for path in chapters.chapters(root).values():
        notebook = chapters.read(path)
        notebook.cells = [cell for cell in notebook.cells if cell.get("id") != IDENTITY]
        first = next(number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        # The tag keeps the cell off the page of a book that is built from here.
        cell = nbformat.v4.new_code_cell(source, id=IDENTITY, metadata={"tags": ["remove-cell"]})
        notebook.cells.insert(first, cell)
        nbformat.write(notebook, path)
    return list(chapters.chapters(root))
