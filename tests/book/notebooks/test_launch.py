"""Where a page's buttons for Binder and Colab lead."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import html5lib
import nbformat
import pytest

from books import ROOT, configure
from lossatlas_book.__main__ import main
from lossatlas_book.notebooks import chapters, launch
from lossatlas_book.site import build as site

EDIT, REPORT = "Edit this page", "Report a problem"


def buttons(html: Path) -> dict[str, str]:
    """Where the launch buttons of the chapter lead, by the words on them."""
    page = html5lib.parse((html / "book" / "tiny.html").read_text(), namespaceHTMLElements=False)
    links = {link.get("title", ""): link.get("href") for link in page.iter("a")}
    found = {title.removeprefix("Launch on "): to for title, to in links.items() if title.startswith("Launch on ")}
    assert any("launch-buttons" in one.get("class", "") for one in page.iter()) == bool(found)
    return found


@pytest.mark.parametrize("host", ["github.com", "gitlab.com", ""])
def test_chapters_have_launch_buttons_where_the_book_has_a_repository(small_site, host):
    configure(small_site, url=f"https://{host}/some/atlas" if host else "")
    html = site.build(small_site, executed={"tiny": small_site / "book" / "tiny.ipynb"})
    binder = "https://mybinder.org/v2/{}/launch?urlpath=lab/tree/book/tiny.ipynb"
    assert (
        buttons(html)
        == {
            "github.com": {
                "Binder": binder.format("gh/some/atlas"),
                "Colab": "https://colab.research.google.com/github/some/atlas/blob/launch/book/tiny.ipynb",
            },
            "gitlab.com": {"Binder": binder.format("gl/some%2Fatlas")},
            "": {},
        }[host]
    )
    assert "Launch on" not in (html / "book" / "intro.html").read_text()  # it is no notebook
    page = html5lib.parse((html / "book" / "tiny.html").read_text(), namespaceHTMLElements=False)
    places = {words: link.get("href") for link in page.iter("a") if (words := link.get("title")) in (EDIT, REPORT)}
    if not host:
        assert places == {}
        return
    inside = {"github.com": "", "gitlab.com": "/-"}[host]
    assert places[EDIT] == f"https://{host}/some/atlas{inside}/edit/main/book/tiny.ipynb"
    assert places[REPORT].startswith(f"https://{host}/some/atlas{inside}/issues/new?")


def launch_cells(book: Path, *, url: str) -> set[str]:
    """The sources of the cells that the command puts into the real chapters, before all their other code."""
    shutil.rmtree(book / "book")
    shutil.copytree(ROOT / "book", book / "book", ignore=shutil.ignore_patterns("_static"))
    configure(book, url=url)
    for _ in range(2):  # the second time changes nothing
        assert main(["launch"]) == 0
    sources = set()
    for name, path in chapters.chapters(ROOT).items():
        cells = nbformat.read(book / "book" / f"{name}.ipynb", as_version=4).cells
        added = [cell for cell in cells if cell.id == launch.IDENTITY]
        assert [cell for cell in cells if cell not in added] == chapters.read(path).cells
        assert added == [cell for cell in cells if cell.cell_type == "code"][: len(added)]
        assert chapters.problems(book / "book" / f"{name}.ipynb") == []
        assert all(cell.metadata.tags == ["remove-cell"] for cell in added)
        sources |= {cell.source for cell in added} or {""}
    return sources


def test_without_a_repository_chapters_stay_as_they_are(book):
    assert launch_cells(book, url="") == {""}


def test_one_cell_makes_every_chapter_run_in_colab_and_binder(book, monkeypatch):
    (source,) = launch_cells(book, url="https://github.com/some/atlas")
    called = []

    def run(command: list[str], *, check: bool) -> None:
        called.append((Path.cwd(), command))
        if command[0] == "git":
            (Path.cwd() / command[-1]).mkdir()

    monkeypatch.setattr(subprocess, "run", run)
    exec(source, {})  # in a copy of the repository
    assert Path.cwd() == book and called == []
    monkeypatch.chdir(book / "book")  # on Binder
    exec(source, {})
    assert Path.cwd() == book and called == []

    elsewhere = book / "_build" / "content"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    exec(source, {})  # a notebook that somebody took away
    assert Path.cwd() == elsewhere and called == []
    monkeypatch.setitem(sys.modules, "google.colab", object())
    exec(source, {})
    clone = ["git", "clone", "--depth", "1", "--branch", "launch", "https://github.com/some/atlas", "lossatlas"]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "./lossatlas[book]"]
    assert called == [(elsewhere, clone), (elsewhere, install)] and Path.cwd() == elsewhere / "lossatlas"
    monkeypatch.chdir(elsewhere)
    exec(source, {})  # after a restart: what was fetched is there
    assert [command for _, command in called[2:]] == [install]
