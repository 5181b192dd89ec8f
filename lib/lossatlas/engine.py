"""Many weight settings of one network, evaluated on the same data.

The engine knows points of weight space only as coefficients along directions. It goes through the data
in blocks (outermost, so that a block stays in the processor's cache) and through the points inside a
block, in one of several ways that a short measurement on the first block chooses between:

- *loop*: one point at a time, as a user would write it; always possible, and the reference that every
  other way is checked against before it is used;
- *batched*: several points in one pass (``torch.func.vmap``), which spares small networks the cost of
  calling each operation;
- *cached*: a layer whose input does not move with the weights has an output that is affine in the
  coefficients, ``W(α)x = Wx + α·Δx``, so that one product a direction serves the whole grid. It combines
  with both ways above. Images may also be held channels-last, which pooling on a CPU likes far better.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lossatlas import vectors
from lossatlas.losses import Score
from lossatlas.vectors import Params

BLOCK_SAMPLES = 8192  # samples held at a time, and the largest pass
PASS_FLOATS = (2**17, 2**20, 2**23)  # activations of one pass (0.5, 4 and 32 MB): caches differ, so all are tried
PASS_SAMPLES = (128, 512, 32, 2048, BLOCK_SAMPLES)
TRIAL_SECONDS = 0.01  # what one timing takes at least
TRIAL_SHARE = 0.1  # of the expected time of the whole sweep, what choosing may take …
TRIAL_FLOOR = 0.05  # … or this many seconds; a sweep shorter than that is simply looped
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


@dataclass(frozen=True)
class Sums:
    """Sums over samples at each point, float64 (n,); ``correct`` is None where nothing can be right or wrong."""

    loss: Tensor
    correct: Tensor | None
    samples: int
    strategy: Strategy


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
                return functional_call(layer, {n: point[f"{name}.{n}"] for n in own}, (seen[name],))

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


def seconds_per_pair(runner: Runner, inputs: Tensor, targets: Tensor, points: Tensor) -> float:
    """Measured seconds for one sample at one point, preparation spread over all the ``points`` to come."""
    inputs, targets = inputs[: runner.strategy.samples], targets[: runner.strategy.samples]
    start = time.perf_counter()
    runner.prepare(inputs, targets)
    runner.run(points[: runner.strategy.points])[0].tolist()  # warm; tolist waits for the device
    prepared = time.perf_counter()
    seconds, done = 0.0, 0
    while seconds < TRIAL_SECONDS and done < len(points):
        group = points[done : done + runner.strategy.points]
        runner.run(group)[0].tolist()
        done += len(group)
        seconds = time.perf_counter() - prepared
    return ((prepared - start) / len(points) + seconds / done) / len(inputs)


def agrees(runner: Runner, reference: Runner, inputs: Tensor, targets: Tensor, points: Tensor) -> bool:
    """Whether a strategy gives the loop's values on a few points; False where it cannot run this model."""
    inputs, targets, points = inputs[:64], targets[:64], points[: max(3, min(runner.strategy.points, 8))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # vmap's notes about slow operations: the timing tells
            runner.prepare(inputs, targets)
            losses, _ = runner.run(points)
    except (RuntimeError, ValueError, TypeError, NotImplementedError):
        return False
    reference.prepare(inputs, targets)
    expected, _ = reference.run(points)
    tolerance = 1e-10 if losses.dtype == inputs.dtype else 3e-6
    return torch.allclose(losses, expected, rtol=tolerance, atol=0, equal_nan=True)


def choose(sweep: Sweep, inputs: Tensor, targets: Tensor, coefficients: Tensor) -> Runner:
    """The fastest strategy that agrees with the loop, by a short measurement on the first block of data.

    Layouts first, then the size of a pass, then how many points share one; it ends when it has cost
    its share of what the sweep is expected to take.
    """
    start = time.perf_counter()
    order = torch.randperm(len(coefficients), generator=torch.Generator().manual_seed(0))
    trial = coefficients[order.to(coefficients.device)]
    sizes = list(dict.fromkeys(min(len(inputs), size) for size in PASS_SAMPLES))
    loop = best = Runner(sweep, Strategy(sizes[0]), {})
    best_rate = seconds_per_pair(loop, inputs, targets, trial)
    if best_rate * len(inputs) * len(coefficients) < TRIAL_FLOOR:
        return loop
    standing, activations = None, 1
    tried = {loop.strategy}

    def consider(**change) -> None:
        nonlocal best, best_rate, standing, activations
        strategy = replace(best.strategy, **change)
        allowed = max(TRIAL_FLOOR, TRIAL_SHARE * best_rate * len(inputs) * len(coefficients))
        if strategy in tried or time.perf_counter() - start > allowed:
            return
        tried.add(strategy)
        if standing is None:
            standing, activations = standing_layers(sweep, inputs[:2])
        runner = Runner(sweep, strategy, standing)
        if (strategy.cached and not standing) or not agrees(runner, loop, inputs, targets, trial):
            return
        rate = seconds_per_pair(runner, inputs, targets, trial)
        if rate < best_rate:
            best, best_rate = runner, rate

    consider(cached=True)
    if inputs.dim() == 4:
        consider(channels_last=True)
    for size in sizes[1:]:
        consider(samples=size)
    for size in sizes:
        for floats in PASS_FLOATS:
            points = min(len(coefficients), floats // (size * activations))
            if points > 1:
                consider(samples=size, points=points)
    return best


def blocks(batches: Iterable[tuple[Tensor, Tensor]], size: int = BLOCK_SAMPLES) -> Iterator[tuple[Tensor, Tensor]]:
    """Regroup batches into blocks of at most ``size`` samples, as full as the order of the batches allows."""
    held: list[tuple[Tensor, Tensor]] = []
    count = 0
    for inputs, targets in batches:
        for x, y in zip(torch.split(inputs, size), torch.split(targets, size), strict=True):
            if held and count + len(x) > size:
                yield torch.cat([a for a, _ in held]), torch.cat([b for _, b in held])
                held, count = [], 0
            held.append((x, y))
            count += len(x)
    if held:
        yield torch.cat([a for a, _ in held]), torch.cat([b for _, b in held])


def run(sweep: Sweep, batches: Iterable[tuple[Tensor, Tensor]], coefficients: Tensor, *, advance) -> Sums:
    """Sums over all the data at every point.

    ``batches``: (inputs, targets) on the sweep's device, gone through once; ``coefficients``: (n, d);
    ``advance(k)`` is called after every k sample evaluations.
    """
    total = torch.zeros(len(coefficients), dtype=torch.float64, device=coefficients.device)
    right = torch.zeros_like(total)
    samples, runner = 0, None
    with torch.no_grad():
        for inputs, targets in blocks(batches):
            if runner is None:
                runner = choose(sweep, inputs, targets, coefficients)
            size = runner.strategy.samples
            for x, y in zip(torch.split(inputs, size), torch.split(targets, size), strict=True):
                runner.prepare(x, y)
                loss, correct = runner.run(coefficients, advance)
                total += loss
                right += correct
            samples += len(inputs)
    return Sums(total, None if bool(right.isnan().all()) else right, samples, runner.strategy)
