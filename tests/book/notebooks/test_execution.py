"""Executing chapters: when, several at once, and what is said of those that fail."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import html5lib
import nbformat
import pytest

from books import ROOT, configure, printed, wait_until, write_notebook
from lossatlas_book import console
from lossatlas_book.__main__ import main
from lossatlas_book.console import Failure
from lossatlas_book.notebooks import chapters, execute, progress, records
from lossatlas_book.notebooks.papermill import run_papermill


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
    root = html5lib.parse(page, namespaceHTMLElements=False)
    rows = ["|".join("".join(cell.itertext()) for cell in row) for row in root.iter("tr")]
    assert [row for row in rows if row.startswith("grid_points")] == ["grid_points|21|points along each side3 to 101"]
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)

    write_notebook(book / "book" / "tiny.ipynb", "1 / 0")
    before = (place / "tiny.ipynb").read_bytes()
    assert main(["chapter", "tiny"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert (place / "tiny.ipynb").read_bytes() == before
