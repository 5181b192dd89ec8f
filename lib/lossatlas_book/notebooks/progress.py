"""The line of a chapter that is being executed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lossatlas._progress import Remaining

from ..console import Step, about_left

Left = Callable[[], float | None]  # seconds that a chapter still takes, None if that is not known
BAR = re.compile(r"(?:(?P<what>[^:\r\n]+): +)?(?P<share>\d+)%\|.*<(?P<left>[\d:]+)")


class Progress:
    """The line of a running chapter: cell 5 of 23, the bar inside the cell, and the time left.

    That comes from `left` if it is given and knows, else from the `seconds` that each cell took last time, corrected
    by how long those before took now.
    """

    def __init__(
        self, current: Step, *, cells: int, seconds: Sequence[float], bars: Path, left: Left = lambda: None
    ) -> None:
        self.current, self.cells, self.bars, self.left = current, cells, bars, left
        known = dict(enumerate(seconds, start=1)) if len(seconds) == cells else {}
        self.remaining = Remaining(known, clock=lambda: time.monotonic())
        self.cell = 0

    def line(self, text: str) -> None:
        """Read one line of papermill's log."""
        if found := re.search(r"Executing Cell (\d+)-", text):
            if self.cell in self.remaining.running:
                self.remaining.finish(self.cell)
            self.cell = int(found[1])
            if self.cell in self.remaining.waiting:
                self.remaining.begin(self.cell)
            self.tick()

    def tick(self) -> None:
        """Show how far the chapter is."""
        parts = [f"cell {self.cell} of {self.cells}" if self.cell else "starting", self._bar(), self._left()]
        self.current.update(", ".join(part for part in parts if part))

    def _bar(self) -> str:
        try:
            with self.bars.open("rb") as file:
                file.seek(max(0, self.bars.stat().st_size - 500))
                last = re.split(r"[\r\n]", file.read().decode("utf-8", "replace"))[-1]
        except OSError:
            return ""
        if not (found := BAR.search(last)):
            return ""
        return f"{(found['what'] or '').strip()} {found['share']}% ({found['left']} left)".strip()

    def _left(self) -> str:
        known = self.left()
        return about_left(self.remaining.seconds() if known is None else known)
