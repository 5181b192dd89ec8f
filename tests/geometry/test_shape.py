from collections import deque

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lossatlas import geometry


def surface_of(function, *, extent=1.0, points=41, betas=None, **attrs):
    alphas = np.linspace(-extent, extent, points) if np.ndim(points) == 0 else np.asarray(points)
    betas = alphas if betas is None else np.asarray(betas)
    alpha, beta = np.meshgrid(alphas, betas, indexing="ij")
    values = np.asarray(function(alpha, beta), dtype=float)
    return xr.Dataset(
        {"loss": (("alpha", "beta"), values)},
        {"alpha": alphas, "beta": betas},
        {"precision": "float64", **attrs},
    )


def line_of(function, *, extent=1.0, points=41, **attrs):
    alphas = np.linspace(-extent, extent, points)
    return xr.Dataset({"loss": ("alpha", function(alphas))}, {"alpha": alphas}, {"precision": "float64", **attrs})


def surface_from(values):
    axes = [np.arange(size, dtype=float) - size // 2 for size in values.shape]
    return xr.Dataset({"loss": (("alpha", "beta"), values)}, dict(zip(("alpha", "beta"), axes, strict=True)))


def bowl(a, b):
    return 0.7 + 0.5 * (4 * a**2 + b**2)


def double_well(a, b):
    """Minima 0 at α = −1 and 0.2 at α = 1 (to within 0.01), a pass near α = 0."""
    return (a**2 - 1) ** 2 + 0.1 * (a + 1) + b**2


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


# Sharpness and basin area


@pytest.mark.parametrize("radius", [0.25, 0.5, 1.0])
def test_sharpness_of_a_bowl_is_a_quarter_of_the_trace(radius):
    surface = surface_of(bowl)
    assert geometry.sharpness(surface, radius) == pytest.approx(radius**2 * (4 + 1) / 4, rel=1e-6)


def test_sharpness_of_a_coarse_uneven_grid_is_still_exact_for_a_bowl():
    surface = surface_of(bowl, points=[-1, -0.8, -0.3, 0, 0.1, 0.5, 1.2], betas=[-1.5, -0.9, -0.5, 0, 0.4, 1.1])
    assert geometry.sharpness(surface, 0.9) == pytest.approx(0.81 * 5 / 4, rel=1e-3)


def test_sharpness_of_a_line_is_the_mean_of_its_two_sides():
    line = line_of(lambda a: np.where(a > 0, 3 * a, -a))
    assert geometry.sharpness(line, 0.5) == pytest.approx((1.5 + 0.5) / 2, rel=1e-3)


def test_sharpness_counts_from_the_origin_loss_where_the_grid_has_no_point_at_the_origin():
    surface = surface_of(bowl, points=40, origin_loss=0.7)
    assert geometry.sharpness(surface, 0.5) == pytest.approx(0.25 * 5 / 4, rel=1e-4)
    assert geometry.sharpness(surface.assign_attrs(origin_loss=0.0), 0.5) == pytest.approx(0.7 + 0.3125, rel=1e-4)


def test_sharpness_beside_a_wall_does_not_ring():
    surface = surface_of(lambda a, b: np.where(a > 0.7, 1e6, 1 + b**2), origin_loss=1.0)
    smooth = surface_of(lambda a, b: 1 + b**2, origin_loss=1.0)
    assert geometry.sharpness(surface, 0.6) == pytest.approx(geometry.sharpness(smooth, 0.6), abs=0.02)


def test_sharpness_through_values_that_are_not_finite_is_nan_and_beside_them_is_not():
    surface = surface_of(lambda a, b: np.where(a > 0.9, np.inf, bowl(a, b)), points=81)
    assert np.isnan(geometry.sharpness(surface, 0.95))
    assert geometry.sharpness(surface, 0.5) == pytest.approx(0.25 * 5 / 4, rel=1e-2)


@pytest.mark.parametrize("radius", [0, -1, 1.01, np.nan])
def test_sharpness_refuses_a_circle_that_is_not_on_the_grid(radius):
    with pytest.raises(ValueError, match=r"radius=.*at most 1"):
        geometry.sharpness(surface_of(bowl), radius)


def test_basin_area_is_the_area_of_an_ellipse():
    surface = surface_of(bowl, points=401)
    # ½(4α² + β²) ≤ δ is an ellipse with half axes √(δ/2) and √(2δ), on a grid of area 4.
    assert geometry.basin_area(surface, 0.2) == pytest.approx(np.pi * np.sqrt(0.1 * 0.4) / 4, rel=5e-3)


def test_basin_area_counts_points_that_are_not_finite_as_outside():
    surface = surface_of(lambda a, b: np.where(a > 0, np.nan, 1.0), points=4, origin_loss=1.0)
    assert geometry.basin_area(surface, 0.0) == 0.5
    assert np.isnan(geometry.basin_area(surface.assign_attrs(origin_loss=np.nan), 1.0))
    for delta in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="delta="):
            geometry.basin_area(surface, delta)


# Curvature


def test_nonconvex_share_of_known_surfaces():
    assert geometry.nonconvex_share(surface_of(bowl)) == 0
    assert geometry.nonconvex_share(surface_of(lambda a, b: a**2 - b**2)) == 1
    assert geometry.nonconvex_share(surface_of(lambda a, b: 5 * a * b)) == 1  # only the mixed derivative
    assert geometry.nonconvex_share(surface_of(lambda a, b: 3 * a - b)) == 0
    assert geometry.nonconvex_share(line_of(lambda a: -(a**2))) == 1
    # sin has a negative second derivative on half of its period.
    wave = surface_of(lambda a, b: np.sin(a), extent=np.pi, points=201)
    assert geometry.nonconvex_share(wave) == pytest.approx(0.5, abs=0.01)


def test_nonconvex_share_against_a_slow_loop_on_an_uneven_grid():
    random = np.random.default_rng(3)
    alphas, betas = np.sort(random.normal(size=7)), np.sort(random.normal(size=6))
    surface = surface_of(lambda a, b: np.sin(3 * a) * b + a**2, points=alphas, betas=betas)
    found = []
    for i in range(1, 6):
        for j in range(1, 5):
            # The quadratic through three uneven points, along each axis.
            fa = 2 * np.polyfit(alphas[i - 1 : i + 2], surface.loss[i - 1 : i + 2, j], 2)[0]
            fb = 2 * np.polyfit(betas[j - 1 : j + 2], surface.loss[i, j - 1 : j + 2], 2)[0]
            corners = surface.loss.values[i - 1 : i + 2 : 2, j - 1 : j + 2 : 2]
            mixed = (np.diff(np.diff(corners, axis=0), axis=1)).item()
            mixed /= (alphas[i + 1] - alphas[i - 1]) * (betas[j + 1] - betas[j - 1])
            found.append(np.linalg.eigvalsh([[fa, mixed], [mixed, fb]])[0] < -0.1)
    assert 0 < np.mean(found) < 1
    assert geometry.nonconvex_share(surface, 0.1) == pytest.approx(np.mean(found))


def test_rounding_of_a_plane_to_float32_is_not_curvature():
    def rounded(a, b):
        return np.float32(0.9 + 0.3 * a - 0.2 * b)

    surface = surface_of(rounded, points=101, precision="float32")
    assert geometry.nonconvex_share(surface, 0.0) > 0.3  # what the tolerance is for
    assert geometry.nonconvex_share(surface) == 0
    assert geometry.nonconvex_share(surface.assign_attrs(precision="float64")) > 0.3


def test_a_wall_far_away_does_not_hide_curvature():
    surface = surface_of(lambda a, b: np.where(a < 0.9, 1 - b**2, 1e7), precision="float32")
    assert geometry.nonconvex_share(surface) > 0.8


def test_points_beside_values_that_are_not_finite_are_left_out():
    surface = surface_of(lambda a, b: np.where(b > 0, a**2 + b**2, -(a**2)), points=21)
    surface.loss[:, :11] = np.nan  # all that curves down
    assert geometry.nonconvex_share(surface) == 0
    surface.loss[:] = np.inf
    assert np.isnan(geometry.nonconvex_share(surface))


def test_nonconvex_share_refuses_what_has_no_curvature():
    with pytest.raises(ValueError, match="at least 3"):
        geometry.nonconvex_share(surface_of(bowl, points=2))
    with pytest.raises(ValueError, match="tolerance=-1"):
        geometry.nonconvex_share(surface_of(bowl), -1)
    with pytest.raises(ValueError, match=r"precision.*float32"):
        geometry.nonconvex_share(surface_of(bowl, precision="float7"))


def test_roughness_is_what_a_quadratic_leaves():
    assert geometry.roughness(surface_of(lambda a, b: bowl(a - 0.3, b) + a * b)) == pytest.approx(0, abs=1e-12)
    assert geometry.roughness(line_of(lambda a: a**2 - a)) == pytest.approx(0, abs=1e-12)
    assert geometry.roughness(surface_of(lambda a, b: 0 * a + 3)) == 0
    # A tiny fast ripple on a bowl of range 2.5 hardly changes the fit: its RMS is its amplitude over √2.
    rippled = surface_of(lambda a, b: bowl(a, b) + 0.01 * np.sin(50 * a + 31 * b), points=201)
    assert geometry.roughness(rippled) == pytest.approx(0.01 / np.sqrt(2) / 2.5, rel=0.02)


def test_roughness_against_scipys_least_squares():
    from scipy.optimize import least_squares

    surface = surface_of(lambda a, b: np.exp(a) * np.cos(2 * b), points=9, betas=np.linspace(0, 1, 7))
    alpha, beta = np.meshgrid(surface.alpha, surface.beta, indexing="ij")

    def residuals(c):
        quadratic = c[0] + c[1] * alpha + c[2] * beta + c[3] * alpha**2 + c[4] * alpha * beta + c[5] * beta**2
        return (surface.loss.values - quadratic).ravel()

    rms = np.sqrt(np.mean(least_squares(residuals, np.zeros(6)).fun ** 2))
    assert geometry.roughness(surface) == pytest.approx(rms / np.ptp(surface.loss.values), rel=1e-6)


def test_roughness_and_anisotropy_use_the_finite_values():
    surface = surface_of(bowl)
    surface.loss[3, 4], surface.loss[30, 2] = np.nan, np.inf
    assert geometry.roughness(surface) == pytest.approx(0, abs=1e-12)
    assert geometry.anisotropy(surface) == pytest.approx(1 - 1 / 4)
    surface.loss[:] = np.nan
    assert np.isnan(geometry.roughness(surface)) and np.isnan(geometry.anisotropy(surface))


def test_anisotropy_does_not_depend_on_the_directions_of_the_axes():
    def turned(a, b, angle=0.6):
        return bowl(np.cos(angle) * a + np.sin(angle) * b, -np.sin(angle) * a + np.cos(angle) * b)

    assert geometry.anisotropy(surface_of(turned)) == pytest.approx(0.75)
    assert geometry.anisotropy(surface_of(lambda a, b: a**2 + b**2)) == pytest.approx(0, abs=1e-12)
    assert geometry.anisotropy(surface_of(lambda a, b: a**2 - b**2)) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="line"):
        geometry.anisotropy(line_of(np.square))


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


# Whole numbers bring many ties; a few values are not finite.
grids = arrays(
    float,
    st.tuples(st.integers(3, 7), st.integers(3, 7)),
    elements=st.one_of(st.integers(0, 6).map(float), st.integers(0, 6).map(float), st.sampled_from([np.nan, np.inf])),
)


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


@settings(deadline=None, max_examples=40)
@given(grids, st.floats(-5, 5), st.sampled_from(["transpose", "turn", "mirror"]))
def test_measures_do_not_change_under_symmetries_and_shifts(values, shift, symmetry):
    moved = {"transpose": values.T, "turn": np.rot90(values), "mirror": values[::-1]}[symmetry]
    side = min(values.shape) // 2 * 0.9
    attrs = {"origin_loss": 2.0, "precision": "float64"}
    surfaces = [surface_from(v).assign_attrs(attrs) for v in (values, moved)]
    surfaces = [
        s.assign_coords({d: np.linspace(-1, 1, s.sizes[d]) * side for d in ("alpha", "beta")}) for s in surfaces
    ]
    surfaces[1] = (surfaces[1] + shift).assign_attrs({**attrs, "origin_loss": 2.0 + shift})
    before, after = (geometry.measures(s, radius=side / 2, delta=1.5) for s in surfaces)
    for name in geometry.MEASURES:
        if name in ("anisotropy", "basin_area"):
            continue  # ill-conditioned where the quadratic is degenerate; a threshold on exact ties
        assert after[name] == pytest.approx(before[name], rel=1e-6, abs=1e-6, nan_ok=True), name


# The whole, and what is refused


def test_measures_are_those_that_are_explained():
    surface = surface_of(bowl)
    found = geometry.measures(surface, radius=0.5, delta=0.1)
    assert list(found) == list(geometry.MEASURES)
    assert all(type(value) is float for value in found.values())
    assert all("larger =" in text for text in geometry.MEASURES.values())
    assert found["sharpness"] == geometry.sharpness(surface, 0.5)
    assert found["basin_area"] == geometry.basin_area(surface, 0.1)
    on_line = geometry.measures(line_of(np.square), radius=0.5, delta=0.1)
    assert list(on_line) == [name for name in geometry.MEASURES if name != "anisotropy"]


def test_the_order_of_the_dimensions_does_not_matter():
    surface = surface_of(double_well, extent=1.6, betas=np.linspace(-1, 1, 23))
    turned = surface.transpose("beta", "alpha")
    assert geometry.measures(turned, radius=0.5, delta=0.1) == geometry.measures(surface, radius=0.5, delta=0.1)


def test_other_variables_are_measured_too():
    surface = surface_of(bowl, origin_loss=0.7)
    surface["accuracy"] = 1 - surface.loss / 10
    assert geometry.sharpness(surface, 0.5, variable="accuracy") == pytest.approx(-0.3125 / 10, rel=1e-5)


@pytest.mark.parametrize(
    "broken, message",
    [
        (lambda s: s.rename(loss="lost"), r"variable='loss'.*\['lost'\]"),
        (lambda s: s.rename(beta="gamma"), r"expected \(\"alpha\", \"beta\"\)"),
        (lambda s: s.drop_vars("beta"), "no coordinate 'beta'"),
        (lambda s: s.isel(alpha=slice(None, None, -1)), "alpha: expected two or more increasing"),
        (lambda s: s.isel(beta=[0]), "beta: expected two or more increasing"),
        (lambda s: s.sel(alpha=slice(0.5, 1)), "does not hold the origin"),
    ],
)
def test_what_is_not_a_surface_is_named(broken, message):
    with pytest.raises(ValueError, match=message):
        geometry.basin_area(broken(surface_of(bowl)), 0.1)


# Interpolation


def test_interpolation_is_exact_for_a_bowl_keeps_attributes_and_stays_in_range():
    surface = surface_of(bowl, points=11, origin_loss=0.7, model="MLP")
    surface["accuracy"] = (("alpha", "beta"), np.clip(1.2 - surface.loss.values, 0, 1), {"units": "share"})
    surface.alpha.attrs["units"] = "filter-normalized step"
    fine = geometry.interpolate(surface, 51)
    assert fine.sizes == {"alpha": 51, "beta": 51}
    assert fine.attrs == surface.attrs and fine.accuracy.attrs == {"units": "share"}
    assert fine.alpha.attrs == surface.alpha.attrs
    exact = bowl(*np.meshgrid(fine.alpha, fine.beta, indexing="ij"))
    np.testing.assert_allclose(fine.loss, exact, atol=1e-12)
    assert float(fine.accuracy.min()) >= 0 and float(fine.accuracy.max()) <= 1


def test_interpolation_of_a_line_and_of_two_points():
    fine = geometry.interpolate(line_of(lambda a: 1 + a**3, points=9), 33)
    np.testing.assert_allclose(fine.loss, 1 + fine.alpha**3, atol=1e-12)
    fine = geometry.interpolate(line_of(lambda a: a, points=2), 5)
    np.testing.assert_allclose(fine.loss, [-1, -0.5, 0, 0.5, 1])


def test_interpolation_leaves_exactly_the_cells_open_that_touch_values_that_are_not_finite():
    surface = surface_of(lambda a, b: a + b, points=11)
    surface.loss[10, 10], surface.loss[0, 3] = np.inf, np.nan
    fine = geometry.interpolate(surface, 41)  # four steps a cell
    expected = np.zeros((41, 41), bool)
    expected[37:, 37:] = True
    expected[:4, 9:16] = True  # the borders of those cells are known on the far side
    np.testing.assert_array_equal(np.isnan(fine.loss.values), expected)
    alpha, beta = np.meshgrid(fine.alpha, fine.beta, indexing="ij")
    away = np.zeros((41, 41), bool)
    away[12:28] = True  # two cells from what was filled for the spline
    np.testing.assert_allclose(fine.loss.values[away], (alpha + beta)[away], atol=5e-3)
    with pytest.raises(ValueError, match="resolution=1"):
        geometry.interpolate(surface, 1)
    assert np.isnan(geometry.interpolate(surface * np.nan, 5).loss).all()
