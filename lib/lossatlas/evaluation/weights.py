"""The moving tensors at a point: computed in one operation for small networks, tensor by tensor for large ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossatlas import vectors
from lossatlas.evaluation.sweep import Sweep
from lossatlas.vectors import Params

ONE_VECTOR = 2**20  # moving numbers up to which one vector is faster; it costs a copy of the origin and directions


class WeightsInOneVector:
    """All moving tensors side by side in one vector, so that a point costs one operation."""

    def __init__(self, sweep: Sweep, names: Sequence[str]):
        nothing = next(iter(sweep.origin.values())).new_zeros(0)
        self.like = {name: sweep.origin[name] for name in names}
        self.origin = vectors.flatten(self.like) if names else nothing
        steps = ({name: direction[name] for name in names} for direction in sweep.directions)
        flat = [vectors.flatten(step) if names else nothing for step in steps]
        self.steps = torch.stack(flat).to(self.origin.dtype)  # a direction may be given in another precision

    def start(self, shared: Tensor) -> Tensor:
        """Return what points have in common that begin with these coefficients (k,)."""
        return torch.addmv(self.origin, self.steps[: len(shared)].t(), shared)

    def at(self, start: Tensor, last: Tensor) -> Params:
        """Return the moving tensors at a point, given its last coefficient."""
        return self._tensors(torch.addcmul(start, self.steps[-1], last))

    def at_several(self, coefficients: Tensor) -> Params:
        """Return the moving tensors at points (n, d), with a leading dimension n."""
        return self._tensors(torch.addmm(self.origin, coefficients, self.steps))

    def _tensors(self, vector: Tensor) -> Params:
        pieces = vectors.unflatten(vector, self.like)
        return {name: tensor.to(self.like[name].dtype) for name, tensor in pieces.items()}


class WeightsApart:
    """Every moving tensor for itself: nothing is held beside the origin and the directions."""

    def __init__(self, sweep: Sweep, names: Sequence[str]):
        self.origin = {name: sweep.origin[name] for name in names}
        self.directions = [{name: direction[name] for name in names} for direction in sweep.directions]

    def start(self, shared: Tensor) -> Params:
        """Return what points have in common that begin with these coefficients (k,)."""
        found = self.origin
        for coefficient, direction in zip(shared, self.directions, strict=False):
            found = {name: _step(tensor, direction[name], coefficient) for name, tensor in found.items()}
        return found

    def at(self, start: Params, last: Tensor) -> Params:
        """Return the moving tensors at a point, given its last coefficient."""
        return {name: _step(tensor, self.directions[-1][name], last) for name, tensor in start.items()}

    def at_several(self, coefficients: Tensor) -> Params:
        """Return the moving tensors at points (n, d), with a leading dimension n."""
        found = {}
        for name, tensor in self.origin.items():
            steps = torch.stack([direction[name].to(tensor.dtype) for direction in self.directions])
            found[name] = tensor + torch.tensordot(coefficients.to(tensor.dtype), steps, dims=1)
        return found


def _step(tensor: Tensor, direction: Tensor, coefficient: Tensor) -> Tensor:
    return torch.addcmul(tensor, direction.to(tensor.dtype), coefficient.to(tensor.dtype))
