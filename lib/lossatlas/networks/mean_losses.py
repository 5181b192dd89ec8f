"""PyTorch's own losses that average over a batch, taken apart into one value per sample.

The mean over a batch hides what the engine needs: samples that can be regrouped. For these losses the mean over a
batch is the mean over its samples, which ``reduction="none"`` gives one by one.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

# Of each class, the attributes that must be None: weights change what the mean divides by, or depend on the batch.
MODULES: dict[type[nn.Module], tuple[str, ...]] = {
    nn.BCELoss: ("weight",),
    nn.BCEWithLogitsLoss: ("weight", "pos_weight"),
    nn.CrossEntropyLoss: ("weight",),
    nn.HuberLoss: (),
    nn.L1Loss: (),
    nn.MSELoss: (),
    nn.NLLLoss: ("weight",),
    nn.PoissonNLLLoss: (),
    nn.SmoothL1Loss: (),
    nn.SoftMarginLoss: (),
}
FUNCTIONS: tuple[Callable, ...] = (
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.cross_entropy,
    F.huber_loss,
    F.l1_loss,
    F.mse_loss,
    F.nll_loss,
    F.poisson_nll_loss,
    F.smooth_l1_loss,
    F.soft_margin_loss,
)
OVERRIDES = ("forward", "_forward_hooks", "_forward_pre_hooks")  # attributes that change what a module returns


@dataclass(frozen=True)
class PerSample:
    """A loss with ``reduction="none"``: the mean over everything that belongs to a sample, (N,)."""

    each: Callable[[Any, Any], Tensor]

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Return one value per sample, or the mean if the values do not belong to samples."""
        values = self.each(outputs, targets)
        if values.dim() == 0 or not isinstance(targets, Tensor) or not targets.dim() or len(values) != len(targets):
            return values.mean()
        return values.flatten(1).mean(1) if values.dim() > 1 else values


def per_sample(loss: object, targets: Sequence[object] = ()) -> PerSample | None:
    """Return the values per sample whose mean one of PyTorch's losses is, or None for anything else.

    Parameters
    ----------
    loss : object
        A module of exactly one of the classes in :data:`MODULES`, or one of :data:`FUNCTIONS`.
    targets : sequence
        Those of all batches. If one holds a label that the loss ignores, the mean is not over all samples.

    Returns
    -------
    PerSample or None

    Examples
    --------
    >>> import torch
    >>> per_sample(nn.MSELoss())(torch.tensor([[1.0, 3.0], [1.0, 1.0]]), torch.ones(2, 2))
    tensor([2., 0.])
    >>> per_sample(nn.MSELoss(reduction="sum")) is None
    True
    """
    if callable(loss) and any(loss is function for function in FUNCTIONS):
        each: Callable = functools.partial(loss, reduction="none")
        ignored = -100 if loss in (F.cross_entropy, F.nll_loss) else None
    elif isinstance(loss, nn.Module) and type(loss) in MODULES:
        held = vars(loss)
        changed = any(held.get(name) for name in OVERRIDES)
        weighted = any(getattr(loss, name) is not None for name in MODULES[type(loss)])
        if held.get("reduction") != "mean" or changed or weighted:
            return None
        each = copy.copy(loss)
        vars(each)["reduction"] = "none"
        ignored = held.get("ignore_index")
    else:
        return None
    if ignored is not None and any(_holds(labels, ignored) for labels in targets):
        return None
    return PerSample(each)


def _holds(labels: object, value: int) -> bool:
    return isinstance(labels, Tensor) and not labels.is_floating_point() and bool((labels == value).any())
