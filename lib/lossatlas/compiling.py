"""Compiling one pass of a network, where the machine has a compiler."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable

import torch
from torch.fx.experimental.proxy_tensor import make_fx


def compiler_found(device: torch.device) -> bool:
    """Whether passes can be compiled here: a C++ compiler for the CPU; CUDA brings its own."""
    return device.type != "cpu" or any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++")))


def compile_pass(one_pass: Callable, arguments: tuple) -> Callable:
    """A function of tensors (and dicts of them), fused and compiled for arguments of these shapes.

    The function is traced first, so that what is compiled depends on no Python object, and code that branches
    on values refuses to be traced. Raises RuntimeError where it cannot be traced or compiled.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # "No CUDA runtime is found"
    try:
        program = torch.compile(make_fx(one_pass)(*arguments), dynamic=False)
        program(*arguments)
    except Exception as error:  # tracing and compiling fail with many types, all of which mean the same here
        raise RuntimeError(f"cannot be compiled: {error}") from error
    return program
