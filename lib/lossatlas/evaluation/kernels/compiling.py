"""Tracing one pass of a network, and compiling it where the machine has a compiler."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable

import torch
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from lossatlas.evaluation.kernels.dense import take_whole


def compiler_found(device: torch.device) -> bool:
    """Whether passes can be compiled here: a C++ compiler for the CPU; CUDA brings its own."""
    return device.type != "cpu" or any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++")))


def trace_pass(one_pass: Callable, arguments: tuple) -> GraphModule:
    """The operations of a function of tensors (and dicts of them), for arguments of these shapes.

    What is traced depends on no Python object, and code that branches on values refuses to be traced.
    Raises RuntimeError where it cannot be traced.
    """
    try:
        return make_fx(one_pass)(*arguments)
    except Exception as error:  # tracing fails with many types, all of which mean the same here
        raise RuntimeError(f"cannot be traced: {error}") from error


def compile_pass(traced: GraphModule, arguments: tuple) -> Callable:
    """A traced function, fused and compiled. Raises RuntimeError where it cannot be compiled."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # "No CUDA runtime is found"
    try:
        program = torch.compile(take_whole(traced), dynamic=False)
        program(*arguments)
    except Exception as error:  # as above
        raise RuntimeError(f"cannot be compiled: {error}") from error
    return program
