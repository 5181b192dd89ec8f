"""Curves through parameter space: where they pass, how they turn, and what `evaluate` finds along them."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.networks.models import build_model
from networks import made_up_data, odd_net


def three(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [{"w": torch.randn(3, 2, generator=generator, dtype=torch.float64)} for _ in range(3)]


def slow_bezier(points, t):
    """De Casteljau's construction, by repeated halving between neighbours."""
    while len(points) > 1:
        points = [{"w": (1 - t) * a["w"] + t * b["w"]} for a, b in itertools.pairwise(points)]
    return points[0]["w"]


@pytest.mark.parametrize("bends", [0, 1, 3])
def test_a_bezier_curve_is_what_de_casteljau_constructs(bends):
    points = [*three(0), *three(1)][: bends + 2]
    curve = la.Curve(points)
    for t in (0, 0.2, 0.5, 0.9, 1):
        torch.testing.assert_close(curve.at(t)["w"], slow_bezier(points, t))


def test_a_polygon_passes_through_its_points_along_straight_lines():
    points = [*three(0), *three(1)][:4]
    curve = la.Curve(points, "polygon")
    for i, point in enumerate(points):
        torch.testing.assert_close(curve.at(i / 3)["w"], point["w"])
    torch.testing.assert_close(curve.at(0.5)["w"], (points[1]["w"] + points[2]["w"]) / 2)
    for given, held in zip(points, curve.points, strict=True):
        torch.testing.assert_close(held["w"], given["w"])


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
def test_the_derivative_is_that_of_autograd(kind):
    """The curve is written down again here, as a function of t that autograd differentiates."""
    points = three()

    def written(t):
        a, b, c = (point["w"] for point in points)
        if kind == "bezier":
            return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        return a + 2 * t * (b - a) if t < 0.5 else b + (2 * t - 1) * (c - b)

    for t in (0.1, 0.4, 0.8):
        slope = torch.autograd.functional.jacobian(written, torch.tensor(t, dtype=torch.float64))
        torch.testing.assert_close(la.Curve(points, kind).derivative(t)["w"], slope)


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
def test_evaluate_agrees_with_the_users_own_loop(kind):
    """Batch-norm statistics travel with the weights: at both ends the loss is that of the networks themselves."""
    networks = [odd_net(seed).double() for seed in range(3)]
    inputs, targets = torch.randn(40, 6, dtype=torch.float64), torch.randint(0, 3, (40,))
    curve, ts = la.Curve(networks, kind), np.linspace(0, 1, 7)
    found = la.evaluate(networks[0], curve, (inputs, targets), ts=ts, device="cpu", progress=False)
    losses = []
    for t in ts:
        if kind == "bezier":
            weights = (1 - t) ** 2, 2 * t * (1 - t), t**2
        else:
            weights = max(0, 1 - 2 * t), 1 - abs(2 * t - 1), max(0, 2 * t - 1)
        there, states = copy.deepcopy(networks[0]).eval(), [network.state_dict() for network in networks]
        mean = {n: sum(w * s[n] for w, s in zip(weights, states, strict=True)) for n in states[0]}
        there.load_state_dict(mean)
        with torch.no_grad():
            losses.append(nn.functional.cross_entropy(there(inputs), targets).item())
    assert found.loss.dims == ("t",) and found.t.values.tolist() == ts.tolist()
    np.testing.assert_allclose(found.loss, losses, rtol=1e-10)
    with torch.no_grad():
        ends = [nn.functional.cross_entropy(networks[i].eval()(inputs), targets).item() for i in (0, 2)]
    np.testing.assert_allclose(found.loss[[0, -1]], ends, rtol=1e-10)


def test_a_curve_covers_zero_to_one_unless_asked_otherwise():
    data = made_up_data((1, 8, 8))
    networks = [build_model("feedforward", data, depth=2, width=4, seed=seed) for seed in range(3)]
    found = la.evaluate(networks[0], la.Curve(networks), data.train, device="cpu", progress=False)
    assert found.sizes == {"t": 51} and (float(found.t[0]), float(found.t[-1])) == (0, 1)
    with pytest.raises(ValueError, match="alphas: given for a Curve, whose axes are t"):
        la.evaluate(networks[0], la.Curve(networks), data.train, alphas=[0, 1], progress=False)


def test_a_curve_of_state_dicts_is_divided_by_the_model():
    networks = [odd_net(seed) for seed in range(3)]
    given = la.Curve([network.state_dict() for network in networks]).for_model(networks[0])
    expected = la.Curve(networks)
    for t in (0.0, 0.3, 1.0):
        torch.testing.assert_close(given.at(t), expected.at(t))
        torch.testing.assert_close(given.buffers_at(t), expected.buffers_at(t))
    for held, network in zip(expected.point_buffers, networks, strict=True):
        torch.testing.assert_close(held["norm.running_var"], network.norm.running_var)
