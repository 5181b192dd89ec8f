"""The plane that is learned: an origin and two orthogonal directions of equal length, times a scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas.vectors import Params

CENTRE = 0.5  # of the scales of normalization layers, which start between 0 and 1


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Hold what is optimized, as vectors (P,): ``θ(α, β) = origin + scale·(α·right + β·up)``.

    Parameters
    ----------
    origin, right, raised
        ``up`` is the part of ``raised`` that is orthogonal to ``right``, in the length of ``right``.
    scale
        One number, ().
    """

    origin: Tensor
    right: Tensor
    raised: Tensor
    scale: Tensor

    @property
    def tensors(self) -> list[Tensor]:
        """All four."""
        return [self.origin, self.right, self.raised, self.scale]

    @property
    def up(self) -> Tensor:
        """The direction of β (eq. 2 of Skorokhodov and Burtsev 2019)."""
        return made_orthogonal(self.raised, self.right)

    def at(self, place: Tensor, up: Tensor) -> Tensor:
        """Return θ(α, β), (P,), at a place (2,), without a graph; ``up`` is passed since all cells share it."""
        alpha, beta = place.tolist()
        with torch.no_grad():
            return self.origin + self.scale * (alpha * self.right + beta * up)


def made_orthogonal(vector: Tensor, to: Tensor) -> Tensor:
    """Return the part of a vector that is orthogonal to another one, in the length of that other one.

    Examples
    --------
    >>> made_orthogonal(torch.tensor([1.0, 1.0]), to=torch.tensor([2.0, 0.0]))
    tensor([0., 2.])
    """
    rest = vector - (vector @ to) / (to @ to) * to
    return rest * (to.norm() / rest.norm())


def initial(model: nn.Module, *, scale: float, centre_scales: bool, generator: torch.Generator) -> Coordinates:
    """Return where a fit starts: an origin and two directions, each initialized as a network of its own.

    Weights are drawn as Glorot and Bengio (2010) propose, biases are zero, and the scales of normalization layers are
    uniform between 0 and 1. With ``centre_scales``, those of the directions are uniform between −1/2 and 1/2.
    """
    scales = {
        f"{prefix}.weight" if prefix else "weight"
        for prefix, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm)
    }
    template = vectors.parameters_of(model)

    def draw(*, centred: bool) -> Tensor:
        found: Params = {}
        for name, tensor in template.items():
            value = torch.zeros(tensor.shape)
            if name in scales:
                value.uniform_(0, 1, generator=generator)
                value -= CENTRE if centred else 0
            elif tensor.dim() >= 2:
                nn.init.xavier_uniform_(value, generator=generator)
            found[name] = value.to(tensor)
        return vectors.flatten(found)

    origin, right, raised = draw(centred=False), draw(centred=centre_scales), draw(centred=centre_scales)
    return Coordinates(origin, right, raised, torch.tensor(scale, dtype=origin.dtype, device=origin.device))
