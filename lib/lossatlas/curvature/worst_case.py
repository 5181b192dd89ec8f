"""The direction in which a loss rises most within a filter-normalized distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas._checks import flag, real_number, whole_number
from lossatlas._progress import bar as progress_bar
from lossatlas.curvature.gradients import gradient, moving_filters
from lossatlas.curvature.hessian import LossHessian, check_finite_loss, loss_hessian
from lossatlas.directions import Line
from lossatlas.directions.checkpoints import read
from lossatlas.directions.gaussian import UNITS


def worst_line(
    model: nn.Module,
    data,
    *,
    radius: float = 0.25,
    loss: str | Callable = "cross_entropy",
    layers: Sequence[str] | None = None,
    predict: Callable | None = None,
    steps: int = 100,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Line:
    """Return the line from a model's weights to the point with the highest loss that is found within a radius.

    Distance is that of :func:`lossatlas.directions.relative_length`, in which every filter-normalized direction has
    length 1. Gradient ascent starts on the sphere, along the gradient at the weights and a small random vector. Each
    step moves by the radius along the gradient, in units of the filters, and returns to the sphere along its ray. The
    best point counts, so the rise is a lower bound of the largest one. Parameters with fewer than two dimensions,
    such as biases, stand still.

    Parameters
    ----------
    model, data, loss, layers, predict, device
        As in :func:`loss_hessian`.
    radius : float
        Distance within which the loss is raised, in filter-normalized steps.
    steps : int
        How many gradients are computed.
    seed : int
        Of the random vector.
    progress : bool
        Whether a bar on stderr counts steps.

    Returns
    -------
    Line
        In filter-normalized steps: the worst point found is at ``α = radius``. Its description holds the rise of the
        loss there.

    Raises
    ------
    ValueError
        Naming the argument that does not fit, or if no weight can move.

    References
    ----------
    Kwon et al. 2021, "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of Deep Neural
    Networks", definition 1 with filter-wise normalization; Andriushchenko et al. 2023, "A Modern Look at the
    Relationship between Sharpness and Generalization", section 3.

    Examples
    --------
    >>> model = nn.Linear(3, 1, bias=False)
    >>> inputs = torch.diag(torch.tensor([1.0, 2.0, 3.0]))
    >>> data = inputs, model(inputs).detach()
    >>> line = worst_line(model, data, loss="mse", device="cpu", progress=False)
    >>> (line.delta["weight"] / model.weight.norm()).detach().abs().round(decimals=2)
    tensor([[0., 0., 1.]])
    """
    radius, steps = real_number(radius, "radius", above=0), whole_number(steps, "steps", least=1)
    seed, progress = whole_number(seed, "seed", least=0), flag(progress, "progress")
    hessian = loss_hessian(model, data, loss=loss, layers=layers, coordinates="filters", predict=predict, device=device)
    check_finite_loss(hessian)
    with progress_bar(total=steps, description="worst case", unit=" steps", show=progress) as bar:
        step, rise = _ascend(hessian, radius, steps, seed, bar.update)
    network = read(model, "model")
    origin = vectors.copy_of(network.parameters)
    delta = {**vectors.zeros_like(origin), **hessian.as_params(step / radius)}
    description = {"kind": "worst case", "normalize": None, "radius": radius, "rise": rise, "steps": steps}
    buffers = vectors.copy_of(network.buffers)
    return Line(origin, delta, {**description, "seed": seed}, units=UNITS["filter"], buffers=buffers)


def _ascend(
    hessian: LossHessian, radius: float, steps: int, seed: int, advance: Callable[[], object]
) -> tuple[Tensor, float]:
    """Return the best step (n,) of length ``radius`` and the rise of the loss there."""
    assert hessian.scaling is not None
    scaling, length = hessian.scaling.double(), radius * math.sqrt(moving_filters(hessian))
    origin, start = vectors.parameters_of(hessian.like), hessian.loss
    drawn = torch.randn(len(scaling), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = drawn.to(scaling.device) * (scaling > 0)
    at = _unit(gradient(hessian)) + 1e-3 * _unit(drawn)
    best, highest = at * scaling, -math.inf
    for _ in range(steps):
        at = length * _unit(at)
        hessian.move_to(vectors.add_scaled(origin, [hessian.as_params(at * scaling)], [1.0]))
        if hessian.loss > highest:
            best, highest = at * scaling, hessian.loss
        slope = gradient(hessian)
        advance()
        if not torch.isfinite(slope).all():
            break
        at = at + length * _unit(slope)
    return best, highest - start


def _unit(vector: Tensor) -> Tensor:
    """Return a vector divided by its length, or zero."""
    size = vector.norm()
    return vector / size if size > 0 else vector
