"""The reference: at every point the weights are written in, the model called on each batch, the loss taken as given.

Every other strategy must give the values of this loop, and it is what evaluates a model or loss that no other
strategy is sure to suit: losses that are no mean over independent samples, random numbers in a forward pass,
batches that cannot be cut.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas.evaluation import batches, metrics, module_state
from lossatlas.evaluation.batch_norm import estimating, layers_with_statistics
from lossatlas.evaluation.batches import Batch, samples_in
from lossatlas.evaluation.metrics import Quantity
from lossatlas.evaluation.random_state import RandomState
from lossatlas.vectors import Params

PIECE = 2**18  # numbers of a tensor that are held in double precision at a time


class Predicting(nn.Module):
    """A model that is called by a function of the user's."""

    def __init__(self, model: nn.Module, predict: Callable[[nn.Module, object], object]):
        super().__init__()
        self.model, self.predict = model, predict

    def forward(self, inputs):
        """Return the outputs for a batch."""
        return self.predict(self.model, inputs)


@dataclass(frozen=True)
class PlainLoop:
    """What is evaluated at ``origin + Σ cᵢ·directionᵢ``, and what that needs.

    ``model`` is private and in eval mode. ``random`` is the state that every point begins with. ``recalibrate``:
    batch-norm statistics are estimated anew at every point. ``input_gradients``: the model or loss differentiates by
    the inputs. ``gradient_norm``: the norm of the gradient by the moved parameters is a quantity too, the last.
    ``reasons`` say why this loop was chosen.
    """

    model: nn.Module
    origin: Params
    directions: tuple[Params, ...]
    quantities: tuple[Quantity, ...]
    random: RandomState | None = None
    recalibrate: bool = False
    statistics: Sequence[Batch] | None = None  # what it estimates from; the data evaluated by default
    input_gradients: bool = False
    gradient_norm: bool = False
    combine: str = "mean"
    half: torch.dtype | None = None
    reasons: tuple[str, ...] = ()
    regrouped: bool = False  # whether samples may be in other batches than those given
    name: str = ""  # of the user's model
    still: Params = field(default_factory=dict)  # tensors that a forward pass changes, as every point finds them
    attributes: tuple = ()  # the modules' other attributes, as every point finds them

    @cached_property
    def moving(self) -> list[str]:
        """Names of the parameters and buffers that differ between points."""
        return [name for name in self.origin if any(bool(d[name].any()) for d in self.directions)]

    @property
    def names(self) -> list[str]:
        """Names of what is measured, the loss first."""
        return [quantity.name for quantity in self.quantities] + ["gradient_norm"] * self.gradient_norm

    def on(self, device: torch.device) -> PlainLoop:
        """Return the same on a device; the model, a private one, is moved."""
        origin, still, *directions = (
            {name: tensor.to(device) for name, tensor in vector.items()}
            for vector in (self.origin, self.still, *self.directions)
        )
        module_state.put_back(self.attributes)
        model = self.model.to(device)
        held = module_state.attributes(model)
        return replace(self, model=model, origin=origin, still=still, directions=tuple(directions), attributes=held)

    def moved(self, name: str, coefficients: Sequence[float]) -> Tensor:
        """Return what moves under one name, computed in double precision and of the type of the origin."""
        found = torch.empty_like(self.origin[name])
        _write_sum(found, self.origin[name], [d[name] for d in self.directions], coefficients)
        return found

    def point(self, coefficients: Sequence[float]) -> Params:
        """Return the values of all that moves."""
        return {name: self.moved(name, coefficients) for name in self.moving}

    def write(self, coefficients: Sequence[float]) -> None:
        """Write a point into the model, and what forward passes may have changed as it was."""
        module_state.put_back(self.attributes)
        if self.still:
            module_state.write(self.model, self.still)
        own = module_state.tensors_of(self.model)
        with torch.no_grad():
            for name in self.moving:
                _write_sum(own[name], self.origin[name], [d[name] for d in self.directions], coefficients)
        if self.random is not None:
            self.random.restore()

    def call(self, batch: Batch) -> tuple[Any, Any]:
        """Return the outputs for a batch, and its targets; both as the quantities take them."""
        inputs, targets = batches.map_tensors(Tensor.clone, batch)  # a forward pass may change them in place
        if self.input_gradients:
            inputs, targets = batches.map_tensors(_differentiable, (inputs, targets))
        device = next(iter(self.origin.values())).device
        with torch.autocast(device.type, self.half, enabled=self.half is not None):
            outputs = self.model(inputs)
        if self.half is not None:
            outputs = batches.map_tensors(lambda t: t.float() if t.is_floating_point() else t, outputs)
        return outputs, targets

    def refused(self, batch: Batch, error: Exception) -> ValueError:
        """Return the error to raise if the model cannot be called on a batch."""
        if isinstance(self.model, Predicting):
            given = f"{self.name} and inputs of {batches.shapes(batch[0])}"
            return ValueError(f"predict raised {type(error).__name__}: {error}; it was called with {given}")
        return ValueError(f"data: inputs of {batches.shapes(batch[0])} do not go through {self.name}: {error}")

    def one_tensor(self, outputs: Any) -> Tensor:
        """Return the outputs. Raise ValueError if they are anything but one tensor."""
        if not isinstance(outputs, Tensor):
            who = "predict" if isinstance(self.model, Predicting) else f"model: {self.name}"
            raise ValueError(
                f"{who} returned {type(outputs).__name__}; expected one tensor: "
                "predict=lambda model, inputs: … can pick it"
            )
        return outputs

    def values(self, batch: Batch) -> list:
        """Return the value of every quantity on a batch, in one of the three forms."""
        with self.gradients():
            outputs, targets = self.call(batch)
            return [quantity(outputs, targets) for quantity in self.quantities]

    def gradients(self):
        """Return the context in which passes run."""
        return torch.enable_grad() if self.input_gradients or self.gradient_norm else torch.no_grad()

    def sums(
        self, coefficients: Tensor, data: Sequence[Batch], advance: Callable[[int], object] = lambda n: None
    ) -> Tensor:
        """Return numerators and weights of all quantities at points (n, d): float64 (2q, n)."""
        device, total = coefficients.device, sum(map(samples_in, data))
        columns = []
        for coefficient in coefficients.tolist():
            self.write(coefficient)
            if self.recalibrate:
                with torch.no_grad(), estimating(layers_with_statistics(self.model)):
                    for batch in self.statistics or data:
                        self.call(batches.move(batch, device))
            columns.append(self._over(data, total, device, advance))
        return torch.stack(columns, dim=1)

    def _over(self, data: Sequence[Batch], total: int, device: torch.device, advance) -> Tensor:
        count = len(self.quantities) + self.gradient_norm
        sums = torch.zeros((2, count), dtype=torch.float64, device=device)
        parameters = dict(self.model.named_parameters())
        moving = [parameters[name] for name in self.moving if name in parameters] if self.gradient_norm else []
        gradients = [torch.zeros_like(p, dtype=_wide(p)) for p in moving]
        for batch in data:
            batch, samples = batches.move(batch, device), samples_in(batch)
            with _requiring_gradients(moving):
                for i, (quantity, value) in enumerate(zip(self.quantities, self.values(batch), strict=True)):
                    form = metrics.form_of(quantity, value, samples)
                    numerator, weight = metrics.add_up(value, samples)
                    if form == metrics.BATCH and self.combine == "sum":
                        numerator, weight = value.double(), samples / total
                    if i == 0 and self.gradient_norm:
                        found = torch.autograd.grad(numerator, moving, allow_unused=True)
                        for sum_of_them, gradient in zip(gradients, found, strict=True):
                            if gradient is not None:
                                sum_of_them += gradient
                    sums[0, i] += numerator.detach()
                    sums[1, i] += weight.detach() if isinstance(weight, Tensor) else weight
            advance(samples)
        if self.gradient_norm:
            squared = sum(float(gradient.abs().square().sum()) for gradient in gradients)
            sums[0, -1], sums[1, -1] = squared**0.5 / sums[1, 0], 1.0
        return sums.flatten()


def _write_sum(target: Tensor, start: Tensor, steps: Sequence[Tensor], coefficients: Sequence[float]) -> None:
    """Write ``start + Σ cᵢ·stepsᵢ``, computed in double precision, into a tensor: piece by piece if it is large."""
    tensors = [target, start, *steps]
    wide, pieces = _wide(start), [tuple(tensors)]
    if target.numel() > PIECE and target.device.type == "cpu" and all(tensor.is_contiguous() for tensor in tensors):
        pieces = list(zip(*(tensor.view(-1).split(PIECE) for tensor in tensors), strict=True))
    for into, value, *directions in pieces:
        value = value.to(wide)
        for coefficient, direction in zip(coefficients, directions, strict=True):
            value = value + coefficient * direction.to(wide)
        into.copy_(value)


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.complex128 if tensor.is_complex() else torch.float64


def _differentiable(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_() if tensor.is_floating_point() or tensor.is_complex() else tensor


@contextlib.contextmanager
def _requiring_gradients(parameters: Sequence[Tensor]):
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)


def cast(loop: PlainLoop, dtype: torch.dtype) -> PlainLoop:
    """Return a loop with all real numbers in another type; the model, a private one, is changed."""

    def to(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    origin, still, *directions = (
        vectors.combine(to, vector) if vector else {} for vector in (loop.origin, loop.still, *loop.directions)
    )
    module_state.put_back(loop.attributes)
    model = loop.model.to(dtype)
    held = module_state.attributes(model)
    loop = replace(loop, model=model, origin=origin, still=still, directions=tuple(directions), attributes=held)
    return loop if loop.statistics is None else replace(loop, statistics=batches.map_tensors(to, loop.statistics))
