"""What the engine evaluates: one network at many points of weight space."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lossatlas import vectors
from lossatlas.evaluation.batches import count
from lossatlas.evaluation.metrics import Quantity
from lossatlas.evaluation.pooling import Pooling, poolings
from lossatlas.vectors import Params

AFFINE_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Sweep:
    """A network whose tensors move: ``model`` at ``origin + Σ cᵢ·directionᵢ``, measured by ``quantities``.

    Parameters
    ----------
    model : Module
        A private copy in eval mode whose parameters need no gradient.
    origin : dict of tensors
        Values by name. A name may be that of a parameter or of a buffer.
    directions : tuple of dicts of tensors
        The same names and shapes as ``origin``.
    quantities : tuple of Quantity
        What is added up over the samples, the loss first.
    half : dtype, optional
        The lower precision that products are computed in (``torch.autocast``).
    """

    model: nn.Module
    origin: Params
    directions: tuple[Params, ...]
    quantities: tuple[Quantity, ...]
    half: torch.dtype | None = None

    def cast(self, dtype: torch.dtype) -> Sweep:
        """Return the same sweep with all real numbers in another type. Changes the model, which is private."""
        origin, *directions = (vectors.combine(lambda t: t.to(dtype), v) for v in (self.origin, *self.directions))
        return replace(self, model=self.model.to(dtype), origin=origin, directions=tuple(directions))

    @property
    def moving(self) -> list[str]:
        """Names of the tensors that differ between points."""
        return [name for name in self.origin if any(bool(d[name].any()) for d in self.directions)]


def sharing_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a module that shares its tensors, so that it takes no memory."""
    return copy.deepcopy(model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())})


@dataclass(frozen=True)
class Profile:
    """What one small pass showed of a network.

    Parameters
    ----------
    activations : int
        Numbers that the layers put out for one sample.
    fixed_inputs : tuple of str
        Layers that are called once, on one tensor that is the same at every point, and whose output is an affine
        function of their moving weights.
    pooled : tuple of Pooling
        Those of them whose output only a pooling uses.
    """

    activations: int = 1
    fixed_inputs: tuple[str, ...] = ()
    pooled: tuple[Pooling, ...] = ()


def profile(sweep: Sweep, inputs) -> Profile:
    """Return what a pass of a few samples shows of a network.

    Autograd marks what depends on moving tensors: an input that needs no gradient is the same at every point. If the
    network cannot be marked in this way, no layer counts as one with a fixed input.
    """
    try:
        seen = _observed(sweep, inputs, marking=True)
    except Exception:  # what fails depends on the model, and nothing needs the marks
        return replace(_observed(sweep, inputs, marking=False), fixed_inputs=())
    images = [name for name in seen.fixed_inputs if isinstance(sweep.model.get_submodule(name), nn.Conv2d)]
    try:
        return replace(seen, pooled=poolings(sweep.model, images, inputs)) if images else seen
    except Exception:  # nothing needs these either
        return seen


def _observed(sweep: Sweep, inputs, *, marking: bool) -> Profile:
    """Return what hooks see in one pass."""
    moving, parameters = sweep.moving if marking else [], dict(sweep.model.named_parameters())
    marked = {name: sweep.origin[name].detach().requires_grad_() for name in moving if name in parameters}
    owners = {name.rpartition(".")[0] for name in moving if name not in parameters}  # of buffers
    mixed = tuple(f"{name}." if name else "" for name in owners if any(sweep.model.get_submodule(name).children()))
    layers = {
        name: layer
        for name, layer in sweep.model.named_modules()
        if name and not any(layer.children()) and any(True for _ in layer.parameters())
    }
    affine = {name: _is_affine(name, layer, moving) and not name.startswith(mixed) for name, layer in layers.items()}
    calls: dict[str, list[bool]] = {name: [] for name in layers}
    numel = 0

    def watch(name: str) -> Callable:
        def hook(module: nn.Module, args: tuple, output) -> None:
            nonlocal numel
            one_fixed_tensor = len(args) == 1 and isinstance(args[0], Tensor) and not args[0].requires_grad
            numel += output.numel() if isinstance(output, Tensor) else 0
            calls[name].append(affine[name] and one_fixed_tensor and isinstance(output, Tensor))

        return hook

    with ExitStack() as stack, torch.set_grad_enabled(marking):
        for name, layer in layers.items():
            stack.enter_context(_hooked(layer, watch(name)))
        for owner in owners:
            stack.enter_context(_hooked(sweep.model.get_submodule(owner), _mark))
        functional_call(sweep.model, marked, (inputs,))
    fixed = tuple(
        name
        for name, layer in layers.items()
        if calls[name] == [True]
        and all(
            f"{name}.{own}" in sweep.origin and f"{name}.{own}" in parameters for own, _ in layer.named_parameters()
        )
    )
    return Profile(max(1, numel // count(inputs)), fixed)


def _is_affine(name: str, layer: nn.Module, moving: Sequence[str]) -> bool:
    """Whether a layer's output is an affine function of those of its tensors that move."""
    own = [other.removeprefix(f"{name}.") for other in moving if other.startswith(f"{name}.")]
    simple = type(layer) in AFFINE_LAYERS and not layer._forward_pre_hooks and not layer._forward_hooks
    return not own or (simple and set(own) <= {parameter for parameter, _ in layer.named_parameters()})


def _mark(module: nn.Module, args: tuple, output):
    """Mark the output of a module whose buffers move: autograd does not follow running statistics."""
    return output + torch.zeros((), requires_grad=True) if isinstance(output, Tensor) else output


@contextmanager
def _hooked(module: nn.Module, hook: Callable) -> Iterator[None]:
    """Hold a forward hook inside a block."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
