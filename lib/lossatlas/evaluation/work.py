"""The work of an evaluation: what any chunk of points needs, and the samples in blocks if they can be regrouped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from lossatlas.evaluation import batches, preparation
from lossatlas.evaluation.batch_norm import check_batches, use_batch_statistics
from lossatlas.evaluation.batches import Batch, map_tensors, samples_in
from lossatlas.evaluation.plain_loop import PlainLoop
from lossatlas.evaluation.probing import examine
from lossatlas.evaluation.random_state import RandomState
from lossatlas.evaluation.sweep import Sweep

GRADIENT_SAMPLES = 512  # in one batch, if gradients are computed and samples may be regrouped


@dataclass(frozen=True)
class Part:
    """Name some points, and the blocks of data that are added up there: all by default."""

    points: slice | Tensor
    blocks: slice = field(default_factory=lambda: slice(None))


@dataclass(frozen=True)
class Work:
    """Hold everything that any chunk of points needs.

    Attributes
    ----------
    sweep
        The model, the directions and the quantities.
    blocks
        The data in blocks, or in batches as given if `batch_norm` is not "running".
    batch_norm
        The statistics that normalization layers use.
    memory
        How many bytes a pass may allocate, if that is bounded.
    plain
        The plain loop, if it evaluates everything in place of any other strategy.
    statistics
        Batches that running statistics are estimated from; those of `blocks` by default.
    levels
        The blocks that each level of samples has beside those of lower levels.
    """

    sweep: Sweep
    blocks: Sequence[Batch]
    batch_norm: str = "running"
    memory: int | None = None
    plain: PlainLoop | None = None
    statistics: Sequence[Batch] | None = None
    levels: tuple[slice, ...] = (slice(None),)

    @property
    def estimated_from(self) -> Sequence[Batch] | None:
        """The batches that running statistics are estimated from, unless they are the data."""
        return self.plain.statistics if self.plain is not None else self.statistics

    @property
    def can_be_divided(self) -> bool:
        """Whether every quantity is a sum over samples, which can be evaluated in parts."""
        return self.plain is None and self.batch_norm == "running"

    @property
    def samples(self) -> int:
        """The number of samples of all the data."""
        return sum(map(samples_in, self.blocks))

    @property
    def names(self) -> list[str]:
        """The names of the quantities, the loss first."""
        if self.plain is not None:
            return self.plain.names
        return [quantity.name for quantity in self.sweep.quantities]

    def on(self, device: torch.device) -> Work:
        """Return the work with the network and its directions on a device. Blocks of data move one at a time, later."""
        origin, *directions = (
            {name: tensor.to(device) for name, tensor in vector.items()}
            for vector in (self.sweep.origin, *self.sweep.directions)
        )
        model = self.sweep.model.to(device)
        plain = self.plain and self.plain.on(device)
        sweep = replace(self.sweep, model=model, origin=origin, directions=tuple(directions))
        return replace(self, plain=plain, sweep=sweep)

    def copied(self) -> Work:
        """Return the same work with newly allocated tensors. This changes the model, which is a private copy.

        Tensors from another process can begin at any byte, and their alignment changes the last bits of matrix
        products.
        """
        for tensor in (*self.sweep.model.parameters(), *self.sweep.model.buffers()):
            tensor.data = tensor.data.clone()
        origin, *directions = map_tensors(Tensor.clone, [self.sweep.origin, *self.sweep.directions])
        sweep = replace(self.sweep, origin=origin, directions=tuple(directions))
        plain = self.plain and replace(self.plain, origin=origin, directions=tuple(directions))
        blocks, statistics = map_tensors(Tensor.clone, [list(self.blocks), self.statistics])
        return replace(self, sweep=sweep, plain=plain, blocks=blocks, statistics=statistics)

    def holding(self, blocks: slice) -> Work:
        """Return the work with some of the blocks of data."""
        return replace(self, blocks=self.blocks[blocks])


def prepared(
    loop: PlainLoop,
    given: list[Batch],
    tried: np.ndarray,
    batch_norm: str,
    memory: int | None,
    random: RandomState,
    loss: str | Callable,
) -> Work:
    """Return the work, with the samples in blocks if they can be regrouped, else for the plain loop."""
    if batch_norm == "batch":
        use_batch_statistics(loop.model)
        kept = dict(loop.model.named_buffers())
        loop = replace(loop, still={name: tensor for name, tensor in loop.still.items() if name in kept})
    preparation.check_named_targets(loss, loop, given)
    loop = examine(loop, given, [[0.0] * len(tried), tried.tolist()], random, whole=batch_norm != "running")
    if batch_norm != "running":
        check_batches(loop, loop.statistics or given)
    sweep = Sweep(loop.model, loop.origin, loop.directions, loop.quantities, loop.half)
    if loop.regrouped:
        given = list(batches.blocks(_consumed(given), GRADIENT_SAMPLES))
    if loop.reasons:
        return Work(sweep, given, batch_norm, memory, plain=loop)
    if batch_norm == "running":
        given = list(batches.blocks(_consumed(given)))
    return Work(sweep, given, batch_norm, memory, statistics=loop.statistics)


def _consumed(given: list[Batch]) -> Iterator[Batch]:
    """Yield batches and let go of them."""
    given.reverse()
    while given:
        yield given.pop()
