"""Chapters computed again, and their verdicts beside the published."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import xarray as xr

from books import wait_until, write_notebook
from lossatlas_book import console
from lossatlas_book.__main__ import main
from lossatlas_book.checks import reproduce
from lossatlas_book.notebooks import progress

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
