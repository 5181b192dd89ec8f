"""Which parameters a direction moves: decided by the module that owns a parameter, not by its number of dimensions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from lossatlas.directions import checks
from lossatlas.vectors import Point

# Modules whose weights (not whose biases) multiply what they are given.
WEIGHTED = (
    nn.Linear,
    nn.modules.conv._ConvNd,
    nn.Bilinear,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
)
WEIGHTED_NAME = re.compile(
    r"(Linear|Bilinear|Conv(Transpose)?\dd|Embedding(Bag)?|(RNN|LSTM|GRU)(Cell)?|MultiheadAttention)"
)
# Modules that scale and shift what they have normalized.
NORMALIZING = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
NORMALIZING_NAME = re.compile(r"(norm|normalization)(act)?(\dd)?$", re.IGNORECASE)
SCALE_OR_SHIFT = re.compile(r"bias|beta|gamma|scale|shift|gain|offset|temperature", re.IGNORECASE)
PARAMETRIZED = re.compile(r"(^|\.)parametrizations\.([^.]+)\.original\d*$")


def owner_of(name: str) -> tuple[str, str]:
    """Return the name of the layer that owns a parameter, and the parameter's own name in it.

    A parametrized weight (``parametrizations.weight.original0``) belongs to the layer whose weight it makes.
    """
    parametrized = PARAMETRIZED.search(name)
    if parametrized:
        return name[: parametrized.start()], parametrized.group(2)
    layer, _, own = name.rpartition(".")
    return layer, own


def _spread(tensor: Tensor) -> int:
    """Return the number of dimensions longer than one."""
    return sum(size > 1 for size in tensor.shape)


def _is_weighted(module: nn.Module | None) -> bool:
    if isinstance(module, torch.jit.ScriptModule):
        return bool(WEIGHTED_NAME.fullmatch(_class_name(module)))
    return isinstance(module, WEIGHTED)


def _is_normalizing(module: nn.Module | None) -> bool:
    return isinstance(module, NORMALIZING) or (
        module is not None and bool(NORMALIZING_NAME.search(_class_name(module)))
    )


def _class_name(module: nn.Module) -> str:
    """Return the name of a module's class, or that of the class that TorchScript has compiled."""
    return str(getattr(module, "original_name", type(module).__name__))


def _is_weight(own: str, tensor: Tensor, module: nn.Module | None) -> bool:
    """Return whether a parameter is a weight, given the module that owns it (None if that is not known)."""
    if not checks.movable(tensor):
        return False
    if _is_normalizing(module):
        return False
    if _is_weighted(module) and "weight" in own:
        return "bias" not in own
    if tensor.dim() < 2 or _is_weighted(module):
        return False
    if _spread(tensor) >= 2 or (module is None and "weight" in own):
        return True
    return tensor.dim() == 2 and not SCALE_OR_SHIFT.search(own)


def weights_in(model: Point) -> list[str]:
    """Return the names of the parameters that directions move unless they are asked to move biases too.

    See :func:`lossatlas.random_plane` for the kinds. Of a parameter dict, whose modules are not known, these are the
    parameters of two dimensions or more, other than scales and shifts that are broadcast.
    """
    if not isinstance(model, nn.Module):
        return [name for name, tensor in model.items() if _is_weight(owner_of(name)[1], tensor, None)]
    modules = dict(model.named_modules())
    found = []
    for name, tensor in model.named_parameters():
        layer, own = owner_of(name)
        if _is_weight(own, tensor, modules.get(layer)):
            found.append(name)
    return found


def weight_layers(model: Point) -> list[str]:
    """Return the names of the layers that hold a weight, in the model's order.

    Parameters
    ----------
    model : Module or dict of str to Tensor
        A network or its parameters.

    Returns
    -------
    list of str
        Names that ``layers=`` of :func:`lossatlas.random_plane` takes.

    Raises
    ------
    ValueError
        If ``model`` is neither a module nor a dict of tensors.

    Examples
    --------
    >>> from torch import nn
    >>> weight_layers(nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)))
    ['0', '2']
    """
    source = model if isinstance(model, nn.Module) else checks.tensors(model, "model")
    return list(dict.fromkeys(owner_of(name)[0] or name for name in weights_in(source)))


def moving_parameters(
    model: Point, origin: Mapping[str, Tensor], layers: Sequence[str] | None, include_biases: bool
) -> set[str]:
    """Return the names of the parameters that a direction moves.

    Parameters
    ----------
    model : Module or dict of str to Tensor
        What tells weights from biases and scales.
    origin : dict of str to Tensor
        Its parameters.
    layers : sequence of str, optional
        Names of layers or parameters; a layer stands for all its parameters, None for all layers.
    include_biases : bool
        Whether biases, normalization scales and other parameters that are no weights move too.

    Raises
    ------
    ValueError
        If the model lacks one of the layers, or if nothing would move.
    """
    wanted = set(origin)
    if layers is not None:
        wanted = set()
        for layer in layers:
            inside = {name for name in origin if name == layer or name.startswith(f"{layer}.")}
            if not inside:
                raise ValueError(f"layers: no layer {layer!r} in this model; it has {weight_layers(model)}")
            wanted |= inside
    movable = {name for name in origin if checks.movable(origin[name])} if include_biases else set(weights_in(model))
    if not wanted & movable:
        raise ValueError(
            f"layers={layers!r} with include_biases={include_biases}: no parameter would move; "
            f"layers with weights are {weight_layers(model)}"
        )
    return wanted & movable


def masked_parameters(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and mask of every pruned parameter: what is masked has no gradient and never moves."""
    for name in parameters:
        mask = buffers.get(f"{name.removesuffix('_orig')}_mask") if name.endswith("_orig") else None
        if mask is not None:
            yield name, mask
