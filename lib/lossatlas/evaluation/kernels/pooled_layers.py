"""Convolutions with a fixed input and the pooling after them: computed for several points while a block is cached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.evaluation.kernels.cached_layers import affine_parts
from lossatlas.evaluation.pooling import Pooling
from lossatlas.evaluation.strategies import Hooks, Strategy, Transform
from lossatlas.evaluation.sweep import Profile, Sweep
from lossatlas.vectors import Params

BLOCK_FLOATS = 2**17  # outputs of the convolution in one block (0.5 MB in single precision), which stays in the cache
WORTH_SECONDS = 10.0  # what a sweep must be expected to take, because large passes are tried

_library = torch.library.Library("lossatlas", "FRAGMENT")
_library.define("spread(Tensor pooled, int[] window, int[] size, bool rectified) -> Tensor")


@torch.library.impl(_library, "spread", "CPU")
def _spread(pooled: Tensor, window: list[int], size: list[int], rectified: bool) -> Tensor:
    """Return images of a size (height, width) whose windows hold their maxima (N, C, h, w) in every place."""
    images = pooled.repeat_interleave(window[0], -2).repeat_interleave(window[1], -1)
    return F.pad(images, (0, size[1] - images.shape[-1], 0, size[0] - images.shape[-2]))


@torch.library.register_fake("lossatlas::spread", lib=_library)
def _spread_shape(pooled: Tensor, window: list[int], size: list[int], rectified: bool) -> Tensor:
    return pooled.new_empty((*pooled.shape[:-2], *size))


def by_place(images: Tensor, window: tuple[int, int]) -> Tensor:
    """Return images (N, C, H, W) sorted by the place in a window: (places, N, C, h, w)."""
    (height, width), (a, b) = (tuple(images.shape[-2:]), window)
    whole = images[..., : height // a * a, : width // b * b]
    cut = whole.reshape(*images.shape[:2], height // a, a, width // b, b)
    return cut.permute(3, 5, 0, 1, 2, 4).flatten(0, 1).contiguous()


def write_maxima(constant: Tensor, step: Tensor, coefficients: Tensor, rectified: bool, out: Tensor) -> None:
    """Write the maxima over the first dimension of ``constant + c·step`` to `out` (n, ...), one for each coefficient.

    If `rectified`, negative ones become 0.
    """
    outputs = torch.empty_like(constant)
    for coefficient, own in zip(coefficients, out, strict=True):
        torch.addcmul(constant, step, coefficient, out=outputs)
        torch.amax(outputs, 0, out=own)
        if rectified:
            own.relu_()


class PooledLayer(nn.Module):
    """Takes the place of a convolution whose outputs base + Σ cᵢ·partᵢ are pooled.

    It gives images that have the same maxima in all windows. A traced pass reads the maxima themselves.
    """

    pooled: Tensor

    def __init__(self, pooling: Pooling, like: Tensor, *, half: torch.dtype | None = None):
        super().__init__()
        self.window, self.rectified = pooling.window, pooling.rectified
        self.lower = half or like.dtype
        self.base, self.parts, self.size = like, [like], (0, 0)  # set by keep
        self.maxima = like.new_empty(0)
        self.register_buffer("pooled", like.new_empty(0))

    def keep(self, outputs: Iterator) -> None:
        """Take the layer's output (N, C, H, W) at the origin, and what is added along every direction."""
        self.base, self.parts = self.base.new_empty(0), []  # the old ones make room
        base = next(outputs)
        self.size = base.shape[-2], base.shape[-1]
        self.base = by_place(base, self.window)
        del base
        self.parts = [torch.zeros_like(self.base) if p is None else by_place(p, self.window) for p in outputs]

    def at(self, coefficients: Tensor, shared: int) -> Tensor:
        """Return the maxima at points (n, d) whose first coefficients are the same: (n, N, C, h, w).

        The next call overwrites them.
        """
        block = max(1, BLOCK_FLOATS // max(1, self.base[:, 0].numel()))
        blocks = zip(self.base.split(block, 1), *(part.split(block, 1) for part in self.parts), strict=True)
        shape = (len(coefficients), *self.base.shape[1:])
        if self.maxima.shape[0] < shape[0] or self.maxima.shape[1:] != shape[1:]:
            self.maxima = self.base.new_empty(0)  # makes room
            self.maxima = self.base.new_empty(shape)  # new memory is slow: used again at the next points
        found = self.maxima[: len(coefficients)]
        for (constant, *steps), own in zip(blocks, found.split(block, 1), strict=True):
            for step, coefficient in zip(steps[:shared], coefficients[0], strict=False):
                constant = torch.addcmul(constant, step, coefficient)
            write_maxima(constant, steps[-1], coefficients[:, -1], self.rectified, own)
        return found.to(self.lower)

    def forward(self, *_) -> Tensor:
        """Return images with the maxima that this pass was given."""
        return torch.ops.lossatlas.spread(self.pooled, self.window, self.size, self.rectified)


class PooledLayersHooks(Hooks):
    """Computes the maxima, for all points that come next."""

    def __init__(self, layers: dict[str, PooledLayer], sweep: Sweep):
        self.layers, self.sweep = layers, sweep
        self.reads = self.replaces = tuple(layers)

    def prepare(self, layer_inputs: Mapping[str, Tensor]) -> None:
        """Compute each layer's output at the origin and along every direction."""
        for name, pooled in self.layers.items():
            pooled.keep(affine_parts(self.sweep, name, layer_inputs[name]))

    def own(self, coefficients: Tensor, shared: int) -> Params:
        """Return the maxima of every layer at each of these points."""
        return {f"{name}.pooled": layer.at(coefficients, shared) for name, layer in self.layers.items()}


@dataclass(frozen=True)
class PooledLayers(Transform):
    """Compute convolutions with a fixed input together with the pooling after them, block by block of samples."""

    name = "pooled"
    words = "standing layers pooled"
    batches = False
    larger_too = True
    ahead = True
    needs = ("traced",)

    def applies(self, sweep: Sweep, profile: Profile, inputs, targets: Tensor) -> bool:
        """Return whether the output of such a layer is pooled on a CPU."""
        return bool(profile.pooled) and targets.device.type == "cpu"

    def worth_seconds(self, sweep: Sweep) -> float:
        """Return what a sweep must take for it to be worth its time."""
        return WORTH_SECONDS

    def apply(self, model: nn.Module, sweep: Sweep, profile: Profile, strategy: Strategy) -> Hooks:
        """Put a :class:`PooledLayer` in the place of each of these layers."""
        like = next(iter(sweep.origin.values()))
        layers = {pooling.layer: PooledLayer(pooling, like, half=sweep.half) for pooling in profile.pooled}
        for name, layer in layers.items():
            model.set_submodule(name, layer)
        return PooledLayersHooks(layers, sweep)
