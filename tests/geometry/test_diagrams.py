"""Distances between diagrams against every matching of small ones, and against the stability theorem."""

from itertools import permutations

import numpy as np
import pytest
import xarray as xr

from lossatlas import geometry
from shapes import double_well, surface_from, surface_of


def features(points):
    points = np.reshape(points, (-1, 2)).astype(float)
    return xr.Dataset({"birth": ("component", points[:, 0]), "death": ("component", points[:, 1])})


def cheapest(one, other, *, total):
    """The least sum, or the least maximum, of the costs of all matchings, each tried."""
    diagonal = lambda points: [((a + b) / 2, (a + b) / 2) for a, b in points]  # noqa: E731
    left, right = [*one, *diagonal(other)], [*other, *diagonal(one)]
    best = np.inf
    for order in permutations(range(len(right))):
        costs = [
            0 if i >= len(one) and j >= len(other) else max(abs(np.subtract(left[i], right[j])))
            for i, j in enumerate(order)
        ]
        best = min(best, sum(costs) if total else max(costs))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_distances_of_small_diagrams_are_those_of_the_cheapest_matching(seed):
    rng = np.random.default_rng(seed)
    one, other = (np.cumsum(rng.random((n, 2)), axis=1) for n in (3, 2 + seed % 3))
    found = [geometry.diagram_distance(features(one), features(other), kind=k) for k in ("bottleneck", "wasserstein")]
    expected = [cheapest(one.tolist(), other.tolist(), total=total) for total in (False, True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_never_ends_is_matched_by_birth_and_not_with_anything_else():
    one, other = features([[0, np.inf], [1, 2]]), features([[0.3, np.inf]])
    assert geometry.diagram_distance(one, other) == pytest.approx(0.5)
    assert geometry.diagram_distance(one, other, kind="wasserstein") == pytest.approx(0.8)
    assert geometry.diagram_distance(one, features([[0, 1]])) == np.inf
    assert geometry.diagram_distance(features([]), features([])) == 0


@pytest.mark.parametrize("dimension", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_the_bottleneck_distance_is_at_most_the_largest_difference_of_two_surfaces(seed, dimension):
    rng = np.random.default_rng(seed)
    values, change = rng.normal(size=(15, 16)), 0.3 * rng.normal(size=(15, 16))
    found = geometry.surface_distance(surface_from(values), surface_from(values + change), dimension=dimension)
    assert 0 < found <= abs(change).max() * (1 + 1e-12)


def test_the_distance_does_not_depend_on_where_features_lie_and_a_shift_upwards_is_a_distance():
    surface = surface_of(double_well, extent=1.6)
    mirrored = surface.assign(loss=surface.loss[::-1, ::-1].assign_coords(alpha=surface.alpha, beta=surface.beta))
    assert geometry.surface_distance(surface, mirrored) < 1e-300
    assert geometry.surface_distance(surface, surface + 0.25) == pytest.approx(0.25)
    coarse = surface_of(double_well, extent=1.6, points=161)
    assert geometry.surface_distance(surface, coarse) < 0.01


def test_surfaces_of_a_stack_are_compared_one_by_one_or_with_one():
    values = np.random.default_rng(0).normal(size=(3, 8, 9))
    both = geometry.stack({(i,): surface_from(v) for i, v in enumerate(values)}, ("seed",))
    assert (geometry.surface_distance(both, both) < 1e-300).all()
    with_one = geometry.surface_distance(both, surface_from(values[1]), kind="wasserstein")
    alone = [geometry.surface_distance(surface_from(v), surface_from(values[1]), kind="wasserstein") for v in values]
    assert with_one.dims == ("seed",) and with_one.values.tolist() == [float(a) for a in alone]
