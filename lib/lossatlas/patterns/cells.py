"""The loss of many cells of a picture and its gradient, with three vectors in memory whatever their number.

Every cell is a network of its own, ``θᵢ = o + s·(αᵢ·r + βᵢ·u)``. Its gradient gᵢ is added to three sums as soon as it
is known: by the chain rule, ``∂/∂o = Σ gᵢ``, ``∂/∂r = s·Σ αᵢ·gᵢ`` and ``∂/∂u = s·Σ βᵢ·gᵢ``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from lossatlas import vectors
from lossatlas.patterns.geometry import Coordinates, made_orthogonal
from lossatlas.vectors import Params

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Networks:
    """Evaluate the mean loss of a batch, and its gradient, at many points of weight space.

    Parameters
    ----------
    model
        A private copy in training mode.
    template
        Its parameters: names, shapes and order.
    loss
        ``loss(outputs, targets)``, one value a sample.
    together
        Points of one pass; 1 takes them one after another.
    """

    model: nn.Module
    template: Params
    loss: Loss
    together: int = 1

    def mean(self, point: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss at one point (P,)."""
        outputs = functional_call(self.model, vectors.unflatten(point, self.template), (inputs,))
        return self.loss(outputs, targets).mean()

    def gradients(self, points: Tensor, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses (k,) and gradients (k, P) at points (k, P)."""
        function = grad_and_value(self.mean)
        if len(points) == 1:
            gradient, loss = function(points[0], inputs, targets)
            return loss[None], gradient[None]
        gradients, losses = vmap(function, in_dims=(0, None, None), randomness="different")(points, inputs, targets)
        return losses, gradients


def accumulate(
    networks: Networks,
    where: Coordinates,
    places: Tensor,
    weigh: Callable[[Tensor, Tensor], Tensor],
    batch: tuple[Tensor, Tensor],
) -> tuple[list[Tensor], Tensor]:
    """Return the gradient of a sum over cells by the four parts of the coordinates, and the loss of every cell.

    Parameters
    ----------
    networks, where, batch
        What is evaluated, where, and on which samples.
    places
        (α, β) of the cells, (n, 2).
    weigh
        ``weigh(numbers, losses)`` returns the derivatives of the objective by the losses of cells.

    Returns
    -------
    gradients : list of Tensor
        For origin, right, raised and scale.
    losses : Tensor
        (n,).
    """
    raised, right = where.raised.clone().requires_grad_(), where.right.clone().requires_grad_()
    up = made_orthogonal(raised, right)
    sums = torch.zeros(3, len(where.origin), dtype=where.origin.dtype, device=where.origin.device)
    found = []
    for numbers in torch.arange(len(places)).split(networks.together):
        points = torch.stack([where.at(places[n], up.detach()) for n in numbers])
        losses, gradients = networks.gradients(points, *batch)
        factors = weigh(numbers, losses).to(gradients)
        coefficients = torch.cat([torch.ones(len(numbers), 1).to(gradients), places[numbers].to(gradients)], dim=1)
        sums += (factors[:, None] * coefficients).T @ gradients
        found.append(losses)
    by_origin, along, across = sums
    by_scale = along @ where.right + across @ up.detach()
    by_right, by_raised = torch.autograd.grad(up, [right, raised], where.scale * across)
    return [by_origin, where.scale * along + by_right, by_raised, by_scale], torch.cat(found)
