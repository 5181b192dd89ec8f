"""Choose a strategy by a short measurement, and check each candidate against the plain loop.

Everything here is optional: a candidate that raises an error is skipped, and the loop remains. What was chosen once is
used again for evaluations of the same kind, after a check of its values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lossatlas.evaluation.agreement import agrees
from lossatlas.evaluation.batches import BLOCK_SAMPLES, take
from lossatlas.evaluation.kernels import TRANSFORMS
from lossatlas.evaluation.remembering import Choice, Choices, kind
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.strategies import Strategy, Transform
from lossatlas.evaluation.sweep import Profile, Sweep, profile
from lossatlas.evaluation.threads import ThreadedRunner, make_runner, usable_threads

PASS_FLOATS = (2**17, 2**20, 2**23)  # activations of a pass (0.5, 4 and 32 MB); caches differ, so try all
LARGEST_FLOATS = 2**25  # activations of a pass in which layers work block by block (128 MB)
CUDA_FLOATS = tuple(64 * floats for floats in PASS_FLOATS)  # passes that fill a CPU's cache leave a GPU idle
THREADS_FLOATS = 2**23  # moving numbers of all threads, each of which has its own (32 MB)
PASS_SAMPLES = (32, 128, 512, 2048, BLOCK_SAMPLES)
PASS_SECONDS = 1.0  # longer passes gain nothing from being larger, and delay an interruption
BETTER = 0.95  # a candidate must beat this share of the best time so far, because timings are noisy
TRIAL_SECONDS = 0.003, 0.1  # least time of a measurement: between these two, longer for a longer sweep
TRIAL_SHARE = 0.05  # choosing may take this share of the sweep's expected time …
TRIAL_FLOOR = 0.06  # … or this many seconds; a shorter sweep uses the loop at once


@dataclass(frozen=True)
class Limits:
    """Hold the limits of a pass.

    Attributes
    ----------
    sizes
        How many samples it may have.
    whole
        Whether batches must not be cut, because layers normalize by their statistics.
    allowed
        Returns whether a strategy may be tried at all.
    """

    sizes: Sequence[int] = PASS_SAMPLES
    whole: bool = False
    allowed: Callable[[Strategy], bool] = lambda strategy: True


UNLIMITED = Limits()
CHOICES = Choices()  # of this process


def seconds_per_pair(
    runner: Runner | ThreadedRunner, inputs, targets: Tensor, points: Tensor, *, least: float
) -> float:
    """Return the measured seconds for one sample at one point, with preparation shared by all `points`.

    The measurement takes at least `least` seconds, if there are enough points.
    """
    inputs, targets = take(inputs, slice(runner.strategy.samples)), targets[: runner.strategy.samples]
    start = time.perf_counter()
    runner.prepare(inputs, targets)
    runner.run(points[: runner.strategy.group])[0].tolist()  # warm; tolist waits for the device
    prepared = time.perf_counter()
    seconds, done = 0.0, 0
    while seconds < least and done < len(points):
        group = points[done : done + runner.strategy.group]
        runner.run(group)[0].tolist()
        done += len(group)
        seconds = time.perf_counter() - prepared
    return ((prepared - start) / len(points) + seconds / done) / len(targets)


@dataclass
class Search:
    """Hold the best strategy so far, and everything needed to try another."""

    sweep: Sweep
    profile: Profile
    inputs: object
    targets: Tensor
    coefficients: Tensor
    limits: Limits
    loop: Runner
    before: float = 0.0  # seconds of earlier evaluations of the same kind: as many are expected to follow

    def __post_init__(self) -> None:
        """Time the loop, which every candidate must beat."""
        self.start = time.perf_counter()
        self.tried = {self.loop.strategy}
        self.best: Runner | ThreadedRunner = self.loop
        self.scattered = scattered(self.coefficients)
        self.neighbours = torch.roll(self.coefficients, -(len(self.coefficients) // 3), dims=0)  # as in the sweep
        self.rate = self.timed(self.loop, TRIAL_SECONDS[0])

    @property
    def expected(self) -> float:
        """The expected seconds of the whole sweep with the best strategy so far."""
        return self.rate * len(self.targets) * len(self.coefficients)

    @property
    def budget(self) -> float:
        """How many seconds the search may take."""
        return max(TRIAL_FLOOR, TRIAL_SHARE * (self.expected + self.before))

    def timed(self, runner: Runner | ThreadedRunner, least: float) -> float:
        """Return the seconds for one sample at one point: the lower of two measurements, because noise only adds."""
        data = self.inputs, self.targets, self.neighbours
        return min(seconds_per_pair(runner, *data, least=least) for _ in range(2))

    def worth_trying(self, strategy: Strategy) -> bool:
        """Return whether a strategy is new, allowed, and likely to save more time than trying it takes."""
        seconds = max((transform.worth_seconds(self.sweep) for transform in strategy.transforms), default=0.0)
        too_late = time.perf_counter() - self.start > self.budget
        if strategy in self.tried or (self.expected < seconds if seconds else too_late):
            return False
        self.tried.add(strategy)
        pairs, before = (s.samples * s.points for s in (strategy, self.best.strategy))
        return not (pairs > before and self.rate * pairs > PASS_SECONDS) and self.limits.allowed(strategy)

    def consider(self, **change) -> bool:
        """Adopt a changed strategy if it is faster and agrees, and return whether it was adopted."""
        strategy = replace(self.best.strategy, **change)
        if not self.worth_trying(strategy):
            return False
        try:
            runner = make_runner(self.sweep, strategy, self.profile)
            data = self.inputs, self.targets, self.scattered
            if not agrees(runner, self.loop, *data, cut=not self.limits.whole):
                return False
            least = max(TRIAL_SHARE * self.expected / 100, TRIAL_SECONDS[0])
            rate = self.timed(runner, min(least, TRIAL_SECONDS[1]))
        except Exception:  # whatever the error, the best so far remains
            return False
        if rate >= BETTER * self.rate:
            return False
        self.best, self.rate = runner, rate
        return True

    def consider_with(self, transform: Transform, **change) -> bool:
        """Consider the best strategy with one more transform, and with those that it needs."""
        chosen = {other.name for other in self.best.strategy.transforms} | {transform.name, *transform.needs}
        return self.consider(transforms=tuple(other for other in TRANSFORMS if other.name in chosen), **change)

    def consider_without(self, transform: Transform) -> bool:
        """Consider the best strategy without one of its transforms."""
        return self.consider(transforms=tuple(t for t in self.best.strategy.transforms if t != transform))


def choose(
    sweep: Sweep, inputs, targets: Tensor, coefficients: Tensor, limits: Limits = UNLIMITED
) -> tuple[Runner | ThreadedRunner, float]:
    """Return the fastest strategy that agrees with the loop, and its seconds for one sample at one point.

    The search measures on the first block of data. It begins with every transform that applies and needs no
    preparation. Then it tries other pass sizes, drops one transform at a time, lets several points share a pass, and
    divides passes between threads. Transforms that need preparation come last. The search ends when it has taken its
    share of the sweep's expected time.
    """
    this = kind(sweep, inputs, targets, coefficients) if limits == UNLIMITED else None
    known = Choice(0.0) if this is None else CHOICES.get(this)
    if known.strategy is not None and (again := reused(known, sweep, inputs, targets, coefficients)):
        return again, known.rate
    loop = plain(sweep, len(targets), limits)
    search = Search(sweep, Profile(), inputs, targets, coefficients, limits, loop, before=known.seconds)
    seconds = search.expected + search.before
    short = seconds < TRIAL_FLOOR
    runner, rate = (search.best, search.rate) if short else searched(search)
    if this is not None:
        CHOICES.put(this, Choice(seconds) if short else Choice(seconds, runner.strategy, rate))
    return runner, rate


def reused(
    known: Choice, sweep: Sweep, inputs, targets: Tensor, coefficients: Tensor
) -> Runner | ThreadedRunner | None:
    """Return a runner for a strategy chosen earlier, or None if it does not suit this sweep as well."""
    strategy = known.strategy
    assert strategy is not None
    expected = known.rate * len(targets) * len(coefficients)
    if any(transform.worth_seconds(sweep) > expected for transform in strategy.transforms):
        return None
    seen = profile(sweep, take(inputs, slice(2))) if strategy.transforms else Profile()
    if not all(transform.applies(sweep, seen, inputs, targets) for transform in strategy.transforms):
        return None
    try:
        runner = make_runner(sweep, strategy, seen)
    except Exception:  # whatever the error, a search follows
        return None
    loop = plain(sweep, len(targets), UNLIMITED)
    return runner if agrees(runner, loop, inputs, targets, scattered(coefficients)) else None


def pass_sizes(samples: int, limits: Limits) -> list[int]:
    """Return the numbers of samples that a pass may have."""
    return sorted({min(samples, size) for size in limits.sizes})


def plain(sweep: Sweep, samples: int, limits: Limits) -> Runner:
    """Return the plain loop, with passes of a usual size."""
    sizes = pass_sizes(samples, limits)
    return Runner(sweep, Strategy(max((size for size in sizes if size <= PASS_SAMPLES[1]), default=sizes[0])))


def scattered(coefficients: Tensor) -> Tensor:
    """Return the points in a random order."""
    order = torch.randperm(len(coefficients), generator=torch.Generator().manual_seed(0))
    return coefficients[order.to(coefficients.device)]


def searched(search: Search) -> tuple[Runner | ThreadedRunner, float]:
    """Return what a search finds, and its seconds for one sample at one point."""
    sweep, inputs, targets, coefficients = search.sweep, search.inputs, search.targets, search.coefficients
    sizes = pass_sizes(len(targets), search.limits)
    search.profile = seen = profile(sweep, take(inputs, slice(2)))
    applying = [transform for transform in TRANSFORMS if transform.applies(sweep, seen, inputs, targets)]
    quick = [transform for transform in applying if not transform.worth_seconds(sweep)]
    pass_floats = PASS_FLOATS if coefficients.device.type == "cpu" else CUDA_FLOATS
    fitting = max((size for size in sizes if size * seen.activations <= pass_floats[1]), default=sizes[0])
    search.consider(transforms=tuple(quick), samples=fitting)
    first = search.best.strategy.samples
    for neighbours in ([s for s in sizes if s > first], [s for s in reversed(sizes) if s < first]):
        for size in neighbours:
            if not search.consider(samples=size):
                break
    for transform in quick:
        if transform in search.best.strategy.transforms:
            search.consider_without(transform)
        else:
            search.consider_with(transform)
    moving = sum(sweep.origin[name].numel() for name in sweep.moving)
    for size in sizes:
        for floats in pass_floats:
            points = min(len(coefficients), floats // (size * seen.activations), pass_floats[-1] // max(1, moving))
            if points > 1:
                together = tuple(transform for transform in search.best.strategy.transforms if transform.batches)
                search.consider(samples=size, points=points, transforms=together)
    threads = usable_threads(coefficients.device)
    if threads * moving > THREADS_FLOATS:
        threads = 1
    for size in sizes if threads > 1 else ():
        search.consider(samples=size, threads=threads)
    late = (transform for transform in applying if transform not in quick)
    for transform in sorted(late, key=lambda transform: transform.worth_seconds(sweep)):
        search.consider_with(transform)
        if transform.smallest_too:
            search.consider_with(transform, samples=sizes[0])
        if transform.larger_too:
            fitting = max((size for size in sizes if size * seen.activations <= LARGEST_FLOATS), default=sizes[0])
            search.consider_with(transform, samples=fitting, threads=threads)
    return search.best, search.rate
