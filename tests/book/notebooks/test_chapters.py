"""The chapters as they are committed, a new one, and all of them in small."""

from __future__ import annotations

import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_output

from books import ROOT, write_notebook
from lossatlas.datasets import DatasetUnavailable
from lossatlas_book.__main__ import main
from lossatlas_book.notebooks import chapters, execute


def test_real_chapters_can_be_committed_as_they_are():
    found = chapters.chapters(ROOT)
    assert found
    assert [problem for path in found.values() for problem in chapters.problems(path)] == []


def test_what_keeps_a_notebook_from_being_committed(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", "1 + 1", parameters="seeds = 5\n")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].outputs = [new_output("stream", text="2")]
    notebook.metadata.kernelspec.name = "julia"
    nbformat.write(notebook, path)
    said = "\n".join(chapters.problems(path))
    assert "cell 3 has outputs" in said and "'seeds' has no comment" in said and "'python3'" in said
    assert "'seeds' has no limits" in said and "lossatlas.question" in said and "check_parameters" in said
    for cell in (None, "seeds = range(5)  # not a plain value\n"):
        said = "\n".join(chapters.problems(write_notebook(path, parameters=cell)))
        assert "tagged 'parameters'" in said or "plain value" in said
    for cell in ("seeds = 5  # runs [6 to 9]\n", "seeds = 5  # runs [some]\n"):
        said = "\n".join(chapters.problems(write_notebook(path, parameters=cell)))
        assert "beyond its limits: seeds=5" in said or "[some]: expected [LOW to HIGH]" in said


def test_a_new_chapter_passes_every_check_and_runs(book, capsys):
    contents = "format: jb-book\nroot: book/tiny\nparts:\n  - caption: {}\n    chapters:\n      - file: book/findings\n"
    (book / "_toc.yml").write_text(contents.format("The report"))
    assert main(["new-chapter", "weight_decay"]) == 0
    assert (book / "_toc.yml").read_text().splitlines()[-2:] == [
        "      - file: book/weight_decay",
        "      - file: book/findings",
    ]
    path = book / "book" / "weight_decay.ipynb"
    assert chapters.problems(path) == []
    (book / "_toc.yml").write_text((book / "_toc.yml").read_text().replace("The report", "Using it"))
    assert chapters.problems(path) == [
        "weight_decay.ipynb: its metadata has lossatlas.part 'The report', but _toc.yml lists it under 'Using it'"
    ]
    linted = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    linted += ["--config", 'lint.isort.known-first-party = ["lossatlas"]', str(path)]  # lib/ is not beside the copy
    assert subprocess.run(linted).returncode == 0
    done = execute.execute_all(book, book / "out", names=["weight_decay"])
    notebook = nbformat.read(done["weight_decay"], as_version=4)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert (book / "data" / "results" / "weight_decay" / "claims.json").exists()
    for name, words in (("weight_decay", "there is such a chapter already"), ("Weight-Decay", "lower-case words")):
        assert main(["new-chapter", name]) == 1
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ("root: book/tiny\n", "root: book/tiny\nchapters:\n  - file: book/new\n"),
        ("chapters:\n- file: book/a\n", "chapters:\n- file: book/a\n- file: book/new\n"),
    ],
)
def test_a_new_chapter_is_the_last_where_no_findings_are_listed(book, contents, expected):
    (book / "_toc.yml").write_text(contents)
    assert main(["new-chapter", "new"]) == 0
    assert (book / "_toc.yml").read_text() == expected


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(chapters.chapters(ROOT)))
def test_chapters_run_live_from_nothing_in_the_small_profile(name, tmp_path):
    stored = sorted((ROOT / "data" / "results").rglob("*"))
    command = [sys.executable, "-m", "lossatlas_book", "execute", name, "--profile", "small"]
    done = subprocess.run([*command, "--output", tmp_path / "out"], cwd=ROOT, capture_output=True, text=True)
    if unavailable := re.search(r"DatasetUnavailable: (.*)", done.stderr):
        raise DatasetUnavailable(f"{name}: {unavailable[1]}")  # skips the test with this reason, except in CI
    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(tmp_path / "out" / f"{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert all(cell.execution_count for cell in code)
    assert any(output.output_type == "display_data" for cell in code for output in cell.outputs)
    assert sorted((ROOT / "data" / "results").rglob("*")) == stored
