"""The memory that a contender needs beside the data and the model: by how much a process grows that does it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

from workloads import WORKLOADS, Case, make

SIDE = 15  # points along each side of the grid
RETURNED = {"MALLOC_MMAP_THRESHOLD_": "262144"}  # to the system, once freed; else an allocator's habits are measured
RESET = Path("/proc/self/clear_refs")
MEASURABLE = RESET.exists()  # on Linux


def kibibytes(name: str) -> int:
    """A figure of this process, as the system counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def growth(call: Callable[[], object]) -> int:
    """Bytes by which this process grows at most in a call."""
    RESET.write_text("5")  # the high-water mark begins anew
    before = kibibytes("VmRSS")
    call()
    return 1024 * (kibibytes("VmHWM") - before)


def needed(key: str, run: Callable[[Case], object]) -> int:
    """Bytes that a contender needs on a workload, its first calls left out."""
    workload = replace(WORKLOADS[key], steps=0)  # memory does not depend on what the network has learned
    case = make(workload, points=SIDE)
    run(replace(case, grid=case.grid[:: SIDE - 1]))
    return growth(lambda: run(case))


def peaks(key: str, contenders: dict[str, Callable[[Case], object]]) -> dict[str, int]:
    """Bytes by name, each contender in a process of its own; empty where the system does not say."""
    if not MEASURABLE:
        return {}
    alone = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1)
    with mock.patch.dict(os.environ, RETURNED), alone as processes:
        return {name: processes.submit(needed, key, run).result() for name, run in contenders.items()}
