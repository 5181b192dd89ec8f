"""Losses by name or by callable, one value a sample; and whether a prediction is right."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Score = Callable[[Tensor, Tensor], tuple[Tensor, Tensor | None]]


def _per_sample(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1) if values.dim() > 1 else values


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Softmax cross-entropy, (N,): logits (N, C) or (N, C, …), integer targets (N,) or (N, …); mean over …"""
    rows = outputs.movedim(1, -1)
    if outputs.dim() > 2 and rows.is_contiguous():  # four times faster than along a strided dimension
        losses = F.cross_entropy(rows.flatten(0, -2), targets.flatten(), reduction="none").view_as(targets)
    else:
        losses = F.cross_entropy(outputs, targets, reduction="none")
    return _per_sample(losses)


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared error, (N,): mean over everything but the samples."""
    return _per_sample((outputs - targets.reshape(outputs.shape)) ** 2)


def bce_with_logits(outputs: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of logits, (N,): targets 0 or 1 of the outputs' shape; mean over the outputs."""
    targets = targets.reshape(outputs.shape).to(outputs.dtype)
    return _per_sample(F.binary_cross_entropy_with_logits(outputs, targets, reduction="none"))


def class_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the largest logit is the target's, (N,); mean over further dimensions."""
    return _per_sample((outputs.argmax(1) == targets).to(outputs.dtype))


def binary_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the sign of the logit agrees with the target, (N,); mean over the outputs."""
    return _per_sample(((outputs > 0) == (targets.reshape(outputs.shape) > 0.5)).to(outputs.dtype))


LOSSES: dict[str, tuple[Callable, Callable | None]] = {
    "cross_entropy": (cross_entropy, class_accuracy),
    "mse": (mse, None),
    "bce_with_logits": (bce_with_logits, binary_accuracy),
}


def loss_name(loss: str | Callable) -> str:
    """The name under which a loss is recorded. Raises ValueError for an unknown name."""
    if callable(loss):
        return getattr(loss, "__name__", type(loss).__name__)
    if loss not in LOSSES:
        raise ValueError(f"loss={loss!r}: expected one of {tuple(LOSSES)} or a callable (outputs, targets)")
    return loss


def make_score(loss: str | Callable) -> Score:
    """``score(outputs, targets) -> (losses (N,), correct (N,) or None)`` for a loss by name or callable.

    A callable may return one value a sample, or the mean of the batch as a scalar. Accuracy is counted
    for the two classification losses, and for a callable where the targets are integer class labels.
    """
    name = loss_name(loss)
    if not callable(loss):
        function, accuracy = LOSSES[name]
        return lambda outputs, targets: (function(outputs, targets), accuracy and accuracy(outputs, targets))

    def score(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        losses, samples = loss(outputs, targets), len(targets)
        if not isinstance(losses, Tensor) or losses.shape not in (torch.Size([]), torch.Size([samples])):
            shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise ValueError(
                f"loss {name!r} returned {shape}: expected one value a sample, ({samples},), or a scalar batch mean"
            )
        labels = not targets.is_floating_point() and outputs.dim() == targets.dim() + 1
        return losses.expand(samples), class_accuracy(outputs, targets) if labels else None

    return score


def check_targets(loss: str | Callable, shape: tuple[int, ...], targets: Tensor) -> None:
    """Raise ValueError where a named loss cannot take these targets with outputs of this shape."""
    if callable(loss):
        return
    if loss == "cross_entropy":
        if targets.is_floating_point():
            raise ValueError(f"targets: dtype {targets.dtype}; cross_entropy expects integer class labels")
        if len(shape) < 2 or tuple(targets.shape) != (shape[0], *shape[2:]):
            raise ValueError(
                f"targets: shape {tuple(targets.shape)} does not fit outputs of shape {shape}: cross_entropy "
                "expects classes along dimension 1 of the outputs and targets of the same shape without it"
            )
        low, high, ceiling = int(targets.min()), int(targets.max()), shape[1] - 1
    else:
        if targets.numel() != math.prod(shape):
            raise ValueError(f"targets: shape {tuple(targets.shape)} does not fit outputs of shape {shape} ({loss})")
        low, high, ceiling = float(targets.min()), float(targets.max()), 1
    if loss != "mse" and not 0 <= low <= high <= ceiling:
        raise ValueError(f"targets: values from {low:g} to {high:g}; {loss} on this model expects 0 to {ceiling}")
