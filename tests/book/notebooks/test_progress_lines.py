"""The time left that lines of progress tell, against runs of known length."""

from __future__ import annotations

import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from lossatlas.study import reevaluation
from lossatlas_book import console
from lossatlas_book.checks import verify
from lossatlas_book.notebooks import progress


def seconds_in(text: str) -> float:
    """The seconds of 'about 1 min 05 s left'; 0 if the text tells none."""
    words = text.partition("about ")[2].removesuffix(" left").split()
    units = {"s": 1, "min": 60, "h": 3600}
    return sum(float(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize("slower", [1.0, 6.0])
@pytest.mark.parametrize("budget", [80.0, 1000.0])
@pytest.mark.parametrize("overhead", [verify.OVERHEAD, 40.0])  # of a surface, however few of its points are evaluated
def test_verifying_says_how_long_it_still_takes(monkeypatch, slower, budget, overhead):
    stored = [SimpleNamespace(seconds=seconds, name=str(seconds)) for seconds in (2.0, 2.0, 4.0, 8.0, 30.0, 30.0)]
    now, told = [0.0], []

    @contextmanager
    def kept_current(current, text):
        told.append((now[0], text()))
        yield

    def check_surface(kept, one, *, share, seed):
        taken = slower * (overhead + one.seconds * max(share, 0.02))
        now[0] += taken
        return SimpleNamespace(name=one.name, seconds=taken, points=max(1, round(100 * share)), of=100)

    monkeypatch.setattr(verify.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(verify, "kept_current", kept_current)
    monkeypatch.setattr(reevaluation, "check_surface", check_surface)
    checks = verify._surfaces(None, stored, current=None, budget=budget, seed=0)
    assert len(checks) == len(stored) and [text.partition(",")[0] for _, text in told][-1] == "surface 6 of 6"
    for when, text in told[3:]:
        assert (now[0] - when) / 2 < seconds_in(text) < 2 * (now[0] - when), told


def test_a_budget_is_shared_so_that_what_short_surfaces_leave_goes_to_long_ones():
    plan = verify.planned([1.0, 2.0, 50.0, 60.0], 60.0)
    assert plan[:2] == [1.0 + verify.OVERHEAD, 2.0 + verify.OVERHEAD]
    assert plan[2] == pytest.approx(plan[3]) and sum(plan) == pytest.approx(60.0)
    assert verify.planned([1.0, 5.0], float("inf")) == [1.0 + verify.OVERHEAD, 5.0 + verify.OVERHEAD]


@pytest.mark.parametrize("slower", [1.0, 3.0])
def test_an_execution_that_is_slower_than_the_last_says_so(tmp_path, monkeypatch, slower):
    last = [1.0, 10.0, 20.0, 5.0, 60.0, 4.0]
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    line = progress.Progress(console.Step("execute", "x"), cells=6, seconds=last, bars=tmp_path / "no")
    for number, seconds in enumerate(last, start=1):
        line.line(f"Executing Cell {number}---")
        if number > 2:
            assert seconds_in(line._left()) == pytest.approx(slower * sum(last[number - 1 :]), rel=0.35)
        now[0] += slower * seconds
    now[0] += 500  # a cell that takes longer than ever has some time left, not none
    assert seconds_in(line._left()) > 50


def test_a_line_is_redrawn_while_something_is_computed(capsys, monkeypatch):
    monkeypatch.setattr(console, "TICK", 0.01)
    monkeypatch.setattr(console, "REPORT_EVERY", 0.0)
    shown, drawn = "", []
    with console.step("verify") as current, console.kept_current(current, lambda: f"part {len(drawn)}"):
        while shown.count("part") < 2:
            drawn.append(None)
            time.sleep(0.01)  # leaves the other thread time to draw
            shown += capsys.readouterr().out


def test_nothing_is_said_of_less_than_a_second():
    assert [console.about_left(seconds) for seconds in (None, 0.0, 0.9)] == ["", "", ""]
    assert console.about_left(75) == "about 1 min 15 s left"
