"""What was chosen for a network, a kind of data and a machine, for later evaluations in the same process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from lossatlas.evaluation.batches import map_tensors
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.sweep import Sweep

MOST = 256  # kinds of evaluations that are remembered


@dataclass(frozen=True)
class Choice:
    """Hold what is known of one kind of evaluation.

    Attributes
    ----------
    seconds : float
        How long all evaluations of this kind together would have taken with the plain loop, until one was searched for.
    strategy : Strategy, optional
        What a search found; none if all evaluations so far were too short for one.
    rate : float
        Its seconds for one sample at one point.
    """

    seconds: float
    strategy: Strategy | None = None
    rate: float = 0.0


def kind(sweep: Sweep, inputs, targets: Tensor, points: Tensor) -> Hashable:
    """Return what two evaluations have in common if the same strategy suits both.

    Networks are told apart by their modules' descriptions and the shapes of their tensors, not by their weights. The
    number of points counts by its power of two.
    """
    data: list[Hashable] = []

    def note(tensor: Tensor) -> Tensor:
        data.append((tensor.shape[1:], tensor.dtype))
        return tensor

    map_tensors(note, [inputs, targets])
    return (
        type(sweep.model),
        repr(sweep.model),
        tuple((name, tensor.shape, tensor.dtype) for name, tensor in sweep.origin.items()),
        tuple(sweep.moving),
        tuple(quantity.name for quantity in sweep.quantities),
        sweep.half,
        tuple(data),
        len(targets),
        len(points).bit_length(),
        points.shape[1],
        points.dtype,
        points.device,
        torch.get_num_threads(),
    )


class Choices:
    """Hold the choices for the kinds of evaluations that were seen last."""

    def __init__(self) -> None:
        self.found: OrderedDict[Hashable, Choice] = OrderedDict()

    def get(self, kind: Hashable) -> Choice:
        """Return what is known of a kind."""
        return self.found.get(kind, Choice(0.0))

    def put(self, kind: Hashable, choice: Choice) -> None:
        """Remember a choice, and forget the oldest if there are too many."""
        self.found[kind] = choice
        self.found.move_to_end(kind)
        while len(self.found) > MOST:
            self.found.popitem(last=False)
