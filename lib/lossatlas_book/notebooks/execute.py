"""Executing chapters through papermill, and knowing when that is not needed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from ..console import ANSI, Failure, Step, duration, run_logged, step, tail
from . import chapters

Left = Callable[[], float | None]  # seconds that a chapter still takes, None where that is not known
BAR = re.compile(r"(?:(?P<what>[^:\r\n]+): +)?(?P<share>\d+)%\|.*<(?P<left>[\d:]+)")


def digest(files: Iterable[Path], *texts: str) -> str:
    """SHA-256 of texts, and of files with their names, in the order given."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode() + b"\0")
    for file in files:
        content = file.read_bytes()
        total.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def asked(path: Path, root: Path, *, values: dict[str, Any]) -> str:
    """Fingerprint of what an execution depends on beside stored results: notebook, code, versions, values."""
    library = Path(importlib.util.find_spec("lossatlas").origin).parent
    pins = [file for file in [root / "constraints.txt"] if file.exists()]
    files = [path, *sorted(library.rglob("*.py")), *pins]
    return digest(files, sys.version, json.dumps(values, sort_keys=True))


def stored(path: Path, root: Path) -> str:
    """Fingerprint of the stored results that a chapter reads: its own, `data/results/<chapter>/`, and those
    that its notebook names as patterns below `data/results/` in its metadata, `{"lossatlas": {"reads": […]}}`."""
    reads = chapters.read(path).metadata.get("lossatlas", {}).get("reads", [])
    found = {file for pattern in (f"{path.stem}/**/*", *reads) for file in (root / "data" / "results").glob(pattern)}
    return digest(sorted(file for file in found if file.is_file()))


def record_of(output: Path) -> dict:
    """The record beside an executed notebook; empty when there is none or the notebook was altered."""
    try:
        record = json.loads(output.with_suffix(".json").read_text())
        return record if record["output"] == digest([output]) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


class Progress:
    """The line of a running chapter: cell 5 of 23, the bar inside the cell, and the time left.

    That comes from `left`, where it is given and knows, else from the `seconds` that each cell took last time.
    """

    def __init__(
        self, current: Step, *, cells: int, seconds: Sequence[float], bars: Path, left: Left = lambda: None
    ) -> None:
        self.current, self.cells, self.seconds, self.bars, self.left = current, cells, seconds, bars, left
        self.cell = 0
        self.since = time.monotonic()

    def line(self, text: str) -> None:
        if found := re.search(r"Executing Cell (\d+)-", text):
            self.cell, self.since = int(found[1]), time.monotonic()
            self.tick()

    def tick(self) -> None:
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
        if (known := self.left()) is not None:
            return f"about {duration(known)} left"
        if len(self.seconds) != self.cells or not self.cell:
            return ""
        here = max(0.0, self.seconds[self.cell - 1] - (time.monotonic() - self.since))
        return f"about {duration(here + sum(self.seconds[self.cell :]))} left"


def run_papermill(
    path: Path,
    output: Path,
    *,
    root: Path,
    values: dict[str, Any],
    current: Step,
    seconds: Sequence[float] = (),
    left: Left = lambda: None,
) -> list[float]:
    """Execute a notebook with papermill from the book's root and return each cell's seconds.

    `output` is replaced only when all cells ran and none wrote to stderr; otherwise Failure says which
    cell did what, and the half-executed notebook lies beside the log.
    """
    logs = root / "_build" / "logs"
    log, bars, half = (logs / f"{path.stem}.{end}" for end in ("log", "bars", "ipynb"))
    logs.mkdir(parents=True, exist_ok=True)
    bars.unlink(missing_ok=True)
    cells = len(chapters.read(path).cells) + bool(values)  # papermill puts given values into a cell of their own
    progress = Progress(current, cells=cells, seconds=seconds, bars=bars, left=left)
    command = [
        sys.executable,
        "-m",
        "lossatlas_book.notebooks.end_with_parent",
        os.getpid(),
        "papermill",
        path,
        half,
        "--cwd",
        root,
    ]
    command += ["-k", "python3", "--log-output", "--no-progress-bar", "--autosave-cell-every", "0"]
    command += ["-y", json.dumps(values)] if values else []
    env = {
        "LOSSATLAS_PROGRESS": str(bars),  # the library draws its bars there, not into a cell
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # figures land in the cells
        "IPYTHONDIR": str(root / "_build" / "ipython"),  # the person's own profile plays no part
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm asks for widgets that no page can show
    }
    half.unlink(missing_ok=True)
    status = run_logged(command, log, current=current, cwd=root, env=env, on_line=progress.line, on_tick=progress.tick)
    if status:
        raise Failure(_what_failed(half, log))
    notebook = chapters.read(half)
    if said := list(stderr_texts(notebook)):
        listing = [f"    cell {number}: {text}" for number, text in said]
        head = "text on stderr, which a page must not show:"
        raise Failure("\n".join([head, *listing, f"    (executed notebook: {half})"]))
    output.parent.mkdir(parents=True, exist_ok=True)
    os.replace(half, output)
    bars.unlink(missing_ok=True)
    times = (cell.metadata.get("papermill", {}).get("duration") for cell in notebook.cells)
    return [float(seconds or 0) for seconds in times]


def source_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells that were in the chapter before papermill put in its own."""
    added = {"injected-parameters", "papermill-error-cell-tag"}
    return [cell for cell in notebook.cells if not added & set(cell.metadata.get("tags", []))]


def stderr_texts(notebook: nbformat.NotebookNode) -> Iterable[tuple[int, str]]:
    """Number in the chapter and stderr text of every cell that wrote any."""
    for number, cell in enumerate(source_cells(notebook), start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                yield number, ANSI.sub("", output.text).strip()


def _what_failed(half: Path, log: Path) -> str:
    """The failing cell, its error and the end of its traceback; the log's tail when no cell has one."""
    cells = source_cells(chapters.read(half)) if half.exists() else []
    for number, cell in enumerate(cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                trace = ANSI.sub("", "\n".join(output.traceback)).rstrip().splitlines()[-12:]
                shown = "\n".join(f"    {line}" for line in trace)
                return (
                    f"cell {number} of {len(cells)} raised {output.ename}:\n{shown}\n"
                    f"    (executed so far: {half})\n    (whole log: {log})"
                )
    return tail(log)


def execute_all(
    root: Path,
    folder: Path,
    *,
    names: Sequence[str] = (),
    values: dict[str, dict[str, Any]] | None = None,
    always: bool = False,
    left: Mapping[str, Left] | None = None,
) -> dict[str, Path]:
    """Execute chapters (all, or those named) into `folder`, and return name and executed notebook of each.

    A chapter whose notebook, library, pinned versions, values and stored results are as in its last
    execution is left alone, unless `always`. One that fails is reported and the others go on; then
    Failure is raised. `left` may know how long a chapter still takes.
    """
    paths = {name: chapters.find(root, name) for name in names} or chapters.chapters(root)
    failed = []
    for name, path in paths.items():
        output = folder / f"{name}.ipynb"
        given = (values or {}).get(name, {})
        record = record_of(output)
        try:
            with step("execute", name) as current:
                before = asked(path, root, values=given)
                if not always and record and [before, stored(path, root)] == record.get("input"):
                    current.result = "unchanged"
                    continue
                known = {"seconds": record.get("seconds", ()), "left": (left or {}).get(name, lambda: None)}
                seconds = run_papermill(path, output, root=root, values=given, current=current, **known)
                # Stored results are fingerprinted afterwards: the chapter itself may have added some.
                now = {"input": [before, stored(path, root)], "output": digest([output]), "seconds": seconds}
                output.with_suffix(".json").write_text(json.dumps(now))
                current.result = f"{len(seconds)} cells"
        except Failure as failure:
            failed.append(name)
            print(f"{name}: {failure}", file=sys.stderr)
    if failed:
        raise Failure(f"{len(failed)} of {len(paths)} chapters failed: {', '.join(failed)}")
    return {name: folder / f"{name}.ipynb" for name in paths}
