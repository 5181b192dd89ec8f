"""Functions that use the user's model itself: the weights are written into it, and it is put back."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lossatlas as la

DRAWN = torch.Generator().manual_seed(0)
INPUTS, LABELS = torch.randn(40, 6, generator=DRAWN), torch.randint(0, 3, (40,), generator=DRAWN)
BATCHES = list(zip(INPUTS.split(16), LABELS.split(16), strict=True))
ALPHAS = np.linspace(-1, 1, 3)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        self.head = nn.Linear(3, 3)

    def forward(self, inputs):
        outputs = self.body(inputs)
        self.penalty = outputs.square().mean()
        return outputs


def decay(model):
    return lambda outputs, labels: F.cross_entropy(outputs, labels) + sum(p.square().sum() for p in model.parameters())


def through_the_head(model):
    return lambda outputs, labels: F.cross_entropy(model.head(outputs), labels)


def with_its_penalty(model):
    return lambda outputs, labels: F.cross_entropy(outputs, labels, reduction="none") + model.penalty


def plain(model, plane, loss, predict):
    """The user's own loop, in double precision sums."""
    surface = np.zeros((len(ALPHAS), len(ALPHAS)))
    start = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        for (i, j), _ in np.ndenumerate(surface):
            model.load_state_dict(start | plane.at(ALPHAS[i], ALPHAS[j]))
            values = [loss(predict(model, inputs), labels).mean() * len(labels) for inputs, labels in BATCHES]
            surface[i, j] = float(sum(value.double() for value in values)) / len(INPUTS)
        model.load_state_dict(start)
    return surface


@pytest.mark.parametrize("precision", [None, "float64"])
@pytest.mark.parametrize("make_loss", [decay, through_the_head, with_its_penalty])
def test_a_loss_that_uses_the_model_sees_the_weights_of_every_point(make_loss, precision):
    model = Network().train()
    plane, before = la.random_plane(model, seed=0), copy.deepcopy(model.state_dict())
    loss = make_loss(model)
    found = la.evaluate(
        model, plane, BATCHES, loss=loss, alphas=ALPHAS, precision=precision, progress=False, device="cpu"
    )
    assert "uses the model itself" in found.attrs["strategy"]
    assert model.training and all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    expected = plain(model, plane, loss, lambda model, inputs: model(inputs))
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)


def test_predict_may_ignore_the_model_that_it_is_given():
    model = Network()
    plane = la.random_plane(model, seed=0)
    found = la.evaluate(
        model, plane, BATCHES, predict=lambda _, inputs: model(inputs), alphas=ALPHAS, progress=False, device="cpu"
    )
    expected = plain(model, plane, F.cross_entropy, lambda model, inputs: model(inputs))
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)


def test_functions_that_do_not_use_the_model_leave_it_alone():
    model = Network()
    found = la.evaluate(
        model,
        la.random_plane(model, seed=0),
        BATCHES,
        loss=lambda outputs, labels: F.cross_entropy(outputs, labels, reduction="none"),
        alphas=ALPHAS,
        progress=False,
        device="cpu",
    )
    assert "uses the model itself" not in found.attrs["strategy"]
