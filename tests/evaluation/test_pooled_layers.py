"""Convolutions computed together with the pooling after them, against the plain loop and PyTorch's own pooling."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lossatlas as la
from lossatlas.evaluation import choosing
from lossatlas.evaluation.choosing import Limits
from lossatlas.evaluation.kernels.channels_last import ChannelsLast
from lossatlas.evaluation.kernels.pooled_layers import PooledLayers, by_place
from lossatlas.evaluation.kernels.tracing import Traced
from lossatlas.evaluation.metrics import make_quantities
from lossatlas.evaluation.pooling import Pooling
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.strategies import AHEAD, Strategy
from lossatlas.evaluation.sweep import profile
from lossatlas.evaluation.threads import make_runner
from networks import make_sweep, plain_loop

IMAGES, LABELS = torch.randn(12, 2, 9, 7, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3


class Branching(nn.Module):
    """Reads a convolution twice."""

    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, images):
        found = self.convolution(images)
        return self.head(F.max_pool2d(F.relu(found), 2).mean((2, 3)) + found.mean((2, 3)))


class Unpooling(nn.Module):
    """Puts the maxima back in their places."""

    def forward(self, images):
        return F.max_unpool2d(*F.max_pool2d(images[..., :8, :6], 2, return_indices=True), 2)


def network(*between: nn.Module) -> nn.Module:
    """Return a convolution, some layers and a dense layer."""
    torch.manual_seed(1)
    layers = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), *between, nn.Flatten(), nn.LazyLinear(3))
    layers(IMAGES)
    return layers.eval()


POOLED = {
    "ReLU, pool": ((nn.ReLU(), nn.MaxPool2d(2)), Pooling("0", (2, 2), True)),
    "ReLU in place, pool": ((nn.ReLU(inplace=True), nn.MaxPool2d(2)), Pooling("0", (2, 2), True)),
    "pool alone": ((nn.MaxPool2d((3, 2)),), Pooling("0", (3, 2), False)),
    "pool, ReLU": ((nn.MaxPool2d(2), nn.ReLU()), Pooling("0", (2, 2), False)),
    "two poolings": ((nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2)), Pooling("0", (2, 2), True)),
}
OTHERS = {
    "overlapping windows": (nn.ReLU(), nn.MaxPool2d(3, 2)),
    "padded windows": (nn.ReLU(), nn.MaxPool2d(2, padding=1)),
    "another function": (nn.Tanh(), nn.MaxPool2d(2)),
    "mean pooling": (nn.ReLU(), nn.AvgPool2d(2)),
    "pooling undone": (nn.ReLU(), Unpooling()),
}


QUANTITIES = make_quantities("cross_entropy")


def prepared(model, plane):
    """Return the sweep of a model and what one pass shows of it."""
    sweep = make_sweep(model, plane, QUANTITIES)
    return sweep, profile(sweep, IMAGES[:2])


@pytest.mark.parametrize("name", POOLED)
def test_a_layer_that_is_pooled_at_once_is_found(name):
    layers, expected = POOLED[name]
    model = network(*layers)
    assert prepared(model, la.random_plane(model, seed=0))[1].pooled == (expected,)


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_are_left_alone(name):
    model = network(*OTHERS[name])
    assert prepared(model, la.random_plane(model, seed=0))[1].pooled == ()


def test_a_layer_that_is_read_twice_is_left_alone():
    model = Branching().eval()
    assert prepared(model, la.random_plane(model, seed=0))[1].pooled == ()


@pytest.mark.parametrize("others", [(), (Traced(),), (ChannelsLast(), Traced())], ids=len)
@pytest.mark.parametrize("make", [la.random_line, la.random_plane, la.random_box], ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", POOLED)
def test_it_gives_the_values_of_the_plain_loop(name, make, others):
    model = network(*POOLED[name][0])
    subspace = make(model, seed=1)
    sweep, seen = prepared(model, subspace)
    runner = Runner(sweep, Strategy(12, transforms=(PooledLayers(), *others)), seen)
    grid = [np.linspace(-1, 1, 11 if i == 0 else 3) for i in range(len(subspace.directions))]
    points = torch.tensor(
        [[float(c) for c in point] for point in np.stack(np.meshgrid(*grid)).reshape(len(grid), -1).T]
    )
    expected = []
    for point in points:
        weights = subspace.at(*point.tolist())
        outputs = torch.func.functional_call(model, weights, (IMAGES,))
        expected.append(float(F.cross_entropy(outputs, LABELS)))
    with torch.no_grad():
        runner.prepare(IMAGES, LABELS)
        found = runner.run(points)[0] / len(LABELS)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize("inplace", [False, True])
def test_a_traced_pass_pools_no_more(inplace):
    model = network(nn.ReLU(inplace=inplace), nn.MaxPool2d(2))
    sweep, seen = prepared(model, la.random_plane(model, seed=0))
    runner = Runner(sweep, Strategy(12, transforms=(PooledLayers(), Traced())), seen)
    with torch.no_grad():
        runner.prepare(IMAGES, LABELS)
        runner.run(torch.zeros(2, 2))
    operations = str(runner.built.graph)
    assert "aten.relu" not in operations and "max_pool2d" not in operations and "spread" not in operations


def test_a_traced_pass_leaves_the_maxima_as_they_are():
    model = network(nn.MaxPool2d(2), nn.LeakyReLU(inplace=True))
    sweep, seen = prepared(model, la.random_plane(model, seed=0))
    runner = Runner(sweep, Strategy(12, transforms=(PooledLayers(), Traced())), seen)
    with torch.no_grad():
        runner.prepare(IMAGES, LABELS)
        runner.run(torch.zeros(1, 2))
        layer = runner.model.get_submodule("0")
        before = layer.maxima.clone()
        own = runner.own(torch.zeros(1, 2), 1)
        moved = next(runner.moved(runner.weights.start(torch.zeros(1)), torch.zeros(1, 2), own))
        runner.built(moved, runner.shared(torch.zeros(1)), runner.inputs, runner.targets)
    assert torch.equal(layer.maxima[0], before[0]) and bool((before < 0).any())


@pytest.mark.parametrize("case", ["float64", "bfloat16", "two threads", "short last chunk", "one direction is zero"])
def test_it_agrees_under_other_circumstances(case):
    model = network(nn.ReLU(), nn.MaxPool2d(2))
    images = IMAGES
    if case == "float64":
        model, images = model.double(), IMAGES.double()
    plane = la.random_plane(model, seed=1)
    if case == "one direction is zero":
        still = {name: torch.zeros_like(t) if name.startswith("0.") else t for name, t in plane.eta.items()}
        plane = la.Plane(plane.origin, plane.delta, still)
    sweep = make_sweep(model, plane, QUANTITIES)
    seen = profile(sweep, images[:2])
    sweep = replace(sweep, half=torch.bfloat16 if case == "bfloat16" else None)
    samples, threads = (5 if case == "short last chunk" else 12), 1 + (case == "two threads")
    runner = make_runner(sweep, Strategy(samples, threads=threads, transforms=(PooledLayers(), Traced())), seen)
    grid = np.linspace(-1, 1, 3)
    points = torch.tensor([(a, b) for a in grid for b in grid], dtype=images.dtype)
    found = torch.zeros(len(points), dtype=torch.float64)
    with torch.no_grad():
        for start in range(0, 12, samples):
            runner.prepare(images[start : start + samples], LABELS[start : start + samples])
            found += runner.run(points)[0]
    expected, _ = plain_loop(model, plane, (images, LABELS), loss="cross_entropy", alphas=grid, betas=grid)
    tolerance = {"float64": 1e-12, "bfloat16": 0.02}.get(case, 2e-5)
    np.testing.assert_allclose(found / 12, expected.ravel(), rtol=tolerance)


def test_values_that_are_not_finite_stay_so():
    model = network(nn.ReLU(), nn.MaxPool2d(2))
    plane = la.random_plane(model, seed=0)
    grid = np.array([-1e38, 0.0, 1e38])
    sweep, seen = prepared(model, plane)
    runner = Runner(sweep, Strategy(12, transforms=(PooledLayers(), Traced())), seen)
    with torch.no_grad():
        runner.prepare(IMAGES, LABELS)
        found = runner.run(torch.tensor([(a, b) for a in grid for b in grid], dtype=torch.float32))[0]
    expected, _ = plain_loop(model, plane, (IMAGES, LABELS), loss="cross_entropy", alphas=grid, betas=grid)
    np.testing.assert_array_equal(found.isfinite().numpy(), np.isfinite(expected.ravel()))


@pytest.mark.parametrize("window", [(2, 2), (3, 2), (1, 4)])
def test_images_sorted_by_place_have_the_maxima_of_pooling(window):
    images = torch.randn(3, 2, 9, 11)
    np.testing.assert_array_equal(by_place(images, window).amax(0), F.max_pool2d(images, window))


def test_it_is_tried_traced_and_on_a_large_pass_of_all_threads(monkeypatch):
    """Neither tracing nor this step alone is faster: only both together, timed at the points prepared together."""
    model = network(nn.ReLU(), nn.MaxPool2d(2))
    sweep, _ = prepared(model, la.random_plane(model, seed=0))
    inputs, targets, groups = IMAGES.repeat(50, 1, 1, 1), LABELS.repeat(50), set()

    def timed(self, runner, least):
        strategy = runner.strategy
        if strategy.has("pooled"):
            groups.add(strategy.group)
            return (0.5 if strategy.has("traced") else 3.0) - strategy.samples / 1e4
        return 2.0 if strategy.has("traced") else 1.0

    monkeypatch.setattr(choosing.Search, "timed", timed)
    monkeypatch.setattr(choosing, "usable_threads", lambda device: 2)
    monkeypatch.setattr(choosing, "PASS_SECONDS", 1e6)
    points = torch.rand(20, 2, generator=torch.Generator().manual_seed(0))
    runner, rate = choosing.choose(sweep, inputs, targets, points, Limits(allowed=lambda strategy: True))
    strategy = runner.strategy
    assert strategy.has("pooled") and strategy.has("traced") and rate == 0.5 - 0.06
    assert (strategy.samples, strategy.threads) == (600, 2) and groups == {AHEAD}
