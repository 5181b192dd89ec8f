"""memory=: what is measured is what a network is known to need, and an evaluation stays below it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
import peaks
from lossatlas.evaluation.batches import split
from lossatlas.evaluation.choosing import PASS_SAMPLES
from lossatlas.evaluation.kernels.cached_layers import CachedLayers
from lossatlas.evaluation.kernels.channels_last import ChannelsLast
from lossatlas.evaluation.kernels.pooled_layers import PooledLayers
from lossatlas.evaluation.kernels.tracing import Traced
from lossatlas.evaluation.memory import Bound, peak_bytes
from lossatlas.evaluation.metrics import make_quantities
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.sweep import Sweep, profile

CPU = torch.device("cpu")


def test_the_peak_is_what_tensors_and_scratch_space_take():
    weight, inputs = torch.randn(500, 400), torch.randn(300, 400)
    assert peak_bytes(lambda: inputs @ weight.T, CPU) == 300 * 500 * 4
    chained = peak_bytes(lambda: ((inputs @ weight.T).relu() + 1).sum(), CPU)
    assert 0 <= chained - 2 * 300 * 500 * 4 < 100  # two of them at a time, and the scalars
    kept = []
    assert peak_bytes(lambda: kept.append(inputs.double()), CPU) == 300 * 400 * 8
    assert peak_bytes(lambda: inputs.relu_(), CPU) == 0


def wide(width=512):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))
    return model, (torch.randn(4096, 8), torch.randint(0, 3, (4096,)))


def test_passes_are_as_large_as_the_bound_lets_them_be():
    model, data = wide()
    plane, grid = la.random_plane(model), np.linspace(-1, 1, 3)
    free = la.evaluate(model, plane, data, alphas=grid, progress=False)
    weights = 4 * sum(parameter.numel() for parameter in model.parameters())
    for samples in (32, 256):
        bound = samples * 2 * 512 * 4 + 2 * weights + 12_000  # two hidden activations, the weights of two points
        sweep = Sweep(model, plane.origin, plane.directions, make_quantities("cross_entropy"))
        largest = max(Bound(sweep, data, torch.zeros(2, 2), bound).sizes(PASS_SAMPLES))
        assert samples / 2 <= largest <= 2 * samples
        surface = la.evaluate(model, plane, data, alphas=grid, memory=bound, progress=False)
        assert int(surface.strategy.split(" samples")[0].split()[-1]) <= largest, surface.strategy
        np.testing.assert_allclose(surface.loss, free.loss, rtol=1e-5)


CHUNKS, CHUNK = 3, 256
FIXED = {
    "loop": Strategy(CHUNK),
    "batched": Strategy(CHUNK, points=10),
    "cached": Strategy(CHUNK, transforms=(CachedLayers(), ChannelsLast())),
    "pooled": Strategy(CHUNK, transforms=(PooledLayers(), Traced())),
}


@pytest.mark.parametrize("name", FIXED)
def test_further_chunks_and_points_need_no_more_than_was_measured(name):
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 14 * 14, 3)
    model = nn.Sequential(*layers).eval()
    images, labels = torch.randn(CHUNKS * CHUNK, 1, 28, 28), torch.randint(0, 3, (CHUNKS * CHUNK,))
    plane = la.random_plane(model)
    sweep = Sweep(model, plane.origin, plane.directions, make_quantities("cross_entropy"))
    points = torch.tensor([(0.5, b) for b in np.linspace(-1, 1, 30)], dtype=torch.float32)

    def make():
        return Runner(sweep, FIXED[name], profile(sweep, images[:2]))

    measured = Bound(sweep, (images, labels), points, 10**9).peak_of(make())
    runner = make()

    def whole():
        for part in split((images, labels), CHUNK):
            runner.prepare(*part)
            runner.run(points)

    with torch.no_grad():
        assert peak_bytes(whole, CPU) <= 1.01 * measured


def test_a_bound_that_nothing_fits_names_what_is_needed():
    model, data = wide()
    plane = la.random_plane(model)
    with pytest.raises(ValueError, match=r"memory=2000: one sample at one point needs (\d+) bytes") as caught:
        la.evaluate(model, plane, data, memory=2000, progress=False)
    needs = int(str(caught.value).split()[-2])
    assert needs >= 4 * 512  # an activation of the hidden layer at least
    surface = la.evaluate(model, plane, data, alphas=[0, 1], memory=needs, progress=False)
    assert "1 samples a pass" in surface.strategy
    normed = nn.Sequential(nn.Linear(8, 512), nn.BatchNorm1d(512), nn.Linear(512, 3))
    with pytest.raises(ValueError, match=r"memory=100000: a batch of 4096 samples, which must stay whole, at one"):
        la.evaluate(normed, la.random_plane(normed), data, memory=100_000, batch_norm="batch", progress=False)
    for bad in (0, -5, 1.5, "1 GB"):
        with pytest.raises(ValueError, match=f"memory={bad!r}: expected a number of bytes"):
            la.evaluate(model, plane, data, memory=bad)


NETWORKS = {
    "mlp": "nn.Sequential(nn.Linear(8, 4096), nn.ReLU(), nn.Linear(4096, 3)), torch.randn(8000, 8)",
    "cnn": "nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Flatten(), "
    "nn.Linear(32 * 12 * 12, 3)), torch.randn(2000, 3, 16, 16)",
}
GROWTH = """
import numpy as np, torch, lossatlas as la
from torch import nn
from lossatlas.evaluation.kernels.tracing import trace_pass
from peaks import growth
torch.manual_seed(0)
model, inputs = {network}
data = inputs, torch.randint(0, 3, (len(inputs),))
plane = la.random_plane(model)
few = data[0][:8], data[1][:8]
# What first calls load: of everything, of oneDNN's products, of tracing.
la.evaluate(model, plane, few, alphas=[0, 1], memory=10**9, progress=False)
torch.ops.lossatlas.dense(torch.ones(128, 8), torch.ones(64, 8), torch.ones(64))
trace_pass(lambda a, b: (a @ b).relu(), (torch.ones(2, 2), torch.ones(2, 2)))
print(growth(lambda: la.evaluate(model, plane, data, alphas=[0, 1], memory={memory}, progress=False)))
"""


def printed_by(script):
    """The numbers that a process of its own prints."""
    returned = os.environ | peaks.RETURNED | {"PYTHONPATH": str(Path(peaks.__file__).parent)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=returned)
    assert done.stderr == ""
    return [float(word) for word in done.stdout.split()]


@pytest.mark.skipif(not peaks.MEASURABLE, reason="the high-water mark of a process is Linux's")
@pytest.mark.parametrize("network", NETWORKS)
def test_a_process_grows_by_no_more_than_the_bound(network):
    """What the operating system counted, against a bound of which an unbounded pass would need many times as much."""
    memory = 24 * 2**20
    [grown] = printed_by(GROWTH.format(network=NETWORKS[network], memory=memory))
    assert grown < memory + 8 * 2**20, "the bound, and what Python needs around it"


LARGE = """
import gc, torch, torch.nn.functional as F, lossatlas as la
from torch import nn
from peaks import growth
torch.manual_seed(0)

def network(width):
    layers = [layer for _ in range(3) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(16, width), *layers, nn.Linear(width, 3))

data = torch.randn(8, 16), torch.randint(0, 3, (8,))
model, few = network(2048), network(8)
plane, small = la.random_plane(model), la.random_plane(few)
bytes_of_it = sum(4 * parameter.numel() for parameter in model.parameters())
for loss in ("cross_entropy", lambda outputs, targets: F.cross_entropy(outputs, targets, label_smoothing=0.1)):
    options = {"alphas": [0, 1], "loss": loss, "progress": False}
    la.evaluate(few, small, data, **options)
    gc.collect()
    print(growth(lambda: la.evaluate(model, plane, data, **options)) / bytes_of_it)
"""


@pytest.mark.skipif(not peaks.MEASURABLE, reason="the high-water mark of a process is Linux's")
def test_a_large_model_is_copied_few_times():
    """Of a model of 48 MB, beside the user's model and plane: by batched passes and by the plain loop."""
    assert max(printed_by(LARGE)) < 4
