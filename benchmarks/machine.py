"""What the machine is, and can do at best."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch

SIDE = 2048  # of the square matrices
FUNCTIONS = {"sigmoid": torch.sigmoid, "exponential": torch.exp}
CACHED = 2**14, 2**16, 2**18  # numbers that a function is timed on
COPIED = 2**26  # numbers whose copies measure the memory (256 MB)
SECONDS = 1.0  # that each rate is measured for


def describe() -> dict[str, str]:
    """The processor, the threads and the versions."""
    return {
        "processor": processor(),
        "threads": str(torch.get_num_threads()),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
    }


def processor() -> str:
    """Its name and the widest arithmetic that PyTorch uses on it."""
    known = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", known.read_text()) if known.exists() else None
    name = found[1] if found else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def rates() -> dict[str, float]:
    """Operations a second in the product of two matrices, functions of single numbers a second, and bytes a second.

    Products are those of ``torch.mm``, of oneDNN, and of bfloat16. Functions are timed on numbers in the cache, and
    the memory by a large copy.
    """
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    ways: dict[str, Callable] = {"float32": lambda: torch.mm(a, b)}
    if torch.backends.mkldnn.is_available():
        ways["float32, oneDNN"] = lambda: torch.ops.lossatlas.dense(a, b, None)
    half, other = a.bfloat16(), b.bfloat16()
    ways["bfloat16"] = lambda: torch.mm(half, other)
    found = {name: 2 * SIDE**3 / fastest(way) for name, way in ways.items()}
    found |= {name: max(function_rate(function, n) for n in CACHED) for name, function in FUNCTIONS.items()}
    large, copied = torch.zeros(COPIED), torch.ones(COPIED)
    return found | {"memory": 2 * large.nbytes / fastest(lambda: copied.copy_(large))}


def function_rate(function: Callable, numbers: int) -> float:
    """How many values a second a function gives, of so many numbers at once."""
    values = torch.randn(numbers)
    out = torch.empty_like(values)
    return numbers / fastest(lambda: function(values, out=out))


def fastest(function: Callable) -> float:
    """Seconds of the fastest call within a second."""
    function()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best
