import numpy as np
import pytest

from lossatlas import geometry
from shapes import bowl, line_of, surface_of

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
