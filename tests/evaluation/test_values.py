"""Values against the user's own loop, in double precision, for losses, models and data of many kinds."""

import copy
import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lossatlas as la

GRID = np.linspace(-1, 1, 5)
FINE = np.linspace(-1, 1, 31)  # large enough that other strategies than the loop are tried


def classifier(seed=0, inputs=6, classes=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, classes))


def labelled(n=100, inputs=6, classes=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, inputs, generator=generator), torch.randint(0, classes, (n,), generator=generator)


def double(tree):
    return tree.double() if isinstance(tree, torch.Tensor) and tree.is_floating_point() else tree


def by_the_loop(model, plane, batches, loss, *, alphas=GRID, predict=None, to_double=True, reset=None):
    """Mean over batches weighted by samples: weights copied in, the model called, the loss taken; in float64."""
    reference = copy.deepcopy(model).eval()
    reference = reference.double() if to_double else reference
    call = predict or (lambda network, inputs: network(inputs))
    points = [(a,) for a in alphas] if len(plane.directions) == 1 else [(a, b) for a in alphas for b in alphas]
    found = []
    for point in points:
        with torch.no_grad():
            for name, parameter in reference.named_parameters():
                steps = sum(c * d[name].double() for c, d in zip(point, plane.directions, strict=True))
                parameter.copy_(plane.origin[name].double() + steps)
        if reset:
            reset()
        total = samples = 0
        for inputs, targets in batches:
            if to_double:
                inputs = torch.utils._pytree.tree_map(double, inputs)
            n = len(targets) if isinstance(targets, torch.Tensor) else len(inputs)
            value = loss(call(reference, inputs), double(targets) if to_double else targets)
            total, samples = total + float(value.detach().double().mean()) * n, samples + n
        found.append(total / samples)
    return np.array(found).reshape((len(alphas),) * len(plane.directions))


def check(
    model, data, loss, *, batches=None, strategy=None, tolerance=1e-5, alphas=GRID, reference_loss=None, **options
):
    plane = la.random_plane(model, seed=2, include_biases=True)
    surface = la.evaluate(model, plane, data, loss=loss, alphas=alphas, device="cpu", progress=False, **options)
    expected = by_the_loop(model, plane, batches or [data], reference_loss or loss, alphas=alphas)
    np.testing.assert_allclose(surface.loss, expected, rtol=tolerance)
    if strategy is not None:
        assert strategy in surface.strategy
    return surface


WEIGHTS = torch.tensor([1.0, 20.0, 0.1])


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=WEIGHTS),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.CrossEntropyLoss(ignore_index=2),
        nn.MultiMarginLoss(),
        lambda outputs, targets: (F.cross_entropy(outputs, targets, reduction="none") ** 2).mean().sqrt(),
        lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none").quantile(0.9),
    ],
    ids=["weighted", "sum", "ignored", "margin", "root", "quantile"],
)
@pytest.mark.parametrize("size", [None, 32])
def test_losses_of_a_batch_have_the_values_of_the_batches_given(loss, size):
    model, (inputs, targets) = classifier(), labelled()
    batches = [(inputs, targets)] if size is None else list(zip(inputs.split(size), targets.split(size), strict=True))

    def doubled(outputs, labels):
        return copy.deepcopy(loss).double()(outputs, labels) if isinstance(loss, nn.Module) else loss(outputs, labels)

    check(
        model, batches if size else (inputs, targets), loss, batches=batches, reference_loss=doubled,
        strategy="batches as given", alphas=FINE if size else GRID,
    )  # fmt: skip


def test_a_loss_of_one_value_per_sample_is_cut_and_one_that_mixes_samples_is_not():
    def independent(outputs, targets):
        return F.cross_entropy(outputs, targets, reduction="none") * WEIGHTS.to(outputs)[targets]

    def relative(outputs, targets):
        each = F.cross_entropy(outputs, targets, reduction="none")
        return each / each.mean()

    def first_only(outputs, targets):
        return F.cross_entropy(outputs - outputs[:1], targets, reduction="none")

    batches = list(zip(*(part.split(40) for part in labelled()), strict=True))
    assert "batches as given" not in check(classifier(), batches, independent, batches=batches).strategy
    for loss in (relative, first_only):
        check(classifier(), batches, loss, batches=batches, strategy="samples depend on their batch")


def test_a_mean_over_tokens_is_a_pair_of_sum_and_weight():
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))
    ids = torch.randint(0, 9, (30, 7), generator=torch.Generator().manual_seed(0))
    labels = ids.roll(-1, 1).masked_fill(torch.rand(30, 7, generator=torch.Generator().manual_seed(1)) < 0.4, -100)
    labels[:8] = -100  # a batch without any valid token
    batches = list(zip(ids.split(8), labels.split(8), strict=True))

    def tokens(outputs, targets):
        valid = (targets != -100).sum()
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="sum"), valid

    plane = la.random_plane(model, seed=1)
    surface = la.evaluate(model, plane, batches, loss=tokens, alphas=GRID, device="cpu", progress=False)
    expected = by_the_loop(
        model, plane, [(ids, labels)], lambda o, t: F.cross_entropy(o.flatten(0, 1), t.flatten()), alphas=GRID
    )
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-5)
    assert "a sum and a weight" in surface.strategy
    named = la.evaluate(
        model, plane, batches, predict=lambda m, x: m(x).movedim(2, 1), alphas=GRID, device="cpu", progress=False
    )
    np.testing.assert_allclose(named.loss, expected, rtol=1e-5)
    reference = copy.deepcopy(model).double()
    right = (reference(ids).argmax(-1) == labels)[labels != -100].double().mean()
    assert float(named.accuracy.sel(alpha=0, beta=0)) == pytest.approx(float(right), abs=1e-6)


def test_sums_of_batches_are_added_if_asked():
    model, (inputs, targets) = classifier(), labelled()
    batches = list(zip(inputs.split(30), targets.split(30), strict=True))
    plane, loss = la.random_plane(model), nn.CrossEntropyLoss(reduction="sum")
    options = {"loss": loss, "alphas": GRID, "device": "cpu", "progress": False}
    summed = la.evaluate(model, plane, batches, combine="sum", **options)
    whole = la.evaluate(model, plane, (inputs, targets), **options)
    np.testing.assert_allclose(summed.loss, whole.loss, rtol=1e-6)


class Graph(nn.Module):
    """Every sample is averaged with its nearest neighbour in the batch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        distances = torch.cdist(x, x) + torch.eye(len(x), dtype=x.dtype) * 1e9
        return self.layer(x + x[distances.argmin(1)])


@pytest.mark.parametrize(
    "model",
    [
        Graph(),
        nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.Linear(8, 3)),
        nn.Sequential(nn.Unflatten(0, (5, -1)), nn.Flatten(0, 1), nn.Linear(6, 3)),  # batches of multiples of five
    ],
    ids=["neighbours", "batch statistics", "batch size"],
)
def test_models_that_need_the_batches_given(model):
    batches = list(zip(*(part.split(20) for part in labelled()), strict=True))
    check(model, batches, "cross_entropy", batches=batches, reference_loss=F.cross_entropy, alphas=FINE)


class Noisy(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.first, self.last, self.draw = nn.Linear(6, 8), nn.Linear(8, 3), draw

    def forward(self, x):
        hidden = self.first(x)
        return self.last(hidden + self.draw(hidden))


def from_numpy(like):
    return torch.from_numpy(np.random.standard_normal(like.shape)).to(like)


def from_python(like):
    import random

    return like.new_full(like.shape, random.random())


class Drawing:
    """Draws from a generator of its own."""

    def __init__(self):
        self.generator = np.random.default_rng(3)

    def __deepcopy__(self, memo):
        return self

    def __call__(self, like):
        return torch.from_numpy(self.generator.standard_normal(like.shape)).to(like)


OWN = torch.Generator().manual_seed(5)


@pytest.mark.parametrize(
    "draw",
    [
        torch.randn_like,
        from_numpy,
        from_python,
        functools.partial(F.dropout, p=0.5, training=True),
        lambda like: torch.randn(like.shape, generator=OWN).to(like),
        Drawing(),
    ],
    ids=["torch", "numpy", "python", "dropout", "a generator it names", "a generator it holds"],
)
def test_every_point_sees_the_same_random_numbers(draw):
    torch.manual_seed(0)
    model = Noisy(draw)
    batches = list(zip(*(part.split(40) for part in labelled()), strict=True))
    plane = la.random_plane(model, seed=1)
    own = getattr(draw, "generator", None)
    before = own and own.bit_generator.state
    found = []
    for alphas in (FINE, FINE, GRID):
        torch.manual_seed(7), np.random.seed(7), __import__("random").seed(7), OWN.manual_seed(5)
        found.append(la.evaluate(model, plane, batches, alphas=alphas, device="cpu", progress=False))
        assert torch.equal(OWN.get_state(), torch.Generator().manual_seed(5).get_state())
    assert np.array_equal(found[0].loss, found[1].loss) and "random numbers" in found[0].strategy
    np.testing.assert_array_equal(found[0].loss.values[::15, ::15], found[2].loss.values[::2, ::2])

    def reset():
        torch.manual_seed(7), np.random.seed(7), __import__("random").seed(7), OWN.manual_seed(5)
        if own:
            own.bit_generator.state = before

    expected = by_the_loop(model, plane, batches, F.cross_entropy, to_double=False, reset=reset)
    np.testing.assert_allclose(found[2].loss, expected, rtol=1e-5)
