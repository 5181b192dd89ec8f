"""Passes that stay within a bound on memory, measured at increasing sizes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch._C._profiler import ProfilerConfig, ProfilerState, _ExperimentalConfig
from torch.autograd import _disable_profiler_legacy, _enable_profiler_legacy

from lossatlas.evaluation.batch_norm import estimating, layers_with_statistics
from lossatlas.evaluation.batches import Batch, take
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.strategies import AHEAD, Strategy
from lossatlas.evaluation.sweep import Profile, Sweep, profile
from lossatlas.evaluation.threads import ThreadedRunner

GROWTH = 4  # from one measured pass to the next
MARGIN = 1.1  # factor by which a prediction may be too low
ROOM = 8  # measure other strategies only if this many of the loop's smallest passes would fit


def peak_bytes(function: Callable[[], object], device: torch.device) -> int:
    """Return the peak of the bytes that `function` allocates, in tensors and scratch space."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        function()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    config = ProfilerConfig(ProfilerState.CPU, False, True, False, False, False, _ExperimentalConfig())
    collecting = gc.isenabled()
    gc.disable()  # so that nothing allocated earlier is freed inside
    _enable_profiler_legacy(config)  # the newer one writes to stderr and loses the order of simultaneous events
    try:
        function()
    finally:
        records = _disable_profiler_legacy()
        if collecting:
            gc.enable()
    held = peak = 0
    for record in (record for thread in records for record in thread if record.kind() == "memory_alloc"):
        held += record.cpu_memory_usage()
        peak = max(peak, held)
    return peak


class Bound:
    """Tell which passes allocate at most `memory` bytes beside the model, the plane and the data.

    It measures a strategy at increasing sizes, and tries a size only if the smaller ones predict that it fits. If
    `whole`, a pass takes all the samples, at least two, because layers normalize by their statistics or, if
    `estimate`, estimate them.
    """

    def __init__(self, sweep: Sweep, batch: Batch, coefficients: Tensor, memory: int, *, whole=False, estimate=False):
        self.sweep, self.coefficients, self.memory, self.estimate = sweep, coefficients, memory, estimate
        self.inputs, self.targets = batch
        self.least = min(2, len(self.targets)) if whole else 1
        self.whole = whole
        self.profile: Profile | None = None
        self.measured: dict[Strategy, int] = {}

    def peak(self, strategy: Strategy) -> int:
        """Return the measured bytes of one pass of a strategy."""
        if strategy not in self.measured:
            if strategy.transforms and self.profile is None:
                self.profile = profile(self.sweep, take(self.inputs, slice(2)))
            self.measured[strategy] = self.peak_of(Runner(self.sweep, strategy, self.profile))
        return self.measured[strategy]

    def peak_of(self, runner: Runner | ThreadedRunner) -> int:
        """Return the measured bytes of one pass of a runner."""
        part = slice(runner.strategy.samples)

        points = AHEAD if runner.strategy.has("pooled") else runner.strategy.points

        def two_chunks() -> None:  # what the first leaves behind counts too
            for _ in range(2):
                runner.prepare(take(self.inputs, part), self.targets[part])
                runner.run(self.coefficients[: points + 1])

        model = self.sweep.model if isinstance(runner, ThreadedRunner) else runner.model
        with torch.no_grad(), estimating(layers_with_statistics(model) if self.estimate else ()):
            return peak_bytes(two_chunks, self.coefficients.device)

    def climb(self, passes: Sequence[tuple[int, Strategy]]) -> tuple[int, int]:
        """Return how many of ever larger passes (size, strategy) fit, and the bytes of the first that does not."""
        seen: list[tuple[int, int]] = []
        for size, strategy in passes:
            foretold = 0
            if len(seen) > 1:
                (size0, bytes0), (size1, bytes1) = seen[-2:]
                foretold = int(bytes1 + MARGIN * max(0, bytes1 - bytes0) / (size1 - size0) * (size - size1))
            elif seen:
                foretold = seen[0][1] * size // seen[0][0]
            needed = foretold if foretold > self.memory else self.peak(strategy)
            if needed > self.memory:
                return len(seen), needed
            seen.append((size, needed))
        return len(seen), 0

    def sizes(self, wanted: Sequence[int]) -> tuple[int, ...]:
        """Return the pass sizes of the loop that fit: those in `wanted`, or the largest one if none fits.

        Raises
        ------
        ValueError
            If nothing fits.
        """
        top = len(self.targets) if self.whole else min(max(wanted), len(self.targets))
        ladder = steps(self.least, top, 2)
        fitting, needed = self.climb([(size, Strategy(size)) for size in ladder])
        if fitting == 0 or (self.whole and fitting < len(ladder)):
            count = top if self.whole else self.least
            what = "one sample" if count == 1 else f"a batch of {count} samples, which must stay whole,"
            raise ValueError(f"memory={self.memory}: {what} at one point needs {needed} bytes")
        largest = ladder[fitting - 1]
        if largest == top:
            return (top,) if self.whole else tuple(wanted)
        return tuple(size for size in wanted if size <= largest) or (largest,)

    def allowed(self, strategy: Strategy) -> bool:
        """Return whether a strategy's passes stay within the bound, apart from transforms that hide their allocations.

        Strategies with threads are refused, because allocations in threads cannot be counted.
        """
        if strategy.threads > 1:
            return False
        eager = replace(strategy, transforms=tuple(t for t in strategy.transforms if t.measurable))
        least = min(self.least, eager.samples)
        loop = replace(eager, samples=least) == Strategy(least)
        try:
            if not loop and ROOM * self.peak(Strategy(least)) > self.memory:
                return False
            samples = [(n, replace(eager, samples=n, points=1)) for n in steps(least, eager.samples, GROWTH)]
            points = [(n, replace(eager, points=n)) for n in steps(1, eager.points, GROWTH)]
            return self.climb(samples)[0] == len(samples) and self.climb(points)[0] == len(points)
        except Exception:  # whatever the error, the loop remains
            return False


def steps(first: int, last: int, factor: int) -> list[int]:
    """Return `first`, `first·factor`, … and `last`."""
    found = [first]
    while found[-1] * factor < last:
        found.append(found[-1] * factor)
    return found if found[-1] >= last else [*found, last]
