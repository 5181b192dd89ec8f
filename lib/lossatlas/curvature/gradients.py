"""The gradient of a mean loss where a Hessian is taken."""

from __future__ import annotations

import torch
from torch import Tensor

from lossatlas import vectors
from lossatlas.curvature.hessian import LossHessian


def gradient(hessian: LossHessian) -> Tensor:
    """Return the gradient (n,) of the mean loss in the coordinates of the Hessian, in float64."""
    weights = list(hessian.like.values())
    total = torch.zeros(sum(w.numel() for w in weights), dtype=torch.float64, device=hessian.device)
    with torch.enable_grad(), hessian.numerators.same_random_numbers():
        for batch in hessian.held:
            value = hessian.numerators.parts(batch)[0]
            parts = torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)
            total += torch.cat([part.detach().flatten() for part in parts]).double() / hessian.weight
    return total if hessian.scaling is None else total * hessian.scaling


def moving_filters(hessian: LossHessian) -> int:
    """Return how many filters move in the coordinates of filters. Raises ValueError if none does."""
    weights = [tensor.detach() for tensor in hessian.like.values() if tensor.dim() >= 2]
    number = sum(int((vectors.filter_norms(tensor) > 0).sum()) for tensor in weights)
    if not number:
        raise ValueError("model: no weight of two or more dimensions differs from zero, so that nothing can move")
    return number
