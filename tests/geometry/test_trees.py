"""Merge trees against minimax levels by labelling, and their pairs against those of persistence."""

from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from scipy import ndimage

from lossatlas import geometry
from shapes import double_well, grids, surface_from, surface_of


def meeting_level(values, one, other):
    """The lowest level at which two points lie in one component, by labelling at every value; inf if at none."""
    for level in np.unique(values[np.isfinite(values)]):
        labels, _ = ndimage.label(np.isfinite(values) & (values <= level), np.ones((3,) * values.ndim))
        if labels[one] and labels[one] == labels[other]:
            return level
    return np.inf


def meeting_in(tree, one, other):
    """The value of the lowest node above both; inf if they lie in different trees."""
    above = [{node} | nx.descendants(tree, node) for node in (one, other)]
    return min((tree.nodes[node]["value"] for node in set.intersection(*above)), default=np.inf)


def of_kind(tree, kind):
    return [node for node, about in tree.nodes.items() if about["kind"] == kind]


def random_values(shape, seed, values=9):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, values, shape).astype(float)
    drawn[rng.random(shape) < 0.1] = np.nan
    return drawn


def surface_over(values):
    dims = ("alpha", "beta", "gamma")[: values.ndim]
    axes = {name: 0.5 * np.arange(size) for name, size in zip(dims, values.shape, strict=True)}
    return xr.Dataset({"loss": (dims, values)}, axes)


def check_against_labels(surface):
    values, tree = surface.loss.to_numpy(), geometry.merge_tree(surface)
    minima, saddles = of_kind(tree, "minimum"), of_kind(tree, "saddle")
    for one, other in combinations(minima, 2):
        assert meeting_in(tree, one, other) == meeting_level(values, one, other), (one, other)
    pairs = geometry.persistence(surface)
    assert sorted(tree.nodes[node]["value"] for node in minima) == sorted(pairs.birth.values)
    assert sorted(tree.nodes[node]["persistence"] for node in minima) == sorted(pairs.persistence.values)
    for node in tree:
        assert tree.nodes[node]["value"] == values[node]
        assert tree.out_degree(node) <= 1
    for lower, upper in tree.edges:
        assert tree.nodes[lower]["value"] < tree.nodes[upper]["value"]
    assert all(tree.in_degree(node) == 0 for node in minima) and all(tree.in_degree(node) >= 2 for node in saddles)


@settings(deadline=None, max_examples=40)
@given(grids)
def test_two_minima_meet_at_the_level_at_which_their_components_join(values):
    check_against_labels(surface_from(values))


@pytest.mark.parametrize("shape", [(25,), (3, 4, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_lines_and_volumes_have_trees_too(shape, seed):
    check_against_labels(surface_over(random_values(shape, seed)))


def test_a_double_well_has_two_minima_and_a_saddle_at_their_places():
    surface = surface_of(double_well, extent=1.6, points=161)
    tree = geometry.merge_tree(surface)
    (saddle,), minima = of_kind(tree, "saddle"), of_kind(tree, "minimum")
    left, right = sorted(minima, key=lambda node: tree.nodes[node]["alpha"])
    assert set(tree.edges) == {(left, saddle), (right, saddle)}
    for node, alpha in ((left, -1), (saddle, 0), (right, 1)):
        assert tree.nodes[node]["alpha"] == pytest.approx(alpha, abs=0.06)
        assert tree.nodes[node]["beta"] == pytest.approx(0, abs=1e-9)
    assert tree.nodes[left]["persistence"] == np.inf
    assert tree.nodes[right]["persistence"] == tree.nodes[saddle]["value"] - tree.nodes[right]["value"]
    assert list(geometry.merge_tree(surface, least=2.0)) == [left]


def test_three_basins_that_join_at_one_level_have_one_saddle():
    line = surface_over(np.array([1.0, 5, 0, 5, 2]))
    tree = geometry.merge_tree(line)
    assert len(of_kind(tree, "minimum")) == 3 and len(of_kind(tree, "saddle")) == 1


def test_parts_that_holes_cut_off_are_trees_of_their_own_and_no_value_is_no_tree():
    values = np.array([[0.0, np.nan, 1.0], [0.1, np.inf, 1.1], [0.2, -np.inf, 1.2]])
    tree = geometry.merge_tree(surface_from(values))
    assert set(tree) == {(0, 0), (0, 2)} and not tree.edges
    assert not geometry.merge_tree(surface_from(np.full((3, 3), np.nan)))


@pytest.mark.parametrize("least", [0.0, 1.0, 2.5, 4.0])
def test_the_minima_that_are_kept_are_those_of_a_larger_persistence(least):
    surface = surface_over(random_values((9, 9), 5, values=12))
    whole, tree = geometry.merge_tree(surface), geometry.merge_tree(surface, least=least)
    kept = {node for node in of_kind(whole, "minimum") if whole.nodes[node]["persistence"] > least}
    assert kept == set(of_kind(tree, "minimum"))
    for one, other in combinations(kept, 2):
        assert meeting_in(tree, one, other) == meeting_in(whole, one, other)


def test_paths_lead_along_neighbours_from_a_saddle_down_to_its_basins_and_never_above_it():
    surface = surface_over(random_values((8, 9), 7, values=30))
    tree = geometry.merge_tree(surface)
    paths = geometry.tree_paths(surface, tree)
    assert set(paths) == set(tree.edges)
    for (lower, upper), path in paths.items():
        assert (path.value <= tree.nodes[upper]["value"]).all()
        places = [(int(2 * a), int(2 * b)) for a, b in zip(path.alpha.values, path.beta.values, strict=True)]
        assert places[0] == upper and places[-1] == lower
        assert all(np.abs(np.subtract(a, b)).max() == 1 for a, b in pairwise(places))
        assert [surface.loss.values[place] for place in places] == path.value.values.tolist()


def test_the_tree_of_90_000_points_of_noise_has_the_pairs_of_persistence():
    values = np.random.default_rng(0).normal(size=(301, 301))
    tree, pairs = geometry.merge_tree(surface_from(values)), geometry.persistence(surface_from(values))
    lasting = sorted(tree.nodes[node]["persistence"] for node in of_kind(tree, "minimum"))
    np.testing.assert_array_equal(lasting, np.sort(pairs.persistence.values))
