"""Permutations of hidden units: the function stays, a permuted copy comes back, and two networks get nearer."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lossatlas as la
from lossatlas import vectors
from lossatlas.connectivity import align, permute
from lossatlas.networks.models import build_model
from networks import DATA, OPTIONS

ALIGNABLE = ["feedforward-4", "feedforward-16-skip", "cnn-3", "vgg-9", "resnet", "densenet"]
METHODS = {"weights": None, "activations": "data"}


class Mixed(nn.Module):
    """What the networks of the book lack: `view`, layer normalization, a shared layer, 1-D convolutions, a gate."""

    def __init__(self):
        super().__init__()
        self.conv, self.again = nn.Conv1d(2, 6, 3, padding=1), nn.Conv1d(6, 6, 3, padding=1)
        self.dense, self.norm, self.gate = nn.Linear(24, 9), nn.LayerNorm(9), nn.Linear(24, 9)
        self.out, self.slope = nn.Linear(9, 3), nn.PReLU()

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = x + self.again(torch.tanh(self.again(x)))
        x = F.max_pool1d(x, 2)
        x = x.view(x.size(0), -1)
        return self.out(self.slope(self.norm(self.dense(x))) * torch.sigmoid(self.gate(x)))


def network(name, seed=3):
    """A network in training mode whose batch-norm layers have seen data, with inputs and labels."""
    if name == "mixed":
        torch.manual_seed(seed)
        model, inputs = Mixed(), torch.randn(50, 2, 8)
        return model, (inputs, torch.randint(0, 3, (50,)))
    data = DATA[name]()
    model = build_model(name, data, seed=seed, **OPTIONS.get(name, {}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():  # no two units are alike, and scales and biases tell them apart
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        for _ in range(2):
            model(data.train[0])
    return model, data.train


@pytest.mark.parametrize("name", [*ALIGNABLE, "mixed"])
def test_a_permuted_network_computes_the_same_with_other_weights(name):
    model, (inputs, _) = network(name)
    other = permute(model, seed=1)
    assert other.training == model.training
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    with torch.no_grad():
        expected, found = model.double().eval()(inputs.double()), other.double().eval()(inputs.double())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*ALIGNABLE, "mixed"])
def test_a_permuted_copy_comes_back_exactly(name, method):
    """Weights, biases, scales and running statistics: the line to the aligned copy has length zero."""
    model, data = network(name)
    before = copy.deepcopy(model.state_dict())
    other = permute(model, seed=1)
    aligned = align(model, other, data if method == "activations" else None, method=method)
    for name_, tensor in model.state_dict().items():
        assert torch.equal(aligned.state_dict()[name_], tensor), name_
        assert torch.equal(before[name_], tensor), "the caller's networks stay as they are"


@pytest.mark.parametrize("method", METHODS)
def test_the_barrier_to_a_permuted_copy_vanishes(method):
    data = la.load_dataset("digits")
    model = build_model("feedforward", data, depth=3, width=16)
    la.fit(model, data, recipe=la.Recipe("adam", learning_rate=0.01, epochs=5), progress=False)
    moved = permute(model, seed=1)
    options = {"alphas": [0, 0.5, 1], "device": "cpu", "progress": False}
    start, middle, end = la.evaluate(model, la.line_between(model, moved), data.test, **options).loss.values
    assert start == pytest.approx(end, abs=1e-5) and middle > 2 * start
    aligned = align(model, moved, data.train if method == "activations" else None, method=method)
    with pytest.raises(ValueError, match="model b has the weights of the first network: nothing lies in between"):
        la.line_between(model, aligned)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*ALIGNABLE, "mixed"])
def test_the_aligned_network_computes_what_it_did(name, method):
    (a, data), (b, _) = network(name), network(name, seed=4)
    aligned = align(a, b, data if method == "activations" else None, method=method)
    with torch.no_grad():
        expected, found = b.double().eval()(data[0].double()), aligned.double().eval()(data[0].double())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    if method == "weights":
        distances = [
            vectors.norm(vectors.difference(vectors.parameters_of(a), vectors.parameters_of(to))) for to in (b, aligned)
        ]
        assert distances[1] < distances[0]


def test_one_hidden_layer_is_aligned_as_well_as_any_order_can():
    torch.manual_seed(0)
    a, b = (nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).double() for _ in range(2))

    def distance(first, bias, last):
        pairs = (first, a[0].weight), (bias, a[0].bias), (last, a[2].weight)
        return sum(float((one - other).square().sum()) for one, other in pairs)

    with torch.no_grad():
        every = [
            distance(b[0].weight[list(order)], b[0].bias[list(order)], b[2].weight[:, list(order)])
            for order in itertools.permutations(range(5))
        ]
        aligned = align(a, b)
        found = distance(aligned[0].weight, aligned[0].bias, aligned[2].weight)
    assert found == pytest.approx(min(every)) and min(every) < sorted(every)[1]


def test_activations_find_units_that_weights_do_not_show():
    """Scaling a ReLU unit up and its outgoing weights down hides it from distances of weights, not from correlation."""
    torch.manual_seed(0)
    a = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
    scales, inputs = torch.tensor([1e-2, 1e2, 1e-1, 10, 30, 1e-3]), torch.randn(200, 3)
    b = copy.deepcopy(a)
    with torch.no_grad():
        b[0].weight.mul_(scales[:, None])
        b[0].bias.mul_(scales)
        b[2].weight.div_(scales)
    aligned = align(a, permute(b, seed=2), (inputs,), method="activations")
    assert torch.equal(aligned[0].weight, b[0].weight)


def test_channels_that_a_shortcut_pads_with_zeros_keep_their_place():
    """Of a stage's channels, those that the shortcut reaches follow the stage before; the others are free."""
    model, _ = network("resnet")
    other = permute(model, seed=1)
    first, widened = (model.state_dict()[name] for name in ("bn1.weight", "layer2.0.bn2.weight"))
    moved_first, moved = (other.state_dict()[name] for name in ("bn1.weight", "layer2.0.bn2.weight"))
    before = (len(widened) - len(first)) // 2
    reached = slice(before, before + len(first))
    order = [int((first == value).nonzero()) for value in moved_first]
    assert torch.equal(moved[reached], widened[reached][order])
    outside = [*range(before), *range(before + len(first), len(widened))]
    assert sorted(moved[outside].tolist()) == sorted(widened[outside].tolist())
