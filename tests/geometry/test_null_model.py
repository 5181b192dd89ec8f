"""The null model against its own definition, against its error rate, and against surfaces with known features."""

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from lossatlas import geometry
from shapes import surface_from, surface_of

AXIS = np.linspace(-1, 1, 31)


def noise(seed, points=31, width=1.5):
    """A periodic Gaussian field, whose phases are random."""
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(points, points)), width, mode="wrap")


def residuals(values):
    a, b = np.meshgrid(np.linspace(-1, 1, values.shape[0]), np.linspace(-1, 1, values.shape[1]), indexing="ij")
    design = np.stack([np.ones_like(a), a, b, a * a, a * b, b * b], axis=-1).reshape(-1, 6)
    return values - (design @ np.linalg.lstsq(design, values.ravel(), rcond=None)[0]).reshape(values.shape)


def test_a_draw_keeps_the_quadratic_and_the_amplitudes_and_changes_the_phases():
    surface = surface_from(3 + 2 * np.add.outer(AXIS**2, 3 * AXIS**2) + noise(0))
    one, again, other = (geometry.random_phases(surface, seed).loss.values for seed in (0, 0, 1))
    values, left = surface.loss.values, residuals(surface.loss.values)
    drawn = one - (values - left)
    np.testing.assert_allclose(abs(np.fft.fft2(drawn)), abs(np.fft.fft2(left)), atol=1e-9)
    np.testing.assert_array_equal(one, again)
    assert abs(np.corrcoef(drawn.ravel(), left.ravel())[0, 1]) < 0.5 and not np.allclose(one, other)


def test_holes_stay_and_labels_too():
    values = noise(1)
    values[3, 4], values[5, 6] = np.nan, np.inf
    both = geometry.stack({(0,): surface_from(values), (1,): surface_from(noise(2))}, ("seed",))
    drawn = geometry.random_phases(both.transpose("alpha", "seed", "beta"), 3)
    assert drawn.loss.dims == ("alpha", "seed", "beta") and drawn.attrs == both.attrs
    assert (np.isfinite(drawn.loss).sel(seed=0).values == np.isfinite(values)).all()
    assert not np.allclose(drawn.loss.sel(seed=0), drawn.loss.sel(seed=1), equal_nan=True)


@pytest.mark.parametrize("dimension", [0, 1])
def test_a_surface_of_the_null_model_has_a_real_feature_about_as_often_as_the_level_says(dimension):
    wrong = 0
    for seed in range(60):
        found = geometry.significance(surface_from(noise(seed)), dimension=dimension, draws=19, seed=seed)
        wrong += bool((found.p_value <= 0.05).any())
    assert wrong <= 8  # of 60 at 5 %: more with a probability below 0.3 %


def test_two_wells_in_a_rough_plain_are_real_and_its_ripples_are_not():
    a, b = np.meshgrid(AXIS, AXIS, indexing="ij")
    wells = [
        depth * np.exp(-((a - x) ** 2 + (b - y) ** 2) / 0.01) for depth, x, y in ((1, -0.5, -0.5), (0.9, 0.5, 0.4))
    ]
    surface = surface_from(0.3 * noise(4) - sum(wells))
    found = geometry.significance(surface, draws=99)
    real = found.where(found.significant, drop=True)
    assert found.p_value[1] == pytest.approx(0.01) and real.sizes["component"] == 2
    assert found.sizes["component"] > 4
    assert ((found.persistence > found.threshold) & np.isfinite(found.persistence) == (found.p_value <= 0.05)).all()


def test_a_p_value_counts_the_draws_whose_most_persistent_feature_lasts_as_long():
    found = geometry.significance(surface_from(noise(5)), draws=39)
    p, lasting = found.p_value.values[1:], found.persistence.values[1:]
    assert np.isnan(found.p_value[0]) and found.significant[0]
    assert (np.diff(p) >= 0).all() and (np.diff(lasting) <= 0).all()
    counts = p * 40 - 1
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    assert p[-1] == 1 and p[0] >= 1 / 40


def test_what_rounding_may_have_made_is_never_real():
    jitter = surface_of(lambda a, b: 1 + 1e-7 * np.sin(40 * a) * np.sin(40 * b), precision="float32")
    found = geometry.significance(jitter, draws=19)
    assert found.sizes["component"] > 10 and (found.p_value.values[1:] == 1).all()
    assert found.significant.values.tolist() == [True] + [False] * (found.sizes["component"] - 1)


def test_seeds_of_a_stack_are_tested_one_by_one():
    rough, smooth = surface_from(noise(6)), surface_from(np.add.outer(AXIS**2, AXIS**2))
    both = geometry.stack({("rough",): rough, ("smooth",): smooth}, ("condition",))
    found = geometry.significance(both, draws=19)
    assert found.p_value.dims == ("condition", "component") and found.threshold.dims == ("condition",)
    assert found.significant.sel(condition="smooth").sum() == 1
    np.testing.assert_array_equal(found.persistence.sel(condition="rough"), geometry.persistence(rough).persistence)
    line = xr.Dataset({"loss": ("alpha", [3.0, np.nan, 1.0])}, {"alpha": [0.0, 1, 2]})
    assert geometry.significance(line, draws=19).significant.values.tolist() == [True, True]
