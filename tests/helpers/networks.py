"""Small networks of every kind that a test may need, with data that fits them, and the plain loop."""

from __future__ import annotations

import copy
import time
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from lossatlas import random_plane
from lossatlas.evaluation import preparation
from lossatlas.evaluation.sweep import Sweep
from lossatlas.networks.losses import make_score
from lossatlas.networks.models import MODELS, build_model


def made_up_data(shape, *, classes=10, loss="cross_entropy", n=60, length=None, seed=0):
    """A stand-in for a Dataset, with random inputs and targets."""
    generator = torch.Generator().manual_seed(seed)
    if length:
        inputs = torch.randint(0, classes, (n, length), generator=generator)
        targets = torch.randint(0, classes, (n, length), generator=generator)
    else:
        inputs = torch.rand(n, *shape, generator=generator)
        targets = torch.randint(0, classes, (n,), generator=generator)
        if loss == "bce_with_logits":
            targets = (targets % 2).float()[:, None]
    split = (inputs, targets)
    return SimpleNamespace(name="made-up", train=split, test=split, classes=tuple(map(str, range(classes))), loss=loss)


DATA = {
    "cnn-1": lambda: made_up_data((1, 28, 28)),
    "cnn-3": lambda: made_up_data((3, 32, 32)),
    "feedforward-16": lambda: made_up_data((1, 28, 28)),
    "feedforward-16-skip": lambda: made_up_data((1, 28, 28)),
    "feedforward": lambda: made_up_data((1, 8, 8)),
    "rnn": lambda: made_up_data(None, classes=20, length=12),
    "feedforward-2": lambda: made_up_data((18,), classes=2, loss="bce_with_logits"),
    "feedforward-4": lambda: made_up_data((18,), classes=2, loss="bce_with_logits"),
    "resnet": lambda: made_up_data((3, 8, 8)),
    "vgg-9": lambda: made_up_data((3, 8, 8)),
    "densenet": lambda: made_up_data((3, 8, 8)),
}
OPTIONS = {  # small, so that tests are fast
    "rnn": {"hidden": 24},
    "resnet": {"depth": 8, "width": 0.25},
    "vgg-9": {"width": 0.125},
    "densenet": {"depth": [2, 2], "growth": 4},
}
assert set(DATA) == set(MODELS)


def table_1(name):
    """(model, data) for a network by name, on made-up data."""
    data = DATA[name]()
    return build_model(name, data, seed=3, **OPTIONS.get(name, {})), data


class OddNet(nn.Module):
    """Batch norm, dropout, a buffer, a shared weight and a branch: what a user's network may hold."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.5)
        self.second = nn.Linear(8, 8)
        self.third = nn.Linear(8, 8)
        self.third.weight = self.second.weight
        self.out = nn.Linear(8, 3)
        self.register_buffer("shift", torch.tensor(0.25))

    def forward(self, x):
        x = self.drop(torch.relu(self.norm(self.first(x)))) + self.shift
        return self.out(torch.relu(self.third(torch.relu(self.second(x))) + x))


def odd_net(seed=0):
    """An OddNet whose batch-norm statistics are not the initial ones."""
    torch.manual_seed(seed)
    net = OddNet()
    for _ in range(3):
        net(torch.randn(50, 6) * 2 + 1)
    return net


def make_sweep(model, plane, quantities, predict=None):
    """What the engine evaluates, of a private copy of a model."""
    network = copy.deepcopy(model).eval().requires_grad_(False)
    loop = preparation.make_loop(network, plane, (), predict=predict)
    return Sweep(loop.model, loop.origin, loop.directions, quantities)


def plain_loop(model, plane, data, *, loss, alphas, betas=None):
    """Loss and accuracy point by point: copy weights and buffers, call the model, average. The slow obvious way."""
    model = copy.deepcopy(model).eval()
    score = make_score(loss)
    points = [(a,) for a in alphas] if betas is None else [(a, b) for a in alphas for b in betas]
    found = []
    with torch.no_grad():
        for point in points:
            for name, parameter in model.named_parameters():
                steps = (c * d[name] for c, d in zip(point, plane.directions, strict=True))
                parameter.copy_(plane.origin[name] + sum(steps))
            for name, buffer in model.named_buffers():
                buffer.copy_(plane.buffers_at(*point).get(name, buffer))
            losses, correct = score(model(data[0]), data[1])
            found.append((losses.double().mean().item(), np.nan if correct is None else correct.double().mean().item()))
    shape = (len(alphas),) if betas is None else (len(alphas), len(betas))
    losses, correct = np.array(found).T
    return losses.reshape(shape), correct.reshape(shape)


class Slow(nn.Module):
    """One layer that takes some time a pass, which no tracing can leave out, so that an evaluation has a middle."""

    def __init__(self, pause):
        super().__init__()
        self.layer, self.pause = nn.Linear(6, 3), pause

    def forward(self, x):
        time.sleep(self.pause if bool(x.isfinite().all()) else 0)
        return self.layer(x)


def slow_request(pause, points=7):
    """The arguments of an evaluation of a slow network, the same in every process."""
    torch.manual_seed(0)
    model = Slow(pause)
    generator = torch.Generator().manual_seed(1)
    data = torch.randn(40, 6, generator=generator), torch.randint(0, 3, (40,), generator=generator)
    plane = random_plane(model, seed=2)
    return {"model": model, "plane": plane, "data": data, "alphas": np.linspace(-1, 1, points), "progress": False}
