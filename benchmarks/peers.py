"""What a user would do instead: the plain loop, the loss-landscapes package, and Landscaper."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import torch

from lossatlas.networks.losses import make_score
from workloads import Case


def plain_loop(case: Case, points: list[tuple[float, float]], *, batch: int) -> list[float]:
    """Copy the weights of a point into the network, call it batch by batch, add up the loss."""
    score, (inputs, targets) = make_score(case.loss), case.data
    parameters = dict(case.model.named_parameters())
    found = []
    with torch.no_grad():
        for alpha, beta in points:
            for name, parameter in parameters.items():
                parameter.copy_(case.plane.origin[name] + alpha * case.plane.delta[name] + beta * case.plane.eta[name])
            batches = zip(inputs.split(batch), targets.split(batch), strict=True)
            found.append(sum(float(score(case.model(x), y)[0].sum()) for x, y in batches) / len(inputs))
    back(case)
    return found


def loop_of_128(case: Case, points: list[tuple[float, float]]) -> list[float]:
    """The plain loop with batches of 128 samples."""
    return plain_loop(case, points, batch=128)


def all_at_once(case: Case, points: list[tuple[float, float]]) -> list[float]:
    """The plain loop with all samples as one batch."""
    return plain_loop(case, points, batch=len(case.data[0]))


def loss_landscapes(case: Case, points: list[tuple[float, float]]) -> list[float]:
    """The package's own metric, on its own wrapper of the model, with its own vectors moved as its grids move them."""
    from loss_landscapes.metrics import Loss
    from loss_landscapes.model_interface.model_parameters import ModelParameters
    from loss_landscapes.model_interface.model_wrapper import wrap_model

    score, (inputs, targets) = make_score(case.loss), case.data
    metric = Loss(lambda outputs, wanted: score(outputs, wanted)[0].mean(), inputs, targets)
    wrapper = wrap_model(case.model)
    names = [name for name, _ in case.model.named_parameters()]
    origin, delta, eta = (
        ModelParameters([vector[name].clone() for name in names])
        for vector in (case.plane.origin, case.plane.delta, case.plane.eta)
    )
    place = wrapper.get_module_parameters()
    found = []
    with torch.no_grad():
        for alpha, beta in points:
            moved = origin + delta * alpha + eta * beta
            for tensor, value in zip(place.parameters, moved.parameters, strict=True):
                tensor.copy_(value)
            found.append(metric(wrapper))
    back(case)
    return found


def landscaper(case: Case, side: int) -> np.ndarray:
    """Landscaper's own grid, (side, side), along the plane's directions as it scales them.

    It walks to a point in whole steps, one addition to all weights each, so a smaller grid costs less a point.
    """
    from landscaper.compute import compute_loss_landscape

    score = make_score(case.loss)

    def mean_loss(model: torch.nn.Module, data: tuple[torch.Tensor, torch.Tensor]) -> float:
        inputs, targets = data
        return float(score(model(inputs), targets)[0].mean())

    names = [name for name, _ in case.model.named_parameters()]
    directions = [[vector[name] for name in names] for vector in (case.plane.delta, case.plane.eta)]
    options = {"steps": side, "distance": 1.0, "dim": 2, "device": "cpu"}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        losses, _ = compute_loss_landscape(case.model, case.data, directions, mean_loss, **options)
    back(case)
    return losses


def back(case: Case) -> None:
    """The weights that the plane starts from."""
    with torch.no_grad():
        for name, parameter in case.model.named_parameters():
            parameter.copy_(case.plane.origin[name])
