"""Minimization in the nuclear-norm ball, against solutions by hand, by bisection and by scipy."""

import numpy as np
import pytest
import torch
from scipy import optimize

from lossatlas.networks.nuclear_norm import METHODS, duality_gap, minimise, project


def nuclear(matrix):
    return float(torch.linalg.matrix_norm(matrix, "nuc"))


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_projection(matrix, radius):
    """Bisection for the amount by which singular values must fall."""
    left, values, right = np.linalg.svd(matrix.numpy(), full_matrices=False)
    low, high = 0.0, values.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(values - middle, 0).sum() > radius else (low, middle)
    return torch.from_numpy(left @ np.diag(np.maximum(values - high, 0)) @ right)


@pytest.mark.parametrize("shape", [(3, 5), (6, 2), (4, 4), (1, 7)])
@pytest.mark.parametrize("radius", [0.3, 1.5, 4.0])
def test_a_projection_is_that_of_bisection(shape, radius):
    matrix = drawn(*shape)
    found = project(matrix, radius)
    torch.testing.assert_close(found, slow_projection(matrix, radius) if nuclear(matrix) > radius else matrix)


def test_nothing_in_the_ball_is_nearer_than_the_projection():
    matrix, radius = 2 * drawn(5, 4), 3.0
    found = project(matrix, radius)
    assert nuclear(found) == pytest.approx(radius)
    for seed in range(50):
        other = drawn(5, 4, seed=seed + 1)
        other = found + 0.1 * (other * (radius / nuclear(other)) - found)
        assert (other - matrix).norm() >= (found - matrix).norm()


def test_a_matrix_in_the_ball_stays_as_it_is_and_radius_zero_leaves_nothing():
    matrix = drawn(3, 4)
    assert project(matrix, nuclear(matrix) + 1e-9) is matrix
    assert not project(matrix, 0).any()


def test_the_gap_of_a_square_is_known_along_one_direction():
    """For half the squared distance from a matrix of rank one, the least value is (size − radius)² / 2."""
    unit = torch.tensor([[0.6, 0.0, 0.0], [0.8, 0.0, 0.0]], dtype=torch.float64)
    size, radius = 5.0, 2.0
    for share in (0.0, 0.5, 1.0):
        matrix = share * radius * unit
        gradient = matrix - size * unit
        above = (size - share * radius) ** 2 / 2 - (size - radius) ** 2 / 2
        by_hand = (radius - share * radius) * (size - share * radius)
        assert duality_gap(matrix, gradient, radius) == pytest.approx(by_hand)
        assert by_hand >= above


def logistic(inputs, labels):
    def objective(matrix):
        logits = inputs @ matrix
        errors = torch.softmax(logits, 1) - torch.eye(matrix.shape[1], dtype=inputs.dtype)[labels]
        return float(torch.nn.functional.cross_entropy(logits, labels)), inputs.T @ errors / len(labels)

    return objective


@pytest.mark.parametrize("radius", [0.8, 2.0])
def test_every_method_finds_the_minimum_that_scipy_finds(radius):
    inputs, labels = drawn(40, 3), torch.arange(40) % 2
    objective = logistic(inputs, labels)

    def flat(values):
        value, gradient = objective(torch.from_numpy(values).view(3, 2))
        return value, gradient.numpy().ravel()

    ball = {"type": "ineq", "fun": lambda values: radius - np.linalg.svd(values.reshape(3, 2))[1].sum()}
    start = np.random.default_rng(0).normal(size=6) * 0.05
    known = optimize.minimize(flat, start, jac=True, constraints=[ball], tol=1e-12, options={"maxiter": 500}).fun
    smoothness = float(torch.linalg.eigvalsh(inputs.T @ inputs / 40)[-1]) / 2
    for method in METHODS:
        matrix, history = minimise(
            objective,
            drawn(3, 2),
            radius=radius,
            smoothness=smoothness,
            method=method,
            steps=3000,
            tolerance=1e-7,
            progress=False,
        )
        gap = float(history.gap[-1])
        assert nuclear(matrix) <= radius + 1e-9
        assert known - 1e-7 <= float(history.objective[-1]) <= known + gap + 1e-7, method
        assert gap <= (1e-3 if method == "conditional" else 1e-7), method


def test_the_gap_bounds_the_distance_to_the_minimum_at_every_step():
    inputs, labels = drawn(30, 4), torch.arange(30) % 3
    options = {"radius": 2.0, "smoothness": 1.0, "steps": 400, "every": 1, "progress": False}
    _, history = minimise(logistic(inputs, labels), torch.zeros(4, 3).double(), **options)
    least = float(history.objective.min())
    assert (history.gap >= history.objective - least - 1e-12).all()
    assert history.norm.max() <= 2 + 1e-9 and history.step.values.tolist() == list(range(401))


def test_it_stops_at_the_tolerance_and_measures_as_often_as_asked():
    objective = logistic(drawn(30, 4), torch.arange(30) % 3)
    options = {"radius": 1.0, "smoothness": 1.0, "progress": False}
    _, history = minimise(objective, torch.zeros(4, 3).double(), steps=25, every=10, **options)
    assert history.step.values.tolist() == [0, 10, 20, 25]
    _, early = minimise(objective, torch.zeros(4, 3).double(), steps=1000, tolerance=1e-3, **options)
    assert early.gap[-1] <= 1e-3 < early.gap[-2] and early.step[-1] < 1000


@pytest.mark.parametrize(
    ("pattern", "call"),
    [
        ("matrix: got shape", lambda: project(torch.zeros(3), 1)),
        ("matrix: got int", lambda: project(3, 1)),
        ("radius=-1", lambda: project(torch.zeros(1, 1), -1)),
        ("gradient: shape", lambda: duality_gap(torch.zeros(1, 2), torch.zeros(2, 1), 1)),
        ("start: got NoneType", lambda: minimise(None, None, radius=1, smoothness=1)),
        ("method='newton'", lambda: minimise(None, torch.zeros(1, 1), radius=1, smoothness=1, method="newton")),
        ("smoothness=0", lambda: minimise(None, torch.zeros(1, 1), radius=1, smoothness=0)),
        ("every=0", lambda: minimise(None, torch.zeros(1, 1), radius=1, smoothness=1, every=0)),
    ],
)
def test_wrong_calls(pattern, call):
    with pytest.raises(ValueError, match=pattern):
        call()
