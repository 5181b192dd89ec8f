"""Surfaces of lines and planes between networks: every network has its own loss on them, by whatever strategy."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lossatlas as la
from networks import odd_net
from statistics_of_networks import KINDS, X, trained

Y = torch.randint(0, 3, (200,), generator=torch.Generator().manual_seed(1))


def own_loss(network, data=(X, Y)):
    """The loss of a network in double precision."""
    with torch.no_grad():
        return float(F.cross_entropy(copy.deepcopy(network).double()(data[0].double()), data[1]))


def reference(model, subspace, points, data=(X, Y)):
    """The loss with weights and buffers written into a model in double precision, point by point."""
    model = copy.deepcopy(model).double().eval()
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    found = []
    for point in points:
        for start, steps in ((subspace.origin, subspace.directions), (subspace.buffers, subspace.buffer_directions)):
            for name, value in start.items():
                moves = [c * step[name].double() for c, step in zip(point, steps, strict=False) if name in step]
                tensors[name].data.copy_(value.double() + sum(moves))
        found.append(own_loss(model, data))
    return np.array(found)


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_has_its_own_loss_whichever_model_is_passed(kind):
    networks = [trained(kind, seed)[-1] for seed in range(3)]
    fresh = trained(kind, 7)[0]
    losses = [own_loss(network) for network in networks]
    options = {"device": "cpu", "progress": False}
    alphas = np.linspace(0, 1, 5)
    line, plane = la.line_between(*networks[:2]), la.plane_through(*networks)
    surface = la.evaluate(fresh, line, (X, Y), alphas=alphas, **options)
    np.testing.assert_allclose(surface.loss[[0, -1]], losses[:2], rtol=1e-6)
    np.testing.assert_allclose(surface.loss, reference(fresh, line, alphas[:, None]), rtol=1e-5)
    corners = la.evaluate(fresh, plane, (X, Y), alphas=[0, 1], **options).loss.values
    np.testing.assert_allclose([corners[0, 0], corners[1, 0], corners[0, 1]], losses, rtol=1e-6)
    pca = la.pca_plane(networks, include_biases=True)
    places = la.project(networks, pca)
    for alpha, beta, loss in zip(places.alpha, places.beta, losses, strict=True):
        near = {"alphas": [float(alpha), float(alpha) + 1], "betas": [float(beta), float(beta) + 1]}
        found = la.evaluate(fresh, pca, (X, Y), **near, **options)
        assert float(found.loss[0, 0]) == pytest.approx(loss, rel=2e-6)
    around = la.evaluate(fresh, la.random_line(networks[1]), (X, Y), alphas=alphas, **options)
    assert float(around.loss[0]) == pytest.approx(losses[1], rel=1e-6)


def images(seed):
    """A small convolutional network with batch norm after some steps, and the data."""
    torch.manual_seed(seed)
    x, y = torch.randn(64, 1, 8, 8) * (seed + 1), torch.randint(0, 3, (64,))
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.Linear(64, 3),
    )  # fmt: skip
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    for _ in range(10):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    return net.eval(), (x, y)


@pytest.mark.parametrize("points", [3, 41])
def test_batch_norm_between_convolutional_networks(points):
    (a, data), (b, _) = images(0), images(1)
    line, alphas = la.line_between(a.state_dict(), b.state_dict()), np.linspace(0, 1, points)
    found = la.evaluate(a, line, data, alphas=alphas, device="cpu", progress=False)
    np.testing.assert_allclose(found.loss, reference(a, line, alphas[:, None], data), rtol=1e-5)
    np.testing.assert_allclose(found.loss[[0, -1]], [own_loss(a, data), own_loss(b, data)], rtol=1e-6)


def test_only_the_statistics_move():
    """Layers whose weights stand still and whose statistics do not."""
    a, data = images(0)
    b = copy.deepcopy(a)
    b[1].running_mean += 0.5
    b[4].running_var *= 3
    b[7].bias.data += 0.1
    line, alphas = la.line_between(a, b), np.linspace(0, 1, 9)
    found = la.evaluate(images(2)[0], line, data, alphas=alphas, device="cpu", progress=False)
    np.testing.assert_allclose(found.loss, reference(a, line, alphas[:, None], data), rtol=1e-5)
    assert np.ptp(found.loss.values) > 0.01


def test_statistics_that_are_estimated_anew_do_not_travel():
    (a, data), (b, _) = images(0), images(1)
    line = la.line_between(a, b)
    kept = la.Line(line.origin, line.delta)
    for batch_norm in ("batch", "recalibrate"):
        options = {"alphas": [0, 0.5, 1], "batch_norm": batch_norm, "device": "cpu", "progress": False}
        one, other = la.evaluate(b, line, data, **options), la.evaluate(b, kept, data, **options)
        np.testing.assert_allclose(one.loss, other.loss, rtol=1e-6)


def test_a_line_of_state_dicts_is_divided_by_the_model_that_it_is_evaluated_with():
    a, b = odd_net(0).eval(), odd_net(1).eval()
    b.shift.fill_(2.0)
    data = torch.randn(50, 6), torch.randint(0, 3, (50,))
    line = la.line_between(a.state_dict(), b.state_dict())
    assert "shift" in line.origin and "norm.running_var" in line.buffers
    found = la.evaluate(odd_net(2), line, data, alphas=[0, 1], device="cpu", progress=False)
    np.testing.assert_allclose(found.loss, [own_loss(a, data), own_loss(b, data)], rtol=1e-6)


def test_variances_below_zero_are_nan_and_counted():
    networks = [nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 3)) for _ in range(2)]
    for variance, network in zip((1.0, 3.0), networks, strict=True):
        nn.init.constant_(network[0].running_var, variance)
    data = torch.randn(9, 2), torch.randint(0, 3, (9,))
    options = {"device": "cpu", "progress": False}
    line = la.line_between(*networks)
    surface = la.evaluate(networks[0], line, data, alphas=[-1.5, -1, -0.4, 0, 1], **options)  # 1 + 2α
    assert np.isnan(surface.loss.values).tolist() == [True, True, False, False, False]
    assert surface.attrs["n_negative_variance"] == surface.attrs["n_nonfinite"] == 2
    assert "n_negative_variance" not in la.evaluate(networks[0], line, data, alphas=[0, 1], **options).attrs
