import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas import patterns, vectors
from lossatlas.patterns.cells import Networks, accumulate
from lossatlas.patterns.geometry import Coordinates, made_orthogonal
from lossatlas.patterns.inputs import private_networks
from lossatlas.patterns.objectives import black_and_white

DIGITS = la.load_dataset("digits")
RING = patterns.picture("ring", size=9)
QUICK = patterns.PatternRecipe(updates=6, cells=5, batch_size=30, learning_rate=0.01)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 10))


def with_batch_norm():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("together", [1, 4])
@pytest.mark.parametrize("make", [network, with_batch_norm])
def test_the_gradient_is_that_of_the_objective_written_out(make, together):
    """All cells at once, in double precision, by automatic differentiation through eqs. 1 to 3."""
    model = make().double()
    shared = private_networks(model, lambda o, t: F.cross_entropy(o, t, reduction="none"), torch.device("cpu"))
    networks = Networks(shared.model, shared.template, shared.loss, together)
    size = len(vectors.flatten(networks.template))
    generator = torch.Generator().manual_seed(1)
    origin, right, raised = (0.3 * torch.randn(size, generator=generator, dtype=torch.double) for _ in range(3))
    parts = [part.requires_grad_() for part in (origin, right, raised, torch.tensor(0.4, dtype=torch.double))]
    places = torch.tensor([[0.0, 0.0], [1.0, -1.0], [-2.0, 0.5], [0.5, 2.0], [1.5, 1.0]], dtype=torch.double)
    signs = torch.tensor([1 / 2, 1 / 2, -1 / 3, -1 / 3, -1 / 3], dtype=torch.double)
    inputs, targets = DIGITS.train[0][:20].double(), DIGITS.train[1][:20]

    up = parts[2] - (parts[2] @ parts[1]) / (parts[1] @ parts[1]) * parts[1]
    up = up / up.norm() * parts[1].norm()
    model.train()
    expected_losses = []
    for alpha, beta in places:
        point = parts[0] + parts[3] * (alpha * parts[1] + beta * up)
        outputs = torch.func.functional_call(model, vectors.unflatten(point, networks.template), (inputs,))
        expected_losses.append(F.cross_entropy(outputs, targets))
    threshold = sum(sorted(loss.item() for loss in expected_losses[2:])[:2]) / 2  # cuts off two of three
    low, high = sum(expected_losses[:2]) / 2, sum(loss.clamp(max=threshold) for loss in expected_losses[2:]) / 3
    expected = torch.autograd.grad(low - high, parts)

    def weigh(numbers, losses):
        return signs[numbers] * ((signs[numbers] > 0) | (losses < threshold))

    where = Coordinates(*(part.detach() for part in parts))
    gradients, losses = accumulate(networks, where, places, weigh, (inputs, targets))
    np.testing.assert_allclose(losses, [loss.item() for loss in expected_losses], rtol=1e-10)
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


def test_up_is_orthogonal_to_right_and_as_long():
    right, raised = torch.randn(50, dtype=torch.double), torch.randn(50, dtype=torch.double)
    up = made_orthogonal(raised, right)
    assert abs(up @ right) < 1e-12 and up.norm().item() == pytest.approx(right.norm().item())
    assert abs(torch.linalg.det(torch.stack([raised, right, up]) @ torch.stack([raised, right, up]).T)) < 1e-8


def test_a_fit_draws_the_picture():
    recipe = patterns.PatternRecipe(updates=400, cells=20, batch_size=100, learning_rate=0.01)
    before = patterns.fit(network(), DIGITS, RING, recipe=patterns.PatternRecipe(updates=1), progress=False)
    found = patterns.fit(network(), DIGITS, RING, recipe=recipe, progress=False)

    def auc(pattern):
        where = {"alphas": pattern.alphas, "betas": pattern.betas}
        surface = la.evaluate(network(), pattern.plane, DIGITS.train, device="cpu", progress=False, **where)
        return float(patterns.fidelity(surface, RING).auc)

    assert auc(found) > 0.95 > auc(before)
    history = found.history
    late = history.isel(update=slice(-50, None))
    assert float(late.loss_white.mean()) > float(late.loss_black.mean()) + 0.5
    delta, eta = found.plane.directions
    assert abs(vectors.cosine(delta, eta)) < 1e-5 and vectors.norm(delta) == pytest.approx(vectors.norm(eta), rel=1e-5)


def test_the_model_stays_as_it_is_and_the_seed_decides():
    model = with_batch_norm()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(7)
    first = patterns.fit(model, DIGITS, RING, recipe=QUICK, progress=False)
    after = torch.rand(1)
    second = patterns.fit(model, DIGITS, RING, recipe=QUICK, progress=False)
    other = patterns.fit(model, DIGITS, RING, recipe=QUICK, seed=1, progress=False)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in before.items())
    torch.manual_seed(7)
    assert torch.equal(after, torch.rand(1))  # the caller's random numbers are untouched
    same = [torch.equal(first.plane.origin[name], second.plane.origin[name]) for name in first.plane.origin]
    assert all(same) and first.history.loss_black.equals(second.history.loss_black)
    assert not other.history.loss_black.equals(first.history.loss_black)


@pytest.mark.parametrize("make", [network, with_batch_norm])
def test_cells_together_give_what_cells_one_after_another_give(make):
    alone, together = (
        patterns.fit(make(), DIGITS, RING, recipe=QUICK, together=n, progress=False).history for n in (1, 4)
    )
    for name in ("loss_black", "loss_white", "scale", "gradient_norm"):
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-4)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4])
def test_a_stopped_fit_resumes_to_the_same_bits(tmp_path, after):
    whole = patterns.fit(with_batch_norm(), DIGITS, RING, recipe=QUICK, progress=False)
    seen = []

    def stop(update, plane):
        seen.append(update)
        if update == after:
            raise Stopped

    path = tmp_path / "ring.fit"
    with pytest.raises(Stopped):
        patterns.fit(
            with_batch_norm(), DIGITS, RING, recipe=QUICK, watch=stop, watch_every=1, resume=path, progress=False
        )
    assert seen == list(range(after + 1))
    resumed = patterns.fit(with_batch_norm(), DIGITS, RING, recipe=QUICK, resume=path, progress=False)
    assert resumed.history.drop_attrs().identical(whole.history.drop_attrs())
    for one, other in zip(resumed.plane.directions, whole.plane.directions, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    longer = patterns.PatternRecipe(**{**vars(QUICK), "updates": 8})
    further = patterns.fit(with_batch_norm(), DIGITS, RING, recipe=longer, resume=path, progress=False)
    assert further.history.sizes["update"] == 8


def test_a_resume_file_is_checked(tmp_path):
    path = tmp_path / "ring.fit"
    patterns.fit(network(), DIGITS, RING, recipe=QUICK, resume=path, progress=False)
    for change in ({"seed": 1}, {"picture": ~RING}, {"recipe": patterns.PatternRecipe(updates=6)}):
        options = {"picture": RING, "recipe": QUICK, **change}
        with pytest.raises(ValueError, match=r"resume=.*holds another model, picture, recipe, seed or data"):
            patterns.fit(network(), DIGITS, options.pop("picture"), resume=path, progress=False, **options)
    tensors = load_file(path)
    tensors["origin"][0] += 1
    save_file(tensors, path, metadata={"request": "", "digest": ""})
    with pytest.raises(ValueError, match=r"resume=.*is damaged"):
        patterns.fit(network(), DIGITS, RING, recipe=QUICK, resume=path, progress=False)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"resume=.*is not a file of this function"):
        patterns.fit(network(), DIGITS, RING, recipe=QUICK, resume=path, progress=False)


def test_without_centred_scales_more_networks_have_negative_ones():
    """Appendix C of Skorokhodov and Burtsev (2019)."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 200), nn.BatchNorm1d(200), nn.ReLU(), nn.Linear(200, 10))
    negative = {}
    for centre in (True, False):
        recipe = patterns.PatternRecipe(updates=1, centre_scales=centre)
        found = patterns.fit(model, DIGITS, RING, recipe=recipe, progress=False)
        scales = [found.plane.at(a, b)["2.weight"] for a in found.alphas for b in found.betas]
        negative[centre] = float(torch.stack(scales).lt(0).double().mean())
    assert negative[False] > 1.5 * negative[True]


def test_cells_inside_a_colour_are_left_out():
    black = np.zeros((7, 7), bool)
    black[1:6, 1:6] = True
    edge, outside = black_and_white(black, interior=False)
    assert not edge[3, 3] and edge.sum() == 16 and outside.sum() == 24
    every, rest = black_and_white(black, interior=True)
    assert every.sum() == 25 and rest.sum() == 24


def test_fidelity_is_what_scikit_learn_says_and_the_first_row_is_on_top():
    rng = np.random.default_rng(0)
    black = patterns.random_mask(0.4, size=8, seed=2)
    losses = rng.normal(size=(8, 8)) + ~black[::-1].T  # over alpha and beta
    accuracy = 1 - losses / 10
    axis = np.arange(8) - 3.5
    surface = xr.Dataset(
        {"loss": (("alpha", "beta"), losses), "accuracy": (("alpha", "beta"), accuracy)}, {"alpha": axis, "beta": axis}
    )
    found = patterns.fidelity(surface, black)
    assert float(found.auc) == pytest.approx(roc_auc_score(~black[::-1].T.ravel(), losses.ravel()))
    white_mean = np.mean([losses[j, 7 - i] for i in range(8) for j in range(8) if not black[i, j]])
    assert float(found.loss_white) == pytest.approx(white_mean)
    assert float(found.accuracy_gap) == pytest.approx(float(found.loss_gap) / 10)
    losses[0, 0] = np.nan
    assert int(patterns.fidelity(surface, black).n_not_finite) == 1


def test_a_grey_picture_gets_the_losses_that_are_asked_for():
    wanted = np.tile(np.linspace(0, 1, 6), (4, 1))
    recipe = patterns.PatternRecipe(updates=400, cells=12, batch_size=100, learning_rate=0.01)
    found = patterns.fit(network(), DIGITS, wanted, levels=(0.5, 2.0), recipe=recipe, progress=False)
    np.testing.assert_allclose(found.picture, 0.5 + 1.5 * wanted)
    where = {"alphas": found.alphas, "betas": found.betas}
    surface = la.evaluate(network(), found.plane, DIGITS.train, device="cpu", progress=False, **where)
    assert float(np.abs(surface.loss.T.values[::-1] - found.picture).mean()) < 0.15
    assert float(found.history.squared_error[-20:].mean()) < 0.3 * float(found.history.squared_error[:20].mean())


def test_each_class_draws_a_picture_of_its_own():
    left = np.tile([True, True, False, False], (4, 1))
    pictures = {0: left, 1: ~left, 2: left.T}
    inputs, targets = DIGITS.train
    three = inputs[targets < 3], targets[targets < 3]
    recipe = patterns.PatternRecipe(updates=600, cells=8, batch_size=40, learning_rate=0.01, skip_interior=False)
    found = patterns.fit(network(), three, pictures, recipe=recipe, together=16, progress=False)
    assert found.alphas.tolist() == [-1.5, -0.5, 0.5, 1.5] and list(found.picture) == [0, 1, 2]
    for label, picture in pictures.items():
        one = three[0][three[1] == label], three[1][three[1] == label]
        where = {"alphas": found.alphas, "betas": found.betas}
        surface = la.evaluate(network(), found.plane, one, device="cpu", progress=False, **where)
        assert patterns.fidelity(surface, picture).auc > 0.9, label
