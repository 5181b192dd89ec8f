"""The quantities of a surface: the loss first, then whatever else is computed in the same pass.

Everything is added up over samples as a numerator and a weight; the value at a point is the one over the other. A
quantity's function takes the outputs and the targets of a batch and returns one of three things:

- one value per sample, (n,): added up, with a weight of one per sample;
- one value for the batch, a scalar: weighted by the number of samples;
- a pair (sum, weight): both added up. A mean over tokens needs this form.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lossatlas.evaluation.batches import Batch
from lossatlas.networks import losses
from lossatlas.networks.mean_losses import per_sample

RESERVED = ("loss", "accuracy", "gradient_norm", "evaluated", "alpha", "beta", "gamma")
COMBINATIONS = ("mean", "sum")
SAMPLES, BATCH, PAIR = "one value per sample", "one value per batch", "(sum, weight)"


@dataclass(frozen=True)
class Quantity:
    """Something measured at every point.

    ``function(outputs, targets)`` returns one of the three forms; ``known`` says that it is a sum over independent
    samples by definition, and ``paired`` that it is one with a weight of its own; ``attrs`` describe the variable.
    """

    name: str
    function: Callable
    known: bool = False
    paired: bool = False
    attrs: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, outputs, targets):
        """Return the value of the function. Raise ValueError if it is of no form that can be added up."""
        try:
            value = self.function(outputs, targets)
        except (TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, NotImplementedError) as error:
            raise ValueError(
                f"{self.name} raised {type(error).__name__}: {error}; expected a callable (outputs, targets)"
            ) from error
        return value


def form_of(quantity: Quantity, value: Any, samples: int) -> str:
    """Return which of the three forms a value has.

    Raises
    ------
    ValueError
        If it has none of them, or if it does not hold real floating-point numbers.
    """
    is_pair = isinstance(value, tuple) and len(value) == 2
    for part in value if is_pair else (value,):
        if is_pair and isinstance(part, int | float) and not isinstance(part, bool):
            continue
        if not isinstance(part, Tensor):
            raise ValueError(_refused(quantity, type(value).__name__, samples))
        if quantity.name == "loss" and not part.is_floating_point() and not (is_pair and part is value[1]):
            dtype = str(part.dtype).removeprefix("torch.")
            raise ValueError(f"loss returned {dtype} values; expected real floating-point numbers")
        if part.is_complex():
            raise ValueError(f"{quantity.name} returned complex values; expected real numbers")
    if is_pair:
        if any(isinstance(part, Tensor) and part.numel() != 1 for part in value):
            raise ValueError(_refused(quantity, "a pair of tensors with several values", samples))
        return PAIR
    if value.dim() == 0:
        return BATCH
    if tuple(value.shape) == (samples,):
        return SAMPLES
    raise ValueError(_refused(quantity, str(tuple(value.shape)), samples))


def _refused(quantity: Quantity, got: str, samples: int) -> str:
    return (
        f"{quantity.name} returned {got}: expected one value a sample, ({samples},), "
        "or a scalar batch mean, or a pair (sum, weight)"
    )


def add_up(value, samples: int) -> tuple[Tensor, Tensor | float]:
    """Return numerator and weight of a value of any form, the numerator in float64."""
    if isinstance(value, tuple):
        numerator, weight = value
        return torch.as_tensor(numerator).double().sum(), torch.as_tensor(weight).double().sum()
    if value.dim() == 0:
        return value.double() * samples, float(samples)
    return value.double().sum(), float(samples)


def measure(quantities: Sequence[Quantity], outputs, targets) -> Tensor:
    """Return the numerators of quantities over a batch, then the weights of those that are paired: float64."""
    numerators, weights = [], []
    for quantity in quantities:
        value = quantity.function(outputs, targets)
        if quantity.paired:
            numerators.append(value[0].double())
            weights.append(value[1].double())
        else:
            numerators.append(value.double().sum())
    return torch.stack(numerators + weights)


def complete(quantities: Sequence[Quantity], measured: Tensor, samples: int) -> Tensor:
    """Return numerators and weights (2q, n) out of what was measured at n points, where a sample has weight one."""
    count = len(quantities)
    whole = measured.new_full((2 * count, measured.shape[1]), float(samples))
    whole[:count] = measured[:count]
    paired = [count + i for i, quantity in enumerate(quantities) if quantity.paired]
    if paired:
        whole[paired] = measured[count:]
    return whole


def without_targets(function: Callable) -> Callable:
    """Return a function of outputs and targets, for one that may take the outputs alone."""
    try:
        inspect.signature(function).bind(None, None)
        return function
    except TypeError:
        return lambda outputs, targets: function(outputs)
    except ValueError:  # it has no signature
        return function


def _valid(targets: Tensor) -> Tensor:
    """Return the share of labels that count, of every sample (N,)."""
    counted = (targets != losses.IGNORED).double()
    return counted.flatten(1).mean(1) if counted.dim() > 1 else counted


def _masked_loss(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return losses.cross_entropy(outputs, targets).double().sum(), _valid(targets).sum()


def _masked_accuracy(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return losses.class_accuracy(outputs, targets).double().sum(), _valid(targets).sum()


SHARE = {"units": "share of samples"}


def make_quantities(
    loss: str | Callable,
    metrics: Mapping[str, Callable] | None = None,
    data: Sequence[Batch] = (),
    *,
    combine: str = "mean",
) -> tuple[Quantity, ...]:
    """Return the quantities that a loss and metrics stand for, the loss first.

    Parameters
    ----------
    loss : str or callable
        A name brings its accuracy along if it is a classification loss.
    metrics : mapping of str to callable, optional
        Further quantities by name.
    data : sequence of (inputs, targets)
        If the targets are None, functions of the outputs alone are accepted. If some class labels are -100, the
        cross-entropy and its accuracy leave them out.
    combine : {"mean", "sum"}
        How values of batches are combined. With their mean, PyTorch's own losses that average over a batch are taken
        apart into one value per sample, which gives the same and lets samples be regrouped.

    Examples
    --------
    >>> [quantity.name for quantity in make_quantities("cross_entropy")]
    ['loss', 'accuracy']
    """
    given = [targets for _, targets in data]

    def adapt(function: Callable) -> Callable:
        if given and given[0] is None:
            return without_targets(function)
        return (combine == "mean" and per_sample(function, given)) or function

    ignored = loss == "cross_entropy" and any(
        isinstance(t, Tensor) and bool((t == losses.IGNORED).any()) for t in given
    )
    if callable(loss):
        found = [Quantity("loss", adapt(loss))]
    elif ignored:
        found = [
            Quantity("loss", _masked_loss, known=True, paired=True),
            Quantity("accuracy", _masked_accuracy, known=True, paired=True, attrs={"units": "share of labels"}),
        ]
    else:
        named = losses.LOSSES[losses.loss_name(loss)]
        found = [Quantity("loss", named.function, known=True)]
        if named.accuracy is not None:
            found.append(Quantity("accuracy", named.accuracy, known=True, attrs=SHARE))
    found += [Quantity(name, adapt(function)) for name, function in check_metrics(metrics).items()]
    return tuple(found)


def check_metrics(metrics: Mapping[str, Callable] | None) -> dict[str, Callable]:
    """Return the metrics as a dict.

    Raises
    ------
    ValueError
        If they are no mapping from names of their own to callables.
    """
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise ValueError(f"metrics: got {type(metrics).__name__}; expected a dict of callables by name")
    for name, function in metrics.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"metrics: name {name!r}; expected an identifier, such as 'top5'")
        if name in RESERVED:
            raise ValueError(f"metrics: {name!r} is a name that surfaces use; choose another")
        if isinstance(function, type) or not callable(function):
            raise ValueError(f"metrics[{name!r}]={function!r}: expected a callable (outputs, targets)")
    return dict(metrics)


def names(found: Sequence[Quantity]) -> list[str]:
    """Return the names of quantities."""
    return [quantity.name for quantity in found]
