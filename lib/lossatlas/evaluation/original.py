"""Whether a loss or another function uses the user's model itself, which a copy that moves would leave behind.

A penalty on ``model.parameters()``, a head of the model that the loss calls, an attribute that a forward pass leaves
on the model: such functions see the weights of a point only if the weights are written into the model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from lossatlas.evaluation import batches, module_state, probing
from lossatlas.evaluation.batches import Batch
from lossatlas.evaluation.plain_loop import PlainLoop
from lossatlas.evaluation.random_state import RandomState

TOLERANCE = 1e-6  # relative: two modules with equal weights give nearly the same bits
REASON = "the loss, predict or a metric uses the model itself"


def is_used(
    loop: PlainLoop,
    model: nn.Module,
    make: Callable[[nn.Module], PlainLoop],
    given: Sequence[Batch],
    point: Sequence[float],
    random: RandomState,
) -> bool:
    """Return whether the values at a point differ if the user's model moves instead of its copy.

    Parameters
    ----------
    loop : PlainLoop
        Moves the copy.
    model : Module
        The user's; it is afterwards as it was before.
    make : callable
        Returns the loop that moves a module.
    given : sequence of (inputs, targets)
        All batches.
    point : sequence of coefficients
        Where it is tried; not θ*, where both have the same weights.
    random : RandomState
        The state of the generators that every trial begins with.
    """
    given_or_cut = (probing.few(given)[0][0], given[0])
    with module_state.kept(model):
        for batch in given_or_cut:
            for gradients in (False, True):
                of_copy = _values(replace(loop, random=random, input_gradients=gradients), batch, point)
                with module_state.borrowed(model) as own:
                    of_model = _values(replace(make(own), random=random, input_gradients=gradients), batch, point)
                if of_model is not None:
                    return of_copy is None or not all(
                        probing.near(a, b, TOLERANCE) for a, b in zip(of_copy, of_model, strict=True)
                    )
    return False  # neither can be called: the errors that follow say why


def _values(loop: PlainLoop, batch: Batch, point: Sequence[float]) -> list[Tensor] | None:
    loop.write(point)
    device = next(iter(loop.origin.values())).device
    try:
        return probing.flat(loop.values(batches.move(batch, device)))
    except probing.CANNOT_TAKE:
        return None


def changes_with(model: nn.Module, value: Callable[[], float]) -> bool:
    """Return whether a value changes when the weights of a model do; the model is afterwards as it was before.

    Examples
    --------
    >>> model = nn.Linear(2, 1)
    >>> changes_with(model, lambda: 1.0), changes_with(model, lambda: float(model.weight.sum()))
    (False, True)
    """

    def drawn() -> float:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return value()

    before = drawn()
    with module_state.kept(model):
        for parameter in model.parameters():
            parameter.data = parameter.data + 1 if parameter.is_floating_point() else parameter.data.clone()
        after = drawn()
    return not probing.near(torch.tensor(before).double(), torch.tensor(after).double(), TOLERANCE)
