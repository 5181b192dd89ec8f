"""Curves between networks: on losses whose valleys are known, and against a loop of one's own."""

import copy

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.integrate import solve_ivp
from torch import nn

import lossatlas as la
from lossatlas import figures
from lossatlas.connectivity import barrier, connect, curve_plane, minimum_energy_path, path_on_plane
from networks import odd_net

HEIGHT = 1.5  # of the valley's middle above the straight line
BATCH = torch.zeros(20, 1, dtype=torch.float64), torch.zeros(20, dtype=torch.float64)
QUIET = {"device": "cpu", "progress": False}
RECIPE = la.Recipe(learning_rate=0.03, momentum=0.5, batch_size=20, epochs=1500, schedule="cosine")


class Weights(nn.Module):
    """Two weights, which are the outputs for every input."""

    def __init__(self, x, y):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([x, y], dtype=torch.float64))

    def forward(self, inputs):
        return self.w.expand(len(inputs), 2)


def double_well(outputs, targets):
    """Minima of zero at (±1, 0), joined by the valley y = HEIGHT·(1 - x²), over which the saddle is one high."""
    x, y = outputs.T
    return (x**2 - 1) ** 2 + (y - HEIGHT * (1 - x**2)) ** 2


WELLS = Weights(-1.0, 0.0), Weights(1.0, 0.0)


def test_the_straight_line_between_the_wells_crosses_the_ridge():
    line = la.line_between(*WELLS)
    found = barrier(line, BATCH, model=WELLS[0], loss=double_well, points=41, **QUIET)
    assert float(found.barrier) == pytest.approx(1 + HEIGHT**2) and float(found.barrier_at) == 0.5
    x = 2 * np.linspace(0, 1, 41) - 1
    np.testing.assert_allclose(found.loss, (x**2 - 1) ** 2 + HEIGHT**2 * (1 - x**2) ** 2, atol=1e-12)


def test_a_bezier_curve_finds_the_valley_that_is_one():
    """The valley is the parabola with the control point (0, 2·HEIGHT); on it the barrier is that of the saddle."""
    curve = connect(*WELLS, BATCH, loss=double_well, recipe=RECIPE, **QUIET)
    _, bend, _ = curve.points
    torch.testing.assert_close(bend["w"], torch.tensor([0.0, 2 * HEIGHT], dtype=torch.float64), atol=0.15, rtol=0)
    found = barrier(curve, BATCH, model=WELLS[0], loss=double_well, points=41, **QUIET)
    assert float(found.barrier) == pytest.approx(1, abs=0.03) and float(found.barrier_at) == pytest.approx(0.5, abs=0.1)


def steepest_descent():
    """Points (n, 2) of the way down from beside the saddle to the well at x = 1, by an ODE solver."""

    def down(_, point):
        x, y = point
        gap = y - HEIGHT * (1 - x**2)
        return [-4 * x * (x**2 - 1) - 4 * HEIGHT * x * gap, -2 * gap]

    return solve_ivp(down, (0, 20), [1e-3, HEIGHT], max_step=0.01).y.T


def test_a_minimum_energy_path_is_the_way_of_steepest_descent_from_the_saddle():
    options = {"loss": double_well, "recipe": la.Recipe(learning_rate=0.03, batch_size=20, epochs=300)}
    path, history = minimum_energy_path(*WELLS, BATCH, pivots=9, rounds=2, **options, **QUIET)
    points = np.array([point["w"].numpy() for point in path.points])
    way = steepest_descent()
    away = [np.linalg.norm(way - [abs(x), y], axis=1).min() for x, y in points]
    assert max(away) < 0.04 and points[:, 1].max() > HEIGHT - 0.1
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.02)
    found = barrier(path, BATCH, model=WELLS[0], loss=double_well, points=41, **QUIET)
    assert float(found.barrier) == pytest.approx(1, abs=0.05)
    assert history.sizes == {"step": 600} and history["round"].values.tolist() == [0] * 300 + [1] * 300
    assert float(history.highest[0]) > float(history.highest[-1])


def test_a_pivot_is_inserted_where_the_loss_rises_between_two():
    """A narrow wall that both pivots miss at first."""
    a, b = Weights(-1.0, 0.0), Weights(1.0, 0.0)

    def wall(outputs, targets):
        return torch.exp(-(((outputs[:, 0] - 0.1) / 0.1) ** 2)) + 0 * outputs[:, 1]

    recipe = la.Recipe(learning_rate=1e-9, batch_size=20, epochs=1)
    path, history = minimum_energy_path(a, b, BATCH, pivots=2, rounds=2, loss=wall, recipe=recipe, **QUIET)
    assert history.pivots.values.tolist() == [2, 3] and path.description["bends"] == 3


def test_two_places_in_a_bowl_are_joined_without_a_barrier():
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(50, 3, generator=generator), torch.randn(50, 2, generator=generator)
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    options = {"loss": "mse", **QUIET}
    straight = barrier(la.line_between(a, b), (inputs, targets), model=a, **options)
    assert float(straight.barrier) == 0 and float(straight.excess[1:-1].max()) < 0
    curve = connect(a, b, (inputs, targets), recipe=la.Recipe(learning_rate=0.1, epochs=100), **options)
    bent = barrier(curve, (inputs, targets), model=a, **options)
    assert float(bent.barrier) == 0 and float(bent.loss.mean()) < float(straight.loss.mean())


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
def test_training_is_that_of_a_loop_of_ones_own(kind):
    """The same draws, with the curve as a function of its bend that autograd differentiates."""
    torch.manual_seed(0)
    a, b = (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double() for _ in range(2))
    inputs, targets = torch.randn(30, 3, dtype=torch.float64), torch.randint(0, 2, (30,))
    recipe = la.Recipe(learning_rate=0.1, momentum=0.9, batch_size=12, epochs=3, l2=0.01, clip=0.5, decay=0.5)
    curve = connect(a, b, (inputs, targets), kind=kind, recipe=recipe, seed=5, **QUIET)

    flat = [nn.utils.parameters_to_vector(network.parameters()).detach() for network in (a, b)]
    generator = torch.Generator().manual_seed(5)
    drawn = torch.randn(1, len(flat[0]), generator=generator, dtype=torch.float64)[0]
    start = (flat[0] + flat[1]) / 2 + 1e-3 * (flat[1] - flat[0]).norm() * drawn / drawn.norm()
    bend = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([bend], lr=0.1, momentum=0.9)
    for epoch in range(3):
        optimizer.param_groups[0]["lr"] = 0.1 * 0.5**epoch
        for part in torch.randperm(30, generator=generator).split(12):
            t = float(torch.rand((), generator=generator, dtype=torch.float64))
            if kind == "bezier":
                point = (1 - t) ** 2 * flat[0] + 2 * t * (1 - t) * bend + t**2 * flat[1]
            else:
                point = flat[0] + 2 * t * (bend - flat[0]) if t < 0.5 else bend + (2 * t - 1) * (flat[1] - bend)
            pieces, named = {}, dict(a.named_parameters())
            for name, piece in zip(named, point.split([p.numel() for p in named.values()]), strict=True):
                pieces[name] = piece.view_as(named[name])
            outputs = torch.func.functional_call(a, pieces, inputs[part])
            penalty = sum(piece.square().sum() for piece in pieces.values() if piece.dim() > 1)
            loss = nn.functional.cross_entropy(outputs, targets[part]) + 0.005 * penalty
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([bend], 0.5)
            optimizer.step()
    found = torch.cat([tensor.flatten() for tensor in curve.points[1].values()])
    torch.testing.assert_close(found, bend.detach(), rtol=1e-10, atol=1e-12)
    assert float((found - start).norm()) > 0.05, "the bend has moved"


@pytest.mark.parametrize("make", [connect, lambda *args, **options: minimum_energy_path(*args, **options)[0]])
def test_ends_stay_and_the_seed_decides(make):
    a, b = odd_net(0), odd_net(1)
    before = [copy.deepcopy(network.state_dict()) for network in (a, b)]
    data = torch.randn(40, 6), torch.randint(0, 3, (40,))
    recipe = la.Recipe(learning_rate=0.05, batch_size=20, epochs=2)
    a.drop.p = b.drop.p = 0.0  # draws from the global random state
    curves = [make(a, b, data, recipe=recipe, seed=seed, **QUIET) for seed in (1, 1, 2)]
    for name in curves[0].at(0.4):
        assert torch.equal(curves[0].at(0.4)[name], curves[1].at(0.4)[name])
    assert not torch.equal(curves[0].at(0.4)["first.weight"], curves[2].at(0.4)["first.weight"])
    for t, network, kept in zip((0, 1), (a, b), before, strict=True):
        for name, tensor in {**curves[0].at(t), **curves[0].buffers_at(t)}.items():
            torch.testing.assert_close(tensor, kept[name], rtol=0, atol=1e-6)
        assert all(torch.equal(kept[name], tensor) for name, tensor in network.state_dict().items())
    middle = curves[0].buffers_at(0.5)["norm.running_mean"]
    torch.testing.assert_close(middle, (a.norm.running_mean + b.norm.running_mean) / 2)


def test_a_barrier_is_computed_with_statistics_of_training_data():
    a, b = odd_net(0).eval(), odd_net(1).eval()
    train = [(torch.randn(30, 6), torch.randint(0, 3, (30,))) for _ in range(2)]
    test, line = (torch.randn(25, 6), torch.randint(0, 3, (25,))), la.line_between(a, b)
    options = {"batch_norm": "recalibrate", "statistics": train, **QUIET}
    found = barrier(line, test, model=a, points=5, **options)
    expected = la.evaluate(a, line, test, alphas=np.linspace(0, 1, 5), **options).loss.values
    above = expected - np.linspace(expected[0], expected[-1], 5)
    np.testing.assert_allclose(found.excess, above, atol=1e-12)
    assert float(found.barrier) == pytest.approx(above.max(), abs=1e-12)


def test_a_loss_that_is_not_finite_makes_an_infinite_barrier():
    def broken(outputs, targets):
        return torch.where(outputs[:, 0].abs() < 0.2, torch.nan, outputs[:, 1])

    found = barrier(la.line_between(*WELLS), BATCH, model=WELLS[0], loss=broken, points=5, **QUIET)
    assert float(found.barrier) == np.inf and float(found.barrier_at) == 0.5
    at_end = la.line_between(Weights(0.0, 0.0), WELLS[1])
    assert np.isnan(barrier(at_end, BATCH, model=WELLS[0], loss=broken, points=5, **QUIET).barrier)


def test_a_curve_is_drawn_on_the_plane_through_its_ends_and_its_bend():
    networks = [odd_net(seed) for seed in range(3)]
    a, bend, b = networks
    curve = la.Curve(networks)
    plane = curve_plane(curve)
    path = path_on_plane(curve, plane, points=11)
    np.testing.assert_allclose(path.captured[1:], 1, atol=1e-5)  # the whole curve lies in it
    flat = [nn.utils.parameters_to_vector(network.parameters()).detach().double() for network in (a, bend, b)]
    length = float((flat[2] - flat[0]).norm())
    share = float((flat[1] - flat[0]) @ (flat[2] - flat[0])) / length**2
    aside = float((flat[1] - flat[0] - share * (flat[2] - flat[0])).norm()) / length
    t = path.t.values
    np.testing.assert_allclose(path.alpha, 2 * t * (1 - t) * share + t**2, atol=1e-5)
    np.testing.assert_allclose(path.beta, 2 * t * (1 - t) * aside, atol=1e-5)
    for point, network in (((0, 0), a), ((share, aside), bend), ((1, 0), b)):
        state = {**plane.at(*point), **plane.buffers_at(*point)}
        for name, tensor in state.items():
            torch.testing.assert_close(tensor, network.state_dict()[name], rtol=1e-4, atol=1e-5)
    grid = {"alpha": np.linspace(-0.2, 1.2, 8), "beta": np.linspace(-0.2, 1.0, 7)}
    surface = xr.Dataset({"loss": (("alpha", "beta"), np.add.outer(grid["alpha"] ** 2, grid["beta"]))}, grid)
    assert "path" in figures.path_over_contours(surface, path).alt


def test_the_farthest_bend_spans_the_plane_unless_another_is_named():
    points = [{"w": torch.tensor(p)} for p in ([0.0, 0, 0], [1.0, 1, 0], [2.0, 0, 3], [4.0, 0, 0])]
    curve = la.Curve(points, "polygon")
    assert curve_plane(curve).description["bend"] == 2
    torch.testing.assert_close(curve_plane(curve, bend=1).at(0.25, 0.25)["w"], points[1]["w"])
