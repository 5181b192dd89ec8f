import numpy as np
import pytest
import xarray as xr

from lossatlas import geometry
from shapes import bowl, line_of, surface_of

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
    assert geometry.sharpness(surface, 0.6) == pytest.approx(geometry.sharpness(smooth, 0.6).item(), abs=0.02)


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


def test_asymmetry_is_the_odd_part_over_the_range():
    assert geometry.asymmetry(surface_of(bowl)).item() == pytest.approx(0, abs=1e-12)
    odd = surface_of(lambda a, b: a + 2 * b)
    assert geometry.asymmetry(odd).item() == pytest.approx(float(np.sqrt(np.mean(odd.loss**2))) / 6)
    # The even part adds to the range alone.
    both = surface_of(lambda a, b: a + 2 * b + 100 * (a**2 + b**2))
    part = float(np.sqrt(np.mean(odd.loss**2)) / (both.loss.max() - both.loss.min()))
    assert geometry.asymmetry(both).item() == pytest.approx(part)
    both.loss[0, :] = np.nan
    assert np.isfinite(geometry.asymmetry(both).item())
    assert np.isnan(geometry.asymmetry(both * np.nan).item())
    with pytest.raises(ValueError, match=r"alpha runs from -1 to 0.5; expected values symmetric"):
        geometry.asymmetry(surface_of(bowl).sel(alpha=slice(-1, 0.5)))


# Three directions


def box_of(function, points=21):
    axis = np.linspace(-1, 1, points)
    grid = np.meshgrid(axis, axis, axis, indexing="ij")
    dims = ("alpha", "beta", "gamma")
    return xr.Dataset({"loss": (dims, function(*grid))}, dict.fromkeys(dims, axis), {"precision": "float64"})


def test_sharpness_over_a_sphere_is_a_sixth_of_the_trace():
    box = box_of(lambda a, b, c: 0.5 * (4 * a**2 + b**2 + 7 * c**2) + a * b)
    assert geometry.sharpness(box, 0.8).item() == pytest.approx(0.64 * (4 + 1 + 7) / 6, rel=1e-6)
    wavy = box_of(lambda a, b, c: np.cos(2 * c), points=61)  # its mean over a sphere is sin(2r)/(2r)
    assert geometry.sharpness(wavy, 0.9).item() == pytest.approx(np.sin(1.8) / 1.8 - 1, abs=1e-5)


def test_curvature_along_any_of_three_directions_is_seen():
    assert geometry.nonconvex_share(box_of(lambda a, b, c: a**2 + b**2 + c**2)).item() == 0
    assert geometry.nonconvex_share(box_of(lambda a, b, c: a**2 + b**2 - 0.1 * c**2)).item() == 1
    assert geometry.nonconvex_share(box_of(lambda a, b, c: 5 * b * c)).item() == 1  # only the mixed derivative


def test_the_best_quadratic_in_three_directions():
    box = box_of(lambda a, b, c: 4 * a**2 + 2 * b**2 + c**2 + a)
    assert geometry.roughness(box).item() == pytest.approx(0, abs=1e-12)
    assert geometry.anisotropy(box).item() == pytest.approx(1 - 1 / 4)
