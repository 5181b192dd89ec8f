"""What a fit is given: a model, of which it takes a copy, and data."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.func import replace_all_batch_norm_modules_

from lossatlas import vectors
from lossatlas.evaluation import module_state
from lossatlas.patterns.cells import Networks
from lossatlas.patterns.pictures import EVERY
from lossatlas.vectors import Params


def private_networks(model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], place: torch.device) -> Networks:
    """Return networks that share the architecture of a model, with a copy that nobody else uses."""
    private = module_state.own_copy(model)
    private = private.to(place).train().requires_grad_(False)
    replace_all_batch_norm_modules_(private)  # statistics of the batch, without running averages
    template: Params = vectors.parameters_of(private)
    if len({(tensor.dtype, tensor.is_floating_point()) for tensor in template.values()}) != 1:
        raise ValueError("model: expected parameters that are all real numbers of one dtype")
    return Networks(private, template, loss)


def training_data(data, loss: str | Callable | None) -> tuple[Tensor, Tensor, str | Callable]:
    """Return inputs, targets and the loss of a dataset or of a pair of tensors."""
    pair = getattr(data, "train", data)
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(part, Tensor) for part in pair):
        raise ValueError(f"data={data!r:.80}: expected a lossatlas.Dataset or a pair of tensors (inputs, targets)")
    if len(pair[0]) != len(pair[1]) or not len(pair[0]):
        raise ValueError(f"data: {len(pair[0])} inputs for {len(pair[1])} targets; expected as many, and at least one")
    inputs, targets = pair
    return inputs, targets, getattr(data, "loss", "cross_entropy") if loss is None else loss


def samples_of(targets: Tensor, labels: Iterable[int]) -> list[Tensor | None]:
    """Return the numbers of the samples of each label; None stands for all samples.

    Raises
    ------
    ValueError
        If a label has no samples.

    Examples
    --------
    >>> samples_of(torch.tensor([1, 0, 1]), [1])
    [tensor([0, 2])]
    """
    found: list[Tensor | None] = []
    for label in labels:
        if label == EVERY:
            found.append(None)
            continue
        among = targets.dim() == 1 and not targets.is_floating_point()
        members = torch.nonzero(targets == label)[:, 0] if among else targets.new_empty(0)
        if not len(members):
            raise ValueError(f"picture: has one for label {label!r}, expected labels that samples of the data have")
        found.append(members)
    return found
