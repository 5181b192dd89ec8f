"""How chapters are found, checked, executed and laid out: on a tiny book, and the real ones in small."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import nbformat
import papermill
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from lossatlas._parameters import Limits, Parameter
from lossatlas.datasets import DatasetUnavailable
from lossatlas_book import console, environment
from lossatlas_book.__main__ import main
from lossatlas_book.checks import reproduce
from lossatlas_book.console import Failure
from lossatlas_book.notebooks import chapters, execute, launch, parameters, progress, records
from lossatlas_book.notebooks.papermill import run_papermill
from lossatlas_book.site import build as site
from lossatlas_book.site import executed as executed_notebooks
from lossatlas_book.site import front_page, serve, viewer

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = """\
grid_points = 11  # points along each side [3 to 101]
radii = [0.25, 0.5]  # of the circles [0 to 10]
rate = 1e-3  # learning rate [0 to 10]
dataset = "digits"  # digits or mnist
deep = False  # the deep network too
seeds = (0, 1)  # of the runs [0 to 9]
results = "data/results"  # folder of the stored results
"""


def write_notebook(path: Path, *sources: str, parameters: str | None = PARAMETERS) -> Path:
    """A notebook as it is committed: a title, the parameters, code cells, no outputs."""
    cells = [new_markdown_cell(f"# {path.stem}")]
    if parameters is not None:
        cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells += [new_code_cell(source) for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture
def book(tmp_path, monkeypatch) -> Path:
    """The root of a book with one chapter, 'tiny'; the working folder of the test."""
    write_notebook(tmp_path / "book" / "tiny.ipynb", "print(grid_points, radii, dataset)")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/tiny\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(book: Path, *, url: str = "") -> None:
    """Give a book the real configuration, with a repository of its own or none."""
    text, count = re.subn(r'(?m)^  url: ".*"$', f'  url: "{url}"', (ROOT / "_config.yml").read_text())
    assert count == 1
    (book / "_config.yml").write_text(text)


def printed(path: Path) -> str:
    """All that an executed notebook printed."""
    cells = nbformat.read(path, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


# parameters


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


# notebooks as they are committed


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


# execution


def test_a_chapter_is_executed_only_when_something_changed(book, monkeypatch, capsys):
    folder, tiny = book / "_build" / "executed", book / "book" / "tiny.ipynb"
    (output,) = execute.execute_all(book, folder).values()
    assert printed(output) == "11 [0.25, 0.5] digits\n"
    first = output.read_bytes()
    runs = []

    def spy(*args, **keywords):
        runs.append(keywords["values"])
        return real(*args, **keywords)

    real = execute.run_papermill
    monkeypatch.setattr(execute, "run_papermill", spy)

    execute.execute_all(book, folder)
    assert runs == [] and output.read_bytes() == first
    assert "tiny: unchanged" in capsys.readouterr().out

    execute.execute_all(book, folder, values={"tiny": {"grid_points": 3}})
    assert runs == [{"grid_points": 3}] and printed(output).startswith("3 ")

    stored = book / "data" / "results" / "tiny"
    stored.mkdir(parents=True)
    changes = [
        lambda: write_notebook(tiny, "print('new')"),
        lambda: (stored / "surface.nc").write_bytes(b"1"),
        lambda: (stored / "surface.nc").write_bytes(b"2"),
        lambda: output.write_bytes(b"damaged"),
        lambda: (book / "constraints.txt").write_text("numpy==1\n"),
    ]
    monkeypatch.setattr(execute, "run_papermill", lambda path, output, **_: runs.append(path) or [])
    record = output.with_suffix(".json")
    for change in changes:
        state = records.fingerprint(tiny, book, values={}), records.stored(tiny, book)
        record.write_text(json.dumps({"input": state, "output": records.digest([output]), "seconds": []}))
        runs.clear()
        execute.execute_all(book, folder)
        assert runs == []
        change()
        execute.execute_all(book, folder)
        assert runs == [tiny]


def test_results_that_a_notebook_says_it_reads_count_too(book):
    tiny = book / "book" / "tiny.ipynb"
    other = book / "data" / "results" / "other"
    other.mkdir(parents=True)
    before = records.stored(tiny, book)
    (other / "claims.json").write_text("[]")
    assert records.stored(tiny, book) == before
    notebook = nbformat.read(tiny, as_version=4)
    notebook.metadata["lossatlas"] = {"reads": ["*/claims.json"]}
    nbformat.write(notebook, tiny)
    before = records.stored(tiny, book)
    (other / "claims.json").write_text("[1]")
    assert records.stored(tiny, book) != before


def test_chapters_come_in_the_order_of_the_contents(book):
    for name in ("a", "z", "b"):
        write_notebook(book / "book" / f"{name}.ipynb")
    (book / "_toc.yml").write_text("format: jb-book\nroot: book/tiny\nchapters:\n- file: book/z\n- file: book/b\n")
    assert list(chapters.chapters(book)) == ["tiny", "z", "b", "a"]


def test_a_failing_chapter_is_told_and_the_others_go_on(book, capsys):
    write_notebook(book / "book" / "broken.ipynb", "x = 1", "raise ValueError('loss is nan')")
    folder = book / "_build" / "executed"
    folder.mkdir(parents=True)
    (folder / "broken.ipynb").write_text("the last good one")
    with pytest.raises(Failure, match="1 of 2 chapters failed: broken"):
        execute.execute_all(book, folder)
    message = capsys.readouterr().err
    assert "cell 4 of 4 raised ValueError" in message and "loss is nan" in message and "broken.log" in message
    assert "\x1b" not in message and len(message.splitlines()) < 20
    assert (folder / "broken.ipynb").read_text() == "the last good one"
    assert printed(folder / "tiny.ipynb")


MEETING = """
import time
from pathlib import Path
Path("{mine}").touch()
end = time.monotonic() + 60
while not Path("{other}").exists() and time.monotonic() < end:
    time.sleep(0.05)
print("met", Path("{other}").exists())
"""


def test_chapters_run_at_once_and_what_reads_anothers_results_goes_after_it(book):
    for mine, other in (("one", "two"), ("two", "one")):
        write_notebook(book / "book" / f"{mine}.ipynb", MEETING.format(mine=mine, other=other))
    path = write_notebook(book / "book" / "a_reader.ipynb", "from pathlib import Path\nprint(Path('done').exists())")
    write_notebook(
        book / "book" / "tiny.ipynb", "import time\ntime.sleep(2)\nfrom pathlib import Path\nPath('done').touch()"
    )
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["lossatlas"] = {"reads": ["tiny/*"]}
    nbformat.write(notebook, path)
    done = execute.execute_all(book, book / "out", jobs=2)
    assert set(done) == {"tiny", "one", "two", "a_reader"}
    assert printed(done["one"]) == printed(done["two"]) == "met True\n"
    assert printed(done["a_reader"]) == "True\n"


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_no_more_chapters_run_at_once_than_there_are_jobs_and_some_run_alone(jobs):
    running, most, seen, lock = set(), [0], [], threading.Lock()

    def one(name: str) -> None:
        with lock:
            running.add(name)
            most[0] = max(most[0], len(running))
            assert name != "alone" or running == {"alone"}
            assert "alone" not in running or running == {"alone"}
        time.sleep(0.02)
        with lock:
            running.remove(name)
            seen.append(name)

    names = ["e", "d", "alone", "c", "b", "a"]
    waits = dict.fromkeys(names, ()) | {"e": ("a",), "b": ("c", "unknown"), "c": ("b",)}
    execute._run(one, list(names), waits=waits, alone={"alone"}, jobs=jobs, stop=threading.Event())
    assert sorted(seen) == sorted(names) and seen.index("a") < seen.index("e") and most[0] <= jobs


def test_an_interrupted_build_ends_all_that_it_started(book):
    for name in ("one", "tiny"):
        write_notebook(
            book / "book" / f"{name}.ipynb",
            "import time\nfrom pathlib import Path",
            f"""
while True:
    Path("{name}").touch()
    time.sleep(0.05)
""",
        )
    code = "from pathlib import Path; from lossatlas_book.notebooks.execute import execute_all as go; "
    command = [sys.executable, "-c", f"{code}go(Path.cwd(), Path('out').absolute(), jobs=2)"]
    running = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    marks = [book / "one", book / "tiny"]
    wait_until(lambda: all(mark.exists() for mark in marks), seconds=120)
    running.send_signal(signal.SIGINT)
    assert running.communicate()[0].count("interrupted") == 2 and running.returncode != 0
    assert all(time.time() - mark.stat().st_mtime < 60 for mark in marks)
    wait_until(lambda: time.time() - max(mark.stat().st_mtime for mark in marks) > 2, seconds=30)


def test_text_on_stderr_is_a_failure(book):
    path = write_notebook(book / "book" / "noisy.ipynb", "import sys", "print('careful', file=sys.stderr)")
    with (
        console.step("execute") as step,
        pytest.raises(Failure, match=r"(?s)stderr.*cell 4: careful"),
    ):
        run_papermill(path, book / "out.ipynb", root=book, values={"rate": 2.0}, current=step)
    assert not (book / "out.ipynb").exists()


def test_progress_bars_are_shown_by_the_build_and_not_on_the_page(book, capsys, monkeypatch):
    monkeypatch.setattr(console, "REPORT_EVERY", 0.3)
    code = """
import time
from lossatlas._progress import bar
with bar(total=10, description="surface", unit="point") as shown:
    for _ in range(10):
        time.sleep(0.3)
        shown.update()
"""
    path = write_notebook(book / "book" / "slow.ipynb", code, "print('done')")
    with console.step("execute", "slow") as step:
        seconds = run_papermill(path, book / "out.ipynb", root=book, values={}, current=step)
    assert printed(book / "out.ipynb") == "done\n"
    assert len(seconds) == 4 and 3 <= seconds[2] < 30
    assert re.search(r"slow: cell 3 of 4, surface \d+% \(\d\d:\d\d left\)", capsys.readouterr().out)


def test_the_time_left_comes_from_the_last_execution(tmp_path):
    shown = progress.Progress(console.Step("execute", "x"), cells=3, seconds=[0, 100, 200], bars=tmp_path / "no")
    shown.line("Executing Cell 2----")
    assert shown.current.detail == "cell 2 of 3, about 5 min 00 s left"


def test_make_chapter_gives_a_notebook_and_a_page_with_one_tidy_cell(book, capsys, monkeypatch):
    configure(book)
    shutil.copy(ROOT / "constraints.txt", book)
    shutil.copytree(ROOT / "book" / "_static", book / "book" / "_static")
    (book / "book" / "references.bib").write_text("")
    assert main(["chapter", "tiny", "--params", "grid_points=21"]) == 0
    place = book / "_build" / "chapters" / "tiny"
    said = capsys.readouterr().out
    assert str(place / "tiny.ipynb") in said and str(place / "html" / "book" / "tiny.html") in said
    assert printed(place / "tiny.ipynb").startswith("21 ")
    page = (place / "html" / "book" / "tiny.html").read_text()
    text = re.sub("<[^>]+>", "", page)
    assert text.count("grid_points = ") == 1 and "grid_points = 21  # points along each side" in text
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)

    write_notebook(book / "book" / "tiny.ipynb", "1 / 0")
    before = (place / "tiny.ipynb").read_bytes()
    assert main(["chapter", "tiny"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert (place / "tiny.ipynb").read_bytes() == before


def test_a_new_chapter_passes_every_check_and_runs(book, capsys):
    (book / "_toc.yml").write_text("format: jb-book\nroot: book/tiny\nchapters:\n  - file: book/findings\n")
    assert main(["new-chapter", "weight_decay"]) == 0
    assert (book / "_toc.yml").read_text().splitlines()[-2:] == [
        "  - file: book/weight_decay",
        "  - file: book/findings",
    ]
    path = book / "book" / "weight_decay.ipynb"
    assert chapters.problems(path) == []
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


# chapters computed again


STORING = """
from pathlib import Path
import time
from lossatlas import evidence
from lossatlas.study import Condition, Slice, Study
from lossatlas.networks.training import Recipe

study = Study("storing", results=results, progress=False)
small = Condition("small", "digits", "feedforward", Recipe(epochs=1), {"depth": 2, "width": 4})
for seed in range(seeds):
    study.surface(small, seed, slice=Slice(points=5, samples=20))
    while not Path("go").exists():
        Path("waiting").touch()
        time.sleep(0.05)
effect = evidence.difference([1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.1, 2.2, 2.3, 2.4])
study.publish(evidence.judge([evidence.Claim("b is more", "figure 1", "roughness", expected, effect)]))
"""
STORING_PARAMETERS = """\
seeds = 3  # seeds a condition
expected = "greater"  # what the claim says
results = "data/results"  # stored results
"""


def test_reproducing_survives_being_killed_and_goes_on_where_it_was(book, capsys):
    write_notebook(book / "book" / "storing.ipynb", STORING, parameters=STORING_PARAMETERS)
    command = [sys.executable, "-m", "lossatlas_book", "reproduce", "storing"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    waiting = book / "waiting"
    wait_until(waiting.exists, seconds=120)
    running.kill()
    running.wait()
    wait_until(lambda: time.time() - waiting.stat().st_mtime > 3, seconds=60)  # what it had started ended too

    stored = book / "_build" / "reproduced" / "results" / "storing"
    before = {path: path.stat().st_mtime_ns for path in stored.iterdir() if not path.name.startswith(".")}
    assert len(list(stored.glob("surface-*.nc"))) == 1 and len(before) == 3
    (book / "go").touch()
    assert main(["reproduce", "storing"]) == 0
    assert len(list(stored.glob("surface-*.nc"))) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not (book / "data").exists()
    assert "No claim was judged both" in capsys.readouterr().out


def wait_until(true: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_reproduced_verdicts_stand_beside_the_published(book, capsys):
    write_notebook(book / "book" / "storing.ipynb", STORING, parameters=STORING_PARAMETERS)
    (book / "go").touch()
    exec(STORING_PARAMETERS + STORING, {})
    published = book / "data" / "results" / "storing" / "claims.json"
    text = published.read_text()
    assert main(["reproduce", "all"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"published   supported +1 \[.*5 \+ 5 seeds\n +reproduced  supported +1 \[", said)
    assert "All 1 verdicts are the published ones." in said
    assert "The published results took" in said and "of it is still to do" in said

    assert main(["reproduce", "storing", "--params", "seeds=1 expected=less"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"reproduced  contradicted .*<- ANOTHER VERDICT\n", said)
    assert "1 of 1 verdicts DIFFER" in said
    assert published.read_text() == text

    few = STORING.replace(
        "[1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.1, 2.2, 2.3, 2.4]", "[1.0, 1.4], [2.0 + shift, 2.4 + shift]"
    )
    assert few != STORING
    write_notebook(book / "book" / "storing.ipynb", few, parameters=f"{STORING_PARAMETERS}shift = 0.0  # of b\n")
    assert main(["reproduce", "storing", "--params", "shift=0.0"]) == 0
    said = capsys.readouterr().out
    assert "(too few seeds; holds the published difference)" in said and "ANOTHER VERDICT" not in said
    assert "Too few seeds for a verdict on 1 of 1 claims; the intervals of 1 hold the published" in said
    assert main(["reproduce", "storing", "--params", "shift=1.0"]) == 0
    assert "does NOT hold the published difference" in capsys.readouterr().out

    write_notebook(book / "book" / "storing.ipynb", "1 / 0", parameters=STORING_PARAMETERS)
    assert main(["reproduce", "storing"]) == 1
    assert "reproduced  not judged" in capsys.readouterr().out
    for arguments in (["", "--params", "seeds=1"], ["storing", "--params", "results=data/results"]):
        assert main(["reproduce", *arguments]) == 1


def test_the_time_left_is_that_of_what_is_missing_at_our_pace(tmp_path, monkeypatch):
    published, ours = tmp_path / "published", tmp_path / "ours"
    assert reproduce.Remaining(published, ours)() is None
    published.mkdir()
    for number in range(4):
        xr.Dataset(attrs={"seconds": 100.0}).to_netcdf(published / f"{number}.nc", engine="h5netcdf")
    clock = [0.0]
    monkeypatch.setattr(reproduce.time, "monotonic", lambda: clock[0])
    ours.mkdir()
    (ours / "0.nc").touch()
    left = reproduce.Remaining(published, ours)
    assert left() == 300
    (ours / "1.nc").touch()
    clock[0] = 50.0  # twice as fast as when it was published
    assert left() == 100
    shown = progress.Progress(console.Step("execute", "x"), cells=3, seconds=(), bars=tmp_path / "no", left=left)
    shown.line("Executing Cell 2----")
    assert shown.current.detail == "cell 2 of 3, about 1 min 40 s left"


# the site


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
    page.wait_for_function("document.fonts.check('900 16px \\'Font Awesome 6 Free\\'')")
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


def test_the_front_page_asks_what_the_chapters_ask_in_the_order_of_the_contents(book):
    for name, question in (("a", "Why?"), ("b", "How?"), ("apart", "Where?")):
        notebook = nbformat.read(write_notebook(book / "book" / f"{name}.ipynb"), as_version=4)
        notebook.metadata["lossatlas"] = {"question": question}
        nbformat.write(notebook, book / "book" / f"{name}.ipynb")
    (book / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters:\n- file: book/b\n- file: book/a\n")
    rows = front_page.questions(book).split("* - ")[2:]
    assert [row.split() for row in rows] == [["[](b.ipynb)", "-", "How?"], ["[](a.ipynb)", "-", "Why?", "```"]]


# where a page's buttons lead


def buttons(html: Path) -> dict[str, str]:
    """Where the launch buttons of the chapter lead, by the words on them."""
    page = (html / "book" / "tiny.html").read_text()
    found = re.findall(r'<a href="([^"]+)"[^>]*title="Launch on ([^"]+)"', page)
    assert ("launch-buttons" in page) == bool(found)
    return {name: address for address, name in found}


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


# the commands


def make(*arguments: str) -> subprocess.CompletedProcess:
    """make in the project's root, as called from a shell and not from the make that runs the tests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True)


def test_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = {name for name in re.findall(r"^([a-z-]+):", makefile, re.M) if not name.endswith("environment")}
    text = make("help").stdout
    assert {line.split()[0] for line in text.splitlines()} == targets
    assert {"book", "test", "serve", "chapter", "lint", "help"} <= targets
    assert all(len(line.split()) > 2 for line in text.splitlines())
    assert make().stdout == text


def test_without_a_python_make_says_so_in_one_line(tmp_path):
    done = make("environment", "PYTHON=", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0 and "Python 3.11 or newer" in done.stderr.splitlines()[0]
    assert not (tmp_path / "venv").exists()


def test_an_environment_that_fits_is_left_alone(tmp_path, capsys):
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(name)
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / environment.STAMP).write_text(json.dumps(environment._wanted(tmp_path, {"book", "test"})))
    environment.set_up(tmp_path, venv, {"book"})
    assert capsys.readouterr().out == ""
    (tmp_path / "pyproject.toml").write_text("changed")
    with pytest.raises(Failure, match="could not be installed"):  # there is nothing to install here
        environment.set_up(tmp_path, venv, {"book"})
    assert "failed" in capsys.readouterr().out


def test_another_build_of_torch_is_asked_for_and_where_it_cannot_be_had_the_ordinary_one_is_installed(
    tmp_path, capsys, monkeypatch
):
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(name)
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    reachable, commands = [False], []

    def run(command, log, *, current, on_line=None, cwd=None):
        commands.append([str(part) for part in command])
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("Resolving\nerror: no such host\n  caused by DNS\n")
        return int("--torch-backend" in command and not reachable[0])

    monkeypatch.setattr(environment, "run_logged", run)
    environment.set_up(tmp_path, venv, {"book"}, backend="cpu")
    backends = [command[command.index("--torch-backend") + 1] for command in commands if "--torch-backend" in command]
    assert backends == ["cpu"] and commands[-1][-2:] == ["-e", ".[book]"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "error: no such host" in lines[0] and "the ordinary build" in lines[0]

    for backend in ("cpu", ""):  # nothing changed
        commands.clear()
        environment.set_up(tmp_path, venv, {"book"}, backend=backend)
        assert commands == []
    reachable[0] = True
    environment.set_up(tmp_path, venv, {"book", "test"})  # what is added later is of the same build
    assert commands[-1][-4:] == ["-e", ".[book,test]", "--torch-backend", "cpu"]
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_downloads_are_shown_in_bytes_with_the_time_left():
    current = console.Step("environment", "")
    current.start -= 10
    downloads = environment.Downloads(current)
    for line in ("Downloading torch (1.0GiB)", "Downloading numpy (512.0MiB)", " Downloaded numpy"):
        downloads(line)
    assert current.detail == "downloading: 512 of 1536 MB, about 20 s left"
    downloads("Installed 168 packages in 355ms")
    assert downloads.packages == 168


def test_a_command_that_hangs_is_ended(tmp_path):
    with console.step("wait") as step:
        code = "import time; print('begun', flush=True); time.sleep(60)"
        command = [sys.executable, "-c", code]
        assert console.run_logged(command, tmp_path / "a.log", current=step, timeout=1.5) == 124
        assert step.elapsed < 30
    assert "begun" in (tmp_path / "a.log").read_text()


def test_durations_are_readable():
    assert [console.duration(s) for s in (0.04, 9.94, 12.4, 200)] == ["0.0 s", "9.9 s", "12 s", "3 min 20 s"]
    assert [console.duration(s) for s in (3599.4, 7500)] == ["59 min 59 s", "2 h 05 min"]


def test_the_site_is_served_on_this_machine_only(tmp_path):
    (tmp_path / "index.html").write_text("hello")
    with serve.server(tmp_path, port=0) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        host, port = running.server_address
        assert host == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.read() == b"hello"
        with pytest.raises(Failure, match=f"port {port}"):
            serve.server(tmp_path, port=port)
        running.shutdown()


# the real chapters


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
