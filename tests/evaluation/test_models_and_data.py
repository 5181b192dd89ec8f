"""Models and data as people have them: copied if that is possible, called as they are, put back as they were."""

import copy
import threading
from collections import OrderedDict, UserDict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torch.nn.utils.prune
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lossatlas as la

GRID = np.linspace(-1, 1, 3)
FINE = np.linspace(-1, 1, 13)


def data(n=60, inputs=6, classes=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, inputs, generator=generator), torch.randint(0, classes, (n,), generator=generator)


def by_hand(model, plane, batches, loss=F.cross_entropy, call=lambda network, inputs: network(inputs), alphas=GRID):
    """Weights written into the user's own model, in its own precision; afterwards they are put back."""
    own = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    model.eval()
    found = []
    for a in alphas:
        for b in alphas:
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    value = plane.origin[name].double() + a * plane.delta[name].double() + b * plane.eta[name].double()
                    parameter.copy_(value)
            total = samples = 0
            for inputs, targets in batches:
                with torch.no_grad():
                    total += float(loss(call(model, inputs), targets).double().mean()) * len(targets)
                samples += len(targets)
            found.append(total / samples)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(own[name])
    return np.array(found).reshape(len(alphas), len(alphas))


class Locked(nn.Module):
    """Holds a lock and a function that closes over its own layer."""

    def __init__(self):
        super().__init__()
        self.layer, self.lock = nn.Linear(6, 3), threading.Lock()

    def forward(self, x):
        with self.lock:
            return self.layer(x)


class Captured(nn.Module):
    """Calls its layer through a function that a copy would share with the original."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.call = lambda x: self.layer(x)

    def forward(self, x):
        return self.call(x)


class Uncopied(nn.Linear):
    def __deepcopy__(self, memo):
        raise TypeError("cannot be copied")


class Listed(nn.Module):
    """Reads its weights from a list of its own."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.weights = [self.layer.weight, self.layer.bias]

    def forward(self, x):
        return F.linear(x, *self.weights)


class Remembering(nn.Module):
    """Keeps what it computed, with its history."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        self.last = self.layer(x)
        return self.last


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight
        self.again = self.out

    def forward(self, x):
        return self.again(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Counting(nn.Module):
    """Updates a buffer in every forward pass, and depends on it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0).detach()
        return self.layer(x - self.mean)


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        x += 1
        return self.layer(x)


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3).bfloat16()

    def forward(self, x):
        return self.layer(x.bfloat16()).float()


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 3, dtype=torch.complex64))

    def forward(self, x):
        return (x.to(torch.complex64) @ self.weight).abs()


class Whole(nn.Module):
    """Holds a parameter of whole numbers."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.order = nn.Parameter(torch.tensor([2, 0, 1]), requires_grad=False)

    def forward(self, x):
        return self.layer(x)[:, self.order]


def weight_normed():
    net = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 8)), nn.Tanh(), nn.Linear(8, 3))
    net(torch.randn(4, 6)).sum().backward()
    return net


def spectral():
    net = nn.Sequential(nn.utils.spectral_norm(nn.Linear(6, 8)), nn.Tanh(), nn.Linear(8, 3))
    net(torch.randn(4, 6)).sum().backward()
    return net


def pruned():
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    nn.utils.prune.random_unstructured(net[0], "weight", 0.5)
    net(torch.randn(4, 6)).sum().backward()
    return net


def parametrized():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 8)), nn.Tanh(), nn.Linear(8, 3))


def scripted():
    return torch.jit.script(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)))


MODELS = {
    "a lock": Locked,
    "a captured layer": Captured,
    "no copy": lambda: Uncopied(6, 3),
    "a list of weights": Listed,
    "kept outputs": Remembering,
    "shared weights": Shared,
    "old weight norm": weight_normed,
    "old spectral norm": spectral,
    "pruned": pruned,
    "parametrized": parametrized,
    "DataParallel": lambda: nn.DataParallel(Shared()),
    "compiled": lambda: torch.compile(Shared(), backend="eager"),
    "TorchScript": scripted,
    "in place": InPlace,
    "half precision": Half,
    "complex": Complex,
    "whole numbers": Whole,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_models_of_many_kinds(name):
    torch.manual_seed(0)
    model = MODELS[name]()
    x, y = data()
    if name == "complex":
        delta, eta = ({"weight": torch.randn(6, 3, dtype=torch.complex64)} for _ in range(2))
        plane = la.plane_from_directions(model, delta, eta)
    elif name == "whole numbers":
        names = ["layer.weight", "layer.bias"]
        plane = la.random_plane(model, seed=2, include_biases=True, layers=names)
    else:
        plane = la.random_plane(model, seed=2, include_biases=True)
    before = copy.deepcopy(dict(vars(model))) if name == "kept outputs" else None
    state = {key: value.clone() for key, value in model.state_dict().items()}
    modes, gradients = model.training, [p.requires_grad for p in model.parameters()]
    surfaces = [
        la.evaluate(model, plane, (x, y), alphas=alphas, device="cpu", progress=False) for alphas in (GRID, FINE)
    ]
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert (model.training, [p.requires_grad for p in model.parameters()]) == (modes, gradients)
    assert before is None or "last" not in vars(model)
    assert float(x.mean()) == float(data()[0].mean()), "the data are as they were"
    if name == "complex":
        expected = []
        for a in GRID:
            for b in GRID:
                moved = model.weight.detach() + a * plane.delta["weight"] + b * plane.eta["weight"]
                expected.append(float(F.cross_entropy((x.to(torch.complex64) @ moved).abs(), y)))
        expected = np.array(expected).reshape(3, 3)
    else:
        copies = (x.clone() for _ in range(9))
        call = (
            (lambda network, _: network(next(copies)))
            if name == "in place"
            else lambda network, inputs: network(inputs)
        )
        expected = by_hand(model, plane, [(x, y)], call=call)
    tolerance = 1e-2 if name == "half precision" else 1e-5
    np.testing.assert_allclose(surfaces[0].loss, expected, rtol=tolerance)
    np.testing.assert_allclose(surfaces[1].loss[::6, ::6], surfaces[0].loss, rtol=1e-5)


def test_buffers_that_a_pass_changes_are_the_same_at_the_start_of_every_point():
    torch.manual_seed(0)
    model = Counting()
    batches = list(zip(*(part.split(20) for part in data()), strict=True))
    plane = la.random_plane(model, seed=2)
    surface = la.evaluate(model, plane, batches, alphas=GRID, device="cpu", progress=False)
    expected = []
    for a in GRID:
        for b in GRID:
            there = copy.deepcopy(model)
            there.layer.weight.data += a * plane.delta["layer.weight"] + b * plane.eta["layer.weight"]
            with torch.no_grad():
                expected.append(np.mean([float(F.cross_entropy(there(x), y)) for x, y in batches]))
    np.testing.assert_allclose(surface.loss, np.array(expected).reshape(3, 3), rtol=1e-5)
    assert "a forward pass changes the model" in surface.strategy and not model.mean.any()


Pair = namedtuple("Pair", ["left", "right"])


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, left, right):
        return self.left(left) + self.right(right)


def read_mapping(model, batch):
    return model(batch["left"], batch["deep"]["right"])


STRUCTURES = {
    "a nested dict": (lambda a, b: {"left": a, "deep": {"right": b}}, read_mapping),
    "a mapping of its own": (lambda a, b: UserDict({"left": a, "deep": {"right": b}}), read_mapping),
    "an ordered dict": (lambda a, b: OrderedDict(left=a, deep={"right": b}), read_mapping),
    "a named tuple": (Pair, lambda model, batch: model(batch.left, batch.right)),
    "a list": (lambda a, b: [a, b], lambda model, batch: model(*batch)),
    "an object": (lambda a, b: SimpleNamespace(left=a, right=b), lambda model, batch: model(batch.left, batch.right)),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_inputs_of_any_structure(name):
    build, predict = STRUCTURES[name]
    torch.manual_seed(0)
    model, (x, y) = TwoInputs(), data()
    batches = [(build(x[:40, :4], x[:40, 4:]), y[:40]), (build(x[40:, :4], x[40:, 4:]), y[40:])]
    plane = la.random_plane(model, seed=2)
    for alphas in (GRID, FINE):
        surface = la.evaluate(model, plane, batches, predict=predict, alphas=alphas, device="cpu", progress=False)
        step = (len(alphas) - 1) // 2
        expected = by_hand(model, plane, batches, call=predict)
        np.testing.assert_allclose(surface.loss[::step, ::step], expected, rtol=1e-5)
    assert type(batches[0][0]) is type(build(x, x))


def test_targets_that_are_dicts_or_lists_or_none():
    torch.manual_seed(0)
    model, (x, y) = nn.Linear(6, 3), data()
    plane = la.random_plane(model, seed=2)
    options = {"alphas": GRID, "device": "cpu", "progress": False}
    expected = by_hand(model, plane, [(x[:30], y[:30]), (x[30:], y[30:])])
    dicts = [(x[:30], {"label": y[:30]}), (x[30:], {"label": y[30:]})]
    found = la.evaluate(model, plane, dicts, loss=lambda o, t: F.cross_entropy(o, t["label"]), **options)
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)
    listed = [(x[:30], [{"label": label} for label in y[:30]]), (x[30:], [{"label": label} for label in y[30:]])]

    def detection(outputs, targets):
        return F.cross_entropy(outputs, torch.stack([target["label"] for target in targets]))

    found = la.evaluate(model, plane, listed, loss=detection, **options)
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)
    assert found.attrs["n_samples"] == 60
    squares = by_hand(model, plane, [(x, y)], loss=lambda o, t: o.square().mean(1))
    for without in ((x,), [(x[:20],), (x[20:],)], DataLoader(TensorDataset(x), batch_size=60)):
        found = la.evaluate(model, plane, without, loss=lambda outputs: outputs.square().mean(1).mean(), **options)
        np.testing.assert_allclose(found.loss, squares, rtol=1e-5)
    with pytest.raises(ValueError, match="targets: none given; cross_entropy expects one tensor"):
        la.evaluate(model, plane, (x,), **options)


class Physics(nn.Module):
    """Solves u' = u: the residual needs the derivative by the inputs."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x):
        u = self.net(x)
        return torch.autograd.grad(u.sum(), x, create_graph=True)[0] - u


def residual_of(u, at):
    return (torch.autograd.grad(u.sum(), at, create_graph=True)[0] - u).square().mean()


def test_losses_that_differentiate_by_the_inputs():
    torch.manual_seed(0)
    model, x = Physics(), torch.linspace(-1, 1, 20)[:, None]
    plane = la.random_plane(model, seed=2)
    options = {"alphas": GRID, "device": "cpu", "progress": False}
    inside = la.evaluate(model, plane, (x,), loss=lambda residual: residual.square().mean(), **options)
    outside = la.evaluate(
        model.net, la.plane_from_directions(model.net, *({k[4:]: v for k, v in d.items()} for d in plane.directions)),
        (x, x), loss=residual_of, **options,
    )  # fmt: skip
    expected = []
    for a in GRID:
        for b in GRID:
            there = copy.deepcopy(model).double()
            for name, parameter in there.named_parameters():
                parameter.data = plane.at(a, b)[name].double()
            expected.append(there(x.double().requires_grad_()).square().mean().item())
    np.testing.assert_allclose(inside.loss, np.array(expected).reshape(3, 3), rtol=1e-5)
    np.testing.assert_allclose(outside.loss, inside.loss, rtol=1e-5)
    assert "gradients by the inputs" in inside.strategy and x.grad is None and not x.requires_grad


def test_models_that_return_more_than_a_tensor_suit_losses_that_take_it():
    class Returning(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.layer, self.kind = nn.Linear(6, 3), kind

        def forward(self, x):
            logits = self.layer(x)
            return {"dict": {"logits": logits}, "tuple": (logits, x)}[self.kind]

    x, y = data()
    for kind, pick in (("dict", lambda o: o["logits"]), ("tuple", lambda o: o[0])):
        model = Returning(kind)
        plane = la.random_plane(model, seed=2)
        found = la.evaluate(
            model, plane, (x, y), loss=lambda o, t: F.cross_entropy(pick(o), t, reduction="none"),  # noqa: B023
            alphas=GRID, device="cpu", progress=False,
        )  # fmt: skip
        np.testing.assert_allclose(found.loss, by_hand(model, plane, [(x, y)], call=lambda m, i: pick(m(i))), rtol=1e-5)  # noqa: B023


def test_data_made_in_inference_mode_and_labels_of_other_types():
    with torch.inference_mode():
        x, y = data()
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    plane = la.random_plane(model, seed=2)
    expected = by_hand(model, plane, [data()])
    for alphas in (GRID, FINE):
        found = la.evaluate(model, plane, (x, y.clone().int()), alphas=alphas, device="cpu", progress=False)
        step = (len(alphas) - 1) // 2
        np.testing.assert_allclose(found.loss[::step, ::step], expected, rtol=1e-5)


class Pictures(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 3)

    def forward(self, pixels):
        return self.layer(pixels.float().flatten(1) / 255)


def test_pictures_of_whole_numbers():
    pixels = torch.randint(0, 256, (50, 4, 4), dtype=torch.uint8)
    model, y = Pictures(), torch.randint(0, 3, (50,))
    plane = la.random_plane(model, seed=2)
    found = la.evaluate(model, plane, (pixels, y), alphas=GRID, device="cpu", progress=False)
    np.testing.assert_allclose(found.loss, by_hand(model, plane, [(pixels, y)]), rtol=1e-5)


class Branching(nn.Module):
    """Turns its outputs around if their sum is negative, which another cut of the data may change."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        outputs = self.layer(x)
        return outputs if outputs.sum() > 0 else -outputs


def test_a_model_that_reads_values_is_called_on_the_batches_as_given():
    torch.manual_seed(0)
    model = Branching()
    plane = la.random_plane(model, seed=3)
    data = [(torch.randn(16, 6), torch.randint(0, 3, (16,))) for _ in range(4)]
    grid = np.linspace(-1, 1, 15)
    surface = la.evaluate(model, plane, data, alphas=grid, progress=False)
    assert "values are read" in surface.attrs["strategy"]
    for i in (0, 7, 14):
        moved = Branching()
        moved.load_state_dict(plane.at(grid[i], grid[-1]))
        with torch.no_grad():
            expected = np.mean([F.cross_entropy(moved(x), y).item() for x, y in data])
        assert surface.loss[i, -1].item() == pytest.approx(expected, rel=1e-5)


class Remembering(nn.Module):
    """Its output depends on what earlier calls left in plain Python attributes."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls, self.seen, self.by_name = nn.Linear(6, 3), 0, [], {"last": 0}

    def forward(self, x):
        self.calls += 1
        self.seen.append(len(x))
        self.by_name["last"] += 1
        return self.layer(x) * (1 + 0.1 * self.calls + 0.1 * len(self.seen) + 0.1 * self.by_name["last"])


def test_plain_attributes_are_as_they_were_at_every_point_and_afterwards():
    torch.manual_seed(0)
    model = Remembering()
    data = [(torch.randn(n, 6), torch.randint(0, 3, (n,))) for n in (8, 5)]
    line = la.random_line(model, seed=1)
    surface = la.evaluate(model, line, data, alphas=GRID, device="cpu", progress=False)
    assert (model.calls, model.seen, model.by_name) == (0, [], {"last": 0})
    expected = []
    for alpha in GRID:
        moved = copy.deepcopy(model).double()
        with torch.no_grad():
            for name, parameter in moved.named_parameters():
                parameter.copy_(line.origin[name].double() + alpha * line.delta[name].double())
            expected.append(sum(float(F.cross_entropy(moved(x.double()), y)) * len(x) for x, y in data) / 13)
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-5)
    assert "batches as given" in surface.strategy
