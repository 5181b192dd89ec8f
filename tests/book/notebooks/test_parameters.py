"""Parameters of chapters: how they are read, and what may be given for them."""

from __future__ import annotations

import re

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell

from books import ROOT, printed, write_notebook
from lossatlas._parameters import Limits, Parameter
from lossatlas_book.__main__ import main
from lossatlas_book.console import Failure
from lossatlas_book.notebooks import chapters, parameters


def test_parameters_are_read_with_their_defaults_and_comments(book):
    found = chapters.parameters(book / "book" / "tiny.ipynb")
    assert list(found) == ["grid_points", "radii", "rate", "dataset", "deep", "seeds", "results"]
    assert found["rate"] == Parameter("rate", 1e-3, "learning rate", Limits("0 to 10", 0.0, 10.0))
    assert found["radii"].kind == "list of float"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grid_points=21", {"grid_points": 21}),
        ("rate=3 deep=yes", {"rate": 3.0, "deep": True}),
        ("radii=1,2.5", {"radii": [1.0, 2.5]}),
        ("radii=[1,2.5]", {"radii": [1.0, 2.5]}),
        ("seeds=3", {"seeds": [3]}),
        ("dataset='two words' deep=false", {"dataset": "two words", "deep": False}),
        ("dataset=a=b", {"dataset": "a=b"}),
        ("", {}),
    ],
)
def test_texts_become_values_of_the_type_of_the_default(book, text, expected):
    values = parameters.validate(book / "book" / "tiny.ipynb", parameters.split(text))
    assert values == expected
    assert [type(value) for value in values.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeds=two", ["seeds='two'", "list of int"]),
        ("grid_points=two", ["grid_points='two'", "expected int", "11"]),
        ("grid_points=2.5", ["expected int"]),
        ("rate=fast", ["expected float"]),
        ("rate=nan", ["expected float"]),
        ("deep=perhaps", ["expected bool"]),
        ("radii=[1,", ["list of float"]),
        ('radii=["a"]', ["list of float"]),
        ("depth=3", ["no parameter 'depth'", "grid_points = 11", "points along each side", "results ="]),
        ("grid_points", ["name=value"]),
        ("rate=1 rate=2", ["twice"]),
        ("dataset='a", ["dataset"]),
        ("grid_points=1000000", ["grid_points=1000000", "3 to 101", "points along each side"]),
        ("grid_points=2", ["3 to 101"]),
        ("rate=-0.1", ["rate=-0.1: expected float, 0 to 10 (learning rate)"]),
        ("radii=0.1,20", ["0 to 10"]),
        ("seeds=[]", ["0 to 9"]),
    ],
)
def test_bad_parameters_are_refused_before_anything_runs(book, capsys, text, words):
    assert main(["chapter", "tiny", "--params", text]) == 1
    message = capsys.readouterr().err
    assert all(word in message for word in words), message
    assert "Traceback" not in message
    assert not (book / "_build").exists()


@pytest.mark.parametrize(
    ("limits", "allowed", "refused"),
    [
        ("1 to 3", [1, 3, 2.5, [1, 3], (2,)], [0.999, 4, [], [1, 4], "2"]),
        ("2 of -1 to 1e3", [[-1, 1000.0]], [[1], [1, 2, 3], [0, 1001]]),
        ("one of a, b c", ["a", "b c", ["a"]], ["b", "ab", "", ["a", "c"]]),
        ("some of a, b", ["", "a", "ba"], ["c", "abc"]),
    ],
)
def test_limits_allow_what_they_say(limits, allowed, refused):
    known = Limits.read(limits)
    assert [value for value in allowed if not known.allow(value)] == []
    assert [value for value in refused if known.allow(value)] == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hidden": 0}, "hidden=0: expected int, 1 to 2000"),
        ({"extent": -1.0}, "extent=-1.0: expected float, 0.001 to 1000"),
        ({"grid_points": 1_000_000}, "grid_points=1000000: expected int, 3 to 501"),
        ({"hiden": 1}, "parameter 'hiden': expected one of seed, grid_points"),
    ],
)
def test_plain_papermill_refuses_them_too_before_it_computes_anything(tmp_path, given, words):
    notebook = chapters.read(chapters.find(ROOT, "method"))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [*code[:2], new_code_cell("print('computed')")]
    nbformat.write(notebook, tmp_path / "method.ipynb")
    with pytest.raises(papermill.PapermillExecutionError, match=re.escape(f"ValueError: {words}")):
        papermill.execute_notebook(
            tmp_path / "method.ipynb",
            tmp_path / "out.ipynb",
            parameters=given,
            kernel_name="python3",
            progress_bar=False,
        )
    assert "computed\n" not in printed(tmp_path / "out.ipynb")


def test_parameters_that_are_right_pass_in_a_notebook(tmp_path):
    path = write_notebook(
        tmp_path / "a.ipynb", "from lossatlas.study import check_parameters", "check_parameters(globals())"
    )
    done = papermill.execute_notebook(
        path, None, parameters={"seeds": [3], "rate": 2}, kernel_name="python3", progress_bar=False
    )
    assert all(cell.execution_count for cell in done.cells if cell.cell_type == "code")


def test_unknown_chapters_profiles_and_folders_are_named(book, capsys, monkeypatch):
    assert main(["chapter", "small"]) == 1
    assert "unknown chapter 'small'; expected one of: tiny" in capsys.readouterr().err
    assert main(["chapter", "tiny", "--profile", "huge"]) == 1
    assert "unknown profile 'huge'" in capsys.readouterr().err
    monkeypatch.chdir(book / "book")
    assert main(["build"]) == 1
    assert "_toc.yml" in capsys.readouterr().err


def test_a_profile_is_checked_like_the_command_line(book):
    folder = book / "book" / "profiles"
    folder.mkdir()
    (folder / "small.yml").write_text("tiny: {grid_points: 5, radii: [1, 2]}\n")
    write_notebook(book / "book" / "other.ipynb")
    assert parameters.profile(book, "small") == {"tiny": {"grid_points": 5, "radii": [1.0, 2.0]}, "other": {}}
    for content, words in [
        ("tiny: {grid_points: five}", "expected int"),
        ("tiny: {grid_points: true}", "expected int"),
        ("tiny: {points: 5}", "no parameter 'points'"),
        ("deep: {}", "unknown chapter 'deep'"),
        ("[1]", "expected 'chapter"),
        ("tiny: [", "YAML"),
    ]:
        (folder / "small.yml").write_text(content)
        with pytest.raises(Failure, match=re.escape(words)):
            parameters.profile(book, "small")
