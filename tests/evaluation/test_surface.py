"""evaluate: against the plain loop, and what it must leave alone."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lossatlas as la
from lossatlas import vectors
from networks import DATA, OddNet, made_up_data, odd_net, plain_loop, table_1

GRID = np.linspace(-1, 1, 4)


def odd_data(n=40, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 6, generator=generator), torch.randint(0, 3, (n,), generator=generator)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_agrees_with_the_plain_loop_on_the_networks_of_table_1(name, dtype, tolerance):
    model, data = table_1(name)
    model = model.to(dtype)
    inputs, targets = data.test
    if inputs.is_floating_point():
        inputs = inputs.to(dtype)
    plane = la.random_plane(model, seed=2)
    surface = la.evaluate(model, plane, (inputs, targets), loss=data.loss, alphas=GRID, progress=False)
    losses, accuracy = plain_loop(model, plane, (inputs, targets), loss=data.loss, alphas=GRID, betas=GRID)
    np.testing.assert_allclose(surface.loss, losses, rtol=tolerance)
    np.testing.assert_allclose(surface.accuracy, accuracy, atol=0.02 if dtype == torch.float32 else 1e-12)
    assert surface.loss.dims == ("alpha", "beta")
    at_origin, _ = plain_loop(model, plane, (inputs, targets), loss=data.loss, alphas=[0.0], betas=[0.0])
    assert surface.attrs["origin_loss"] == pytest.approx(at_origin.item(), rel=tolerance)


def test_batch_norm_dropout_buffers_and_shared_weights():
    model, data = odd_net().double(), odd_data()
    data = (data[0].double(), data[1])
    plane = la.random_plane(model, seed=0, include_biases=True)
    betas = np.linspace(-0.5, 0.7, 3)
    surface = la.evaluate(model, plane, data, alphas=GRID, betas=betas, progress=False)
    losses, _ = plain_loop(model, plane, data, loss="cross_entropy", alphas=GRID, betas=betas)
    np.testing.assert_allclose(surface.loss, losses, rtol=1e-10)


def test_a_line_has_alpha_alone():
    a, b, data = odd_net(0), odd_net(1), odd_data()
    line = la.line_between(a, b)
    surface = la.evaluate(a, line, data, alphas=np.linspace(0, 1, 5), progress=False)
    losses, _ = plain_loop(a, line, data, loss="cross_entropy", alphas=np.linspace(0, 1, 5))
    assert surface.loss.dims == ("alpha",)
    np.testing.assert_allclose(surface.loss, losses, rtol=1e-5)
    with pytest.raises(ValueError, match="betas: given for a Line"):
        la.evaluate(a, line, data, betas=GRID)


@pytest.mark.parametrize("own", [torch.float32, torch.float64])
@pytest.mark.parametrize("given", [torch.float32, torch.float64])
def test_a_direction_may_have_another_precision_than_the_model(own, given):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2).to(own)
    inputs, targets = torch.randn(40, 3, dtype=own), torch.randint(2, (40,))
    origin = {name: tensor.detach() for name, tensor in model.named_parameters()}
    direction = {name: torch.randn(tensor.shape, dtype=given) for name, tensor in origin.items()}
    alphas = np.linspace(-1, 1, 5)
    ds = la.evaluate(model, la.Line(origin, direction), (inputs, targets), alphas=alphas, progress=False)
    for alpha, loss in zip(alphas, ds.loss.values, strict=True):
        weight, bias = (origin[name].double() + alpha * direction[name].double() for name in ("weight", "bias"))
        expected = torch.nn.functional.cross_entropy(inputs.double() @ weight.T + bias, targets)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_batches_of_any_kind_give_the_same_surface():
    model, (inputs, targets) = odd_net(), odd_data(45)
    plane = la.random_plane(model, seed=0)
    whole = la.evaluate(model, plane, (inputs, targets), alphas=GRID, progress=False)
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=7, shuffle=True)
    pairs = [(inputs[:20], targets[:20]), [inputs[20:], targets[20:]]]
    for data in (loader, pairs, iter(pairs)):
        surface = la.evaluate(model, plane, data, alphas=GRID, progress=False)
        np.testing.assert_allclose(surface.loss, whole.loss, rtol=1e-5)
        assert surface.attrs["n_samples"] == 45


def euclidean(outputs, targets):
    return (outputs - nn.functional.one_hot(targets, outputs.shape[1])).norm(dim=1)


def test_losses_by_name_and_by_callable():
    model, (inputs, targets) = odd_net(), odd_data()
    plane = la.random_plane(model, seed=0)
    one_hot = nn.functional.one_hot(targets, 3).float()
    for loss, theirs in (("mse", one_hot), ("bce_with_logits", one_hot), (euclidean, targets)):
        surface = la.evaluate(model, plane, (inputs, theirs), loss=loss, alphas=GRID, progress=False)
        losses, _ = plain_loop(model, plane, (inputs, theirs), loss=loss, alphas=GRID, betas=GRID)
        np.testing.assert_allclose(surface.loss, losses, rtol=1e-5)
    mean = la.evaluate(
        model, plane, (inputs, targets), loss=lambda o, t: euclidean(o, t).mean(), alphas=GRID, progress=False
    )
    np.testing.assert_allclose(mean.loss, surface.loss, rtol=1e-5)
    assert "accuracy" not in mean and "accuracy" not in surface and surface.attrs["loss_name"] == "euclidean"


def test_a_loss_that_cannot_be_batched_still_works():
    """Control flow on values is what vmap cannot follow: the loop can."""

    def stubborn(outputs, targets):
        losses = nn.functional.cross_entropy(outputs, targets, reduction="none")
        if losses.isnan().any().item():
            raise AssertionError("never here")
        return losses

    model, data = odd_net(), odd_data(200)
    plane = la.random_plane(model, seed=0)
    grid = np.linspace(-1, 1, 25)
    surface = la.evaluate(model, plane, data, loss=stubborn, alphas=grid, progress=False)
    losses, _ = plain_loop(model, plane, data, loss=stubborn, alphas=grid, betas=grid)
    assert surface.attrs["strategy"].startswith("loop")
    np.testing.assert_allclose(surface.loss, losses, rtol=1e-5)


class Failing(OddNet):
    fail = False

    def forward(self, x):
        torch.rand(1), random.random(), np.random.rand()
        if self.fail and len(x) > 2:
            raise RuntimeError("out of luck")
        return super().forward(x)


@pytest.mark.parametrize("fails", [False, True])
def test_the_caller_finds_everything_as_it_was(fails):
    torch.manual_seed(0)
    model = Failing()
    model(torch.randn(50, 6))
    model.train()
    model.drop.eval()  # a mode of its own in the middle
    model.first.weight.requires_grad_(False)
    model.second.bias.grad = torch.ones(8)
    before = copy.deepcopy(model)
    plane = la.random_plane(model, seed=0)
    loader = DataLoader(TensorDataset(*odd_data()), batch_size=8, shuffle=True)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    model.fail = fails
    if fails:
        with pytest.raises(ValueError, match="do not go through Failing: out of luck"):
            la.evaluate(model, plane, loader, alphas=GRID, progress=False)
    else:
        la.evaluate(model, plane, loader, alphas=GRID, progress=False)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1] and np.array_equal(np.random.get_state()[1], states[2])
    for (name, a), (_, b) in zip(model.state_dict().items(), before.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in before.parameters()]
    assert torch.equal(model.second.bias.grad, torch.ones(8)) and model.out.weight.grad is None


def test_the_weights_come_from_the_plane_not_from_the_model():
    a, b, data = odd_net(0), odd_net(1), odd_data()
    b.load_state_dict({**b.state_dict(), **{k: v for k, v in a.state_dict().items() if "running" in k}})
    plane = la.random_plane(a, seed=0)
    one = la.evaluate(a, plane, data, alphas=GRID, progress=False)
    two = la.evaluate(b, plane, data, alphas=GRID, progress=False)
    np.testing.assert_allclose(one.loss, two.loss, rtol=1e-6)


def test_non_finite_losses_are_kept_and_counted():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([[1.0]]))

        def forward(self, x):
            return torch.sqrt(x @ self.weight)  # NaN where the weight turns negative

    surface = la.evaluate(
        Root(), la.random_line(Root()), (torch.ones(3, 1), torch.zeros(3, 1)), loss="mse",
        alphas=np.linspace(-3, 3, 13), progress=False,
    )  # fmt: skip
    assert surface.attrs["n_nonfinite"] == int(surface.loss.isnull().sum()) > 0
    assert np.isfinite(surface.attrs["origin_loss"])


def test_provenance():
    model, data = odd_net(), odd_data()
    surface = la.evaluate(model, la.random_plane(model, seed=4), data, alphas=GRID, progress=False)
    attrs = surface.attrs
    assert attrs["model"] == "OddNet" and attrs["seed"] == "4" and attrs["normalize"] == "filter"
    assert attrs["n_samples"] == 40 and attrs["n_nonfinite"] == 0 and attrs["loss_name"] == "cross_entropy"
    assert "torch" in attrs["versions"] and attrs["seconds"] >= 0 and attrs["strategy"]
    assert surface.alpha.attrs["units"] == "filter-normalized step"
    assert surface.sizes == {"alpha": 4, "beta": 4}
    default = la.evaluate(model, la.random_line(model), data, progress=False)
    np.testing.assert_allclose(default.alpha, np.linspace(-1, 1, 51))


def test_progress_goes_to_stderr_and_is_silent_on_request(capsys):
    model, data = odd_net(), odd_data()
    plane = la.random_plane(model, seed=4)
    la.evaluate(model, plane, data, alphas=GRID, progress=False)
    assert capsys.readouterr() == ("", "")
    la.evaluate(model, plane, data, alphas=GRID)
    out, err = capsys.readouterr()
    assert out == "" and "surface" in err


def test_made_up_data_is_what_the_tests_think():
    data = made_up_data((2, 3), classes=4, n=9)
    assert data.test[0].shape == (9, 2, 3) and int(data.test[1].max()) < 4
    assert vectors.norm(vectors.parameters_of(odd_net())) > 0


def test_three_directions():
    model, data = odd_net(), odd_data()
    box = la.random_box(model, seed=3)
    assert box.directions[0]["first.weight"].any()
    alphas, betas, gammas = np.linspace(-1, 1, 3), np.linspace(-0.5, 1, 4), np.array([-0.3, 0.6])
    found = la.evaluate(model, box, data, alphas=alphas, betas=betas, gammas=gammas, progress=False)
    assert found.loss.dims == found.accuracy.dims == ("alpha", "beta", "gamma")
    assert found.gamma.attrs["units"] == "filter-normalized step"
    for k, gamma in enumerate(gammas):
        shifted = la.Plane(vectors.axpy(gamma, box.directions[2], box.origin), *box.directions[:2])
        expected, _ = plain_loop(model, shifted, data, loss="cross_entropy", alphas=alphas, betas=betas)
        np.testing.assert_allclose(found.loss[:, :, k], expected, rtol=1e-5)
    short = la.evaluate(model, box, data, alphas=alphas, progress=False)
    assert short.sizes == {"alpha": 3, "beta": 3, "gamma": 3}
