"""One way of evaluating many weight settings: how many samples and points a pass, and what is done once for all."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lossatlas import vectors
from lossatlas.evaluation.batches import count
from lossatlas.evaluation.kernels.compiling import compile_pass, trace_pass
from lossatlas.evaluation.kernels.dense import OneDNNLinear
from lossatlas.evaluation.kernels.fusing import fuse
from lossatlas.evaluation.kernels.recurrent import SteppedRNN, steppable
from lossatlas.networks.losses import Score
from lossatlas.vectors import Params

# What a way of evaluating raises where it does not suit a model.
CANNOT_RUN = (RuntimeError, ValueError, TypeError, AttributeError)
AFFINE_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Sweep:
    """What is evaluated: ``model`` (a private copy in eval mode) at ``origin + Σ cᵢ·directionᵢ``, under ``score``.

    ``half``: the lower precision that products are computed in (``torch.autocast``), None for that of the weights.
    """

    model: nn.Module
    origin: Params
    directions: tuple[Params, ...]
    score: Score
    half: torch.dtype | None = None

    def cast(self, dtype: torch.dtype) -> Sweep:
        """The same with all real numbers in another type; the model, a private copy, is changed."""
        origin, *directions = (vectors.combine(lambda t: t.to(dtype), v) for v in (self.origin, *self.directions))
        return replace(self, model=self.model.to(dtype), origin=origin, directions=tuple(directions))


@dataclass(frozen=True)
class Strategy:
    """How: ``samples`` and grid ``points`` in one pass; standing layers ``cached``; images ``channels_last``;
    recurrent layers ``stepped``; products by ``onednn``; the pass ``traced`` (its operations called straight,
    convolutions fused with what follows them) or ``compiled``; its samples divided between ``threads``."""

    samples: int
    points: int = 1
    cached: bool = False
    channels_last: bool = False
    stepped: bool = False
    onednn: bool = False
    traced: bool = False
    compiled: bool = False
    threads: int = 1

    def __str__(self) -> str:
        way = "loop" if self.points == 1 else f"batched, {self.points} points a pass"
        extras = ", standing layers cached" * self.cached + ", channels last" * self.channels_last
        extras += ", recurrent steps" * self.stepped + ", oneDNN" * self.onednn
        extras += ", traced" * self.traced + ", compiled" * self.compiled
        extras += f", {self.threads} threads" * (self.threads > 1)
        return f"{way}, {self.samples} samples a pass{extras}"


class Standing(nn.Module):
    """Stands in for a layer whose input is the same at every point: output = base + Σ cᵢ·partᵢ.

    Neighbours on a grid share all coefficients but the last: what they share is added once for them all
    (``settle``), and a pass adds only the rest. The buffers are placeholders that every pass replaces. Sums are in
    full precision; with ``half`` the output is not, nor, where ``stored`` says so, what a pass reads.
    """

    def __init__(self, directions: int, like: Tensor, *, half: torch.dtype | None = None, stored: bool = False):
        super().__init__()
        self.full, self.half = like.dtype, half or like.dtype
        self.stored = self.half if stored else self.full
        self.base: Tensor = like
        self.parts: list[Tensor | None] = [None] * directions
        for name in ("still", "coefficients", *(f"step{i}" for i in range(directions))):
            self.register_buffer(name, like.new_empty(0))

    def settle(self, shared: Tensor) -> dict[str, Tensor]:
        """What a pass needs beside its own coefficients, where the first (k,) coefficients are given."""
        still = self.base
        for part, coefficient in zip(self.parts, shared, strict=False):
            if part is not None:
                still = torch.addcmul(still, part, coefficient)
        steps = {f"step{i}": p for i, p in enumerate(self.parts) if i >= len(shared) and p is not None}
        return {name: tensor.to(self.stored) for name, tensor in {"still": still, **steps}.items()}

    def forward(self, *_) -> Tensor:
        output = still = self.still.to(self.full)
        first = len(self.parts) - len(self.coefficients)
        for i in range(first, len(self.parts)):
            if self.parts[i] is not None:
                output = torch.addcmul(output, getattr(self, f"step{i}").to(self.full), self.coefficients[i - first])
        return output.to(self.half, copy=output is still)


def moving_names(sweep: Sweep) -> list[str]:
    """Names of the parameters that differ between points."""
    return [name for name in sweep.origin if any(bool(d[name].any()) for d in sweep.directions)]


def standing_layers(sweep: Sweep, inputs: Tensor) -> tuple[dict[str, nn.Module], int]:
    """The layers whose input does not depend on moving weights, and the activations of a sample.

    Found by letting autograd mark what depends on the moving parameters: a layer with parameters that is
    called once, on one tensor that needs no gradient, stands. Only layers that are affine in their weights
    count where these move.
    """
    moving = set(moving_names(sweep))
    probe = copy.deepcopy(sweep.model)
    for name, parameter in probe.named_parameters():
        parameter.requires_grad_(name in moving)
    calls: dict[str, list[bool]] = {}
    numel = 0

    def watch(name: str) -> Callable:
        def hook(module: nn.Module, args: tuple, output) -> None:
            nonlocal numel
            if not isinstance(output, Tensor):
                calls.setdefault(name, []).append(False)
                return
            numel += output.numel()
            one_still_tensor = len(args) == 1 and isinstance(args[0], Tensor) and not args[0].requires_grad
            affine = type(module) in AFFINE_LAYERS or not output.requires_grad
            calls.setdefault(name, []).append(one_still_tensor and affine)

        return hook

    layers = {
        name: module
        for name, module in probe.named_modules()
        if name and not any(module.children()) and any(True for _ in module.parameters())
    }
    for name, module in layers.items():
        module.register_forward_hook(watch(name))
    with torch.enable_grad():
        probe(inputs)
    standing = {
        name: sweep.model.get_submodule(name)
        for name, layer in layers.items()
        if calls.get(name) == [True] and all(f"{name}.{own}" in sweep.origin for own, _ in layer.named_parameters())
    }
    return standing, max(1, numel // count(inputs))


class Runner:
    """One strategy, ready to run blocks of data: ``run(inputs, targets, coefficients)`` gives sums at points."""

    def __init__(self, sweep: Sweep, strategy: Strategy, standing: dict[str, nn.Module]):
        self.sweep, self.strategy = sweep, strategy
        self.layers = standing if strategy.cached else {}
        self.model = copy.deepcopy(sweep.model)
        if strategy.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.stands: dict[str, Standing] = {}
        self.recurrent: dict[str, SteppedRNN] = {}
        reference = next(iter(sweep.origin.values()))
        for name in self.layers:
            self.stands[name] = Standing(len(sweep.directions), reference, half=sweep.half, stored=strategy.compiled)
            self.model.set_submodule(name, self.stands[name])
        if strategy.stepped:
            for name, layer in list(self.model.named_modules()):
                if name and steppable(layer):
                    self.recurrent[name] = SteppedRNN(layer, onednn=strategy.onednn)
                    self.model.set_submodule(name, self.recurrent[name])
        if strategy.onednn:
            for name, layer in list(self.model.named_modules()):
                if name and type(layer) is nn.Linear:
                    self.model.set_submodule(name, OneDNNLinear(layer))
        inside = tuple(f"{name}." for name in self.layers)
        names = [name for name in moving_names(sweep) if not name.startswith(inside)] if inside else moving_names(sweep)
        self.like = {name: sweep.origin[name] for name in names}
        self.origin = vectors.flatten(self.like) if names else reference.new_zeros(0)
        self.steps = torch.stack(
            [
                vectors.flatten({name: d[name] for name in names}) if names else reference.new_zeros(0)
                for d in sweep.directions
            ]
        )
        self.straight: Callable | None = None  # the pass, traced or compiled

    def prepare(self, inputs: Tensor, targets: Tensor) -> None:
        """Take one chunk of data and compute the standing layers' outputs on it."""
        if self.strategy.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        self.inputs, self.targets = inputs, targets
        if not self.layers and not self.recurrent:
            return
        seen: dict[str, Tensor] = {}
        handles = [
            self.sweep.model.get_submodule(name).register_forward_pre_hook(
                lambda _, args, name=name: seen.__setitem__(name, args[0])
            )
            for name in (*self.layers, *self.recurrent)
        ]
        try:
            self.sweep.model(inputs)
        finally:
            for handle in handles:
                handle.remove()
        for name, layer in self.recurrent.items():
            layer.look_up(seen[name])
        for name, layer in self.layers.items():
            stand, own = self.stands[name], [n for n, _ in layer.named_parameters()]

            def apply(point: Params, name=name, layer=layer, own=own) -> Tensor:
                output = functional_call(layer, {n: point[f"{name}.{n}"] for n in own}, (seen[name],))
                if self.strategy.channels_last and output.dim() == 4:  # one-channel inputs do not bring it along
                    output = output.contiguous(memory_format=torch.channels_last)
                return output

            stand.base = apply(self.sweep.origin)
            stand.parts = [
                apply(d) if any(bool(d[f"{name}.{n}"].any()) for n in own) else None for d in self.sweep.directions
            ]

    def weights(self, vector: Tensor) -> Params:
        """The moving parameters out of one vector, or several with a leading dimension."""
        weights = vectors.unflatten(vector, self.like)
        return {name: tensor.to(self.like[name].dtype) for name, tensor in weights.items()}

    def settled(self, shared: Tensor) -> Params:
        """What stays the same over the points that share their first (k,) coefficients, by name in the model."""
        found = {f"{name}.{n}": t for name, stand in self.stands.items() for n, t in stand.settle(shared).items()}
        looked_up = {f"{name}.codes": layer.codes for name, layer in self.recurrent.items() if len(layer.codes)}
        return found | looked_up

    def run(self, coefficients: Tensor, advance=lambda n: None) -> tuple[Tensor, Tensor]:
        """Sums of loss and correct predictions over the chunk at points (n, d): two float64 tensors (n,)."""

        def at(weights: Params, settled: Params, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            with torch.autocast(targets.device.type, self.sweep.half, enabled=self.sweep.half is not None):
                outputs = functional_call(self.model, {**weights, **settled}, (inputs,))
            losses, correct = self.sweep.score(outputs if self.sweep.half is None else outputs.float(), targets)
            correct = losses.new_full((), float("nan")) if correct is None else correct.double().sum()
            return losses.double().sum(), correct

        batched = self.strategy.points > 1
        one_pass = vmap(at, in_dims=(0, None, None, None), randomness="different") if batched else at
        shared = 0 if batched else coefficients.shape[1] - 1
        # Filled in place: small results kept one by one would lie between the large tensors of the passes, which
        # can then not be used again, and the process would grow by one of them at every point.
        losses, corrects = coefficients.new_empty((2, len(coefficients)), dtype=torch.float64)
        done = 0
        for row in rows(coefficients, shared):
            settled = self.settled(row[0, :shared])
            still = None if batched else torch.addmv(self.origin, self.steps[:shared].t(), row[0, :shared])
            for group in torch.split(row, self.strategy.points):
                if batched:
                    vector, own = torch.addmm(self.origin, group, self.steps), group
                else:  # neighbours differ in the last coefficient alone
                    vector, own = torch.addcmul(still, self.steps[-1], group[0, -1]), group[0, shared:]
                weights = self.weights(vector) | {f"{name}.coefficients": own for name in self.stands}
                arguments = weights, settled, self.inputs, self.targets
                loss, correct = self.program(one_pass, arguments, len(group))(*arguments)
                losses[done : done + len(group)], corrects[done : done + len(group)] = loss, correct
                done += len(group)
                advance(len(group) * len(self.targets))
        return losses, corrects

    def program(self, one_pass: Callable, arguments: tuple, points: int) -> Callable:
        """The pass itself, or made straight for whole chunks and groups (what is left at an end is not worth it)."""
        whole = len(self.targets) == self.strategy.samples and points == self.strategy.points
        if not (self.strategy.traced or self.strategy.compiled) or not whole:
            return one_pass
        if self.straight is None:
            traced = trace_pass(one_pass, arguments)
            self.straight = compile_pass(traced, arguments) if self.strategy.compiled else fuse(traced)
        return self.straight


def rows(coefficients: Tensor, shared: int) -> tuple[Tensor, ...]:
    """Points (n, d) in stretches whose first ``shared`` coefficients are equal."""
    if shared == 0:
        return (coefficients,)
    counts = torch.unique_consecutive(coefficients[:, :shared], dim=0, return_counts=True)[1]
    return torch.split(coefficients, counts.tolist())
