"""Arithmetic on parameter dicts.

A point of weight space is a dict ``{name: tensor}`` with the names of ``model.named_parameters()``;
a direction is a dict of the same names and shapes. Nothing here changes its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

Params = dict[str, Tensor]
Point = nn.Module | Mapping[str, Tensor]


def parameters_of(source: nn.Module | Mapping[str, Tensor]) -> Params:
    """A detached copy of a model's parameters (or of a parameter dict), on their own device."""
    named = source.named_parameters() if isinstance(source, nn.Module) else source.items()
    return {name: tensor.detach().clone() for name, tensor in named}


def check_same_shape(reference: Mapping[str, Tensor], other: Mapping[str, Tensor], *, what: str) -> None:
    """Raise ValueError naming the first parameter in which ``other`` differs from ``reference``."""
    for name, tensor in reference.items():
        if name not in other:
            raise ValueError(f"{what} has no parameter {name!r} (expected shape {tuple(tensor.shape)})")
        if other[name].shape != tensor.shape:
            raise ValueError(
                f"{what} differs at parameter {name!r}: "
                f"shape {tuple(other[name].shape)}, expected {tuple(tensor.shape)}"
            )
    extra = next((name for name in other if name not in reference), None)
    if extra is not None:
        raise ValueError(f"{what} has a parameter {extra!r} that is not expected")


def combine(function: Callable[..., Tensor], *vectors: Mapping[str, Tensor]) -> Params:
    """Apply ``function`` name by name: ``{name: function(v1[name], v2[name], …)}``."""
    return {name: function(*(vector[name] for vector in vectors)) for name in vectors[0]}


def subtract(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Params:
    """a − b."""
    return combine(torch.sub, a, b)


def scale(factor: float, a: Mapping[str, Tensor]) -> Params:
    """factor · a."""
    return combine(lambda tensor: factor * tensor, a)


def axpy(factor: float, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Params:
    """factor · a + b."""
    return combine(lambda x, y: factor * x + y, a, b)


def add_scaled(a: Mapping[str, Tensor], others: Sequence[Mapping[str, Tensor]], factors: Sequence[float]) -> Params:
    """Return ``a + Σ factorᵢ·otherᵢ``, each tensor in the dtype that it has in ``a``; whole numbers stay.

    Sums of less than 32 bits are computed in float32 and rounded once.
    """
    result = {}
    for name, tensor in a.items():
        total = tensor.clone()
        if tensor.is_floating_point() or tensor.is_complex():
            total = total.to(torch.promote_types(tensor.dtype, torch.float32))
            for factor, other in zip(factors, others, strict=True):
                total = total + factor * other[name].to(total.dtype)
        result[name] = total.to(tensor.dtype)
    return result


def zeros_like(a: Mapping[str, Tensor]) -> Params:
    """The zero vector with the names, shapes and types of ``a``."""
    return combine(torch.zeros_like, a)


def dot(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Euclidean inner product over all parameters, accumulated in float64."""
    return sum(float(torch.dot(a[name].flatten().double(), b[name].flatten().double())) for name in a)


def norm(a: Mapping[str, Tensor]) -> float:
    """Euclidean norm over all parameters, accumulated in float64."""
    return dot(a, a) ** 0.5


def cosine(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Cosine of the angle between two vectors; NaN where one of them is zero."""
    product = norm(a) * norm(b)
    return dot(a, b) / product if product > 0 else float("nan")


def flatten(a: Mapping[str, Tensor]) -> Tensor:
    """All parameters in one vector of shape (P,), in the dict's order."""
    return torch.cat([tensor.flatten() for tensor in a.values()])


def unflatten(vector: Tensor, like: Mapping[str, Tensor]) -> Params:
    """The inverse of :func:`flatten`; a leading dimension of ``vector`` (K, P) is kept in each tensor."""
    pieces = torch.split(vector, [tensor.numel() for tensor in like.values()], dim=-1)
    return {
        name: piece.reshape(*vector.shape[:-1], *tensor.shape)
        for (name, tensor), piece in zip(like.items(), pieces, strict=True)
    }


def filter_norms(tensor: Tensor) -> Tensor:
    """Euclidean norm of each slice along dimension 0, shaped to broadcast against ``tensor``.

    A slice is a filter of a convolution, a row of a dense or recurrent weight, a token's row of an
    embedding. A tensor of fewer than two dimensions (a bias, a normalization scale) is one slice.
    """
    if tensor.dim() < 2:
        return tensor.norm()
    return tensor.flatten(1).norm(dim=1).reshape(-1, *[1] * (tensor.dim() - 1))
