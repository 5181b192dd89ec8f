"""Losses by name, one value per sample, and whether a prediction is right.

The named losses are means over independent samples, so samples can be evaluated in any order and in batches of any
size. A callable promises nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100  # the class label that PyTorch's cross-entropy leaves out by default: padded tokens

Loss = Callable[[Tensor, Tensor], Tensor]
Score = Callable[[Tensor, Tensor], tuple[Tensor, Tensor | None]]


def _per_sample(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1) if values.dim() > 1 else values


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the softmax cross-entropy of every sample, the mean over further dimensions.

    Parameters
    ----------
    outputs : Tensor
        Logits of shape (N, C) or (N, C, d1, ...).
    targets : Tensor
        Class labels of shape (N,) or (N, d1, ...). A label of -100 counts as zero.

    Returns
    -------
    Tensor
        Shape (N,).

    Examples
    --------
    >>> cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([0.6931])
    """
    rows = outputs.movedim(1, -1)
    targets = targets.long()
    if outputs.dim() > 2 and rows.is_contiguous():  # four times faster than along a strided dimension
        losses = F.cross_entropy(rows.flatten(0, -2), targets.flatten(), reduction="none").view_as(targets)
    else:
        losses = F.cross_entropy(outputs, targets, reduction="none")
    return _per_sample(losses)


def like_outputs(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the targets in the shape of the outputs.

    The shapes must be equal, except that one of them may have a last dimension of size 1 that the other lacks:
    targets of shape (N,) fit outputs of shape (N, 1), and the other way round.

    Raises
    ------
    ValueError
        If the shapes do not fit. Nothing is broadcast or rearranged.

    Examples
    --------
    >>> like_outputs(torch.zeros(3, 1), torch.zeros(3)).shape
    torch.Size([3, 1])
    """
    if targets.shape == outputs.shape:
        return targets
    if (*targets.shape, 1) == tuple(outputs.shape):
        return targets.unsqueeze(-1)
    if tuple(targets.shape) == (*outputs.shape, 1):
        return targets.squeeze(-1)
    raise ValueError(
        f"targets: shape {tuple(targets.shape)} does not fit outputs of shape {tuple(outputs.shape)}: "
        "expected the same shape, up to a last dimension of size 1"
    )


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error of every sample, the mean over its outputs.

    Parameters
    ----------
    outputs : Tensor
        Shape (N, ...).
    targets : Tensor
        The same shape, up to a last dimension of size 1.

    Returns
    -------
    Tensor
        Shape (N,).

    Examples
    --------
    >>> mse(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([2.])
    """
    return _per_sample((outputs - like_outputs(outputs, targets)) ** 2)


def bce_with_logits(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross-entropy of every sample, the mean over its logits.

    Parameters
    ----------
    outputs : Tensor
        Logits of shape (N, ...).
    targets : Tensor
        Values from 0 to 1 of the same shape, up to a last dimension of size 1.

    Returns
    -------
    Tensor
        Shape (N,).

    Examples
    --------
    >>> bce_with_logits(torch.zeros(2, 1), torch.tensor([0, 1]))
    tensor([0.6931, 0.6931])
    """
    targets = like_outputs(outputs, targets).to(outputs.dtype)
    return _per_sample(F.binary_cross_entropy_with_logits(outputs, targets, reduction="none"))


def class_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return 1 for every sample whose largest logit is the target's, the mean over further dimensions.

    Parameters
    ----------
    outputs : Tensor
        Logits of shape (N, C) or (N, C, d1, ...).
    targets : Tensor
        Class labels of shape (N,) or (N, d1, ...).

    Returns
    -------
    Tensor
        Shape (N,).

    Examples
    --------
    >>> class_accuracy(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([1, 0]))
    tensor([1., 0.])
    """
    return _per_sample((outputs.argmax(1) == targets).to(outputs.dtype))


def binary_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return 1 for every sample whose logit has the sign of the target, the mean over its logits.

    Parameters
    ----------
    outputs : Tensor
        Logits of shape (N, ...).
    targets : Tensor
        0 or 1, of the same shape up to a last dimension of size 1.

    Returns
    -------
    Tensor
        Shape (N,).

    Examples
    --------
    >>> binary_accuracy(torch.tensor([[2.0], [2.0]]), torch.tensor([1, 0]))
    tensor([1., 0.])
    """
    return _per_sample(((outputs > 0) == (like_outputs(outputs, targets) > 0.5)).to(outputs.dtype))


@dataclass(frozen=True)
class NamedLoss:
    """A loss that decomposes over samples: one value per sample, and one for whether the prediction is right."""

    function: Loss
    accuracy: Loss | None = None


LOSSES = {
    "cross_entropy": NamedLoss(cross_entropy, class_accuracy),
    "mse": NamedLoss(mse),
    "bce_with_logits": NamedLoss(bce_with_logits, binary_accuracy),
}


def loss_name(loss: str | Callable) -> str:
    """Return the name under which a loss is recorded.

    Raises
    ------
    ValueError
        If the name is unknown, or if the loss is a class and not an instance of it.

    Examples
    --------
    >>> loss_name(torch.nn.MSELoss())
    'MSELoss'
    """
    if isinstance(loss, type):
        raise ValueError(f"loss: got the class {loss.__name__}; expected an instance, such as {loss.__name__}()")
    if callable(loss):
        return getattr(loss, "__name__", type(loss).__name__)
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f"loss={loss!r}: expected one of {tuple(LOSSES)} or a callable (outputs, targets)")
    return loss


def make_score(loss: str | Callable) -> Score:
    """Return ``score(outputs, targets)``, which gives the losses (N,) and what was right (N,), or None.

    Only the named classification losses tell what is right. A callable may return one value per sample, or the
    mean of the batch as a scalar.

    Raises
    ------
    ValueError
        If the name is unknown; by ``score``, if a callable returns anything else.

    Examples
    --------
    >>> losses, right = make_score("cross_entropy")(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
    >>> losses, right
    (tensor([0.6931]), tensor([1.]))
    """
    name = loss_name(loss)
    if not callable(loss):
        function, accuracy = LOSSES[name].function, LOSSES[name].accuracy
        return lambda outputs, targets: (function(outputs, targets), accuracy and accuracy(outputs, targets))

    def score(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        losses, samples = loss(outputs, targets), len(targets)
        if not isinstance(losses, Tensor) or losses.shape not in (torch.Size([]), torch.Size([samples])):
            shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise ValueError(
                f"loss {name!r} returned {shape}: expected one value a sample, ({samples},), or a scalar batch mean"
            )
        return losses.expand(samples), None

    return score


def check_targets(loss: str, shape: tuple[int, ...], targets: Tensor) -> None:
    """Check targets against the shape of the outputs that they belong to.

    Parameters
    ----------
    loss : str
        The name of a loss.
    shape : tuple of int
        The outputs' shape, (N, ...).
    targets : Tensor
        The targets of those samples.

    Raises
    ------
    ValueError
        If their shape, type or values do not suit the loss.

    Examples
    --------
    >>> check_targets("cross_entropy", (2, 3), torch.tensor([0, 2]))
    """
    if loss == "cross_entropy":
        if targets.is_floating_point() or targets.is_complex():
            raise ValueError(f"targets: dtype {targets.dtype}; cross_entropy expects integer class labels")
        if len(shape) < 2 or tuple(targets.shape) != (shape[0], *shape[2:]):
            raise ValueError(
                f"targets: shape {tuple(targets.shape)} does not fit outputs of shape {shape}: cross_entropy "
                "expects classes along dimension 1 of the outputs and targets of the same shape without it"
            )
        labels = targets[targets != IGNORED]
        if not labels.numel():
            return
        low, high, ceiling = float(labels.min()), float(labels.max()), shape[1] - 1
    else:
        like_outputs(torch.empty(shape, device="meta"), targets)
        if targets.is_complex():
            raise ValueError(f"targets: dtype {targets.dtype}; {loss} expects real numbers")
        low, high, ceiling = float(targets.min()), float(targets.max()), 1
    if loss != "mse" and not 0 <= low <= high <= ceiling:
        raise ValueError(f"targets: values from {low:g} to {high:g}; {loss} on this model expects 0 to {ceiling}")
