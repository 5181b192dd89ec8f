"""Permutations of hidden units: they change the weights of a network and not its function."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from lossatlas import vectors
from lossatlas._checks import one_of, whole_number
from lossatlas.connectivity.channels import Channels, channels_of, traced
from lossatlas.connectivity.matching import Order, match_activations, match_weights, placed, reordered
from lossatlas.directions import checks
from lossatlas.evaluation import batches, module_state

METHODS = ("weights", "activations")


def align(a: nn.Module, b: nn.Module, data: Any = None, *, method: str = "weights", seed: int = 0) -> nn.Module:
    """Return a copy of network ``b`` with its hidden units and channels in the order that suits ``a`` best.

    The copy computes what ``b`` computes, up to rounding. Units that a shortcut adds to each other are permuted
    together, and running statistics with their channels.

    Parameters
    ----------
    a, b : Module
        Two networks of one architecture, of dense and convolutional layers, batch normalization (or layer
        normalization over the last axis), pooling, flatten, shortcuts, concatenation and activations.
    data : batch or iterable of batches, optional
        What activations are compared on; the targets are not used.
    method : {"weights", "activations"}
        ``"weights"`` minimizes the Euclidean distance between the parameters, one layer at a time until none can be
        improved: a local optimum. ``"activations"`` maximizes the correlations of what layers with weights take and
        give.
    seed : int
        Of the order in which ``"weights"`` visits the layers.

    Returns
    -------
    Module
        Of the class of ``b``, in its mode.

    Raises
    ------
    ValueError
        If the networks differ in architecture, or naming a layer or operation for which permutations are not known.

    References
    ----------
    Ainsworth, Hayase and Srinivasa 2023, "Git Re-Basin: Merging Models modulo Permutation Symmetries", sections 3.1
    and 3.2, algorithm 1; Li et al. 2015, "Convergent Learning: Do different neural networks learn the same
    representations?", for the correlation of activations.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> aligned = align(network, permute(network, seed=1))
    >>> torch.equal(aligned[0].weight, network[0].weight)
    True
    """
    one_of(method, "method", METHODS)
    seed = whole_number(seed, "seed", least=0)
    for module, what in ((a, "model a"), (b, "model b")):
        _check(module, what)
    vectors.check_same_shape(dict(a.named_parameters()), dict(b.named_parameters()), what="model b")
    channels = channels_of(b, "model b")
    if _steps(a, "model a") != _steps(b, "model b"):
        raise ValueError("model b computes something else than model a: expected two networks of one architecture")
    if (data is None) != (method == "weights"):
        given = "None" if data is None else type(data).__name__
        raise ValueError(f"data: {given} given, expected {'none' if data is not None else 'batches'} for {method!r}")
    if method == "weights":
        return _in_order(b, channels, match_weights(channels, _weights(a), _weights(b), seed))
    held = list(batches.read(data))
    with module_state.private(a) as (one, _), module_state.private(b) as (other, _):
        return _in_order(b, channels, match_activations(channels, one, other, held))


def permute(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """Return a copy of a network with all its hidden units and channels in a random order.

    Parameters
    ----------
    model : Module
        A network as :func:`align` takes it.
    seed : int
        Decides the order.

    Returns
    -------
    Module
        It computes the same as ``model``, up to rounding.

    Raises
    ------
    ValueError
        Naming a layer or operation for which permutations are not known.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 1))
    >>> other, inputs = permute(network, seed=1), torch.randn(5, 2)
    >>> torch.allclose(other(inputs), network(inputs), atol=1e-6), torch.equal(other[0].bias, network[0].bias)
    (True, False)
    """
    seed = whole_number(seed, "seed", least=0)
    _check(model, "model")
    channels = channels_of(model, "model")
    generator = np.random.default_rng(seed)
    order = channels.unchanged
    for group in channels.groups:
        order = placed(order, group, generator.permutation(len(group)))
    return _in_order(model, channels, order)


def _check(model: Any, what: str) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"{what}: got {type(model).__name__}, expected a torch.nn.Module")
    checks.check_finite(checks.tensors(dict(model.named_parameters()), what), what)


def _weights(model: nn.Module) -> vectors.Params:
    return vectors.copy_of(dict(model.named_parameters()))


def _steps(model: nn.Module, what: str) -> list[tuple[str, str, str]]:
    """Return the operations of a network in their order, with what they are given but the weights."""
    graph = traced(model, what)
    modules = {name: repr(module) for name, module in graph.named_modules()}
    return [(modules.get(str(node.target), ""), str(node.target), str(node.args)) for node in graph.graph.nodes]


def _in_order(model: nn.Module, channels: Channels, order: Order) -> nn.Module:
    """Return a copy of a network with its units in an order."""
    copy_of_it = module_state.own_copy(model)
    values = module_state.tensors_of(copy_of_it)
    with torch.no_grad():
        module_state.write(copy_of_it, reordered(values, channels, order))
    return copy_of_it
