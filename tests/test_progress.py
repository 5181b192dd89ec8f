"""Progress bars, and estimates of the time left against runs of known length on a clock of our own."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tqdm.std

from lossatlas._progress import Remaining, bar


def test_a_bar_can_be_sent_to_a_file(tmp_path, monkeypatch, capsys):
    place = tmp_path / "bars"
    monkeypatch.setenv("LOSSATLAS_PROGRESS", str(place))
    with bar(total=4, description="surface", unit=" points") as running:
        for _ in range(4):
            running.update()
    assert "surface" in place.read_text() and "0.00/4.00" in place.read_text()
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_silent_on_request_and_by_the_environment(capsys):
    with bar(total=2, description="quiet", unit=" points", show=False) as running:
        running.update(2)
    assert capsys.readouterr() == ("", "")
    code = "from lossatlas._progress import bar\nwith bar(total=1, description='x', unit='') as b: b.update()"
    said = subprocess.run(
        [sys.executable, "-c", code], env={"TQDM_DISABLE": "1", "PATH": ""}, capture_output=True, text=True, check=True
    )
    assert said.stdout == "" and said.stderr == ""


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(tqdm.std, "time", clock)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    return clock


def errors_of_a_bar(running, clock, steps):
    """Estimates over truth, after every step (seconds, units) but the last."""
    end = clock.now + sum(seconds for seconds, _ in steps)
    found = []
    for seconds, units in steps[:-1]:
        clock.now += seconds
        running.update(units)
        found.append(running.seconds_left / (end - clock.now))
    return np.array(found)


@pytest.mark.parametrize("seconds", [0.01, 1.0, 40.0])
def test_the_time_left_of_a_steady_run_is_true(clock, seconds):
    with bar(total=100, description="surface", unit=" points") as running:
        assert running.seconds_left is None
        np.testing.assert_allclose(errors_of_a_bar(running, clock, [(seconds, 1)] * 100), 1)


def test_the_time_left_is_true_after_a_long_preparation(clock):
    with bar(total=100, description="surface", unit=" points") as running:
        found = errors_of_a_bar(running, clock, [(31.0, 1), *[(1.0, 1)] * 99])
    assert found[0] > 2  # nothing else is known yet
    np.testing.assert_allclose(found[2:], 1, rtol=0.01)


def test_what_a_resumed_run_found_done_says_nothing_of_the_rest(clock):
    with bar(total=100, description="surface", unit=" points") as running:
        clock.now += 5
        running.skip(60)
        assert running.seconds_left is None and running.n == 60
        np.testing.assert_allclose(errors_of_a_bar(running, clock, [(2.0, 1)] * 40), 1)
        assert "00:02" in str(running) and "99" in str(running)


def test_a_run_that_slows_down_is_noticed_also_while_nothing_is_reported(clock):
    with bar(total=100, description="surface", unit=" points") as running:
        for _ in range(50):
            clock.now += 1
            running.update()
        assert running.seconds_left == pytest.approx(50)
        clock.now += 100  # one unit that takes as long as all before it, and is not done
        assert running.seconds_left == pytest.approx(250, rel=0.05)
        for _ in range(40):
            clock.now += 10
            running.update()
        assert running.seconds_left == pytest.approx(100, rel=0.2)


def test_no_estimate_without_a_total(clock):
    with bar(total=None, description="surface", unit=" points") as running:
        clock.now += 1
        running.update()
        assert running.seconds_left is None


def estimates(expected, taken, *, lanes=1, pace=1.0, tick=0.5):
    """(seconds passed, estimate, truth) of a run that starts its parts in order, as many at once as it has lanes."""
    clock = Clock()
    run = Remaining(dict(enumerate(expected)), pace=pace, lanes=lanes, clock=clock)
    starts, ends, free = [], [], [0.0] * lanes
    for seconds in taken:
        starts.append(min(free))
        ends.append(starts[-1] + seconds)
        free[free.index(min(free))] = ends[-1]
    events = sorted([(t, 1, i) for i, t in enumerate(starts)] + [(t, 0, i) for i, t in enumerate(ends)])
    whole, passed, rows = max(ends), 0.0, []
    while passed < whole:
        while events and events[0][0] <= passed:
            when, begins, part = events.pop(0)
            clock.now = 100 + when
            run.begin(part) if begins else run.finish(part)
        clock.now = 100 + passed
        rows.append((passed, run.seconds(), whole - passed))
        passed += tick
    return rows


def late(rows, share):
    """Estimate over truth from a share of the whole on, until a fifth of it is left."""
    whole = rows[0][2]
    return np.array([found / left for passed, found, left in rows if passed >= share * whole and left >= 0.2 * whole])


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0, 10.0])
def test_parts_of_known_lengths_on_a_slower_or_faster_machine(factor):
    expected = [1, 2, 3, 5, 8, 8, 13, 20, 20, 20]
    found = late(estimates(expected, [factor * seconds for seconds in expected]), 0.3)
    assert found.min() > 0.75 and found.max() < 1.35


def test_parts_that_scatter():
    expected = np.full(40, 5.0)
    taken = expected * np.random.default_rng(0).lognormal(0.7, 0.5, 40)
    found = late(estimates(expected, taken), 0.33)
    assert found.min() > 0.7 and found.max() < 1.5


def test_two_at_once():
    expected = np.random.default_rng(1).uniform(5, 30, 20)
    found = late(estimates(expected, 1.7 * expected, lanes=2), 0.3)
    assert found.min() > 0.75 and found.max() < 1.35


def test_a_part_that_takes_many_times_its_expectation_never_leaves_nothing():
    """Cheap parts first, as expected, and then dear ones that take nine minutes instead of one."""
    rows = estimates([1] * 10 + [20] * 3, [1] * 10 + [180] * 3, tick=1.0)
    assert min(found / left for _, found, left in rows if left > 30) > 0.08
    after_one = np.array([found / left for passed, found, left in rows if passed > 200 and left > 50])
    assert after_one.min() > 0.4 and after_one.max() < 1.5


def test_without_a_pace_there_is_no_estimate_until_a_part_is_done():
    rows = estimates([1] * 5, [7] * 5, pace=None, tick=1.0)
    assert [found for passed, found, _ in rows if passed < 7] == [None] * 7
    assert rows[7][1] == pytest.approx(28)
    run = Remaining({})
    assert run.seconds() == 0
