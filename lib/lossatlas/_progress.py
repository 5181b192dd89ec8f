"""One kind of progress bar, and estimates of the time left that hold.

:class:`Bar` counts equal units of work, of which the recent ones say how long the next ones take. :class:`Remaining`
is for parts of different length, each with an expectation of its own.
"""

from __future__ import annotations

import heapq
import os
import sys
import time
from collections.abc import Callable, Hashable, Mapping

from tqdm import tqdm

PRIOR = 0.05  # the pace believed before the start counts like so large a share of the work, less as work is done
MORE = 0.2  # share of the time a part has taken so far that it is expected to take at least


class Bar(tqdm):
    """A progress bar whose time left comes from the later half of what is done.

    The first half tells little: it holds what is prepared once, and what was found finished.
    """

    start_t: float

    def __init__(self, *args, **kwargs):
        self.known: list[tuple[int | float, float]] = []  # units done, and when
        super().__init__(*args, **kwargs)

    def update(self, n: int | float | None = 1) -> bool | None:
        """Count ``n`` units that were just done."""
        if not self.disable:
            if not self.known:
                self.known.append((self.n, self.start_t))
            self.known.append((self.n + (n or 0), self._time()))
            half = (self.initial + self.known[-1][0]) / 2
            while len(self.known) > 2 and self.known[1][0] <= half:
                self.known.pop(0)
        return super().update(n)

    def skip(self, n: int | float) -> None:
        """Count ``n`` units that were done before; they say nothing of the time that others take."""
        if not self.disable:
            self.initial += n
            self.n += n
            self.known = [(done + n, when) for done, when in self.known]
            if not self.known:
                self.start_t = self._time()
            self.refresh()

    @property
    def seconds_left(self) -> float | None:
        """The estimated seconds left; None before anything is done, and without a total."""
        rate = self._rate()
        return None if rate is None or self.total is None else max(0.0, self.total - self.n) / rate

    def _rate(self) -> float | None:
        if len(self.known) < 2:
            return None
        (first, then), (last, _) = self.known[0], self.known[-1]
        passed = self._time() - then
        return (last - first) / passed if passed > 0 and last > first else None

    @property
    def format_dict(self) -> dict:
        """What the line is made of, with our own rate."""
        return super().format_dict | {"rate": self._rate()}


def bar(*, total: int | None, description: str, unit: str, show: bool = True) -> Bar:
    """Return a bar on stderr that disappears when it is done; silent with ``show=False`` or ``TQDM_DISABLE=1``.

    If the environment variable ``LOSSATLAS_PROGRESS`` names a file, the bar is written there instead, so that a
    program that runs a notebook can show it and the notebook does not.
    """
    place = os.environ.get("LOSSATLAS_PROGRESS")
    stream = open(place, "a", encoding="utf-8", buffering=1) if place else sys.stderr  # noqa: SIM115
    hidden = {} if show else {"disable": True}
    return Bar(
        total=total, desc=description, unit=unit, unit_scale=True, leave=False, mininterval=0.5, file=stream, **hidden
    )  # fmt: skip


class Remaining:
    """Estimate the seconds left of a run whose parts are expected to take different times.

    What the finished parts took, against what they were expected to take, corrects the expectation of the others.
    A part that takes longer than expected is evidence too, while it still runs.

    Parameters
    ----------
    expected : mapping
        The expected work of each part: seconds, or any other unit.
    pace : float, optional
        Seconds for one unit of work, as believed before the start: 1 if the unit is a second. Without it there is no
        estimate until a part is finished.
    lanes : int
        How many parts run at the same time.
    clock : callable
        Returns the seconds since some moment.

    Examples
    --------
    >>> now = 0.0
    >>> run = Remaining({"a": 10, "b": 30}, clock=lambda: now)
    >>> run.seconds()
    40.0
    >>> run.begin("a")
    >>> now = 20.0  # twice as long as expected
    >>> run.finish("a")
    >>> round(run.seconds())
    60
    """

    def __init__(
        self,
        expected: Mapping[Hashable, float],
        *,
        pace: float | None = 1.0,
        lanes: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.waiting = dict(expected)
        self.running: dict[Hashable, tuple[float, float]] = {}  # work, and when it began
        self.pace, self.lanes, self.clock = pace, lanes, clock
        self.whole = sum(expected.values())
        self.work = self.taken = 0.0  # of the finished parts

    def begin(self, part: Hashable) -> None:
        """Say that a part begins now."""
        self.running[part] = self.waiting.pop(part), self.clock()

    def finish(self, part: Hashable) -> None:
        """Say that a part ends now."""
        work, began = self.running.pop(part)
        self.work += work
        self.taken += self.clock() - began

    def seconds(self) -> float | None:
        """Return the estimated seconds left; None if nothing is known yet."""
        now, work, taken = self.clock(), self.work, self.taken
        parts = [(part, now - began) for part, began in self.running.values()]
        if not (self.waiting or parts):
            return 0.0
        if self.pace is not None:
            believed = max(0.0, PRIOR * self.whole - self.work / 4)
            work, taken = work + believed, taken + self.pace * believed
        for part, passed in parts:
            if work and passed > part * taken / work:
                work, taken = work + part, taken + passed
        if not work:
            return None
        pace = taken / work
        ends = [max(part * pace - passed, MORE * passed) for part, passed in parts]
        ends += [0.0] * (self.lanes - len(ends))
        heapq.heapify(ends)
        for part in self.waiting.values():  # each begins as soon as one before it ends
            heapq.heapreplace(ends, ends[0] + part * pace)
        return max(ends)
