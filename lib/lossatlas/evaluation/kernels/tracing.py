"""One pass of a network as a list of operations, called one after the other without Python's modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from lossatlas.evaluation.kernels.fusing import fuse
from lossatlas.evaluation.strategies import Hooks, Strategy, Transform
from lossatlas.evaluation.sweep import Profile, Sweep

WORTH_SECONDS = 1.0  # what a sweep must be expected to take


def trace_pass(one_pass: Callable, arguments: tuple) -> GraphModule:
    """Return the operations of a function of tensors (and dicts of them), for arguments of these shapes.

    What is traced depends on no Python object, and code that branches on values refuses to be traced.
    Raises RuntimeError if it cannot be traced.
    """
    try:
        return make_fx(one_pass)(*arguments)
    except Exception as error:  # tracing fails with many types, all of which mean the same here
        raise RuntimeError(f"cannot be traced: {error}") from error


class TracedHooks(Hooks):
    """Traces whole passes."""

    def build(self, one_pass: Callable, arguments: tuple) -> Callable:
        """Return the operations of a pass, fused. Raises RuntimeError if it cannot be traced."""
        return fuse(trace_pass(one_pass, arguments))


@dataclass(frozen=True)
class Traced(Transform):
    """Trace one pass, and let convolutions and dense layers do what follows them."""

    name = "traced"
    words = "traced"
    whole_passes = True

    def applies(self, sweep: Sweep, profile: Profile, inputs, targets: Tensor) -> bool:
        """Return True: any pass may be tried."""
        return True

    def worth_seconds(self, sweep: Sweep) -> float:
        """Return what a sweep must take for tracing to be worth its time."""
        return WORTH_SECONDS

    def apply(self, model: nn.Module, sweep: Sweep, profile: Profile, strategy: Strategy) -> Hooks:
        """Return what traces the passes; the model stays as it is."""
        return TracedHooks()
