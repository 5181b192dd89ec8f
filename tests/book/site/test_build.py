"""From executed chapters to the site, on a tiny book."""

from __future__ import annotations

import json
import subprocess
import sys

import html5lib
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from books import write_notebook
from lossatlas_book.checks.browser import wait_until
from lossatlas_book.console import Failure
from lossatlas_book.site import build as site
from lossatlas_book.site import executed as executed_notebooks
from lossatlas_book.site import front_page, gallery, viewer

VALUES = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(st.characters(codec="utf-8")),
    st.lists(st.integers(), max_size=4),
)


@given(st.dictionaries(st.sampled_from(["grid_points", "rate", "dataset", "radii"]), VALUES))
def test_values_are_put_in_place_in_the_parameters_cell(values):
    source = 'rate = 1e-3  # α: "rate"\nradii = [\n    0.25,\n    0.5,\n]  # circles\ngrid_points = 11\n'
    source += 'dataset = "ß"  # name\n'
    changed = executed_notebooks.with_values(source, values)
    names: dict = {}
    exec(changed, names)
    expected = {"rate": 1e-3, "radii": [0.25, 0.5], "grid_points": 11, "dataset": "ß"} | values
    assert {name: names[name] for name in expected} == expected
    for comment in ('  # α: "rate"\n', "  # circles\n", "  # name\n"):
        assert comment in changed
    assert executed_notebooks.with_values(source, {}) == source


def test_the_injected_cell_goes_and_so_do_notes_on_the_machine():
    notebook = new_notebook(
        cells=[
            new_code_cell("seeds = 5  # runs", metadata={"tags": ["parameters"], "papermill": {"a": 1}}),
            new_code_cell("# Parameters\nseeds = 2\n", metadata={"tags": ["injected-parameters"]}),
            new_code_cell("print(seeds)"),
        ],
        metadata={"papermill": {"parameters": {"seeds": 2}, "output_path": "/somewhere/out.ipynb"}},
    )
    tidied = executed_notebooks.tidy(notebook)
    assert [cell.source for cell in tidied.cells] == ["seeds = 2  # runs", "print(seeds)"]
    assert "papermill" not in json.dumps(tidied)


def test_the_site_is_built_once_and_a_warning_leaves_the_old_one(small_site, capsys, monkeypatch):
    executed = {"tiny": small_site / "book" / "tiny.ipynb"}
    html = site.build(small_site, executed=executed)
    page = (html / "book" / "intro.html").read_text()
    assert "Visualizing the loss landscape" in page and 'class="math' in page
    assert page.count('<nav aria-label="Front page">') == 1  # around the logo
    assert "intro.html" in (html / "index.html").read_text()
    assert (html / "_static" / viewer.VIEWER).exists()
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(site, "stage", None)  # calling it would be an error
        site.build(small_site, executed=executed)
    assert "unchanged" in capsys.readouterr().out

    (small_site / "book" / "intro.md").write_text("# Front\n\n{cite}`Nobody1900`\n")
    with pytest.raises(Failure, match=r"(?s)Jupyter Book warned:.*Nobody1900.*site\.log"):
        site.build(small_site, executed=executed)
    assert (html / "book" / "intro.html").read_text() == page


@pytest.mark.browser
def test_a_page_opened_from_disk_is_complete_and_asks_nobody(small_site, browser):
    html = site.build(small_site, executed={"tiny": small_site / "book" / "tiny.ipynb"})
    page = browser.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: said.append(f"not loaded: {request.url}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto((html / "index.html").as_uri())
    page.wait_for_selector("mjx-container mjx-c")
    wait_until(page, "document.fonts.check('900 16px \\'Font Awesome 6 Free\\'')")
    assert page.title() == "Front \N{EM DASH} Loss Atlas"
    assert page.evaluate("getComputedStyle(document.querySelector('mjx-c'), '::before').fontFamily")
    page.goto((html / "search.html").as_uri() + "?q=front")
    page.wait_for_selector("#search-results li a")
    assert "intro.html" in page.locator("#search-results li a").first.get_attribute("href")
    page.close()
    assert said == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}


@pytest.mark.browser
def test_pages_are_pictured_and_measured(small_site):
    site.build(small_site, executed={"tiny": small_site / "book" / "tiny.ipynb"})
    command = [sys.executable, "-m", "lossatlas_book"]
    assert subprocess.run([*command, "screenshots"]).returncode == 0
    found = {path.name: Image.open(path).size for path in (small_site / "_build" / "screenshots").glob("*.png")}
    names = {
        f"{page}-{width}-{theme}.png"
        for page in ("intro", "tiny", "search")
        for width in (1280, 390)
        for theme in ("light", "dark")
    }
    assert set(found) == names and all(size[0] in (1280, 390) and size[1] >= 900 for size in found.values())

    said = subprocess.run([*command, "measure"], capture_output=True, text=True, check=True).stdout
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if ".html" in line}
    assert set(rows) == {"book/intro.html", "book/tiny.html", "search.html"}
    before, scenes, largest, text, idle = rows["book/tiny.html"]
    assert int(before) > 100 and (scenes, largest) == ("0", "–") and 0 < float(text) <= float(idle)


def test_the_front_page_answers_what_the_report_leaves_open(book):
    for name, question in (("a", "Why *one*?"), ("b", "How?"), ("apart", None)):
        notebook = nbformat.read(write_notebook(book / "book" / f"{name}.ipynb"), as_version=4)
        notebook.metadata["lossatlas"] = {"left_open": question} if question else {}
        nbformat.write(notebook, book / "book" / f"{name}.ipynb")
    (book / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters:\n- file: book/b\n- file: book/a\n")
    (book / "data" / "results" / "a").mkdir(parents=True)
    (book / "data" / "results" / "a" / "answer.txt").write_text("It costs $3. And more.\n")
    assert front_page.open_questions(book).split("\n\n") == [
        "How?\n: Not answered yet. [](b.ipynb)",
        "Why \\*one\\*?\n: It costs \\$3. [](a.ipynb)\n",
    ]


def test_the_front_page_shows_each_chapter_of_the_report_by_its_first_scene(book, tmp_path):
    (book / "_toc.yml").write_text(
        "parts:\n- caption: The report\n  chapters:\n  - file: book/b\n  - file: book/a\n  - file: book/none\n"
        "- caption: Using it\n  chapters:\n  - file: book/other\n"
    )
    scenes = {}
    for name in ("a", "b", "none", "other"):
        notebook = nbformat.read(write_notebook(book / "book" / f"{name}.ipynb"), as_version=4)
        notebook.metadata["lossatlas"] = {"title": f"On {name}", "question": f"Why {name}?"}
        nbformat.write(notebook, book / "book" / f"{name}.ipynb")
        picture = tmp_path / f"{name}.png"
        Image.new("RGBA", (70, 52), "red").save(picture)
        scene = gallery.Scene("", "", {"alt": f"The surface {name}"}, picture)
        scenes[name] = [] if name == "none" else [scene, None]
    root = html5lib.parseFragment(front_page.covers(book, scenes, source=tmp_path), namespaceHTMLElements=False)
    cards = [(card.get("href"), "".join(card.itertext()), card.find("img").get("alt")) for card in root.iter("a")]
    assert cards == [(f"{name}.html", f"On {name}Why {name}?", f"The surface {name}") for name in ("b", "a")]
    assert root.find(".//script") is None and root.find(".//select") is None
