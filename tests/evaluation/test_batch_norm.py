"""Batch normalization by three kinds of statistics, models that are called in their own way, inputs of any shape."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from networks import odd_net, plain_loop

GRID = np.linspace(-1, 1, 3)


def odd_batches(sizes=(20, 12, 8)):
    generator = torch.Generator().manual_seed(5)
    return [
        (torch.randn(n, 6, generator=generator).double() * 2, torch.randint(0, 3, (n,), generator=generator))
        for n in sizes
    ]


def reference(model, plane, batches, mode):
    """The plain loop with a network's own training mode for its batch-norm layers, and PyTorch's update_bn."""
    found = []
    for a in GRID:
        for b in GRID:
            there = copy.deepcopy(model).eval()
            for name, parameter in there.named_parameters():
                parameter.data = plane.origin[name] + a * plane.delta[name] + b * plane.eta[name]
            there.third.weight = there.second.weight
            if mode == "recalibrate":
                there.drop.p = 0.0
                torch.optim.swa_utils.update_bn([x for x, _ in batches], there)
                there.eval()
            else:
                there.norm.train()
            with torch.no_grad():
                losses = [nn.functional.cross_entropy(there(x), y, reduction="none") for x, y in batches]
            found.append(torch.cat(losses).mean().item())
    return np.array(found).reshape(3, 3)


@pytest.mark.parametrize("mode", ["batch", "recalibrate"])
def test_other_statistics_agree_with_the_plain_loop(mode):
    model, batches = odd_net().double(), odd_batches()
    plane = la.random_plane(model, seed=1, include_biases=True)
    surface = la.evaluate(model, plane, batches, alphas=GRID, batch_norm=mode, progress=False)
    np.testing.assert_allclose(surface.loss, reference(model, plane, batches, mode), rtol=1e-10)
    running = la.evaluate(model, plane, batches, alphas=GRID, progress=False)
    assert float(abs(surface.loss - running.loss).max()) > 0.01, "the statistics make a difference"
    assert surface.attrs["batch_norm"] == mode and running.attrs["batch_norm"] == "running"
    assert model.norm.running_mean is not None and model.norm.momentum == 0.1


@pytest.mark.parametrize("alone", [False, True], ids=["regrouped", "the plain loop"])
def test_statistics_can_be_estimated_from_other_data(alone):
    """The user's own way: estimate with PyTorch's `update_bn` on training data, then evaluate on test data."""
    model = odd_net().double()
    train, test = odd_batches((20, 30, 10)), odd_batches((25,))[0]
    plane = la.random_plane(model, seed=1, include_biases=True)
    loss = (lambda outputs, targets: nn.functional.cross_entropy(outputs, targets) * 1.0) if alone else "cross_entropy"
    options = {"alphas": GRID, "batch_norm": "recalibrate", "loss": loss, "progress": False}
    found = la.evaluate(model, plane, test, statistics=train, **options)
    expected = []
    for alpha in GRID:
        for beta in GRID:
            there = copy.deepcopy(model)
            there.load_state_dict(plane.at(alpha, beta), strict=False)
            there.drop.p = 0.0
            torch.optim.swa_utils.update_bn([x for x, _ in train], there)
            there.eval()
            with torch.no_grad():
                expected.append(nn.functional.cross_entropy(there(test[0]), test[1]).item())
    np.testing.assert_allclose(found.loss.values.ravel(), expected, rtol=1e-10)
    own = la.evaluate(model, plane, test, **options)
    assert float(abs(found.loss - own.loss).max()) > 1e-3, "the data make a difference"


def test_batches_stay_whole_whatever_way_is_chosen(monkeypatch):
    """Long enough that several points share a pass, with batches that a regrouping would mix."""
    from lossatlas.evaluation import choosing

    monkeypatch.setattr(choosing, "TRIAL_FLOOR", 0.001)
    monkeypatch.setattr(choosing, "TRIAL_SHARE", 10.0)
    model, batches = odd_net().double(), odd_batches()
    plane = la.random_plane(model, seed=1, include_biases=True)
    surface = la.evaluate(model, plane, batches, alphas=GRID, batch_norm="batch", progress=False)
    assert "20 samples a pass" in surface.strategy and "batches as given" in surface.strategy
    np.testing.assert_allclose(surface.loss, reference(model, plane, batches, "batch"), rtol=1e-10)


def test_what_batch_norm_cannot_take():
    model, (inputs, targets) = odd_net(), odd_batches((3,))[0]
    plane, data = la.random_plane(model), (inputs.float(), targets)
    with pytest.raises(ValueError, match=r"batch_norm='frozen': expected one of \('running', 'batch', 'recalibrate'\)"):
        la.evaluate(model, plane, data, batch_norm="frozen")
    with pytest.raises(ValueError, match="statistics: given with batch_norm='running', expected only with 'recalib"):
        la.evaluate(model, plane, data, statistics=data)
    with pytest.raises(ValueError, match="statistics: got int; expected"):
        la.evaluate(model, plane, data, batch_norm="recalibrate", statistics=3)
    plain = nn.Linear(6, 3)
    for mode in ("batch", "recalibrate"):
        with pytest.raises(ValueError, match=f"batch_norm='{mode}': Linear has no batch-norm layer"):
            la.evaluate(plain, la.random_plane(plain), data, batch_norm=mode)
        alone = [data, (data[0][:1], data[1][:1])]
        with pytest.raises(ValueError, match=r"shape \(1, 6\).* do not go through OddNet: Expected more than 1 value"):
            la.evaluate(model, plane, alone, batch_norm=mode)


class TwoInputs(nn.Module):
    """Takes a dict and returns a tuple, with tied embedding and output weights."""

    def __init__(self):
        super().__init__()
        self.embed, self.mix, self.out = nn.Embedding(11, 8), nn.Linear(8 + 4, 8), nn.Linear(8, 11, bias=False)
        self.out.weight = self.embed.weight
        self.drop = nn.Dropout(0.5)

    def forward(self, tokens, extra):
        hidden = torch.tanh(self.mix(torch.cat([self.embed(tokens).mean(1), self.drop(extra)], dim=1)))
        return self.out(hidden), hidden


@pytest.mark.parametrize("kind", ["dict", "tuple"])
def test_several_inputs_and_outputs_by_predict(kind):
    torch.manual_seed(0)
    model = TwoInputs().double()
    tokens, extra, targets = torch.randint(0, 11, (30, 5)), torch.randn(30, 4).double(), torch.randint(0, 11, (30,))
    if kind == "dict":
        inputs, predict = {"tokens": tokens, "extra": extra}, lambda model, inputs: model(**inputs)[0]
        batches = [({k: v[part] for k, v in inputs.items()}, targets[part]) for part in (slice(7), slice(7, 30))]
    else:
        inputs, predict = (tokens, extra), lambda model, inputs: model(*inputs)[0]
        batches = [((tokens[:7], extra[:7]), targets[:7]), ((tokens[7:], extra[7:]), targets[7:])]

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, rows):
            return self.inner(tokens[rows], extra[rows])[0]

    plane = la.random_plane(model, seed=2)
    surface = la.evaluate(model, plane, (inputs, targets), predict=predict, alphas=GRID, progress=False)
    inside = la.Plane(*({f"inner.{k}": v for k, v in d.items()} for d in (plane.origin, plane.delta, plane.eta)))
    losses, accuracy = plain_loop(
        Plain(), inside, (torch.arange(30), targets), loss="cross_entropy", alphas=GRID, betas=GRID
    )
    np.testing.assert_allclose(surface.loss, losses, rtol=1e-10)
    np.testing.assert_allclose(surface.accuracy, accuracy)
    assert surface.attrs["model"] == "TwoInputs"
    again = la.evaluate(model, plane, batches, predict=predict, alphas=GRID, progress=False)
    np.testing.assert_allclose(again.loss, surface.loss, rtol=1e-12)


def test_a_model_that_returns_more_is_told_of_predict():
    model, inputs, targets = TwoInputs(), torch.randint(0, 11, (4, 5)), torch.randint(0, 11, (4,))
    with pytest.raises(ValueError, match="Sequential returned tuple; expected one tensor: predict="):
        odd = nn.Sequential(nn.Embedding(11, 8), nn.GRU(8, 3, batch_first=True))
        la.evaluate(odd, la.random_plane(odd), (inputs, targets))
    with pytest.raises(ValueError, match=r"inputs of shape \(4, 5\).* do not go through TwoInputs"):
        la.evaluate(model, la.random_plane(model), (inputs, targets))
