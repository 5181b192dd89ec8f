import numpy as np
import pytest
import xarray as xr

from lossatlas.geometry.radial import RADII, rays, steepest_share


def surface_of(function, *, points=81, extent=1.0, **attrs):
    axis = np.linspace(-extent, extent, points)
    alpha, beta = np.meshgrid(axis, axis, indexing="ij")
    values = np.asarray(function(alpha, beta), dtype=float)
    return xr.Dataset(
        {"loss": (("alpha", "beta"), values)}, {"alpha": axis, "beta": axis}, {"precision": "float64", **attrs}
    )


def bowl(a, b):
    return 0.3 + a**2 + b**2


def test_rays_follow_the_function_from_the_origin_to_the_edge():
    along = rays(surface_of(lambda a, b: 1 + a - 2 * b + a * b, extent=2.0))
    r, angle = along.radius, along.angle
    x, y = r * np.cos(angle), r * np.sin(angle)
    xr.testing.assert_allclose(along, (1 + x - 2 * y + x * y).transpose(*along.dims), atol=1e-9)
    assert float(r[0]) == 0 and float(r[-1]) == 2.0


@pytest.mark.parametrize("width", [0.05, 0.1, 0.3, 1.0])
def test_closed_forms(width):
    # A plane through the origin: every ray is an even slope, but for the two level ones, where it is flat.
    assert steepest_share(surface_of(lambda a, b: 3 * a + 5), width) == pytest.approx(width, rel=1e-6)
    assert steepest_share(surface_of(bowl), width) == pytest.approx(1 - (1 - width) ** 2, rel=1e-6)


def test_a_step_is_seen_and_grows_with_its_steepness():
    def step(steepness):
        return surface_of(lambda a, b: np.tanh(steepness * (np.hypot(a, b) - 0.5)), points=201)

    shares = [steepest_share(step(steepness)) for steepness in (1, 3, 10, 60)]
    assert shares == sorted(shares)
    # Against the closed form of the steepest tenth, which is centred on the step.
    for steepness, share in zip((3, 10), shares[1:3], strict=True):
        rise = 2 * np.tanh(0.05 * steepness) / (2 * np.tanh(0.5 * steepness))
        assert share == pytest.approx(rise, rel=0.01)
    assert shares[-1] > 0.99


def test_against_a_slow_walk_along_every_ray():
    surface = surface_of(lambda a, b: np.sin(4 * a) + np.cos(3 * b) * a + np.abs(b - 0.3), points=41)
    along, width, shares = rays(surface).to_numpy(), 0.2, []
    for ray in along:
        steepest = 0.0
        for i in range(RADII):
            for j in range(i, RADII):
                if j - i == width * (RADII - 1):
                    steepest = max(steepest, abs(ray[j] - ray[i]))
        shares.append(steepest / (max(ray) - min(ray)))
    assert steepest_share(surface, width) == pytest.approx(sum(shares) / len(shares), rel=1e-12)


def test_neither_height_nor_scale_matters():
    surface = surface_of(lambda a, b: np.exp(a) + b**2)
    moved = surface.assign(loss=40 + 7 * surface.loss)
    assert steepest_share(moved) == pytest.approx(steepest_share(surface).item(), rel=1e-9)


def test_flat_rays_and_holes_are_left_out():
    assert np.isnan(steepest_share(surface_of(lambda a, b: 0 * a + 2)))
    noise = np.random.default_rng(0).normal(size=(81, 81)) * 1e-8
    assert np.isnan(steepest_share(surface_of(lambda a, b: 2 + noise, precision="float32")))
    half = surface_of(lambda a, b: np.where(a < -0.2, np.nan, bowl(a, b)))
    assert steepest_share(half) == pytest.approx(0.19, rel=1e-2)
    assert np.isnan(steepest_share(surface_of(lambda a, b: np.where(np.hypot(a, b) < 0.1, np.nan, a))))


@pytest.mark.parametrize("width", [0, -0.1, 1.5, float("nan")])
def test_a_width_that_is_no_share_is_refused(width):
    with pytest.raises(ValueError, match="width"):
        steepest_share(surface_of(bowl), width)


def test_a_line_and_a_grid_without_the_origin_are_refused():
    with pytest.raises(ValueError, match="origin"):
        rays(surface_of(bowl).sel(beta=0, method="nearest"))
    with pytest.raises(ValueError, match="origin"):
        rays(surface_of(bowl).isel(alpha=slice(50, None)))
