"""Whether samples may be evaluated in any order and in batches of any size: decided once, before anything is timed.

Tried on a few samples at two points: the same values twice, for permuted samples, for samples cut in another way, and
for weights that are handed over with the call instead of written in. Whatever fails has a name, and the plain loop
over the batches as given evaluates it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from lossatlas.evaluation import batches, module_state
from lossatlas.evaluation.batches import Batch, samples_in
from lossatlas.evaluation.metrics import BATCH, PAIR, SAMPLES, form_of
from lossatlas.evaluation.plain_loop import PlainLoop
from lossatlas.evaluation.random_state import RandomState

FEW = 32  # samples that are tried
TOLERANCE = 1e-5  # relative: what rounding may do to the loss of a sample in another batch; beyond that, …
EXACT = 1e-9  # … double precision tells whether it is rounding

# What calls of models raise if they cannot take the inputs.
CANNOT_TAKE = (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError, AssertionError)


def examine(
    loop: PlainLoop,
    given: Sequence[Batch],
    points: Sequence[Sequence[float]],
    random: RandomState,
    *,
    whole: bool = False,
) -> PlainLoop:
    """Return the loop with what it needs, and with the reasons for which nothing but it can be used.

    Parameters
    ----------
    loop : PlainLoop
        What is to be evaluated, on the CPU or a device.
    given : sequence of (inputs, targets)
        All batches, as the user gave them.
    points : sequence of coefficients
        Where it is tried, θ* first.
    random : RandomState
        The state of the generators that every trial begins with.
    whole : bool
        Whether batches stay whole in any case, so that samples may depend on them.

    Raises
    ------
    ValueError
        If the model cannot take the inputs, or if a loss or metric cannot take the outputs.
    """
    loop = replace(loop, random=random)  # as long as it is tried
    sample, reasons = few(given)
    reasons = [*loop.reasons, *reasons]
    device = next(iter(loop.origin.values())).device
    sample = [batches.move(batch, device) for batch in sample]
    loop, sample, needs_whole = _called(loop, given, sample, device)
    if needs_whole:
        reasons.append("the model needs whole batches")
    forms = set()
    loop.write(points[0])
    for quantity, value in zip(loop.quantities, checked_values(loop, sample[0]), strict=True):
        form = form_of(quantity, value, samples_in(sample[0]))
        if quantity.known or form == SAMPLES:
            continue
        forms.add(f"{quantity.name} is {'one value a batch' if form == BATCH else 'a sum and a weight'}")
    reasons += sorted(forms)
    still, random_numbers, found = _effects(loop, sample[0], points)
    reasons += found
    if loop.input_gradients:
        reasons.append("gradients by the inputs")
    loop = replace(loop, still=still)
    if not reasons and not whole and samples_in(sample[0]) * len(sample) > 1:
        reasons += _independence(loop, sample, points)
    if not reasons and (found_reason := _handed_over(loop, sample[0], points[-1])):
        reasons.append(found_reason)
    if loop.gradient_norm:
        loop = replace(loop, regrouped=not reasons and not whole)
        reasons.append("gradients by the weights")
    return replace(loop, random=random if random_numbers else None, reasons=tuple(dict.fromkeys(reasons)))


def checked_values(loop: PlainLoop, batch: Batch) -> list:
    """Return the values of the quantities. Raise ValueError that names what could not be called."""
    with loop.gradients():
        try:
            outputs, targets = loop.call(batch)
        except CANNOT_TAKE as error:
            raise loop.refused(batch, error) from error
        if any(quantity.known for quantity in loop.quantities):
            loop.one_tensor(outputs)
        values = []
        for quantity in loop.quantities:
            try:
                values.append(quantity(outputs, targets))
            except (RuntimeError, ValueError) as error:
                if quantity.known or str(error).startswith(quantity.name):
                    raise
                raise ValueError(f"{quantity.name} raised {type(error).__name__}: {error}") from error
        return values


def few(given: Sequence[Batch]) -> tuple[list[Batch], list[str]]:
    """Return a few samples, in the user's cuts as far as they go, and whether all batches can be cut and joined."""
    reasons = []
    if not all(map(batches.can_be_cut, given)):
        no_targets = any(targets is None for _, targets in given)
        reasons.append("no targets" if no_targets else "batches that cannot be cut")
    elif not all(batches.same_form(given[0], other) for other in given[1:]):
        reasons.append("batches of unequal shape")
    if reasons:
        return [given[0]], reasons
    sample, left = [], FEW
    for batch in given:
        sample.append(batches.first(batch, left))
        left -= samples_in(sample[-1])
        if left <= 0:
            break
    return sample, []


def _called(loop: PlainLoop, given, sample: list[Batch], device) -> tuple[PlainLoop, list[Batch], bool]:
    """Call the model once; find out whether it needs gradients by the inputs, or batches of the size they have."""
    whole = [batches.move(given[0], device)]
    loop.write([0.0] * len(loop.directions))
    errors = []
    for gradients in (False, True):
        for these in [sample] if samples_in(sample[0]) == samples_in(whole[0]) else [sample, whole]:
            trial = replace(loop, input_gradients=gradients)
            try:
                trial.values(these[0])
                return trial, these, these is whole
            except CANNOT_TAKE as error:
                errors.append(error)
    checked_values(loop, sample[0])
    raise errors[0]  # it did not fail again


def _effects(loop: PlainLoop, batch: Batch, points) -> tuple[dict[str, Tensor], bool, list[str]]:
    """Return what a pass changes in the model, whether it draws random numbers, and what these are called."""
    reasons = []
    loop.write(points[-1])
    buffers = {name: (tensor, tensor.detach().clone()) for name, tensor in loop.model.named_buffers()}
    moving = set(loop.moving)

    def written(name: str) -> Tensor:
        return loop.moved(name, points[-1]) if name in moving else loop.origin[name]

    first = loop.values(batch)
    drawn = loop.random is not None and loop.random.changed()
    after = module_state.tensors_of(loop.model)
    still = {}
    for name, (tensor, value) in buffers.items():
        value = written(name) if name in loop.origin else value
        if name not in after or after[name] is not tensor or not _equal(tensor, value):
            _put_back(loop.model, name, tensor)
            still[name] = loop.origin.get(name, loop.still.get(name, value))
    for name, parameter in loop.model.named_parameters():
        if not _equal(parameter.detach(), written(name)):
            still[name] = loop.origin[name]
    module_state.write(loop.model, still)
    loop = replace(loop, still=still)
    loop.write(points[-1])
    again = loop.values(batch)
    if drawn:
        reasons.append("random numbers, the same at every point")
    if still:
        reasons.append("a forward pass changes the model")
    if not all(map(near, flat(first), flat(again))):
        reasons.append("values that differ between equal calls")
    return still, drawn, reasons


def _put_back(model, name: str, tensor: Tensor) -> None:
    path, _, last = name.rpartition(".")
    module = model.get_submodule(path)
    store = module._parameters if last in module._parameters else module._buffers
    store[last] = tensor


def flat(values: Sequence) -> list[Tensor]:
    """Return the numbers of values in their three forms, as float64 on the CPU."""
    return [
        _double(torch.as_tensor(part).detach())
        for value in values
        for part in (value if isinstance(value, tuple) else (value,))
    ]


def _double(tensor: Tensor) -> Tensor:
    return (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).double().cpu()


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))


def near(one: Tensor, other: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Return whether numbers agree, relative to each other or to their mean size; NaN agrees with NaN."""
    scale = float(other.nan_to_num(0, 0, 0).abs().mean()) if other.numel() else 0.0
    return one.shape == other.shape and torch.allclose(
        one, other, rtol=tolerance, atol=tolerance * scale, equal_nan=True
    )


class _Reading(TorchDispatchMode):
    """Notices whether Python code reads the value of a tensor, as `if outputs.sum() > 0` does."""

    found = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.found = self.found or func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def _reads_values(loop: PlainLoop, batch: Batch) -> bool:
    """Return whether a model or a loss reads values: what it then does may differ between batches, unseen here."""
    with loop.gradients(), _Reading() as reading:
        outputs, targets = loop.call(batch)
        for quantity in loop.quantities:
            quantity(outputs, targets)
    return reading.found


def _independence(loop: PlainLoop, sample: list[Batch], points) -> list[str]:
    """Return nothing if the value of a sample does not depend on the samples beside it, else what it is called."""
    loop.write(points[0])
    if _reads_values(loop, sample[0]):
        return ["values are read in a forward pass"]
    if all(_cuts_agree(loop, sample, point, TOLERANCE) for point in points):
        return []
    if next(iter(loop.origin.values())).dtype != torch.float64:
        try:  # rounding errors grow in deep networks; in double precision nothing of them is left
            network = module_state.copied(loop.model)
            if network is None:
                return ["samples depend on their batch"]
            network = network.to(torch.float64)
            double = replace(loop, model=network, attributes=module_state.attributes(network))
            doubled = [batches.cast(batch, torch.float64) for batch in sample]
            if all(_cuts_agree(double, doubled, point, EXACT) for point in points):
                return []
        except Exception:  # not every model can be had in double precision
            pass
    return ["samples depend on their batch"]


def _cuts_agree(loop: PlainLoop, sample: list[Batch], point, tolerance: float) -> bool:
    """Return whether permuted samples, and samples cut in other places, have the same values as the batches given."""
    loop.write(point)
    joined = batches.join(sample)
    count = samples_in(joined)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    turned = torch.argsort(order)
    device = joined[1].device
    permuted = batches.take(joined, order.to(device))
    third = math.ceil(count / 3)
    cut = [batches.take(joined, slice(0, third)), batches.take(joined, slice(third, None))]
    ways = [(sample, None), ([joined], None), ([permuted], turned)]
    if count > 1:
        ways.append((cut, None))
    found = []
    for parts, back in ways:
        try:
            values = [_per_sample(loop, part) for part in parts if samples_in(part)]
        except CANNOT_TAKE:
            return False
        rows = [torch.cat(of_one) for of_one in zip(*values, strict=True)]
        found.append([row if back is None or row.numel() != count else row[back] for row in rows])
    first = found[0]
    return all(near(a, b, tolerance) for other in found[1:] for a, b in zip(other, first, strict=True))


def _per_sample(loop: PlainLoop, batch: Batch) -> list[Tensor]:
    """Return the values of all quantities for every sample; a sum with a weight is taken sample by sample."""
    with loop.gradients():
        outputs, targets = loop.call(batch)
        found = []
        for quantity in loop.quantities:
            value = quantity(outputs, targets)
            if form_of(quantity, value, samples_in(batch)) == PAIR:  # a named loss that leaves labels out
                each = [quantity(outputs[i : i + 1], targets[i : i + 1]) for i in range(len(targets))]
                value = torch.stack([numerator for numerator, _ in each])
            found.append(value.detach().double().cpu())
    return found


def _handed_over(loop: PlainLoop, batch: Batch, point) -> str | None:
    """Return nothing if weights given with a call have the effect of weights written into the model, else a reason."""
    loop.write(point)
    written = flat(loop.values(batch))
    weights = loop.point(point)
    loop.write([0.0] * len(loop.directions))
    try:
        with torch.no_grad():
            inputs, targets = batches.map_tensors(Tensor.clone, batch)
            versions = [tensor._version for tensor in batches.tensors_in((inputs, targets))]
            with torch.autocast(batch[1].device.type, loop.half, enabled=loop.half is not None):
                outputs = functional_call(loop.model, weights, (inputs,))
            if loop.half is not None:
                outputs = outputs.float()
            given = flat([quantity(outputs, targets) for quantity in loop.quantities])
    except CANNOT_TAKE:
        return "weights written in place"
    if versions != [tensor._version for tensor in batches.tensors_in((inputs, targets))]:
        return "a forward pass changes its inputs"
    return None if all(map(near, given, written)) else "weights written in place"
