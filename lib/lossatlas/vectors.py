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


def parameters_of(source: Point) -> Params:
    """Return a detached copy of a model's parameters (or of a parameter dict), on their own device.

    Raises ValueError for anything but a module or a dict of tensors.

    Examples
    --------
    >>> parameters_of(nn.Linear(2, 1)).keys()
    dict_keys(['weight', 'bias'])
    """
    if not isinstance(source, nn.Module | Mapping):
        raise ValueError(f"model: got {type(source).__name__}, expected a module or a dict of tensors")
    return copy_of(dict(source.named_parameters()) if isinstance(source, nn.Module) else source)


def copy_of(a: Mapping[str, Tensor]) -> Params:
    """Return a detached copy.

    Examples
    --------
    >>> copy_of({"w": torch.ones(2, requires_grad=True)})
    {'w': tensor([1., 1.])}
    """
    return {name: tensor.detach().clone() for name, tensor in a.items()}


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
    """Apply ``function`` name by name: ``{name: function(v1[name], v2[name], …)}``.

    Examples
    --------
    >>> combine(torch.maximum, {"w": torch.tensor([1, 5])}, {"w": torch.tensor([3, 2])})
    {'w': tensor([3, 5])}
    """
    return {name: function(*(vector[name] for vector in vectors)) for name in vectors[0]}


def subtract(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Params:
    """Return a − b.

    Examples
    --------
    >>> subtract({"w": torch.tensor([3.0])}, {"w": torch.tensor([1.0])})
    {'w': tensor([2.])}
    """
    return combine(torch.sub, a, b)


def difference(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Params:
    """Return a − b in double precision, on the device of a.

    Examples
    --------
    >>> difference({"w": torch.tensor([3.0])}, {"w": torch.tensor([1.0])})
    {'w': tensor([2.], dtype=torch.float64)}
    """
    return combine(lambda x, y: _wide(x) - _wide(y).to(x.device), a, b)


def scale(factor: float, a: Mapping[str, Tensor]) -> Params:
    """Return factor · a.

    Examples
    --------
    >>> scale(2, {"w": torch.tensor([3.0])})
    {'w': tensor([6.])}
    """
    return combine(lambda tensor: factor * tensor, a)


def axpy(factor: float, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Params:
    """Return factor · a + b.

    Examples
    --------
    >>> axpy(2, {"w": torch.tensor([3.0])}, {"w": torch.tensor([1.0])})
    {'w': tensor([7.])}
    """
    return combine(lambda x, y: factor * x + y, a, b)


def add_scaled(a: Mapping[str, Tensor], others: Sequence[Mapping[str, Tensor]], factors: Sequence[float]) -> Params:
    """Return ``a + Σ factorᵢ·otherᵢ``, each tensor in the dtype that it has in ``a``; whole numbers stay.

    Sums of less than 32 bits are computed in float32 and rounded once.

    Examples
    --------
    >>> add_scaled({"w": torch.ones(2)}, [{"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([0.0, 1.0])}], [2, 3])
    {'w': tensor([3., 4.])}
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
    """Return the zero vector with the names, shapes and types of ``a``.

    Examples
    --------
    >>> zeros_like({"w": torch.ones(2)})
    {'w': tensor([0., 0.])}
    """
    return combine(torch.zeros_like, a)


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


def dot(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Return the inner product over all parameters, accumulated in float64; its real part if they are complex.

    Examples
    --------
    >>> dot({"w": torch.tensor([3.0, 1j])}, {"w": torch.tensor([2.0, 1j])})
    7.0
    """
    total = 0.0
    for name in a:
        x, y = _wide(a[name]).flatten(), _wide(b[name]).flatten()
        if x.is_complex() or y.is_complex():
            total += float(torch.vdot(x.to(torch.complex128), y.to(torch.complex128)).real)
        else:
            total += float(torch.dot(x, y))
    return total


def norm(a: Mapping[str, Tensor]) -> float:
    """Return the Euclidean norm over all parameters, accumulated in float64.

    Examples
    --------
    >>> norm({"w": torch.tensor([3.0]), "b": torch.tensor([4.0])})
    5.0
    """
    return dot(a, a) ** 0.5


def cosine(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Return the cosine of the angle between two vectors; NaN if one of them is zero.

    Examples
    --------
    >>> cosine({"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([0.0, 2.0])})
    0.0
    """
    product = norm(a) * norm(b)
    return dot(a, b) / product if product > 0 else float("nan")


def _as_real(tensor: Tensor) -> Tensor:
    return (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).flatten()


def flatten(a: Mapping[str, Tensor]) -> Tensor:
    """Return all parameters as one vector of real numbers (P,), in the dict's order; a complex number counts twice.

    Examples
    --------
    >>> flatten({"w": torch.ones(1, 2), "b": torch.tensor([2 + 3j])})
    tensor([1., 1., 2., 3.])
    """
    return torch.cat([_as_real(tensor) for tensor in a.values()])


def unflatten(vector: Tensor, like: Mapping[str, Tensor]) -> Params:
    """Return the inverse of :func:`flatten`; a leading dimension of ``vector`` (K, P) is kept in each tensor.

    Examples
    --------
    >>> unflatten(torch.arange(3.0), {"w": torch.ones(1, 2), "b": torch.ones(1)})
    {'w': tensor([[0., 1.]]), 'b': tensor([2.])}
    """
    sizes = [tensor.numel() * (1 + tensor.is_complex()) for tensor in like.values()]
    pieces = torch.split(vector, sizes, dim=-1)
    found = {}
    for (name, tensor), piece in zip(like.items(), pieces, strict=True):
        shape = (*vector.shape[:-1], *tensor.shape)
        found[name] = torch.view_as_complex(piece.reshape(*shape, 2)) if tensor.is_complex() else piece.reshape(shape)
    return found


def filter_norms(tensor: Tensor) -> Tensor:
    """Return the Euclidean norm of each slice along dimension 0, shaped to broadcast against ``tensor``.

    A slice is a filter of a convolution, a row of a dense or recurrent weight, a token's row of an
    embedding. A tensor of fewer than two dimensions (a bias, a normalization scale) is one slice.

    Examples
    --------
    >>> filter_norms(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[5.],
            [2.]])
    """
    if tensor.dim() < 2:
        return tensor.norm()
    return tensor.flatten(1).norm(dim=1).reshape(-1, *[1] * (tensor.dim() - 1))
