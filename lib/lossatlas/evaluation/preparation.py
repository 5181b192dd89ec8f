"""From the user's model and a subspace to what is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas.directions.subspaces import Subspace
from lossatlas.evaluation import batches, module_state
from lossatlas.evaluation.batch_norm import layers_with_statistics
from lossatlas.evaluation.batches import Batch
from lossatlas.evaluation.metrics import Quantity
from lossatlas.evaluation.plain_loop import PlainLoop, Predicting
from lossatlas.networks import losses
from lossatlas.vectors import Params

LOW_PRECISION = (torch.float16, torch.bfloat16)


def make_loop(
    network: nn.Module,
    plane: Subspace,
    quantities: Sequence[Quantity],
    *,
    predict: Callable | None = None,
    batch_norm: str = "running",
    name: str = "",
) -> PlainLoop:
    """Return what is evaluated at the points of a subspace; the network, a private one, is put at its origin.

    Parameters
    ----------
    network : Module
        A private module in eval mode; see :func:`lossatlas.evaluation.module_state.private`.
    plane : Subspace
        Gives the weights, and the buffers that travel with them.
    quantities : sequence of Quantity
        What is measured, the loss first.
    predict : callable, optional
        ``(model, inputs) -> outputs``.
    batch_norm : str
        Statistics that travel with the subspace are left out if batches give new ones.
    name : str
        What messages call the model.

    Raises
    ------
    ValueError
        If the subspace belongs to another architecture.
    """
    plane = plane.for_model(network)
    own = dict(network.named_parameters())
    for i, direction in enumerate(plane.directions):
        vectors.check_same_shape(own, direction, what=f"plane: direction {i}")
    buffers = dict(network.named_buffers())
    renewed = _statistics(network) if batch_norm != "running" else set()
    travelling = {n: t for n, t in plane.buffers.items() if n in buffers and n not in renewed}
    for buffer, tensor in travelling.items():
        if tensor.shape != buffers[buffer].shape:
            raise ValueError(
                f"plane: buffer {buffer!r} has shape {tuple(tensor.shape)}, not {tuple(buffers[buffer].shape)}"
            )
    module_state.write(network, {**plane.origin, **travelling})
    moving = {n: t for n, t in travelling.items() if plane.buffer_directions and t.is_floating_point()}
    origin: Params = {n: t.detach().to(own[n].dtype) for n, t in plane.origin.items()}
    origin |= {n: t.detach().to(buffers[n].dtype) for n, t in moving.items()}
    directions = []
    for i, direction in enumerate(plane.directions):
        steps = {n: direction[n].detach() for n in plane.origin}
        if moving:
            steps |= {n: plane.buffer_directions[i][n].detach() for n in moving}
        directions.append(steps)
    model = network
    if predict is not None:
        model = Predicting(network, predict).eval()
        origin, *directions = ({f"model.{n}": t for n, t in vector.items()} for vector in (origin, *directions))
    return PlainLoop(
        model,
        origin,
        tuple(directions),
        tuple(quantities),
        recalibrate=batch_norm == "recalibrate",
        name=name or type(network).__name__,
        still={buffer: tensor.detach().clone() for buffer, tensor in model.named_buffers()},
        attributes=module_state.attributes(model),
    )


def _statistics(network: nn.Module) -> set[str]:
    """Return the names of the running statistics of batch normalization."""
    layers = set(map(id, layers_with_statistics(network)))
    return {
        f"{name}.{own}" if name else own
        for name, layer in network.named_modules()
        if id(layer) in layers
        for own, _ in layer.named_buffers(recurse=False)
    }


def common_type(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """Return the type of real numbers of tensors: the one they all have, else the narrowest that holds them all.

    Examples
    --------
    >>> common_type({"a": torch.zeros(1), "b": torch.zeros(1, dtype=torch.bfloat16), "c": torch.zeros(1).long()})
    torch.float32
    """
    kinds = {t.abs().dtype if t.is_complex() else t.dtype for t in tensors.values() if not _whole(t)}
    found = next(iter(kinds), torch.float32)
    for kind in kinds:
        found = torch.promote_types(found, kind)
    return found


def _whole(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex())


def structural_reasons(loop: PlainLoop, is_copy: bool) -> tuple[str, ...]:
    """Return why the weights of a model have to be written in place, as far as it can be seen without a call."""
    found = [] if is_copy else ["the model cannot be copied"]
    if any(isinstance(module, torch.jit.ScriptModule) for module in loop.model.modules()):
        found.append("TorchScript")
    if any(tensor.is_complex() for tensor in loop.origin.values()):
        found.append("complex weights")
    if any(tensor.dtype in LOW_PRECISION for tensor in loop.model.parameters()):
        found.append("weights of low precision")
    elif len({loop.origin[name].dtype for name in loop.moving}) > 1:
        found.append("weights of several types")
    return tuple(found)


def check_named_targets(loss: str | Callable, loop: PlainLoop, given: Sequence[Batch]) -> None:
    """Raise ValueError if a named loss cannot take the targets of a batch.

    The model is called on the first batch, and on every batch of another shape.
    """
    if not isinstance(loss, str):
        return
    device = next(iter(loop.origin.values())).device
    known: tuple[Batch, tuple[int, ...]] | None = None
    for batch in given:
        _, targets = batch
        if not isinstance(targets, Tensor):
            got = "none given" if targets is None else f"got {type(targets).__name__}"
            raise ValueError(f"targets: {got}; {loss} expects one tensor, or give a callable loss of your own")
        if known is None or not (batches.can_be_cut(batch) and batches.same_form(known[0], batch)):
            shape = _outputs_shape(loop, batches.move(batch, device))
            if batches.can_be_cut(batch):
                known = batch, shape
        else:
            shape = known[1]
        losses.check_targets(loss, (len(targets) if targets.dim() else 1, *shape), targets)


def _outputs_shape(loop: PlainLoop, batch: Batch) -> tuple[int, ...]:
    """Return the shape of the outputs for a batch without its first dimension."""
    loop.write([0.0] * len(loop.directions))
    try:
        with loop.gradients():
            try:
                outputs, _ = loop.call(batches.first(batch, 2) if batches.can_be_cut(batch) else batch)
            except Exception:  # some models take whole batches alone
                outputs, _ = loop.call(batch)
    except Exception as error:  # whatever a model raises
        raise loop.refused(batch, error) from error
    return tuple(loop.one_tensor(outputs).shape[1:])
