"""The schedule: cut the points of a grid into chunks, and compute them in this process or elsewhere.

The engine knows points of weight space only as coefficients along directions. Each chunk of points is one call of
:func:`sums`, in this process or on another machine. The outer loop runs over blocks of data, so that a block stays
in the processor's cache; the inner loop runs over the points. A short measurement on the first block chooses the
strategy: see :mod:`lossatlas.evaluation.strategies` and :mod:`lossatlas.evaluation.choosing`.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas._progress import Bar
from lossatlas.evaluation.batch_norm import recalibrate
from lossatlas.evaluation.batches import Batch, first, move, samples_in, split, take
from lossatlas.evaluation.choosing import Limits, choose
from lossatlas.evaluation.devices import circumstances
from lossatlas.evaluation.journal import Journal
from lossatlas.evaluation.memory import Bound, peak_bytes
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.sweep import profile
from lossatlas.evaluation.threads import ThreadedRunner, make_runner
from lossatlas.evaluation.work import Part, Work

CHUNK_SECONDS = 5.0  # time that a chunk should take, which is what an interruption can lose
CHUNK_POINTS = 16  # fewest points of a chunk, so that they share its preparation, …
IDENTIFYING = 64  # samples on which two losses are told apart
LONGEST_CHUNK = 30.0  # … unless they take longer than this many seconds


@dataclass(frozen=True)
class LoopRunner:
    """Stand for the plain loop, which needs no preparation."""

    strategy: Strategy


AnyRunner = Runner | ThreadedRunner | LoopRunner


def largest(work: Work, device: torch.device) -> Batch:
    """Return the largest block, on which passes are measured."""
    return move(max(work.blocks, key=lambda block: len(block[1])), device)


def bounded(work: Work, batch: Batch, coefficients: Tensor) -> tuple[Limits, Bound | None]:
    """Return the limits of a pass, and the bound on memory if one is set."""
    whole = work.batch_norm != "running"
    limits = Limits((len(batch[1]),), whole, lambda strategy: strategy.threads == 1) if whole else Limits()
    if work.memory is None:
        return limits, None
    estimate = work.batch_norm == "recalibrate"
    bound = Bound(work.sweep, batch, coefficients, work.memory, whole=whole, estimate=estimate)
    return Limits(bound.sizes(limits.sizes), whole, bound.allowed), bound


def tuned(work: Work, coefficients: Tensor) -> tuple[AnyRunner, float]:
    """Return the fastest runner found for points (n, d), and its seconds for one point.

    Raises
    ------
    ValueError
        If the smallest pass needs more than `work.memory`.
    """
    if work.plain is not None:
        return tuned_loop(work, coefficients)
    inputs, targets = batch = largest(work, coefficients.device)
    limits, bound = bounded(work, batch, coefficients)
    with torch.no_grad():
        if work.batch_norm == "recalibrate":
            whole = Runner(work.sweep, Strategy(len(targets)))
            start = time.perf_counter()
            recalibrate(whole, [batch], coefficients[:1])
            return whole, 2 * (time.perf_counter() - start) * work.samples / len(targets)
        runner, seconds = choose(work.sweep, inputs, targets, coefficients, limits)
        if bound and not measurable(runner.strategy) and bound.peak_of(runner) > bound.memory:
            limits = replace(limits, allowed=lambda strategy: measurable(strategy) and bound.allowed(strategy))
            runner, seconds = choose(work.sweep, inputs, targets, coefficients, limits)
    return runner, seconds * work.samples


def tuned_loop(work: Work, coefficients: Tensor) -> tuple[LoopRunner, float]:
    """Return the plain loop, and its seconds for one point. Warn if a batch needs too much memory."""
    loop = work.plain
    assert loop is not None
    batch, start = max(work.blocks, key=samples_in), time.perf_counter()

    def one_point() -> None:
        loop.sums(coefficients[:1], [batch])

    if work.memory is None:
        one_point()
    else:
        needed = peak_bytes(one_point, coefficients.device)
        if needed > work.memory:
            whole = f"a batch of {samples_in(batch)} samples must stay whole and needs {needed} bytes"
            warnings.warn(f"memory={work.memory}: {whole}", stacklevel=2)
    seconds = (time.perf_counter() - start) * work.samples / samples_in(batch)
    return LoopRunner(Strategy(samples_in(batch))), seconds


def measurable(strategy: Strategy) -> bool:
    """Return whether the memory that a strategy's passes need can be measured before they are tried."""
    return all(transform.measurable for transform in strategy.transforms)


def as_before(work: Work, strategy: Strategy, coefficients: Tensor) -> AnyRunner:
    """Return a runner for a strategy chosen earlier. Raise ValueError if ``work.memory`` does not allow it."""
    if work.plain is not None:
        return LoopRunner(strategy)
    batch = largest(work, coefficients.device)
    _, bound = bounded(work, batch, coefficients)
    if bound and not bound.allowed(strategy):
        raise ValueError(f"memory={work.memory}: the file began with larger passes ({strategy}); give the same bound")
    with torch.no_grad():
        seen = profile(work.sweep, take(batch[0], slice(2))) if strategy.transforms else None
    return make_runner(work.sweep, strategy, seen)


def sums(
    work: Work, runner: AnyRunner, coefficients: Tensor, advance: Callable[[int], object] = lambda n: None
) -> Tensor:
    """Return numerators and weights of all quantities over all the data at points (n, d): float64 (2q, n).

    It calls ``advance(k)`` after every k sample evaluations. The bits at a point do not depend on the other points
    in its chunk, provided that chunks begin where :func:`chunks` puts them.
    """
    if work.plain is not None or isinstance(runner, LoopRunner):
        assert work.plain is not None
        return work.plain.sums(coefficients, work.blocks, advance)
    with torch.no_grad():
        if work.batch_norm != "recalibrate":
            return over_data(work, runner, coefficients, advance)
        assert isinstance(runner, Runner)
        found = []
        for point in coefficients.split(1):
            recalibrate(runner, work.statistics or work.blocks, point)
            found.append(over_data(work, runner, point, advance))
        return torch.cat(found, dim=1)


def over_data(
    work: Work, runner: Runner | ThreadedRunner, coefficients: Tensor, advance: Callable[[int], object]
) -> Tensor:
    """Return the sums over all the data, with the statistics that the runner's model has now."""
    shape = 2 * len(work.names), len(coefficients)
    total = torch.zeros(shape, dtype=torch.float64, device=coefficients.device)
    for block in work.blocks:
        for inputs, targets in split(move(block, coefficients.device), runner.strategy.samples):
            runner.prepare(inputs, targets)
            total += runner.run(coefficients, advance)
    return total


def chunks(points: int, row: int, strategy: Strategy, seconds: float) -> list[slice]:
    """Return the points of a grid in chunks of about `CHUNK_SECONDS`, if one point takes `seconds`.

    Rows of `row` points stay whole if they are short enough, and so do groups of points that share a pass. The point
    after the last row, θ* itself, joins the last chunk.
    """
    wanted = max(1, int(CHUNK_SECONDS / max(seconds, 1e-12)))
    if wanted < CHUNK_POINTS:
        wanted = max(wanted, min(CHUNK_POINTS, int(LONGEST_CHUNK / seconds)))
    grid = points // row * row
    if strategy.points > 1:
        starts: Sequence[int] = range(0, grid, math.ceil(wanted / strategy.points) * strategy.points)
    elif wanted >= row:
        starts = range(0, grid, wanted // row * row)
    else:
        part = math.ceil(row / math.ceil(row / wanted))
        starts = [first + within for first in range(0, grid, row) for within in range(0, row, part)]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], points], strict=True)]


EVERYTHING = Part(slice(None))


class LocalExecutor(contextlib.nullcontext):
    """Compute chunks in this process, one after another. It is used as a context."""

    in_chunks = False  # one chunk is enough if no journal keeps them

    def __init__(self, work: Work, points: Tensor, device: torch.device):
        super().__init__(self)
        self.work, self.points = work.on(device), points.to(device)
        self.runner: AnyRunner | None = None
        self.provenance: dict[str, str] = circumstances(device)

    def tune(self, part: Part = EVERYTHING) -> tuple[Strategy, float]:
        """Return the strategy chosen for some points and blocks of data, and its seconds for one point."""
        self.runner, seconds = tuned(self.work.holding(part.blocks), self.points[part.points])
        return self.runner.strategy, seconds

    def results(
        self, strategy: Strategy, left: Mapping[int, Part], advance: Callable[[int], object]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number, sums (rows, n)) of every chunk, as soon as it is finished."""
        if self.runner is None:
            self.runner = as_before(self.work, strategy, self.points)
        for number, part in left.items():
            work, points = self.work.holding(part.blocks), self.points[part.points]
            yield number, sums(work, self.runner, points, advance).cpu().numpy()


@dataclass(frozen=True)
class Outcome:
    """Hold the sums at all points, and how and where they were computed.

    Attributes
    ----------
    sums : array of shape (rows, n)
        Of every quantity.
    strategy : Strategy
        How they were computed.
    provenance : dict of str
        On what device, when and with which versions.
    evaluated : array of shape (n,), optional
        Which points were evaluated, if others were interpolated.
    attrs : mapping
        What the result says of the interpolated points.
    """

    sums: np.ndarray
    strategy: Strategy
    provenance: dict[str, str]
    evaluated: np.ndarray | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)


def work_off(
    executor, strategy: Strategy, parts: Mapping[int, Part], journal: Journal | None, bar: Bar
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, sums (rows, n)) of every part: first those in the journal, then the rest, which it keeps."""
    done = {number: journal.done[number] for number in parts if number in journal.done} if journal else {}
    for number, found in done.items():
        bar.skip(found.shape[1] * executor.work.holding(parts[number].blocks).samples)
        yield number, found
    left = {number: part for number, part in parts.items() if number not in done}
    for number, found in executor.results(strategy, left, bar.update):
        if journal:
            journal.add(number, found)
        yield number, found


def run(executor, shape: Sequence[int], journal: Journal | None, bar: Bar) -> Outcome:
    """Let an executor (this process, or the workers of a cluster) compute a grid of this shape, and θ* after it.

    A journal supplies the chunks that are finished, and keeps each new one.
    """
    points, row = math.prod(shape) + 1, shape[-1]
    if journal and journal.strategy and len(journal.done) == len(journal.chunks):
        return Outcome(joined(journal.done), journal.strategy, journal.provenance)
    with executor:
        if journal and journal.strategy:
            strategy, parts, provenance = journal.strategy, journal.chunks, journal.provenance
        else:
            strategy, seconds = executor.tune()
            cut = executor.in_chunks or journal is not None
            parts, provenance = (
                chunks(points, row, strategy, seconds) if cut else [slice(0, points)],
                executor.provenance,
            )
            if journal:
                journal.begin(strategy, parts, provenance)
        found = dict(work_off(executor, strategy, dict(enumerate(map(Part, parts))), journal, bar))
    return Outcome(joined(found), strategy, provenance)


def joined(found: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return the sums (rows, n) of all chunks in the order of their numbers."""
    return np.concatenate([found[number] for number in sorted(found)], axis=1)


def values_at_a_few_points(work: Work, coefficients: Tensor) -> list[float]:
    """Return sums over a few samples at a few points near θ*, which identify the model and the loss.

    The last of the `coefficients` (n, d) are those of θ*.
    """
    points = torch.stack([coefficients[-1], coefficients[0] / 4, coefficients[len(coefficients) // 3] / 4])
    if work.plain is not None:
        return work.plain.sums(points, work.blocks[:1]).flatten().tolist()
    inputs, targets = move(first(work.blocks[0], IDENTIFYING), coefficients.device)
    runner = Runner(work.sweep, Strategy(len(targets)))
    with torch.no_grad():
        runner.prepare(inputs, targets)
        return runner.run(points)[0].tolist()
