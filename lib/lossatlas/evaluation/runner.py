"""One strategy, ready to run: chunks of data go in, and sums over their samples at many points come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from lossatlas.evaluation.metrics import complete, measure
from lossatlas.evaluation.strategies import AHEAD, Strategy
from lossatlas.evaluation.sweep import Profile, Sweep, sharing_copy
from lossatlas.evaluation.weights import ONE_VECTOR, WeightsApart, WeightsInOneVector
from lossatlas.vectors import Params


class Runner:
    """One strategy, ready to run: :meth:`prepare` takes a chunk of data, and :meth:`run` gives sums at points.

    The loop, a strategy without transforms and with one point a pass, is what a user would write. It is always
    possible, and every other strategy is checked against it before it is used.
    """

    def __init__(self, sweep: Sweep, strategy: Strategy, profile: Profile | None = None):
        self.sweep, self.strategy = sweep, strategy
        self.model = sharing_copy(sweep.model) if strategy.transforms else sweep.model
        seen = profile or Profile()
        self.hooks = [transform.apply(self.model, sweep, seen, strategy) for transform in strategy.transforms]
        self.reads = {name for hooks in self.hooks for name in hooks.reads}
        unread = tuple(f"{name}." for hooks in self.hooks for name in hooks.replaces)
        names = [name for name in sweep.moving if not name.startswith(unread)]
        small = sum(sweep.origin[name].numel() for name in names) <= ONE_VECTOR
        self.weights: Any = WeightsInOneVector(sweep, names) if small else WeightsApart(sweep, names)
        self.builds = any(transform.whole_passes for transform in strategy.transforms)
        self.built: Callable | None = None  # the program for whole passes, once it is built

    def prepare(self, inputs, targets: Tensor) -> None:
        """Take one chunk of data, and compute what is the same at every point."""
        for hooks in self.hooks:
            inputs = hooks.arrange(inputs)
        self.inputs, self.targets = inputs, targets
        if not self.reads:
            return
        seen: dict[str, Tensor] = {}
        handles = [
            self.sweep.model.get_submodule(name).register_forward_pre_hook(
                lambda _, args, name=name: seen.__setitem__(name, args[0])
            )
            for name in self.reads
        ]
        try:
            self.sweep.model(inputs)
        finally:
            for handle in handles:
                handle.remove()
        for hooks in self.hooks:
            hooks.prepare(seen)

    def shared(self, coefficients: Tensor) -> Params:
        """Return what the transforms hold ready for all points that begin with these coefficients (k,)."""
        return {name: tensor for hooks in self.hooks for name, tensor in hooks.shared(coefficients).items()}

    def own(self, coefficients: Tensor, shared: int) -> Params:
        """Return what the transforms need at points (n, d), whose first coefficients are shared."""
        return {name: tensor for hooks in self.hooks for name, tensor in hooks.own(coefficients, shared).items()}

    def one_pass(self, moved: Params, shared: Params, inputs, targets: Tensor) -> Tensor:
        """Return what is measured over a chunk of data at one point: numerators, and weights of their own."""
        with torch.autocast(targets.device.type, self.sweep.half, enabled=self.sweep.half is not None):
            outputs = functional_call(self.model, {**moved, **shared}, (inputs,))
        return measure(self.sweep.quantities, outputs if self.sweep.half is None else outputs.float(), targets)

    def run(self, coefficients: Tensor, advance=lambda n: None) -> Tensor:
        """Return numerators and weights of all quantities over the chunk at points (n, d): float64 (2q, n)."""

        def at(moved: Params, shared: Params, inputs, targets: Tensor) -> Tensor:
            return self.one_pass(moved, shared, inputs, targets)  # tracing takes no methods

        batched = self.strategy.points > 1
        one_pass = vmap(at, in_dims=(0, None, None, None), randomness="different") if batched else at
        common = 0 if batched else coefficients.shape[1] - 1
        # Filled in place: small results kept one by one would lie between the large tensors of the passes, which
        # can then not be used again, and the process would grow by one of them at every point.
        quantities = self.sweep.quantities
        rows_measured = len(quantities) + sum(quantity.paired for quantity in quantities)
        found = coefficients.new_empty((len(coefficients), rows_measured), dtype=torch.float64)
        done = 0
        for row in rows(coefficients, common):
            shared = self.shared(row[0, :common])
            start = None if batched else self.weights.start(row[0, :common])
            for group in torch.split(row, self.strategy.points if batched else AHEAD):
                size = len(group) if batched else 1
                for moved in self.moved(start, group, self.own(group, common)):
                    arguments = moved, shared, self.inputs, self.targets
                    found[done : done + size] = self.program(one_pass, arguments, size)(*arguments)
                    done += size
                    del moved, arguments  # so that the tensors of the next point can take their place
                    advance(size * len(self.targets))
        return complete(quantities, found.t(), len(self.targets))

    def moved(self, start: Any, points: Tensor, own: Params) -> Iterator[Params]:
        """Yield what moves in one pass after another: of all these points, or of each, from where they start."""
        if self.strategy.points > 1:
            yield self.weights.at_several(points) | own
            return
        for i, point in enumerate(points):
            yield self.weights.at(start, point[-1]) | {name: tensors[i] for name, tensors in own.items()}

    def program(self, one_pass: Callable, arguments: tuple, points: int) -> Callable:
        """Return what runs a pass: the pass itself, or for whole passes what the last transform builds from it."""
        if not (self.builds and len(self.targets) == self.strategy.samples and points == self.strategy.points):
            return one_pass
        if self.built is None:
            programs = (hooks.build(one_pass, arguments) for hooks in reversed(self.hooks))
            self.built = next(program for program in programs if program is not None)
        return self.built


def rows(coefficients: Tensor, shared: int) -> tuple[Tensor, ...]:
    """Return points (n, d) in stretches whose first ``shared`` coefficients are equal."""
    if shared == 0:
        return (coefficients,)
    counts = torch.unique_consecutive(coefficients[:, :shared], dim=0, return_counts=True)[1]
    return torch.split(coefficients, counts.tolist())
