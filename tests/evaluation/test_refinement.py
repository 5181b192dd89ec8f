"""Filling a grid from a part of its points: right where it says so, and exact where it must be."""

import numpy as np
import pytest

from lossatlas.evaluation import refinement

SIDE = np.linspace(-1, 1, 51)
A, B = np.meshgrid(SIDE, SIDE, indexing="ij")
SMOOTH = {
    "a bowl": A**2 + 3 * B**2 + A * B,
    "a wall": 0.1 + np.exp(9 * np.hypot(A, B)),
    "two valleys": 1 + (A**2 - 0.25) ** 2 * 20 + B**2 + 0.3 * A,
    "waves": np.sin(3 * A + 1) * np.cos(4 * B),
    "flat, then a slope": np.logaddexp(0, 12 * (A + B)),
}


def asked(values):
    """The rows of values (k, …) as a function of indices, and what it was asked for."""
    rows = values.reshape(len(values), -1)
    indices = []

    def evaluate(chosen):
        indices.extend(chosen.tolist())
        return rows[:, chosen]

    return evaluate, indices, rows


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_surface_takes_less_than_a_quarter_of_the_points_and_is_within_its_estimate(name):
    evaluate, indices, rows = asked(np.stack([SMOOTH[name], A - B]))
    filled = refinement.fill(evaluate, [SIDE, SIDE])
    assert len(indices) == len(set(indices)) == filled.evaluated.sum() < 0.25 * SIDE.size**2
    errors = np.abs(filled.values - rows).max(1) / np.ptp(rows, axis=1)
    assert (errors <= filled.errors + 1e-12).all()
    assert filled.errors[0] <= refinement.TOLERANCE
    assert np.array_equal(filled.values[:, filled.evaluated], rows[:, filled.evaluated])


def test_noise_is_evaluated_whole():
    evaluate, indices, rows = asked(np.random.default_rng(0).random((1, 21 * 21)))
    filled = refinement.fill(evaluate, [SIDE[:21], SIDE[:21]])
    assert filled.evaluated.all() and len(indices) == 441
    assert np.array_equal(filled.values, rows) and filled.errors.tolist() == [0]


def test_a_spike_between_the_first_points_is_seen_where_its_foot_is():
    values = A**2 + B**2 + 5 * np.exp(-((A - 0.3) ** 2 + (B + 0.22) ** 2) / 0.02)
    evaluate, _, rows = asked(values[None])
    filled = refinement.fill(evaluate, [SIDE, SIDE])
    assert np.abs(filled.values - rows).max() <= filled.errors[0] * np.ptp(rows)


def test_values_that_are_not_finite_are_found_all_of_them():
    values = np.where(np.hypot(A - 0.5, B) < 0.4, np.inf, A**2 + B**2)
    values[A + B > 1.5] = np.nan
    evaluate, _, rows = asked(values[None])
    filled = refinement.fill(evaluate, [SIDE, SIDE])
    assert np.array_equal(np.isfinite(filled.values), np.isfinite(rows))
    finite = np.isfinite(rows)
    assert np.abs(filled.values[finite] - rows[finite]).max() <= refinement.TOLERANCE * np.ptp(rows[finite])


def test_nothing_finite_at_all():
    evaluate, indices, _ = asked(np.full((1, 169), np.nan))
    filled = refinement.fill(evaluate, [SIDE[:13], SIDE[:13]])
    assert len(indices) == 169 and np.isnan(filled.values).all()


@pytest.mark.parametrize("axes", [[SIDE], [np.linspace(-2, 5, 200)], [SIDE[:3], SIDE[:4]], [SIDE[:2], SIDE]])
def test_lines_and_small_grids(axes):
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    evaluate, _, rows = asked((1 + points**2).sum(1)[None])
    filled = refinement.fill(evaluate, axes)
    assert np.abs(filled.values - rows).max() <= refinement.TOLERANCE * np.ptp(rows)


def test_a_flat_surface_stays_flat():
    evaluate, _, rows = asked(np.full((1, 2601), 0.7))
    filled = refinement.fill(evaluate, [SIDE, SIDE])
    np.testing.assert_allclose(filled.values, rows, rtol=1e-6)
    assert filled.evaluated.mean() < 0.25


def test_the_same_points_every_time():
    first, second = (refinement.fill(asked(SMOOTH["waves"][None])[0], [SIDE, SIDE]).evaluated for _ in range(2))
    assert np.array_equal(first, second)
