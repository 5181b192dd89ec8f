"""How many points of weight space are evaluated: the sizes of a pass, and what is done to make it fast.

A strategy is a few sizes and a tuple of transforms. To add a transform, write one file in ``kernels`` with a
subclass of :class:`Transform`, name it in ``kernels.TRANSFORMS``, and add a test that it agrees with the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from lossatlas.evaluation.sweep import Profile, Sweep
from lossatlas.vectors import Params

AHEAD = 8  # points of a loop for which transforms prepare together


class Hooks:
    """What a transform does while one runner works. Every method does nothing unless a transform overrides it.

    Attributes
    ----------
    reads : tuple of str
        Layers whose input tensor :meth:`prepare` needs.
    replaces : tuple of str
        Layers whose tensors a pass no longer reads.
    """

    reads: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()

    def arrange(self, inputs):
        """Return the inputs of a chunk of data, laid out differently."""
        return inputs

    def prepare(self, layer_inputs: Mapping[str, Tensor]) -> None:
        """Compute what is the same at every point, once for a chunk of data.

        ``layer_inputs`` holds the input tensor of every layer in :attr:`reads`.
        """

    def shared(self, coefficients: Tensor) -> Params:
        """Return tensors by their name in the model, for all points that begin with these coefficients (k,)."""
        return {}

    def own(self, coefficients: Tensor, shared: int) -> Params:
        """Return tensors by their name in the model for points (n, d), with a leading dimension n.

        The points have their first ``shared`` coefficients in common. The tensors are valid until the next call.
        """
        return {}

    def build(self, one_pass: Callable, arguments: tuple) -> Callable | None:
        """Return a faster program for whole passes with arguments of these shapes, or None."""
        return None


class Transform:
    """One thing that can be done differently in every pass, with values that are equal up to rounding.

    Subclasses are frozen dataclasses without fields, so that two of one class are equal.

    Attributes
    ----------
    name : str
        What resume files record.
    words : str
        What ``attrs["strategy"]`` says.
    batches : bool
        Whether the transform works with several points in one pass (``torch.func.vmap``).
    whole_passes : bool
        Whether it acts on passes of full size only, so that it must be tried on one of them.
    measurable : bool
        Whether the memory of a pass can be measured with it, or only without.
    smallest_too : bool
        Whether the smallest pass is worth trying with it.
    larger_too : bool
        Whether a large pass, divided between all threads, is worth trying with it.
    ahead : bool
        Whether it prepares several points at once, so that its time at a single one would mislead.
    needs : tuple of str
        Names of the transforms without which it does not help.
    """

    name: ClassVar[str]
    words: ClassVar[str]
    batches: ClassVar[bool] = True
    whole_passes: ClassVar[bool] = False
    measurable: ClassVar[bool] = True
    smallest_too: ClassVar[bool] = False
    larger_too: ClassVar[bool] = False
    ahead: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()

    def applies(self, sweep: Sweep, profile: Profile, inputs, targets: Tensor) -> bool:
        """Return whether it can help this network with such inputs on the device of ``targets``."""
        raise NotImplementedError

    def worth_seconds(self, sweep: Sweep) -> float:
        """Return how many seconds a sweep must take before its preparation is worth it: 0 if it takes none."""
        return 0.0

    def apply(self, model: nn.Module, sweep: Sweep, profile: Profile, strategy: Strategy) -> Hooks:
        """Change a copy of the model, and return what remains to be done in every pass."""
        raise NotImplementedError


@dataclass(frozen=True)
class Strategy:
    """How to evaluate.

    Parameters
    ----------
    samples, points : int
        How many samples and points of weight space go through one pass.
    threads : int
        How many threads, of one core each, divide the samples of a pass between them.
    transforms : tuple of Transform
        What is done differently, in the order in which it is applied.

    Examples
    --------
    >>> from lossatlas.evaluation.kernels.channels_last import ChannelsLast
    >>> print(Strategy(128, transforms=(ChannelsLast(),)))
    loop, 128 samples a pass, channels last
    >>> print(Strategy(64, points=5, threads=2))
    batched, 5 points a pass, 64 samples a pass, 2 threads
    """

    samples: int
    points: int = 1
    threads: int = 1
    transforms: tuple[Transform, ...] = ()

    @property
    def group(self) -> int:
        """Return how many points are prepared together."""
        return max(self.points, AHEAD) if any(transform.ahead for transform in self.transforms) else self.points

    def __str__(self) -> str:
        """Return the words of ``attrs["strategy"]``."""
        kind = "loop" if self.points == 1 else f"batched, {self.points} points a pass"
        words = [kind, f"{self.samples} samples a pass", *(transform.words for transform in self.transforms)]
        return ", ".join([*words, f"{self.threads} threads"] if self.threads > 1 else words)

    def has(self, name: str) -> bool:
        """Return whether a transform of this name is applied."""
        return any(transform.name == name for transform in self.transforms)

    def record(self) -> dict:
        """Return the strategy as plain values for JSON."""
        names = [transform.name for transform in self.transforms]
        return {"samples": self.samples, "points": self.points, "threads": self.threads, "transforms": names}

    @classmethod
    def from_record(cls, record: Mapping, known: Sequence[Transform]) -> Strategy:
        """Return the strategy that :meth:`record` described. Raises KeyError for a transform that is not known."""
        by_name = {transform.name: transform for transform in known}
        sizes = {name: int(record[name]) for name in ("samples", "points", "threads")}
        return cls(**sizes, transforms=tuple(by_name[name] for name in record["transforms"]))
