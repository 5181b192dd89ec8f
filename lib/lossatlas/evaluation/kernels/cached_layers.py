"""Layers whose input does not move: their output is affine in the coefficients and is computed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lossatlas.evaluation.strategies import Hooks, Strategy, Transform
from lossatlas.evaluation.sweep import Profile, Sweep
from lossatlas.vectors import Params


class CachedLayer(nn.Module):
    """Takes the place of a layer whose input is the same at every point: output = base + Σ cᵢ·partᵢ.

    Neighbours on a grid share all coefficients but the last. What they share is added once for all of them
    (:meth:`shared`), and a pass adds only the rest. The buffers are placeholders that every pass replaces. Sums are
    in full precision; with ``half`` the output is not, nor, if ``stored``, what a pass reads.
    """

    constant: Tensor
    coefficients: Tensor

    def __init__(self, directions: int, like: Tensor, *, half: torch.dtype | None = None, stored: bool = False):
        super().__init__()
        self.full, self.lower = like.dtype, half or like.dtype
        self.stored = self.lower if stored else self.full
        self.base: Tensor = like
        self.parts: list[Tensor | None] = [None] * directions
        for name in ("constant", "coefficients", *(f"step{i}" for i in range(directions))):
            self.register_buffer(name, like.new_empty(0))

    def keep(self, outputs: Iterator) -> None:
        """Take the layer's output at the origin, and what is added along every direction."""
        self.base, self.parts = self.base.new_empty(0), []  # the old ones make room
        self.base, *self.parts = outputs

    def shared(self, coefficients: Tensor) -> dict[str, Tensor]:
        """Return what a pass needs beside its own coefficients, given the first (k,) coefficients."""
        constant = self.base
        for part, coefficient in zip(self.parts, coefficients, strict=False):
            if part is not None:
                constant = torch.addcmul(constant, part, coefficient)
        steps = {f"step{i}": p for i, p in enumerate(self.parts) if i >= len(coefficients) and p is not None}
        return {name: tensor.to(self.stored) for name, tensor in {"constant": constant, **steps}.items()}

    def forward(self, *_) -> Tensor:
        """Return the layer's output at the coefficients that this pass was given."""
        output = constant = self.constant.to(self.full)
        first = len(self.parts) - len(self.coefficients)
        for i in range(first, len(self.parts)):
            if self.parts[i] is not None:
                output = torch.addcmul(output, getattr(self, f"step{i}").to(self.full), self.coefficients[i - first])
        return output.to(self.lower, copy=output is constant)


class CachedLayersHooks(Hooks):
    """Computes the outputs of the cached layers, once for a chunk of data."""

    def __init__(self, cached: dict[str, CachedLayer], sweep: Sweep, *, images_last: bool):
        self.cached, self.sweep, self.images_last = cached, sweep, images_last
        self.reads = self.replaces = tuple(cached)

    def prepare(self, layer_inputs: Mapping[str, Tensor]) -> None:
        """Compute each layer's output at the origin and along every direction."""
        for name, cached in self.cached.items():
            outputs = affine_parts(self.sweep, name, layer_inputs[name])
            cached.keep(map(channels_last, outputs) if self.images_last else outputs)

    def shared(self, coefficients: Tensor) -> Params:
        """Return the part of every layer's output that these points have in common."""
        return {f"{n}.{key}": t for n, cached in self.cached.items() for key, t in cached.shared(coefficients).items()}

    def own(self, coefficients: Tensor, shared: int) -> Params:
        """Return the coefficients that are not shared, for every layer."""
        return {f"{name}.coefficients": coefficients[:, shared:] for name in self.cached}


def affine_parts(sweep: Sweep, name: str, inputs: Tensor) -> Iterator:
    """Yield a layer's output at the origin, and what is added along each direction (None if nothing is)."""
    layer = sweep.model.get_submodule(name)
    own = [n.removeprefix(f"{name}.") for n in sweep.origin if n.startswith(f"{name}.")]

    def output(point: Params) -> Tensor:
        return functional_call(layer, {n: point[f"{name}.{n}"] for n in own}, (inputs,))

    yield output(sweep.origin)
    for direction in sweep.directions:
        yield output(direction) if any(bool(direction[f"{name}.{n}"].any()) for n in own) else None


def channels_last(found: Tensor | None) -> Tensor | None:
    """Return images with their channels last in memory, which inputs of one channel do not bring along."""
    if found is None or found.dim() != 4:
        return found
    return found.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class CachedLayers(Transform):
    """Compute ``W(α)x = Wx + α·Δx`` by one product a direction for the whole grid, if the input x does not move."""

    name = "cached"
    words = "standing layers cached"

    def applies(self, sweep: Sweep, profile: Profile, inputs, targets: Tensor) -> bool:
        """Return whether any layer has such an input."""
        return bool(profile.fixed_inputs)

    def apply(self, model: nn.Module, sweep: Sweep, profile: Profile, strategy: Strategy) -> Hooks:
        """Put a :class:`CachedLayer` in the place of each of these layers."""
        like = next(iter(sweep.origin.values()))
        pooled = {pooling.layer for pooling in profile.pooled} if strategy.has("pooled") else set()
        cached = {
            name: CachedLayer(len(sweep.directions), like, half=sweep.half, stored=strategy.has("compiled"))
            for name in profile.fixed_inputs
            if name not in pooled
        }
        for name, layer in cached.items():
            model.set_submodule(name, layer)
        return CachedLayersHooks(cached, sweep, images_last=strategy.has("channels_last"))
