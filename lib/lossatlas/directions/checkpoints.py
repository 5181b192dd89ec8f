"""Networks as they come in: modules, parameter dicts and state dicts, divided into parameters and buffers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas.directions import checks
from lossatlas.vectors import Params

# Buffers of PyTorch's own modules, by which they are told from parameters if no module is at hand.
BUFFER_NAME = re.compile(
    r"(^|\.)(running_mean|running_var|num_batches_tracked)$|(^|\.)parametrizations\.[^.]+\.\d+\._[uv]$"
)
BESIDE_ORIGINAL = re.compile(r"_(mask|u|v)$")  # of pruning and of spectral_norm, beside NAME_orig
COUNTER = "num_batches_tracked"  # counts batches of the training and has no effect afterwards
EXTRA_STATE = "_extra_state"  # of modules that store what is no tensor


@dataclass(frozen=True)
class Network:
    """One network: its parameters and the buffers that its checkpoint holds. The tensors are not copies.

    ``source`` tells weights from biases: the module itself, or else the parameters.
    """

    parameters: Params
    buffers: Params
    source: nn.Module | Params


def _persistent_buffers(module: nn.Module) -> Params:
    """Return the buffers that a module's state dict holds."""
    stored = module.state_dict(keep_vars=True)
    return {name: tensor.detach() for name, tensor in module.named_buffers() if name in stored}


def _looks_like_buffer(name: str, tensor: Tensor, names: Mapping) -> bool:
    if isinstance(tensor, nn.Parameter):
        return False
    beside = BESIDE_ORIGINAL.search(name)
    if beside and f"{name[: beside.start()]}_orig" in names:
        return True
    return bool(BUFFER_NAME.search(name)) or not checks.movable(tensor)


def _without_model(values: Params, given: Mapping, like: Network | None) -> tuple[Params, Params]:
    """Divide a dict by the names of another network or else by those that PyTorch gives buffers.

    A tensor with two names counts once, under the first.
    """
    parameters: Params = {}
    buffers: Params = {}
    seen = set()
    for name, tensor in values.items():
        expected = like is not None and name in like.parameters
        known = like is not None and name in like.buffers
        if not expected and (known or _looks_like_buffer(name, given[name], values)):
            buffers[name] = tensor
            continue
        place = tensor.data_ptr(), tensor.shape, tensor.stride()
        if expected or tensor.numel() == 0 or place not in seen:
            parameters[name] = tensor
        seen.add(place)
    return parameters, buffers


def _with_model(values: Params, model: nn.Module, what: str) -> tuple[Params, Params]:
    """Divide a dict by the names of a module's parameters and buffers."""
    by_name = dict(model.named_parameters(remove_duplicate=False))
    names_of: dict[int, list[str]] = {}
    for name, parameter in by_name.items():
        names_of.setdefault(id(parameter), []).append(name)
    parameters: Params = {}
    for name, parameter in model.named_parameters():
        given = next((values[other] for other in names_of[id(parameter)] if other in values), None)
        if given is None:
            raise ValueError(f"{what} has no parameter {name!r} (expected shape {tuple(parameter.shape)})")
        parameters[name] = given
    of_model = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    buffers = {name: tensor for name, tensor in values.items() if name in of_model}
    other = next((name for name in values if name not in by_name and name not in of_model), None)
    if other is not None:
        raise ValueError(f"{what} has {other!r}, which is neither a parameter nor a buffer of {type(model).__name__}")
    return parameters, buffers


def read(source: Any, what: str, *, model: nn.Module | None = None, like: Network | None = None) -> Network:
    """Return a network's parameters and buffers, from a module, a parameter dict or a state dict.

    Parameters
    ----------
    source : Module or dict of str to Tensor
        The network.
    what : str
        What messages call it.
    model : Module, optional
        A module of the same architecture, which tells parameters from buffers in a state dict. Without one, buffers
        are told by the names that PyTorch's own modules give them.
    like : Network, optional
        Another network, whose names tell them apart if there is no module.

    Raises
    ------
    ValueError
        If it is neither a module nor a dict of tensors, has no parameters, or has tensors without values.
    """
    if isinstance(source, nn.Module):
        parameters = checks.tensors(dict(source.named_parameters()), what)
        buffers = _persistent_buffers(source)
        return Network(parameters, buffers and checks.tensors(buffers, what), source)
    if not isinstance(source, Mapping):
        got = f"the class {source.__name__}" if isinstance(source, type) else type(source).__name__
        raise ValueError(f"{what}: got {got}, expected a module, a parameter dict or a state dict")
    given = {name: tensor for name, tensor in source.items() if not str(name).endswith(EXTRA_STATE)}
    values = checks.tensors(given, what)
    if model is None:
        parameters, buffers = _without_model(values, given, like)
        if not parameters:
            raise ValueError(f"{what} has no parameters, only buffers")
        return Network(parameters, buffers, parameters)
    parameters, buffers = _with_model(values, model, what)
    return Network(parameters, buffers, model)


def find_module(sources: Sequence, whats: Sequence[str], model: nn.Module | None) -> nn.Module | None:
    """Return ``model``, or else the first module among the sources; it has values. Raises ValueError if it has none."""
    if model is not None and not isinstance(model, nn.Module):
        raise ValueError(f"model: got {type(model).__name__}, expected a module of the same architecture")
    for source, what in ((model, "model"), *zip(sources, whats, strict=True)):
        if isinstance(source, nn.Module):
            read(source, what)
            return source
    return None


def read_all(
    sources: Sequence,
    whats: Sequence[str],
    *,
    model: nn.Module | None = None,
    like: Network | None = None,
    reference: int = 0,
) -> list[Network]:
    """Return several networks of one architecture; a module among them helps to read the others.

    Raises ValueError that names the first difference from ``model``, ``like`` or else ``sources[reference]``.
    """
    helper = find_module(sources, whats, model)
    networks = [read(source, what, model=helper, like=like) for source, what in zip(sources, whats, strict=True)]
    expected = (read(model, "model") if model is not None else like or networks[reference]).parameters
    for network, what in zip(networks, whats, strict=True):
        vectors.check_same_shape(expected, network.parameters, what=what)
        for name, tensor in expected.items():
            if network.parameters[name].is_complex() != tensor.is_complex():
                raise ValueError(f"{what}: {name!r} is {network.parameters[name].dtype}, expected {tensor.dtype}")
    return networks


def travelling_buffers(networks: Sequence[Network], whats: Sequence[str]) -> list[Params]:
    """Return copies of the real-valued buffers of several networks, all with the same names.

    They are empty if all networks are parameter dicts, whose buffers are not known. A parameter dict among modules
    and state dicts has the buffers of the others, which must then be equal and no running statistics.

    Raises
    ------
    ValueError
        If a network lacks a buffer of the others, if shapes differ, if a buffer of whole numbers differs, so that
        nothing lies in between, or if one has NaN in it.
    """
    found: list[Params] = [{} for _ in networks]
    for name in dict.fromkeys(name for network in networks for name in network.buffers):
        if name.endswith(COUNTER):
            continue
        known = [network.buffers[name] for network in networks if name in network.buffers]
        first = known[0]
        constant = all(torch.equal(first.cpu(), tensor.cpu()) for tensor in known[1:])
        for values, network, what in zip(found, networks, whats, strict=True):
            if name not in network.buffers and (network.buffers or not constant or BUFFER_NAME.search(name)):
                raise ValueError(
                    f"{what} has no buffer {name!r}, which another of the networks has: give modules or state dicts"
                )
            own = network.buffers.get(name, first)
            if own.shape != first.shape:
                raise ValueError(f"{what}: buffer {name!r} has shape {tuple(own.shape)}, not {tuple(first.shape)}")
            if not checks.movable(first):
                if not torch.equal(own.cpu(), first.cpu()):
                    raise ValueError(f"{what}: buffer {name!r} ({own.dtype}) differs and cannot be interpolated")
                continue
            if bool(torch.isnan(own).any()):
                raise ValueError(f"{what}: buffer {name!r} has NaN in it")
            values[name] = own.to(first).clone()
    return found


def changes(start: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> Params:
    """Return ``end - start`` name by name, and exactly zero where both are equal (infinities too)."""
    return {
        name: torch.where(tensor == end[name], torch.zeros_like(tensor), end[name] - tensor)
        for name, tensor in start.items()
    }
