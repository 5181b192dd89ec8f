"""What a person sees while the book is set up and built: one line a step, the noise in a log.

Only the standard library is used here, because the set-up runs before anything is installed.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

TICK = 0.5  # seconds between two redrawings of the line on a terminal
REPORT_EVERY = 15.0  # seconds between two progress lines where there is no terminal
TAIL = 30  # lines of a log that are shown when a step fails
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Failure(Exception):
    """A message for the person at the keyboard; the command ends with a non-zero status and no traceback."""


def duration(seconds: float) -> str:
    """Seconds as text: '0.4 s', '12 s', '3 min 20 s', '2 h 05 min'."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of texts as lines, indented, each column as wide as its widest text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["    " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


class Step:
    """One step's line: redrawn in place on a terminal, repeated now and then elsewhere.

    Several steps may run at once, each in a thread of its own. A terminal then shows all of them on its last line.
    """

    running: ClassVar[list[Step]] = []
    lock: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, name: str, about: str) -> None:
        self.name = name
        self.about = f"{about}: " if about else ""
        self.result = "done"
        self.detail = "..."
        self.start = self.shown = time.monotonic()

    @property
    def elapsed(self) -> float:
        """The seconds since the step began."""
        return time.monotonic() - self.start

    def update(self, detail: str) -> None:
        """Say how far the step is, and show it when it is time to."""
        self.detail = detail
        self.tick()

    def tick(self) -> None:
        """Show the step's line when it is time to."""
        live = sys.stdout.isatty()
        if time.monotonic() - self.shown < (TICK if live else REPORT_EVERY):
            return
        self.shown = time.monotonic()
        if live:
            self.redraw()
        else:
            self._print(self._line(self.detail))

    def say(self, text: str) -> None:
        """Print a line of its own, which stays."""
        with self.lock:
            self._print(("\r\x1b[2K" if sys.stdout.isatty() else "") + text)

    def close(self, text: str) -> None:
        """Print the step's last line, above those of the steps that still run."""
        with self.lock:
            self._print(("\r\x1b[2K" if sys.stdout.isatty() else "") + self._line(text))
            if sys.stdout.isatty() and self.running:
                self.redraw()

    @classmethod
    def redraw(cls) -> None:
        """Draw the last line of the terminal again: each running step in its share of the width."""
        with cls.lock:
            width = os.get_terminal_size(sys.stdout.fileno()).columns // max(1, len(cls.running))
            if len(cls.running) == 1:
                parts = [one._line(one.detail)[: width - 1] for one in cls.running]
            else:
                parts = [f"{one.about}{one.detail}"[: width - 2].ljust(width - 1) for one in cls.running]
            cls._print("\r\x1b[2K" + " ".join(parts), end="")

    def _line(self, text: str) -> str:
        return f"{self.name:<12}{self.about + text:<54}{duration(self.elapsed):>12}"

    @classmethod
    def _print(cls, line: str, *, end: str = "\n") -> None:
        encoding = sys.stdout.encoding or "utf-8"
        with cls.lock:
            print(line.encode(encoding, "replace").decode(encoding), end=end, flush=True)


@contextmanager
def step(name: str, about: str = "") -> Iterator[Step]:
    """Time a step and print its one line; the body sets `.result`, the words that stay on the line."""
    current = Step(name, about)
    Step.running.append(current)
    said = "interrupted"
    try:
        yield current
        said = current.result
    except KeyboardInterrupt:
        raise
    except BaseException:
        said = "failed"
        raise
    finally:
        Step.running.remove(current)
        current.close(said)


@contextmanager
def kept_current(current: Step, text: Callable[[], str]) -> Iterator[None]:
    """Show `text()` on a step's line again and again, from a thread, while the body computes."""
    done = threading.Event()

    def draw() -> None:
        while True:
            current.update(text())
            if done.wait(TICK):
                return

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def about_left(seconds: float | None) -> str:
    """Return the time left as words for a step's line; nothing if it is not known or less than a second."""
    return f"about {duration(seconds)} left" if seconds is not None and seconds >= 1 else ""


def run_logged(
    command: Sequence[str | Path],
    log: Path,
    *,
    current: Step,
    on_line: Callable[[str], None] = lambda line: None,
    on_tick: Callable[[], None] = lambda: None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = float("inf"),
    stop: threading.Event | None = None,
) -> int:
    """Run a command with all of its output going to `log`, and return its exit status (124: out of time).

    `on_line` gets every line as it comes, `on_tick` is called twice a second while there is none. If we are
    interrupted, or `stop` is set by another thread, the command and all it started are ended first.
    """
    deadline = time.monotonic() + timeout
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    lines: queue.Queue[str | None] = queue.Queue()

    def pump() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=pump, daemon=True).start()
    try:
        with log.open("w", encoding="utf-8") as file:
            while True:
                if stop and stop.is_set():
                    raise KeyboardInterrupt
                try:
                    line = lines.get(timeout=TICK)
                except queue.Empty:
                    if time.monotonic() > deadline:
                        file.write(f"stopped after {duration(timeout)}\n")
                        _end(process)
                        return 124
                    on_tick()
                    current.tick()
                    continue
                if line is None:
                    return process.wait()
                file.write(line)
                file.flush()
                on_line(line.rstrip("\n"))
                current.tick()
    except BaseException:
        _end(process)
        raise


def _end(process: subprocess.Popen) -> None:
    """End a process and its children: asked first (papermill then ends its kernel), forced later."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=5)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def tail(log: Path, *, lines: int = TAIL) -> str:
    """Return the last lines of a log, indented, without terminal colours, with the log's path under them."""
    text = ANSI.sub("", log.read_text(encoding="utf-8", errors="replace")).strip()
    shown = [f"    {line}" for line in text.splitlines()[-lines:]]
    return "\n".join([*shown, f"    (whole log: {log})"])
