"""One way of evaluating many weight settings: how many samples and points a pass, and what is done once for all."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lossatlas import vectors
from lossatlas.losses import Score
from lossatlas.vectors import Params

AFFINE_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Sweep:
    """What is evaluated: ``model`` (a private copy in eval mode) at ``origin + Σ cᵢ·directionᵢ``, under ``score``."""

    model: nn.Module
    origin: Params
    directions: tuple[Params, ...]
    score: Score


@dataclass(frozen=True)
class Strategy:
    """How: ``samples`` and grid ``points`` in one pass; standing layers ``cached``; images ``channels_last``."""

    samples: int
    points: int = 1
    cached: bool = False
    channels_last: bool = False

    def __str__(self) -> str:
        way = "loop" if self.points == 1 else f"batched, {self.points} points a pass"
        extras = ", standing layers cached" * self.cached + ", channels last" * self.channels_last
        return f"{way}, {self.samples} samples a pass{extras}"


class Standing(nn.Module):
    """Stands in for a layer whose input is the same at every point: output = base + Σ cᵢ·partᵢ."""

    def __init__(self, directions: int, like: Tensor):
        super().__init__()
        self.register_buffer("coefficients", torch.zeros(directions, dtype=like.dtype, device=like.device))
        self.base: Tensor | None = None
        self.parts: list[Tensor | None] = []

    def forward(self, *_) -> Tensor:
        output = self.base
        for i, part in enumerate(self.parts):
            if part is not None:
                output = torch.addcmul(output, part, self.coefficients[i])
        return self.base.clone() if output is self.base else output


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
    return standing, max(1, numel // len(inputs))


class Runner:
    """One strategy, ready to run blocks of data: ``run(inputs, targets, coefficients)`` gives sums at points."""

    def __init__(self, sweep: Sweep, strategy: Strategy, standing: dict[str, nn.Module]):
        self.sweep, self.strategy = sweep, strategy
        self.layers = standing if strategy.cached else {}
        self.model = copy.deepcopy(sweep.model)
        if strategy.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.stands: dict[str, Standing] = {}
        reference = next(iter(sweep.origin.values()))
        for name in self.layers:
            parent, _, child = name.rpartition(".")
            self.stands[name] = Standing(len(sweep.directions), reference)
            setattr(self.model.get_submodule(parent), child, self.stands[name])
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

    def prepare(self, inputs: Tensor, targets: Tensor) -> None:
        """Take one chunk of data and compute the standing layers' outputs on it."""
        if self.strategy.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        self.inputs, self.targets = inputs, targets
        if not self.layers:
            return
        seen: dict[str, Tensor] = {}
        handles = [
            layer.register_forward_pre_hook(lambda _, args, name=name: seen.__setitem__(name, args[0]))
            for name, layer in self.layers.items()
        ]
        try:
            self.sweep.model(inputs)
        finally:
            for handle in handles:
                handle.remove()
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

    def weights(self, coefficients: Tensor) -> Params:
        """The moving parameters at points (K, d), each with a leading dimension K."""
        weights = vectors.unflatten(torch.addmm(self.origin, coefficients, self.steps), self.like)
        weights = {name: tensor.to(self.like[name].dtype) for name, tensor in weights.items()}
        for name in self.stands:
            weights[f"{name}.coefficients"] = coefficients
        return weights

    def run(self, coefficients: Tensor, advance=lambda n: None) -> tuple[Tensor, Tensor]:
        """Sums of loss and correct predictions over the chunk at points (n, d): two float64 tensors (n,)."""

        def at(weights: Params) -> tuple[Tensor, Tensor]:
            losses, correct = self.sweep.score(functional_call(self.model, weights, (self.inputs,)), self.targets)
            return losses.double().sum(), losses.new_tensor(float("nan")) if correct is None else correct.sum()

        losses, corrects = [], []
        for group in torch.split(coefficients, self.strategy.points):
            weights = self.weights(group)
            if self.strategy.points == 1:
                loss, correct = at({name: tensor[0] for name, tensor in weights.items()})
                loss, correct = loss[None], correct[None]
            else:
                loss, correct = vmap(at, randomness="different")(weights)
            losses.append(loss)
            corrects.append(correct.double())
            advance(len(group) * len(self.inputs))
        return torch.cat(losses), torch.cat(corrects)
