"""Passes divided between threads, one core each, so that operations too small for two cores keep both busy."""

from __future__ import annotations

import math
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Lock

import torch
from torch import Tensor

from lossatlas.evaluation.batches import split
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.sweep import Profile, Sweep, sharing_copy


def make_runner(sweep: Sweep, strategy: Strategy, profile: Profile | None = None) -> Runner | ThreadedRunner:
    """Return a runner for a strategy."""
    return (ThreadedRunner if strategy.threads > 1 else Runner)(sweep, strategy, profile)


def usable_threads(device: torch.device) -> int:
    """Return how many threads could share a pass."""
    return torch.get_num_threads() if device.type == "cpu" else 1


class ThreadedRunner:
    """Work like a :class:`Runner`, but divide the samples of a chunk between several runners, one for each thread."""

    def __init__(self, sweep: Sweep, strategy: Strategy, profile: Profile | None = None):
        self.sweep, self.strategy = sweep, strategy
        part = replace(strategy, threads=1, samples=math.ceil(strategy.samples / strategy.threads))
        own = [replace(sweep, model=sharing_copy(sweep.model)) for _ in range(strategy.threads)]
        self.runners = [Runner(each, part, profile) for each in own]
        self.pool = ThreadPoolExecutor(strategy.threads, initializer=torch.set_num_threads, initargs=(1,))

    def prepare(self, inputs: Tensor, targets: Tensor) -> None:
        """Take one chunk of data. A short one may leave threads idle."""
        self.busy = []
        for runner, part in zip(self.runners, split((inputs, targets), self.runners[0].strategy.samples), strict=False):
            runner.prepare(*part)
            self.busy.append(runner)

    def run(self, coefficients: Tensor, advance=lambda n: None) -> Tensor:
        """Return numerators and weights of all quantities over the chunk at points (n, d): float64 (2q, n)."""
        self.share_program(coefficients)
        stopped, one_at_a_time, before = Event(), Lock(), torch.get_num_threads()

        def step(evaluations: int) -> None:
            if stopped.is_set():
                raise CancelledError
            with one_at_a_time:
                advance(evaluations)

        found = [self.pool.submit(torch.no_grad()(runner.run), coefficients, step) for runner in self.busy]
        try:
            parts = [future.result() for future in found]
        finally:  # after Ctrl-C too
            stopped.set()
            torch.set_num_threads(before)  # threads that anyone starts later inherit this number
        return torch.stack(parts).sum(0)

    def share_program(self, coefficients: Tensor) -> None:
        """Build the program for full-sized passes in this thread, once for all runners."""
        first = self.busy[0]
        if first.builds and first.built is None:
            first.run(coefficients[: self.strategy.points])
            for runner in self.runners[1:]:
                runner.built = first.built
