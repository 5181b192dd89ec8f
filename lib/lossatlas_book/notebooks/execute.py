"""Execute the chapters that changed, several at once."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from ..console import Failure, step
from . import chapters
from .papermill import run_papermill
from .progress import Left
from .records import digest, fingerprint, record_of, stored

MOST = 4  # chapters at once: each holds about a gigabyte
UNKNOWN = 30.0  # seconds that a chapter is taken to need before its first execution


def at_once() -> int:
    """Return how many chapters are executed at once: one a core, or as many as the variable JOBS says."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("JOBS", "")
    if given and not (given.isdecimal() and int(given) > 0):
        raise Failure(f"JOBS={given}: expected how many chapters to execute at once, such as 2")
    return int(given) if given else min(cores, MOST)


def execute_all(
    root: Path,
    folder: Path,
    *,
    names: Sequence[str] = (),
    values: dict[str, dict[str, Any]] | None = None,
    always: bool = False,
    left: Mapping[str, Left] | None = None,
    jobs: int = 1,
) -> dict[str, Path]:
    """Execute chapters (all, or those named) into `folder`, and return name and executed notebook of each.

    A chapter whose notebook, library, pinned versions, values and stored results are as in its last execution is left
    alone, unless `always`. Up to `jobs` chapters run at once, each on its share of the cores. A chapter that fails is
    reported and the others continue; then Failure is raised. `left` may know how long a chapter still takes.
    """
    paths = {name: chapters.find(root, name) for name in names} or chapters.chapters(root)
    outputs = {name: folder / f"{name}.ipynb" for name in paths}
    stop = threading.Event()
    failed = []

    def one(name: str) -> None:
        given = (values or {}).get(name, {})
        known = (left or {}).get(name, lambda: None)
        try:
            _execute(root, paths[name], outputs[name], values=given, always=always, left=known, jobs=jobs, stop=stop)
        except Failure as failure:
            failed.append(name)
            print(f"{name}: {failure}", file=sys.stderr, flush=True)

    waits = {name: _reads_from(path, paths) for name, path in paths.items()}
    alone = {name for name, path in paths.items() if chapters.about(path).get("alone")}
    order = list(paths)
    if jobs > 1:  # the longest first
        order.sort(key=lambda name: (name in alone, -_expected(paths[name], outputs[name])))
    _run(one, order, waits=waits, alone=alone, jobs=jobs, stop=stop)
    if failed:
        raise Failure(f"{len(failed)} of {len(paths)} chapters failed: {', '.join(failed)}")
    return outputs


def _execute(
    root: Path,
    path: Path,
    output: Path,
    *,
    values: dict[str, Any],
    always: bool,
    left: Left,
    jobs: int,
    stop: threading.Event,
) -> None:
    """Execute one chapter unless nothing has changed, and write its record."""
    record = record_of(output)
    with step("execute", path.stem) as current:
        before = fingerprint(path, root, values=values)
        if not always and record and [before, stored(path, root)] == record.get("input"):
            current.result = "unchanged"
            return
        seconds = run_papermill(
            path, output, root=root, values=values, current=current,
            seconds=record.get("seconds", ()), left=left, jobs=jobs, stop=stop,
        )  # fmt: skip
        # Stored results are fingerprinted afterwards: the chapter itself may have added some.
        now = {"input": [before, stored(path, root)], "output": digest([output]), "seconds": seconds}
        output.with_suffix(".json").write_text(json.dumps(now))
        current.result = f"{len(seconds)} cells"


def _reads_from(path: Path, paths: Mapping[str, Path]) -> set[str]:
    """Return the other chapters whose results a chapter reads, which therefore run first."""
    return chapters.reads_from(path, (name for name, o in paths.items() if "results" in chapters.parameters(o)))


def _expected(path: Path, output: Path) -> float:
    """Return the seconds that a chapter took last time.

    Without a record, those that compute everything live are taken to need longest.
    """
    if seconds := record_of(output).get("seconds"):
        return sum(seconds)
    return UNKNOWN if "results" in chapters.parameters(path) else 2 * UNKNOWN


def _run(
    one: Callable[[str], None],
    names: list[str],
    *,
    waits: Mapping[str, Collection[str]],
    alone: Collection[str],
    jobs: int,
    stop: threading.Event,
) -> None:
    """Call `one` for every name, up to `jobs` at once: none before those it waits for, some beside no other."""
    running: dict[Future[None], str] = {}

    def ready() -> str | None:
        """Return the next name that may run now. If all of them wait for each other, the first runs first."""
        busy = set(running.values())
        if busy & set(alone) or len(busy) >= jobs:
            return None
        free = (name for name in names if not set(waits[name]) & {*names, *busy} and not (busy and name in alone))
        return next(free, names[0] if names and not busy else None)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            while names or running:
                while (name := ready()) is not None:
                    names.remove(name)
                    running[pool.submit(one, name)] = name
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[done]
                    done.result()
        except BaseException:
            stop.set()  # what runs in the threads ends
            raise
