"""Choosing between ways of evaluating by a short measurement, and checking each against the plain loop."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lossatlas.evaluation.batches import BLOCK_SAMPLES, take
from lossatlas.evaluation.kernels import dense
from lossatlas.evaluation.kernels.compiling import compiler_found
from lossatlas.evaluation.kernels.recurrent import steppable
from lossatlas.evaluation.runner import CANNOT_RUN, Runner, Strategy, Sweep, standing_layers
from lossatlas.evaluation.threads import make_runner, threads_here

PASS_FLOATS = (2**17, 2**20, 2**23)  # activations of one pass (0.5, 4 and 32 MB): caches differ, so all are tried
PASS_SAMPLES = (32, 128, 512, 2048, BLOCK_SAMPLES)
PASS_SECONDS = 1.0  # a pass longer than that gains nothing by being larger, and cannot be interrupted soon
BETTER = 0.95  # of the best time so far is what a new way must beat: timings are noisy
TRIAL_SECONDS = 0.003, 0.1  # what one timing takes at least: the longer the sweep, the more, up to the second
TRIAL_SHARE = 0.05  # of the expected time of the whole sweep, what choosing may take …
CHECKED = 8  # points at most at which a way is compared with the loop
TRIAL_FLOOR = 0.06  # … or this many seconds; a sweep shorter than that is simply looped
TRACE_SECONDS = 1.0  # a sweep that is expected to take longer is worth tracing for …
COMPILE_SECONDS = 30.0, 3.0  # … and one that is expected to take longer than this, and so much a layer, compiling for


@dataclass(frozen=True)
class Limits:
    """What a pass may be: of how many samples, and whether a strategy is ``allowed`` at all."""

    sizes: Sequence[int] = PASS_SAMPLES
    allowed: Callable[[Strategy], bool] = lambda strategy: True


UNLIMITED = Limits()


def seconds_per_pair(runner: Runner, inputs: Tensor, targets: Tensor, points: Tensor, *, least: float) -> float:
    """Measured seconds for one sample at one point, preparation spread over all the ``points`` to come.

    It goes on for ``least`` seconds at least.
    """
    inputs, targets = take(inputs, slice(runner.strategy.samples)), targets[: runner.strategy.samples]
    start = time.perf_counter()
    runner.prepare(inputs, targets)
    runner.run(points[: runner.strategy.points])[0].tolist()  # warm; tolist waits for the device
    prepared = time.perf_counter()
    seconds, done = 0.0, 0
    while seconds < least and done < len(points):
        group = points[done : done + runner.strategy.points]
        runner.run(group)[0].tolist()
        done += len(group)
        seconds = time.perf_counter() - prepared
    return ((prepared - start) / len(points) + seconds / done) / len(targets)


def agrees(runner: Runner, reference: Runner, inputs: Tensor, targets: Tensor, points: Tensor) -> bool:
    """Whether a strategy gives the loop's values on a few points; False where it cannot run this model."""
    straight = runner.strategy.traced or runner.strategy.compiled
    samples = runner.strategy.samples
    if not straight:
        samples = min(64, samples, reference.strategy.samples)
    inputs, targets = take(inputs, slice(samples)), targets[:samples]
    few = max(3, min(runner.strategy.points, CHECKED))
    points = points[: max(few, runner.strategy.points) if straight else few]  # only a whole pass is traced
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # vmap's notes about slow operations: the timing tells
            runner.prepare(inputs, targets)
            losses = runner.run(points)[0][:few]
    except CANNOT_RUN:
        return False
    reference.prepare(inputs, targets)
    expected, _ = reference.run(points[:few])
    relative = 0.05 if runner.sweep.half else 1e-10 if points.dtype == torch.float64 else 1e-5
    small = 0.1 * relative * float(expected.abs().nan_to_num(0, 0, 0).median())  # rounding where losses all but vanish
    return torch.allclose(losses, expected, rtol=relative, atol=small, equal_nan=True)


def choose(
    sweep: Sweep, inputs, targets: Tensor, coefficients: Tensor, limits: Limits = UNLIMITED
) -> tuple[Runner, float]:
    """The fastest strategy that agrees with the loop, and its seconds for one sample at one point.

    By a short measurement on the first block of data. It begins with everything that usually helps, tries other
    sizes of a pass, leaves out one thing after the other, then lets several points share a pass, and threads divide
    it; it ends when it has cost its share of what the sweep is expected to take. What takes time to prepare,
    tracing and compiling, comes last.
    """
    start = time.perf_counter()
    order = torch.randperm(len(coefficients), generator=torch.Generator().manual_seed(0))
    scattered = coefficients[order.to(coefficients.device)]
    trial = torch.roll(coefficients, -(len(coefficients) // 3), dims=0)  # neighbours, as in the sweep itself
    sizes = sorted({min(len(targets), size) for size in limits.sizes})
    usual = max((size for size in sizes if size <= PASS_SAMPLES[1]), default=sizes[0])
    loop = best = Runner(sweep, Strategy(usual), {})

    def timed(runner: Runner, least: float) -> float:
        return min(seconds_per_pair(runner, inputs, targets, trial, least=least) for _ in range(2))  # noise only adds

    best_rate = timed(loop, TRIAL_SECONDS[0])
    if best_rate * len(targets) * len(coefficients) < TRIAL_FLOOR:
        return loop, best_rate
    standing, activations = standing_layers(sweep, take(inputs, slice(2)))
    fitting = max((size for size in sizes if size * activations <= PASS_FLOATS[1]), default=sizes[0])
    layers = sum(not any(module.children()) for module in sweep.model.modules())
    tried = {loop.strategy}

    def consider(**change) -> bool:
        """Take a changed strategy where it is better; whether it was."""
        nonlocal best, best_rate
        strategy = replace(best.strategy, **change)
        expected = best_rate * len(targets) * len(coefficients)
        prepared = strategy.traced or strategy.compiled
        too_late = time.perf_counter() - start > max(TRIAL_FLOOR, TRIAL_SHARE * expected)
        worth_it = COMPILE_SECONDS[0] + COMPILE_SECONDS[1] * layers if strategy.compiled else TRACE_SECONDS
        if strategy in tried or (expected < worth_it if prepared else too_late):
            return False
        tried.add(strategy)
        pairs, before = strategy.samples * strategy.points, best.strategy.samples * best.strategy.points
        if (pairs > before and best_rate * pairs > PASS_SECONDS) or not limits.allowed(strategy):
            return False
        runner = make_runner(sweep, strategy, standing)
        if not agrees(runner, loop, inputs, targets, scattered):
            return False
        rate = timed(runner, min(max(TRIAL_SHARE * expected / 100, TRIAL_SECONDS[0]), TRIAL_SECONDS[1]))
        if rate >= BETTER * best_rate:
            return False
        best, best_rate = runner, rate
        return True

    helpful = {
        "cached": bool(standing),
        "channels_last": isinstance(inputs, Tensor) and inputs.dim() == 4,
        "stepped": any(map(steppable, sweep.model.modules())),
        "onednn": sweep.half is None and dense.available(coefficients.device, coefficients.dtype),
    }
    consider(**helpful, samples=fitting)
    for neighbours in (sizes[sizes.index(fitting) + 1 :], sizes[: sizes.index(fitting)][::-1]):
        for size in neighbours:
            if not consider(samples=size):
                break
    for name, helps in helpful.items():
        if helps:
            consider(**{name: not getattr(best.strategy, name)})
    for size in sizes:
        for floats in PASS_FLOATS:
            points = min(len(coefficients), floats // (size * activations))
            if points > 1:
                consider(samples=size, points=points, onednn=False)
    threads = threads_here(coefficients.device)
    for size in sizes if threads > 1 else ():
        consider(samples=size, threads=threads)
    consider(traced=True)
    if compiler_found(coefficients.device):
        consider(compiled=True)
        consider(compiled=True, samples=sizes[0])  # fused, a pass of images may stay in the cache
    return best, best_rate
