"""A tiny book, with and without what its site needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from books import ROOT, configure, write_notebook


@pytest.fixture
def book(tmp_path, monkeypatch) -> Path:
    """The root of a book with one chapter, 'tiny'; the working folder of the test."""
    write_notebook(tmp_path / "book" / "tiny.ipynb", "print(grid_points, radii, dataset)")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/tiny\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small_site(book) -> Path:
    """The tiny book with the real configuration, so that its site can be built."""
    configure(book)
    shutil.copytree(ROOT / "book" / "_static", book / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", book / "book")
    (book / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters:\n- file: book/tiny\n")
    text = "# Front\n\n$\\alpha$ {cite}`li2018visualizing`, [](tiny.ipynb)\n\n```{bibliography}\n```\n"
    (book / "book" / "intro.md").write_text(text)
    return book
