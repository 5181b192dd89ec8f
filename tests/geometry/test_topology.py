from collections import deque

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from scipy import ndimage

from lossatlas import geometry
from shapes import bowl, double_well, grids, surface_from, surface_of


def flood_fill_count(inside):
    """8-connected components, by breadth first."""
    inside, count = inside.copy(), 0
    for start in zip(*np.nonzero(inside), strict=True):
        if not inside[start]:
            continue
        count += 1
        queue = deque([start])
        inside[start] = False
        while queue:
            i, j = queue.popleft()
            for k in range(max(i - 1, 0), min(i + 2, inside.shape[0])):
                for m in range(max(j - 1, 0), min(j + 2, inside.shape[1])):
                    if inside[k, m]:
                        inside[k, m] = False
                        queue.append((k, m))
    return count


# Components


def test_a_double_well_has_two_components_between_its_minima_and_its_pass():
    surface = surface_of(double_well, extent=1.6, points=161)
    on_axis = surface.loss.sel(beta=0, method="nearest")
    near, far = float(on_axis.where(surface.alpha < 0).min()), float(on_axis.where(surface.alpha > 0).min())
    height = float(on_axis.where(abs(surface.alpha) < 0.9).max())  # the pass lies on β = 0
    found = geometry.persistence(surface)
    assert found.sizes["component"] == 2
    np.testing.assert_allclose(found.birth, [near, far])
    np.testing.assert_allclose(found.death, [np.inf, height])
    np.testing.assert_allclose(found.alpha, [-1, 1], atol=0.03)
    np.testing.assert_allclose(found.beta, 0, atol=1e-12)
    assert geometry.barrier(surface) == pytest.approx(height - far)
    assert geometry.minima(surface) == 2
    levels = [near - 0.01, (near + far) / 2, (far + height) / 2, height, 3.0]
    counts = geometry.sublevel_components(surface, levels)
    assert counts.components.values.tolist() == [0, 1, 2, 1, 1]
    assert counts.share[0] == 0 and counts.level.values.tolist() == levels


def test_a_bowl_has_one_basin_whatever_rounding_does_to_its_floor():
    flat = surface_of(lambda a, b: np.float32(1 + 1e-9 * bowl(a, b)) + 1e-7 * np.sin(1e4 * a * b), precision="float32")
    assert geometry.persistence(flat).sizes["component"] > 10
    assert geometry.minima(flat) == 1 and geometry.barrier(flat) == 0


def test_a_plateau_is_one_component_and_its_ties_have_no_persistence():
    found = geometry.persistence(surface_from(np.full((5, 6), 2.0)))
    assert found.birth.values.tolist() == [2.0] and found.death.values.tolist() == [np.inf]


def test_diagonal_neighbours_touch():
    values = np.array([[0.0, 9, 9], [9, 1, 9], [9, 9, 0.5]])
    assert geometry.persistence(surface_from(values)).birth.values.tolist() == [0.0, 0.5]
    assert geometry.sublevel_components(surface_from(values), [0.5, 1.0]).components.values.tolist() == [2, 1]


def test_what_is_not_finite_separates_components():
    values = np.array([[0.0, np.nan, 1.0], [0.1, np.inf, 1.1], [0.2, -np.inf, 1.2]])
    found = geometry.persistence(surface_from(values))
    assert found.birth.values.tolist() == [0.0, 1.0] and np.isinf(found.death).all()
    assert geometry.sublevel_components(surface_from(values), [5.0]).components.item() == 2
    empty = surface_from(np.full((3, 3), np.nan))
    assert geometry.persistence(empty).sizes["component"] == 0
    with pytest.raises(ValueError, match="no finite value"):
        geometry.sublevel_components(empty)


def union_find_pairs(values):
    """Birth and death of every component: points enter from the lowest up, and the younger of two that meet ends."""
    parent, pairs = {}, []

    def root(point):
        while parent[point] != point:
            point = parent[point]
        return point

    points = [tuple(point) for point in np.argwhere(np.isfinite(values))]
    for point in sorted(points, key=lambda point: values[point]):
        parent[point] = point
        for step in np.ndindex(*[3] * values.ndim):
            neighbour = tuple(np.add(point, step) - 1)
            if neighbour in parent:
                older, younger = sorted((root(point), root(neighbour)), key=lambda r: (values[r], r))
                if older != younger:
                    parent[younger] = older
                    pairs.append((values[younger], values[point]))
    pairs += [(values[point], np.inf) for point in parent if parent[point] == point]
    return sorted(pair for pair in pairs if pair[0] < pair[1])


@settings(deadline=None, max_examples=60)
@given(grids)
def test_persistence_agrees_with_union_find(values):
    found = geometry.persistence(surface_from(values))
    assert sorted(zip(found.birth.values, found.death.values, strict=True)) == union_find_pairs(values)
    lasting = found.persistence.values
    assert (lasting[:-1] >= lasting[1:]).all()
    for i in range(found.sizes["component"]):  # each minimum lies where it is said to be
        place = {axis: float(found[axis][i]) for axis in ("alpha", "beta")}
        assert float(surface_from(values).loss.sel(place)) == float(found.birth[i])


@pytest.mark.parametrize("shape", [(12,), (4, 5, 3)])
def test_persistence_of_lines_and_of_three_directions_agrees_with_union_find(shape):
    values = np.random.default_rng(0).integers(0, 30, shape).astype(float)
    dims = ("alpha", "beta", "gamma")[: len(shape)]
    axes = {name: np.arange(float(size)) for name, size in zip(dims, shape, strict=True)}
    found = geometry.persistence(xr.Dataset({"loss": (dims, values)}, axes))
    assert sorted(zip(found.birth.values, found.death.values, strict=True)) == union_find_pairs(values)
    levels = np.arange(0.0, 31.0, 3)
    alive = [int((found.birth <= level).sum() - (found.death <= level).sum()) for level in levels]
    counts = geometry.sublevel_components(xr.Dataset({"loss": (dims, values)}, axes), levels).components
    assert counts.values.tolist() == alive


def test_components_of_a_stack_are_those_of_each_surface_filled_with_nan():
    values = np.random.default_rng(1).normal(size=(2, 5, 6))
    both = geometry.stack({(i,): surface_from(v) for i, v in enumerate(values)}, ("seed",))
    found = geometry.persistence(both)
    for i, each in enumerate(values):
        alone = geometry.persistence(surface_from(each))
        part = found.isel(seed=i, component=slice(alone.sizes["component"])).drop_vars("seed")
        xr.testing.assert_identical(part, alone)
        assert np.isnan(found.birth.isel(seed=i)[alone.sizes["component"] :]).all()
    assert geometry.sublevel_components(both, [0.0, 1.0]).components.dims == ("seed", "level")


@settings(deadline=None, max_examples=60)
@given(grids)
def test_components_agree_with_flood_fill_and_with_births_minus_deaths(values):
    surface, levels = surface_from(values), np.arange(-1.0, 8.0)
    slow = [flood_fill_count(np.isfinite(values) & (values <= level)) for level in levels]
    pairs = geometry.persistence(surface)
    alive = [int((pairs.birth <= level).sum() - (pairs.death <= level).sum()) for level in levels]
    assert alive == slow
    if np.isfinite(values).any():
        assert geometry.sublevel_components(surface, levels).components.values.tolist() == slow
        default = geometry.sublevel_components(surface, 5)
        assert default.share.values[-1] == np.isfinite(values).mean()


@settings(deadline=None, max_examples=60)
@given(grids)
def test_counts_at_every_level_are_those_of_flood_fill_at_and_between_the_values(values):
    finite = np.unique(values[np.isfinite(values)])
    if not finite.size:
        return
    exact = geometry.sublevel_components(surface_from(values), None)
    for level in np.sort(np.append(finite, finite + 0.5)):
        at = np.searchsorted(exact.level, level, side="right") - 1
        assert exact.components[at] == flood_fill_count(np.isfinite(values) & (values <= level))


# Loops and cavities


def betti_numbers(inside):
    """Components, loops and cavities of a union of closed cubes, from labels and the Euler characteristic."""
    axes, padded = inside.ndim, np.pad(inside, 1)
    cells = 0  # alternating count of the faces, edges and corners that belong to some cube
    for kind in np.ndindex(*[2] * axes):  # 1: the face extends along this axis; 0: it lies between two cubes
        touched = padded
        for axis, extends in enumerate(kind):
            if not extends:
                low = np.take(touched, range(touched.shape[axis] - 1), axis)
                touched = low | np.take(touched, range(1, touched.shape[axis]), axis)
        cells += (-1) ** sum(kind) * int(touched.sum())
    components = ndimage.label(inside, np.ones((3,) * axes))[1]
    enclosed = ndimage.label(~padded)[1] - 1  # pieces of the rest, joined through faces, but for the outside
    return [components, enclosed] if axes == 2 else [components, components + enclosed - cells, enclosed]


@pytest.mark.parametrize("shape", [(6, 7), (4, 5, 6)])
@pytest.mark.parametrize("seed", range(4))
def test_features_alive_at_a_level_are_as_many_as_the_betti_numbers(shape, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, shape).astype(float)
    values[rng.random(shape) < 0.1] = np.nan
    surface = volume_from(values)
    found = [geometry.persistence(surface, dimension=dimension) for dimension in range(len(shape))]
    for level in range(-1, 13):
        alive = [int((each.birth <= level).sum() - (each.death <= level).sum()) for each in found]
        assert alive == betti_numbers(values <= level), level


def volume_from(values):
    dims = ("alpha", "beta", "gamma")[: values.ndim]
    axes = {name: np.arange(float(size)) for name, size in zip(dims, values.shape, strict=True)}
    return xr.Dataset({"loss": (dims, values)}, axes)


def test_a_ring_is_a_loop_from_its_highest_point_to_the_summit_inside_it():
    surface = surface_of(lambda a, b: (a**2 + b**2 - 0.36) ** 2 + 0.1 * a)
    found = geometry.persistence(surface, dimension=1)
    inside = surface.loss.where(np.hypot(surface.alpha, surface.beta) < 0.4)
    assert found.death[0] == inside.max()
    assert found.persistence[0] > 5 * found.persistence.values[1:].max(initial=0)
    assert inside.sel(alpha=found.death_alpha[0], beta=found.death_beta[0]) == inside.max()
    assert found.birth[0] == pytest.approx(0.06, abs=0.005)  # at α = 0.6, where the ring is highest
    assert found.alpha[0] == pytest.approx(0.6, abs=0.06) and found.beta[0] == pytest.approx(0, abs=0.06)


def test_a_volume_with_a_hollow_has_a_cavity_and_a_point_without_a_value_never_fills_it():
    values = np.ones((5, 5, 5))
    values[1:4, 1:4, 1:4] = 0
    values[2, 2, 2] = 7.5
    found = geometry.persistence(volume_from(values), dimension=2)
    assert (found.birth.item(), found.death.item(), found.death_gamma.item()) == (0.0, 7.5, 2.0)
    assert geometry.persistence(volume_from(values), dimension=1).sizes["component"] == 0
    values[2, 2, 2] = np.nan
    open_end = geometry.persistence(volume_from(values), dimension=2)
    assert np.isinf(open_end.death.item()) and np.isnan(open_end.death_gamma.item())


def test_a_saddle_has_coordinates():
    surface = surface_of(double_well, extent=1.6, points=161)
    found = geometry.persistence(surface).isel(component=1)
    saddle = surface.loss.sel(alpha=found.death_alpha, beta=found.death_beta)
    assert saddle == found.death and abs(found.death_alpha) < 0.1 and abs(found.death_beta) < 1e-9


def test_what_rounding_may_have_made_follows_the_precision():
    values = np.array([[0.0, 9, 9], [9, 2, 9], [9, 9, 0.5]])
    single = geometry.persistence(surface_from(values)).rounding
    double = geometry.persistence(surface_from(values).assign_attrs(precision="float64")).rounding
    np.testing.assert_allclose(single, [8 * 2.0**-23, (4 + 8) * 2.0**-23])
    np.testing.assert_allclose(double, single / 2.0**29)
