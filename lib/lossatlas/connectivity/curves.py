"""Curves of low loss between two networks: their bends are trained, their ends stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas._checks import flag, one_of, whole_number
from lossatlas._progress import bar as progress_bar
from lossatlas.connectivity.objective import Ends, Objective
from lossatlas.directions.curves import KINDS, Curve, basis
from lossatlas.networks.training import Recipe
from lossatlas.vectors import Point

RECIPE = Recipe(learning_rate=0.02, momentum=0.9, epochs=20, schedule="cosine")
DISPLACEMENT = 1e-3  # of a bend at the start, as a share of the distance between the ends


def connect(
    a: Point,
    b: Point,
    data: Any,
    *,
    kind: str = "bezier",
    bends: int = 1,
    recipe: Recipe = RECIPE,
    loss: str | Callable = "cross_entropy",
    model: nn.Module | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Curve:
    """Train a curve between two networks that minimizes the mean loss along it.

    Every update draws one position t, uniform in [0, 1], and one batch, and moves the bends along the gradient of
    the loss at that point of the curve. The network is in training mode, so that batch normalization uses the
    statistics of the batch. Bends start on the straight line, displaced by a thousandth of its length at random,
    because on a ridge the gradient has no component across it.

    Parameters
    ----------
    a, b : Module or dict of str to Tensor
        The networks at t = 0 and t = 1. They stay as they are.
    data : batch or iterable of batches
        Training data, as :func:`lossatlas.evaluate` takes it, of tensors.
    kind : {"bezier", "polygon"}
        See :class:`lossatlas.Curve`.
    bends : int
        How many points between the ends are trained.
    recipe : Recipe
        How they are trained. The penalties ``l1`` and ``l2`` are those of the weights at the position drawn.
    loss : str or callable
        As :func:`lossatlas.fit` takes it.
    model : Module, optional
        A module of the same architecture, if neither ``a`` nor ``b`` is one.
    seed : int
        Of the displacement, the order of the batches and the positions.
    device : str or device
        ``"auto"`` is CUDA if the machine has it.
    progress : bool
        Whether to show a bar with the time left, on stderr.

    Returns
    -------
    Curve
        Running statistics are interpolated between the ends. They do not fit the weights between, so evaluate
        networks with batch normalization with ``batch_norm="recalibrate"``.

    Raises
    ------
    ValueError
        If an argument cannot be used, the networks differ in architecture or not at all, or the bends diverge.

    References
    ----------
    Garipov et al. 2018, "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs", section 3, equation 2.

    Examples
    --------
    >>> import lossatlas as la
    >>> data = la.load_dataset("digits")
    >>> a, b = (la.build_model("feedforward", data, depth=2, width=8, seed=seed) for seed in (0, 1))
    >>> curve = connect(a, b, data.train, recipe=la.Recipe(epochs=1), progress=False)
    >>> curve
    Curve(t; 610 weights; {'kind': 'bezier curve', 'bends': 1, 'seed': 0})
    """
    one_of(kind, "kind", KINDS)
    bends, seed = whole_number(bends, "bends", least=1), whole_number(seed, "seed", least=0)
    progress = flag(progress, "progress")
    ends = Ends(a, b, model)
    objective = Objective(ends.module, data, loss, recipe, device)
    first, last = (objective.flat(params) for params in ends.parameters)
    generator = torch.Generator().manual_seed(seed)
    middle = on_the_line(first, last, bends, generator)
    optimizer, schedule = objective.optimizer(middle)
    with progress_bar(total=objective.steps, description="curve", unit=" steps", show=progress) as bar:
        for batch in objective.batches(generator):
            t = torch.rand((), generator=generator, dtype=torch.float64).numpy()[None]
            weights = torch.from_numpy(basis(kind, bends + 1, t)[0]).to(first)
            point = weights[0] * first + weights[1:-1] @ middle + weights[-1] * last
            _, gradient = objective.step(point, batch)
            objective.move(middle, torch.outer(weights[1:-1], gradient), optimizer)
            schedule.step()
            bar.update()
    trained = [objective.params(bend, ends.parameters[0]) for bend in middle]
    return ends.curve(kind, trained, {"seed": seed})


def on_the_line(first: Tensor, last: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Return points (number, weights) at equal distances between two, displaced a little at random."""
    shares = torch.linspace(0, 1, number + 2, dtype=first.dtype, device=first.device)[1:-1, None]
    drawn = torch.randn(number, len(first), generator=generator, dtype=first.dtype).to(first.device)
    return torch.lerp(first, last, shares) + DISPLACEMENT * (last - first).norm() * nn.functional.normalize(drawn)
