"""Execute one notebook through papermill, and say which cell failed and how."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nbformat

from ..console import ANSI, Failure, Step, run_logged, tail
from . import chapters
from .progress import Left, Progress


def run_papermill(
    path: Path,
    output: Path,
    *,
    root: Path,
    values: dict[str, Any],
    current: Step,
    seconds: Sequence[float] = (),
    left: Left = lambda: None,
    jobs: int = 1,
    stop: threading.Event | None = None,
) -> list[float]:
    """Execute a notebook with papermill from the book's root and return each cell's seconds.

    `output` is replaced only when all cells ran and none wrote to stderr; otherwise Failure says which cell did what,
    and the half-executed notebook lies beside the log. If it is one of several `jobs` at once, it computes on its share
    of the cores. `stop` ends it.
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
        "IPYTHONDIR": str(root / "_build" / "ipython" / path.stem),  # the person's own profile plays no part
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm asks for widgets that no page can show
    }
    if jobs > 1:
        env["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    half.unlink(missing_ok=True)
    status = run_logged(
        command, log, current=current, cwd=root, env=env, on_line=progress.line, on_tick=progress.tick, stop=stop
    )
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
    """Return the cells that were in the chapter before papermill added its own."""
    added = {"injected-parameters", "papermill-error-cell-tag"}
    return [cell for cell in notebook.cells if not added & set(cell.metadata.get("tags", []))]


def stderr_texts(notebook: nbformat.NotebookNode) -> Iterable[tuple[int, str]]:
    """Yield the number in the chapter and the stderr text of every cell that wrote any."""
    for number, cell in enumerate(source_cells(notebook), start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                yield number, ANSI.sub("", output.text).strip()


def _what_failed(half: Path, log: Path) -> str:
    """Return the failing cell, its error and the end of its traceback; the end of the log if no cell has one."""
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
