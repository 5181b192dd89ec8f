"""One traced pass of a network, compiled if the machine has a compiler."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from lossatlas.evaluation.kernels.dense import take_whole
from lossatlas.evaluation.kernels.fusing import take_maxima
from lossatlas.evaluation.kernels.tracing import trace_pass
from lossatlas.evaluation.strategies import Hooks, Strategy, Transform
from lossatlas.evaluation.sweep import Profile, Sweep

WORTH_SECONDS = 30.0, 3.0  # what a sweep must be expected to take, and how much more for every layer


def compiler_found(device: torch.device) -> bool:
    """Return whether passes can be compiled: the CPU needs a C++ compiler, and CUDA brings its own."""
    return device.type != "cpu" or any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++")))


def compile_pass(traced: GraphModule, arguments: tuple) -> Callable:
    """Return a traced function, fused and compiled. Raises RuntimeError if it cannot be compiled."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # "No CUDA runtime is found"
    try:
        program = torch.compile(take_whole(traced), dynamic=False)
        program(*arguments)
    except Exception as error:  # compiling fails with many types, as tracing does
        raise RuntimeError(f"cannot be compiled: {error}") from error
    return program


class CompiledHooks(Hooks):
    """Compiles whole passes."""

    def build(self, one_pass: Callable, arguments: tuple) -> Callable:
        """Return a pass, traced and compiled. Raises RuntimeError if it cannot be."""
        return compile_pass(take_maxima(trace_pass(one_pass, arguments)), arguments)


@dataclass(frozen=True)
class Compiled(Transform):
    """Trace one pass and compile it."""

    name = "compiled"
    words = "compiled"
    whole_passes = True
    measurable = False
    smallest_too = True  # fused, a pass of images may stay in the cache

    def applies(self, sweep: Sweep, profile: Profile, inputs, targets: Tensor) -> bool:
        """Return whether the machine has a compiler."""
        return compiler_found(targets.device)

    def worth_seconds(self, sweep: Sweep) -> float:
        """Return what a sweep must take for compiling its layers to be worth the time."""
        return WORTH_SECONDS[0] + WORTH_SECONDS[1] * sum(not any(m.children()) for m in sweep.model.modules())

    def apply(self, model: nn.Module, sweep: Sweep, profile: Profile, strategy: Strategy) -> Hooks:
        """Return what compiles the passes; the model stays as it is."""
        return CompiledHooks()
