"""PyTorch's own mean losses: the values of the user's loop over unequal batches, by regrouped samples."""

import copy
import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lossatlas as la
from lossatlas.networks.mean_losses import FUNCTIONS, MODULES, per_sample

GRID = np.linspace(-1, 1, 5)
SIZES = [7, 32, 1, 20]


def network(outputs, *, last=None, positions=0):
    torch.manual_seed(0)
    layers = [nn.Conv1d(6, 8, 1), nn.Tanh(), nn.Conv1d(8, outputs, 1)]
    if not positions:
        layers = [nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs)]
    return nn.Sequential(*layers, *([last] if last else []))


def batches(targets, positions=0):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(sum(SIZES), 6, *([positions] if positions else []), generator=generator)
    return list(zip(inputs.split(SIZES), targets(generator).split(SIZES), strict=True))


def numbers(*shape):
    return lambda generator: torch.rand(sum(SIZES), *shape, generator=generator)


def labels(*shape, classes=3):
    return lambda generator: torch.randint(0, classes, (sum(SIZES), *shape), generator=generator)


def signs(generator):
    return torch.randint(0, 2, (sum(SIZES), 4), generator=generator) * 2.0 - 1


LOG = nn.LogSoftmax(1)
CASES = {
    "cross-entropy": (nn.CrossEntropyLoss(), network(3), batches(labels())),
    "cross-entropy, smoothed": (nn.CrossEntropyLoss(label_smoothing=0.2), network(3), batches(labels())),
    "cross-entropy, 5 positions": (nn.CrossEntropyLoss(), network(3, positions=5), batches(labels(5), 5)),
    "cross-entropy, probabilities": (nn.CrossEntropyLoss(), network(3), batches(numbers(3))),
    "cross-entropy, nothing ignored": (nn.CrossEntropyLoss(ignore_index=7), network(3), batches(labels())),
    "nll": (nn.NLLLoss(), network(3, last=LOG), batches(labels())),
    "mse": (nn.MSELoss(), network(4), batches(numbers(4))),
    "mse, 5 positions": (nn.MSELoss(), network(4, positions=5), batches(numbers(4, 5), 5)),
    "l1": (nn.L1Loss(), network(4), batches(numbers(4))),
    "smooth l1": (nn.SmoothL1Loss(beta=0.3), network(4), batches(numbers(4))),
    "huber": (nn.HuberLoss(delta=0.3), network(4), batches(numbers(4))),
    "bce": (nn.BCELoss(), network(4, last=nn.Sigmoid()), batches(numbers(4))),
    "bce of logits": (nn.BCEWithLogitsLoss(), network(4), batches(numbers(4))),
    "poisson": (nn.PoissonNLLLoss(), network(4), batches(numbers(4))),
    "soft margin": (nn.SoftMarginLoss(), network(4), batches(signs)),
    "F.cross_entropy": (F.cross_entropy, network(3), batches(labels())),
    "F.nll_loss": (F.nll_loss, network(3, last=LOG), batches(labels())),
    "F.mse_loss": (F.mse_loss, network(4), batches(numbers(4))),
    "F.l1_loss": (F.l1_loss, network(4), batches(numbers(4))),
    "F.smooth_l1_loss": (F.smooth_l1_loss, network(4), batches(numbers(4))),
    "F.huber_loss": (F.huber_loss, network(4), batches(numbers(4))),
    "F.binary_cross_entropy": (F.binary_cross_entropy, network(4, last=nn.Sigmoid()), batches(numbers(4))),
    "F.bce_with_logits": (F.binary_cross_entropy_with_logits, network(4), batches(numbers(4))),
    "F.poisson_nll_loss": (F.poisson_nll_loss, network(4), batches(numbers(4))),
    "F.soft_margin_loss": (F.soft_margin_loss, network(4), batches(signs)),
}
WEIGHTS = torch.tensor([1.0, 20.0, 0.1])


class Halved(nn.MSELoss):
    """Another loss, by inheritance."""

    def forward(self, outputs, targets):
        return super().forward(outputs, targets).sqrt()


def hooked():
    loss = nn.MSELoss()
    loss.register_forward_hook(lambda module, args, value: value.sqrt())
    return loss


def replaced():
    loss = nn.MSELoss()
    loss.forward = lambda outputs, targets: (outputs - targets).square().mean().sqrt()
    return loss


SLOW = {
    "class weights": (nn.CrossEntropyLoss(weight=WEIGHTS), network(3), batches(labels())),
    "a label is ignored": (nn.CrossEntropyLoss(ignore_index=2), network(3), batches(labels())),
    "nll with an ignored label": (nn.NLLLoss(ignore_index=2), network(3, last=LOG), batches(labels())),
    "a sum": (nn.MSELoss(reduction="sum"), network(4), batches(numbers(4))),
    "weights of positive labels": (nn.BCEWithLogitsLoss(pos_weight=torch.ones(4)), network(4), batches(numbers(4))),
    "a class of the user's": (Halved(), network(4), batches(numbers(4))),
    "a hook": (hooked(), network(4), batches(numbers(4))),
    "another forward": (replaced(), network(4), batches(numbers(4))),
    "a lambda": (lambda o, t: F.mse_loss(o, t), network(4), batches(numbers(4))),
    "a partial": (functools.partial(F.mse_loss, reduction="sum"), network(4), batches(numbers(4))),
}


def by_the_loop(model, plane, data, loss):
    """Mean over batches weighted by samples, in float64."""
    reference = copy.deepcopy(model).double().eval()
    loss = copy.deepcopy(loss).double() if isinstance(loss, nn.Module) else loss
    found = []
    for alpha in GRID:
        with torch.no_grad():
            for name, parameter in reference.named_parameters():
                parameter.copy_(plane.origin[name].double() + alpha * plane.delta[name].double())
            values = [
                float(loss(reference(x.double()), y.double() if y.is_floating_point() else y)) * len(x) for x, y in data
            ]
        found.append(sum(values) / sum(SIZES))
    return found


@pytest.mark.parametrize("name", [*CASES, *SLOW])
def test_values_are_those_of_the_loop_over_the_batches_given(name):
    loss, model, data = {**CASES, **SLOW}[name]
    line = la.random_line(model, seed=2, include_biases=True)
    surface = la.evaluate(model, line, data, loss=loss, alphas=GRID, device="cpu", progress=False)
    np.testing.assert_allclose(surface.loss, by_the_loop(model, line, data, loss), rtol=1e-5)
    assert ("batches as given" in surface.strategy) == (name in SLOW), surface.strategy
    assert list(surface.data_vars) == ["loss"]  # accuracy is for the named losses alone


def test_every_loss_is_tried():
    tried = [loss for loss, _, _ in CASES.values()]
    assert {type(loss) for loss in tried if isinstance(loss, nn.Module)} == set(MODULES)
    assert {loss for loss in tried if not isinstance(loss, nn.Module)} == set(FUNCTIONS)
    assert all(per_sample(loss) is not None for loss in tried)


def test_shapes_that_broadcast_keep_the_value_of_the_loop():
    """PyTorch warns, and compares every output with every target: a value that depends on the batch."""
    model, data = network(1), batches(numbers())
    line = la.random_line(model, seed=2, include_biases=True)
    with pytest.warns(UserWarning, match="broadcast"):
        surface = la.evaluate(model, line, data, loss=nn.MSELoss(), alphas=GRID, device="cpu", progress=False)
        expected = by_the_loop(model, line, data, nn.MSELoss())
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-5)


def test_sums_of_batch_means_and_metrics():
    loss, model, data = CASES["mse"]
    line = la.random_line(model, seed=2, include_biases=True)
    options = {"alphas": GRID, "device": "cpu", "progress": False}
    summed = la.evaluate(model, line, data, loss=loss, combine="sum", **options)
    doubled = [(x.double(), y.double()) for x, y in data]
    moved = copy.deepcopy(model).double()
    with torch.no_grad():
        assert float(summed.loss.sel(alpha=0)) == pytest.approx(sum(float(loss(moved(x), y)) for x, y in doubled))
    both = la.evaluate(model, line, data, loss=loss, metrics={"l1": nn.L1Loss(), "plain": F.l1_loss}, **options)
    np.testing.assert_allclose(both.l1, by_the_loop(model, line, data, nn.L1Loss()), rtol=1e-5)
    np.testing.assert_array_equal(both.l1, both.plain)
    assert "batches as given" not in both.strategy
