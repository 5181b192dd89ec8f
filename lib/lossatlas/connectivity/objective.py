"""The training loss of a network as a function of one vector of weights, with its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas._checks import instance_of
from lossatlas.directions.checkpoints import find_module, read_all, travelling_buffers
from lossatlas.directions.curves import Curve
from lossatlas.directions.interpolation import line_between
from lossatlas.evaluation import batches, metrics, module_state
from lossatlas.evaluation.devices import pick_device
from lossatlas.evaluation.plain_loop import PlainLoop
from lossatlas.evaluation.preparation import check_named_targets
from lossatlas.networks import losses
from lossatlas.networks.augmentation import shift_and_flip
from lossatlas.networks.training import Recipe, rate_factor
from lossatlas.vectors import Params, Point


class Ends:
    """Two networks of one architecture, as vectors of weights, and the buffers that travel between them."""

    def __init__(self, a: Point, b: Point, model: nn.Module | None):
        whats = ["model a", "model b"]
        line_between(a, b, model=model)  # refuses what cannot be connected
        module = find_module([a, b], whats, model)
        if module is None:
            raise ValueError("model: None given and neither network is a module; expected one that can be called")
        networks = read_all([a, b], whats, model=module)
        self.module, self.buffers = module, travelling_buffers(networks, whats)
        self.parameters = [vectors.copy_of(network.parameters) for network in networks]

    def curve(self, kind: str, bends: list[Params], description: dict) -> Curve:
        """Return the curve through bends at equal distances in t; their buffers are interpolated between the ends."""
        start, end = self.buffers
        share = [(i + 1) / (len(bends) + 1) for i in range(len(bends))]
        between = [vectors.combine(lambda x, y, t=t: torch.lerp(x, y.to(x), t), start, end) for t in share]
        states = [self.buffers[0], *(between if start else [{}] * len(bends)), self.buffers[1]]
        points = [self.parameters[0], *bends, self.parameters[1]]
        joined = [{**point, **buffers} for point, buffers in zip(points, states, strict=True)]
        return Curve(joined, kind, description, model=self.module)


class Objective:
    """The mean loss of a batch in training mode, with the penalties of a recipe, at any vector of weights.

    Parameters
    ----------
    module : Module
        It is copied and stays as it is.
    data
        As :func:`lossatlas.evaluate` takes it; all samples must fit into one batch.
    loss : str or callable
        As :func:`lossatlas.fit` takes it.
    recipe : Recipe
        Size of batches, penalties and augmentation.
    device : str or device
        Where to compute.
    """

    def __init__(self, module: nn.Module, data: Any, loss: str | Callable, recipe: Recipe, device: str | torch.device):
        instance_of(recipe, "recipe", Recipe, "a lossatlas.Recipe")
        self.recipe, self.score, self.device = recipe, losses.make_score(loss), pick_device(device)
        self.model = module_state.own_copy(module).to(self.device).eval()
        self.inputs, self.targets = self._read(data, loss)
        if recipe.augment and self.inputs.dim() != 4:
            raise ValueError(f"recipe: augment=True expects images (N, C, H, W), not {tuple(self.inputs.shape)}")
        self.moving: Params = {}
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(parameter.is_floating_point())
            if parameter.is_floating_point():
                self.moving[name] = parameter
        self.model.train()

    def _read(self, data: Any, loss: str | Callable) -> batches.Batch:
        held = [batches.move(batch, self.device) for batch in batches.read(data)]
        cut = all(isinstance(batch[0], Tensor) and batches.can_be_cut(batch) for batch in held)
        if not cut or not all(batches.same_form(held[0], batch) for batch in held):
            raise ValueError("data: expected tensors of inputs and targets with samples along their first dimension")
        parameters: Params = dict(self.model.named_parameters())
        quantities = tuple(metrics.make_quantities(loss, data=held))
        loop = PlainLoop(self.model, parameters, (), quantities, name=type(self.model).__name__)
        check_named_targets(loss, loop, held[:1])
        try:
            loop.values(batches.first(held[0], 2))
        except Exception as error:  # whatever a model raises
            raise loop.refused(held[0], error) from error
        return batches.join(held)

    def flat(self, params: Params) -> Tensor:
        """Return the real-valued parameters of a network as one vector."""
        return torch.cat([params[name].to(like).flatten() for name, like in self.moving.items()]).detach()

    def params(self, vector: Tensor, like: Params) -> Params:
        """Return the parameters at a vector; those that hold no real numbers are as in ``like``."""
        found = vectors.unflatten(vector, self.moving)
        return {name: found[name].to(tensor) if name in found else tensor for name, tensor in like.items()}

    def value(self, vector: Tensor, batch: batches.Batch) -> Tensor:
        """Return the mean loss of a batch, which can be differentiated by the parameters of the model."""
        pieces = vectors.unflatten(vector, self.moving)
        with torch.no_grad():
            for name, parameter in self.moving.items():
                parameter.copy_(pieces[name])
        inputs, targets = batch
        return self.score(self.model(inputs), targets)[0].mean()

    def step(self, vector: Tensor, batch: batches.Batch) -> tuple[float, Tensor]:
        """Return the loss of a batch and the gradient of the loss with its penalties."""
        mean = self.value(vector, batch)
        objective, weights = mean, [p for p in self.moving.values() if p.dim() >= 2]
        if self.recipe.l1:
            objective = objective + self.recipe.l1 * sum(w.abs().sum() for w in weights)
        if self.recipe.l2:
            objective = objective + self.recipe.l2 / 2 * sum(w.square().sum() for w in weights)
        found = torch.autograd.grad(objective, list(self.moving.values()), allow_unused=True, materialize_grads=True)
        return float(mean.detach()), torch.cat([gradient.flatten() for gradient in found])

    def mean(self, vector: Tensor, size: int = 1000) -> float:
        """Return the mean loss of all data, in batches as training sees them."""
        total = 0.0
        with torch.no_grad():
            for batch in batches.split((self.inputs, self.targets), size):
                total += float(self.value(vector, batch)) * len(batch[1])
        return total / len(self.targets)

    @property
    def steps(self) -> int:
        """How many updates the recipe takes."""
        per_epoch = math.ceil(len(self.targets) / self.recipe.batch_size)
        return min(self.recipe.epochs * per_epoch, self.recipe.steps or self.recipe.epochs * per_epoch)

    def batches(self, generator: torch.Generator) -> Iterator[batches.Batch]:
        """Yield one batch an update, in an order that the generator decides."""
        given = 0
        while given < self.steps:
            order = torch.randperm(len(self.targets), generator=generator)
            for part in order.to(self.device).split(self.recipe.batch_size):
                if given < self.steps:
                    inputs = self.inputs[part]
                    yield (shift_and_flip(inputs, generator) if self.recipe.augment else inputs), self.targets[part]
                    given += 1

    def optimizer(self, points: Tensor) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
        """Return the recipe's optimizer of some points (n, weights), and its schedule."""
        rate, recipe = self.recipe.learning_rate, self.recipe
        sgd = recipe.optimizer == "sgd"
        made = torch.optim.SGD([points], rate, recipe.momentum) if sgd else torch.optim.Adam([points], rate)
        per_epoch = math.ceil(len(self.targets) / recipe.batch_size)
        factor = partial(rate_factor, recipe, per_epoch=per_epoch, last_step=self.steps)
        return made, torch.optim.lr_scheduler.LambdaLR(made, factor)

    def move(self, points: Tensor, gradient: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Take one step of an optimizer along a gradient (n, weights)."""
        points.grad = gradient
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_([points], self.recipe.clip)
        optimizer.step()
        if not bool(torch.isfinite(points).all()):
            raise ValueError(f"recipe: the path diverges at learning_rate={self.recipe.learning_rate:g}")
