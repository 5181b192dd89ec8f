"""Every way the engine can go gives the loop's values, and it picks a good one."""

import copy
import itertools
import json
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lossatlas as la
from lossatlas import vectors
from lossatlas.evaluation import choosing, runner
from lossatlas.evaluation.agreement import agrees
from lossatlas.evaluation.batches import blocks
from lossatlas.evaluation.kernels import TRANSFORMS, dense
from lossatlas.evaluation.kernels.onednn import OneDNNLinear
from lossatlas.evaluation.metrics import make_quantities
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.sweep import Sweep, profile
from lossatlas.evaluation.threads import make_runner
from lossatlas.evaluation.weights import WeightsApart
from networks import DATA, odd_net, plain_loop, slow_request, table_1


def make_sweep(model, plane, loss):
    return Sweep(model.eval().requires_grad_(False), plane.origin, plane.directions, make_quantities(loss))


def strategy(samples, points=1, *names, threads=1):
    """A strategy with transforms by their names."""
    assert set(names) <= {transform.name for transform in TRANSFORMS}
    chosen = tuple(transform for transform in TRANSFORMS if transform.name in names)
    return Strategy(samples, points, threads, chosen)


def test_a_strategy_says_what_it_does_and_comes_back_from_its_record():
    names = ("cached", "channels_last", "stepped", "onednn", "traced", "compiled")
    everything = strategy(25, 1, *names, threads=2)
    assert str(everything) == (
        "loop, 25 samples a pass, standing layers cached, channels last, recurrent steps, oneDNN, traced, compiled, "
        "2 threads"
    )
    assert str(Strategy(8, 3)) == "batched, 3 points a pass, 8 samples a pass"
    for one in (everything, Strategy(8, 3), strategy(1, 2, "traced")):
        assert Strategy.from_record(json.loads(json.dumps(one.record())), TRANSFORMS) == one
        assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(KeyError, match="warp"):
        Strategy.from_record(everything.record() | {"transforms": ["warp"]}, TRANSFORMS)


# PyTorch's fused recurrent layers cannot be batched over weights, and channels-last is for images.
WAYS = [
    (name, points, cached, channels_last)
    for name, points, cached, channels_last in itertools.product(DATA, (1, 5), (False, True), (False, True))
    if not (name == "rnn" and points > 1) and not (channels_last and name in ("rnn", "feedforward-2", "feedforward-4"))
]


@pytest.mark.parametrize(("name", "points", "cached", "channels_last"), WAYS)
def test_every_strategy_agrees_with_the_plain_loop(name, points, cached, channels_last):
    model, data = table_1(name)
    model = model.double()
    inputs, targets = data.test
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    plane = la.random_plane(model, seed=1)
    sweep = make_sweep(model, plane, data.loss)
    seen = profile(sweep, inputs[:2])
    assert bool(seen.fixed_inputs) == (name != "rnn")
    names = ["cached"] * cached + ["channels_last"] * channels_last
    way = Runner(sweep, strategy(25, points, *names), seen)
    alphas, betas = np.linspace(-1, 1, 3), np.linspace(-0.5, 1, 3)
    coefficients = torch.tensor([(a, b) for a in alphas for b in betas], dtype=torch.float64)
    total = torch.zeros(9, dtype=torch.float64)
    with torch.no_grad():
        for x, y in zip(inputs.split(25), targets.split(25), strict=True):
            way.prepare(x, y)
            total += way.run(coefficients)[0]
    expected, _ = plain_loop(model, plane, (inputs, targets), loss=data.loss, alphas=alphas, betas=betas)
    np.testing.assert_allclose((total / len(inputs)).reshape(3, 3), expected, rtol=1e-10)


def test_threads_leave_the_number_of_threads_stop_when_told_to_and_count_every_evaluation():
    model, data = table_1("feedforward-2")
    sweep = make_sweep(model, la.random_plane(model, seed=0), data.loss)
    way = make_runner(sweep, Strategy(20, threads=2))
    before, points, counted = torch.get_num_threads(), torch.zeros(6, 2), []
    way.prepare(*(part[:15] for part in data.test))  # ten for one thread, five for the other
    way.run(points, counted.append)
    assert sum(counted) == 6 * 15 and set(counted) == {10, 5}
    assert torch.get_num_threads() == before
    seen = []
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == before

    def interrupt(evaluations):
        seen.append(evaluations)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        way.run(torch.zeros(10_000, 2), interrupt)
    way.pool.shutdown(wait=True)  # returns soon: the other thread was told to stop
    assert len(seen) <= 2


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("cnn-1", strategy(25, 1, "cached", "channels_last", "onednn", "compiled")),
        ("cnn-3", strategy(25, 1, "channels_last", "onednn", "traced")),
        ("feedforward-16-skip", strategy(25, 1, "cached", "onednn", "compiled")),
        ("feedforward-16-skip", strategy(25, 1, "onednn")),
        ("feedforward-16-skip", strategy(25, 1, "cached", "onednn", "traced")),
        ("feedforward-4", strategy(25, 1, "onednn", "traced")),
        ("feedforward-4", strategy(25, 5, "cached", "compiled")),
        ("feedforward-4", strategy(25, 5, "traced")),
        ("rnn", strategy(25, 1, "stepped", "onednn")),
        ("rnn", strategy(25, 1, "stepped", "onednn", "traced")),
        ("rnn", strategy(25, 3, "stepped", "traced")),
        ("rnn", strategy(25, 1, "stepped", "onednn", threads=2)),
        ("cnn-1", strategy(25, 1, "cached", "channels_last", threads=3)),
        ("feedforward-4", strategy(25, 5, "cached", "compiled", threads=2)),
    ],
    ids=str,
)
def test_built_passes_agree_with_the_plain_loop(name, chosen):
    if chosen.has("onednn") and not dense.available(torch.device("cpu"), torch.float32):
        pytest.skip("this PyTorch has no oneDNN")
    model, data = table_1(name)
    plane = la.random_plane(model, seed=1)
    sweep = make_sweep(model, plane, data.loss)
    way = make_runner(sweep, chosen, profile(sweep, data.test[0][:2]))
    alphas = np.linspace(-1, 1, 5)
    coefficients = torch.tensor([(a, b) for a in alphas for b in alphas], dtype=torch.float32)
    total = torch.zeros(25, dtype=torch.float64)
    with torch.no_grad():
        for x, y in zip(*(part.split(25) for part in data.test), strict=True):  # the last chunk is smaller
            way.prepare(x, y)
            total += way.run(coefficients)[0]
    for one in getattr(way, "runners", [way]):
        assert (one.built is not None) == (chosen.has("traced") or chosen.has("compiled"))
    expected, _ = plain_loop(model, plane, data.test, loss=data.loss, alphas=alphas, betas=alphas)
    np.testing.assert_allclose((total / len(data.test[0])).reshape(5, 5), expected, rtol=2e-5)


class Branching(nn.Module):
    """Convolutions followed by all that they can, and cannot, take over; pooling by windows, and by more than that."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8, affine=i != 1) for i in range(3))
        self.same = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1, groups=g, bias=g == 2) for g in (1, 2, 8, 1, 1, 1))
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.out = nn.Linear(12, 10)

    def forward(self, x):
        a, b, c, d, e, f = self.same
        x = F.max_pool2d(torch.relu(self.norms[0](self.stem(x))), 2)
        x = x + F.max_pool2d(x, 3, stride=1, padding=1) + F.max_pool2d(torch.relu(x - 1), (2, 3)).mean()
        x = torch.relu(self.norms[1](a(x)) + x)  # its only other use is before: the sum takes its place
        x = torch.relu(x + b(x))  # the input of the very convolution it is added to
        y = self.norms[2](c(x)) + x
        x = torch.relu(d(y) + x) + x.mean()  # x is needed after the addition
        early = e(torch.relu(y + f(x)))  # y is needed after an addition too
        x = early + y.transpose(2, 3) + 2 * f(y)
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 4))
        x = torch.relu(self.down(x) + short + x.mean((1, 2, 3), keepdim=True))
        return self.out(x.mean((2, 3)))


@pytest.mark.parametrize("half", [None, torch.bfloat16])
def test_fused_convolutions_and_maxima_of_windows_give_the_values_of_the_modules(half):
    supported = torch.ops.mkldnn._is_mkldnn_bf16_supported() if half else True
    if not supported or not dense.available(torch.device("cpu"), torch.float32):
        pytest.skip("this PyTorch or processor has no such oneDNN")
    torch.manual_seed(0)
    model = Branching()
    inputs, targets = torch.randn(20, 3, 16, 16), torch.arange(20) % 10
    model(3 * torch.randn(50, 3, 16, 16) + 1)  # moves the running statistics
    model = model.eval().requires_grad_(False)
    plane = la.random_plane(model, seed=1, include_biases=True)
    sweep = replace(make_sweep(model, plane, "cross_entropy"), half=half)
    coefficients = torch.tensor([(a, b) for a in (-1, 0, 0.5) for b in (0.25, 1)], dtype=torch.float32)
    found = {}
    with torch.no_grad():
        for traced in (False, True):
            way = Runner(sweep, strategy(20, 1, "channels_last", *["traced"] * traced))
            way.prepare(inputs, targets)
            found[traced] = way.run(coefficients)[0]
    kinds = [str(node.target) for node in way.built.graph.nodes]
    assert sum("_convolution_pointwise" in kind for kind in kinds) == 9 and not any("batch_norm" in k for k in kinds)
    assert sum(kind.endswith("_convolution_pointwise_.binary") for kind in kinds) == 1
    assert sum("max_pool2d" in kind for kind in kinds) == 1  # of three
    torch.testing.assert_close(found[True], found[False], rtol=2e-2 if half else 1e-5, atol=0)


@pytest.mark.parametrize("name", ["cnn-1", "feedforward-16", "feedforward-4", "rnn"])
@pytest.mark.parametrize("built", [[], ["traced"], ["compiled"]])
def test_products_in_bfloat16_stay_near_the_plain_loop_and_are_not_it(name, built):
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no bfloat16 arithmetic")
    model, data = table_1(name)
    plane = la.random_plane(model, seed=1)
    sweep = make_sweep(model, plane, data.loss)
    lower = replace(sweep, half=torch.bfloat16)
    inputs, targets = data.test
    chosen = strategy(len(inputs), 1, "cached", *["stepped"] * (name == "rnn"), *built)
    way = Runner(lower, chosen, profile(sweep, inputs[:2]))
    alphas = np.linspace(-1, 1, 3)
    coefficients = torch.tensor([(a, b) for a in alphas for b in alphas], dtype=torch.float32)
    with torch.no_grad():
        way.prepare(inputs, targets)
        found = (way.run(coefficients)[0] / len(inputs)).reshape(3, 3).numpy()
    expected, _ = plain_loop(model, plane, data.test, loss=data.loss, alphas=alphas, betas=alphas)
    error = np.abs(found - expected).max() / np.ptp(expected)
    assert 1e-6 < error < 0.02


def test_dense_layers_by_onednn_are_linear_layers():
    layer, inputs = nn.Linear(7, 5), torch.randn(4, 3, 7)
    if not dense.available(torch.device("cpu"), torch.float32):
        pytest.skip("this PyTorch has no oneDNN")
    for shape in ((12, 7), (4, 3, 7), (2, 2, 3, 7)):
        with torch.no_grad():
            x = inputs.view(shape)
            torch.testing.assert_close(OneDNNLinear(layer)(x), layer(x))
            torch.testing.assert_close(OneDNNLinear(layer)(x.transpose(0, -2)), layer(x.transpose(0, -2)))
    assert not dense.available(torch.device("cpu"), torch.float64)


class Recurrent(nn.Module):
    """A recurrent layer with a given first state, batch first or not, with biases or without."""

    def __init__(self, **options):
        super().__init__()
        self.recurrent, self.output = nn.RNN(5, 7, **options), nn.Linear(7, 3)

    def forward(self, x):
        first = torch.full((1, len(x), 7), 0.5, dtype=x.dtype)
        states, last = self.recurrent(x if self.recurrent.batch_first else x.transpose(0, 1), first)
        return self.output(last[0] + states.mean(1 if self.recurrent.batch_first else 0))


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize("options", [{"batch_first": True}, {}, {"bias": False}])
def test_recurrent_steps_agree_with_the_loop(one_hot, options):
    torch.manual_seed(0)
    model = Recurrent(**options).double()
    inputs = torch.nn.functional.one_hot(torch.randint(0, 5, (20, 6)), 5).double()
    inputs = inputs if one_hot else inputs + torch.randn(20, 6, 5).double()
    targets = torch.randint(0, 3, (20,))
    plane = la.random_plane(model)
    sweep = make_sweep(model, plane, "cross_entropy")
    way = Runner(sweep, strategy(20, 1, "stepped"))
    grid = np.linspace(-1, 1, 3)
    coefficients = torch.tensor([(a, b) for a in grid for b in grid], dtype=torch.float64)
    with torch.no_grad():
        way.prepare(inputs, targets)
        assert bool(len(way.model.recurrent.codes)) == one_hot
        found = way.run(coefficients)[0] / 20
    expected, _ = plain_loop(model, plane, (inputs, targets), loss="cross_entropy", alphas=grid, betas=grid)
    np.testing.assert_allclose(found.reshape(3, 3), expected, rtol=1e-10)


def test_fixed_inputs_are_those_before_the_first_moving_weight():
    model, data = table_1("feedforward-16")
    plane = la.random_plane(model, layers=["layers.3"])
    seen = profile(make_sweep(model, plane, data.loss), data.test[0][:2])
    assert seen.fixed_inputs == tuple(f"layers.{i}" for i in range(4))
    odd = odd_net()
    seen = profile(make_sweep(odd, la.random_plane(odd), "cross_entropy"), torch.randn(2, 6))
    assert seen.fixed_inputs == ("first",)


def test_moving_statistics_are_not_taken_for_fixed():
    """Running statistics that move, of a layer with a fixed input: it is not affine in them, and what follows moves."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).eval().requires_grad_(False)
    origin = vectors.parameters_of(model) | {
        f"1.{n}": model.get_buffer(f"1.{n}").clone() for n in ("running_mean", "running_var")
    }
    directions = tuple(vectors.zeros_like(origin) for _ in range(2))
    directions[0]["1.running_mean"] += 1
    directions[1]["1.running_var"] += 0.5
    sweep = Sweep(model, origin, directions, make_quantities("cross_entropy"))
    assert profile(sweep, torch.randn(2, 6)).fixed_inputs == ("0",)
    inputs, targets = torch.randn(40, 6), torch.arange(40) % 3
    points = torch.tensor([(a, b) for a in (-1.0, 0.5, 1.0) for b in (-1.0, 0.25, 1.0)])
    expected = []
    for a, b in points.tolist():
        moved = copy.deepcopy(model)
        moved[1].running_mean += a
        moved[1].running_var += 0.5 * b
        expected.append(F.cross_entropy(moved(inputs), targets, reduction="sum").item())
    for names in ([], ["cached"], ["cached", "onednn"], ["traced"], ["cached", "traced"]):
        for points_a_pass in (1, 4):
            if "onednn" in names and (points_a_pass > 1 or not dense.available(torch.device("cpu"), torch.float32)):
                continue
            way = Runner(sweep, strategy(40, points_a_pass, *names), profile(sweep, inputs[:2]))
            with torch.no_grad():
                way.prepare(inputs, targets)
                np.testing.assert_allclose(way.run(points)[0], expected, rtol=1e-5, err_msg=str(way.strategy))


class Detached(nn.Module):
    """Hides a dependence from autograd: the second layer's input moves, but needs no gradient."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)).detach())


def test_a_network_that_misleads_the_probe_is_not_cached():
    torch.manual_seed(0)
    model = Detached()
    data = torch.randn(512, 6), torch.randint(0, 3, (512,))
    plane = la.random_plane(model)
    grid = np.linspace(-1, 1, 40)
    surface = la.evaluate(model, plane, data, alphas=grid, progress=False)
    expected, _ = plain_loop(model, plane, data, loss="cross_entropy", alphas=grid, betas=grid)
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-5)


class Reads(nn.Module):
    """Asks a layer for its weight: a stand-in for the layer has none."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 64)

    def forward(self, x):
        return self.first(x.to(self.first.weight.dtype)).tanh()


@pytest.mark.parametrize("model", [Reads(), table_1("rnn")[0]])
def test_a_network_that_reads_its_own_weights_is_evaluated_where_its_layers_stand(model, monkeypatch):
    monkeypatch.setattr(choosing, "BETTER", float("inf"))  # whatever can be done is done
    inputs = torch.randint(0, 20, (400, 12)) if hasattr(model, "vocabulary") else torch.randn(4000, 6)
    data = inputs, inputs if hasattr(model, "vocabulary") else torch.randint(0, 64, (4000,))
    plane = la.random_plane(model, layers=["output" if hasattr(model, "vocabulary") else "first"])
    grid = np.linspace(-1, 1, 15)
    surface = la.evaluate(model, plane, data, alphas=grid, progress=False)
    assert surface.strategy != "loop, 128 samples a pass", "too short to try anything else"
    expected, _ = plain_loop(model, plane, data, loss="cross_entropy", alphas=grid, betas=grid)
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-5)


def test_a_pass_that_cannot_be_traced_is_refused_however_many_points_it_holds():
    request = slow_request(pause=0)  # it asks for values
    sweep = make_sweep(request["model"], request["plane"], "cross_entropy")
    inputs, targets = request["data"]
    coefficients = torch.rand(40, 2)
    for traced in (False, True):
        way = Runner(sweep, strategy(40, 30, "cached", *["traced"] * traced), profile(sweep, inputs[:2]))
        loop = Runner(sweep, Strategy(40))
        with torch.no_grad():
            assert agrees(way, loop, inputs, targets, coefficients) != traced


@pytest.mark.parametrize("sizes", [[3, 3, 3], [10], [1, 9, 4, 7], [25]])
def test_blocks_regroup_and_lose_nothing(sizes):
    batches = []
    start = 0
    for size in sizes:
        values = torch.arange(start, start + size)
        batches.append((values, -values))
        start += size
    found = list(blocks(iter(batches), 10))
    assert all(len(x) <= 10 and torch.equal(x, -y) for x, y in found)
    assert torch.cat([x for x, _ in found]).tolist() == list(range(start))


def test_batching_beats_the_loop_on_a_small_network(monkeypatch):
    """The point of the engine: many points of a small network in one pass. A ratio of processor times in one run."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)  # the engine chooses by it too, whatever else runs
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    data = torch.randn(64, 4), torch.randint(0, 2, (64,))
    plane = la.random_plane(model)
    grid = np.linspace(-1, 1, 61)
    la.evaluate(model, plane, data, alphas=grid, progress=False)
    ours, theirs = [], []
    for _ in range(5):
        start = time.perf_counter()
        surface = la.evaluate(model, plane, data, alphas=grid, progress=False)
        middle = time.perf_counter()
        plain_loop(model, plane, data, loss="cross_entropy", alphas=grid, betas=grid)
        ours.append(middle - start)
        theirs.append(time.perf_counter() - middle)
    assert min(theirs) / min(ours) > 2, surface.attrs["strategy"]  # 6 or more on a machine with nothing else to do


class Centred(nn.Module):
    """Takes from every sample the mean of its batch: its values depend on how samples are grouped."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return self.layer(x - x.mean(0))


def test_a_strategy_whose_values_depend_on_how_samples_are_grouped_does_not_agree():
    torch.manual_seed(0)
    model = Centred()
    sweep = make_sweep(model, la.random_plane(model), "cross_entropy")
    data = torch.randn(60, 6), torch.arange(60) % 3
    loop, points = Runner(sweep, Strategy(60)), torch.rand(5, 2)
    with torch.no_grad():
        assert not agrees(Runner(sweep, Strategy(60)), loop, *data, points)
        assert agrees(Runner(sweep, Strategy(60)), loop, *data, points, cut=False)
        plain = make_sweep(model.layer, la.random_plane(model.layer), "cross_entropy")
        assert agrees(Runner(plain, Strategy(60)), Runner(plain, Strategy(60)), *data, points)


@pytest.mark.parametrize("points", [1, 4])
@pytest.mark.parametrize("names", [(), ("cached", "onednn"), ("traced",)])
def test_weights_held_apart_are_those_in_one_vector(monkeypatch, points, names):
    if "onednn" in names and (points > 1 or not dense.available(torch.device("cpu"), torch.float32)):
        pytest.skip("oneDNN takes one point at a time, and not every PyTorch has it")
    model = odd_net().eval()
    sweep = make_sweep(model, la.random_plane(model, include_biases=True), "cross_entropy")
    data = torch.randn(30, 6), torch.arange(30) % 3
    grid = torch.cartesian_prod(torch.linspace(-1, 1, 3), torch.linspace(-1, 1, 4))
    found = []
    for limit in (10**9, 0):
        monkeypatch.setattr(runner, "ONE_VECTOR", limit)
        one = Runner(sweep, strategy(30, points, *names), profile(sweep, data[0][:2]))
        assert isinstance(one.weights, WeightsApart) == (limit == 0)
        with torch.no_grad():
            one.prepare(*data)
            found.append(one.run(grid)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=0)


def test_sweep_knows_which_parameters_move():
    model, data = table_1("feedforward-4")
    sweep = make_sweep(model, la.random_plane(model, layers=["layers.1"]), data.loss)
    assert sweep.moving == ["layers.1.weight"]
    still = vectors.zeros_like(vectors.parameters_of(model))
    one = still | {"layers.0.bias": torch.ones_like(still["layers.0.bias"])}
    other = still | {"layers.2.bias": torch.ones_like(still["layers.2.bias"])}
    plane = la.plane_from_directions(model, one, other)
    assert make_sweep(model, plane, data.loss).moving == ["layers.0.bias", "layers.2.bias"]
