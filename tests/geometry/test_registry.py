import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lossatlas import geometry
from shapes import bowl, double_well, grids, line_of, surface_from, surface_of


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
        if name in ("anisotropy", "basin_area", "step"):
            continue  # ill-conditioned if the quadratic is degenerate; thresholds on exact ties and on flat rays
        assert after[name].item() == pytest.approx(before[name].item(), rel=1e-6, abs=1e-6, nan_ok=True), name


# The whole, and what is refused


def test_measures_are_those_that_are_explained():
    surface = surface_of(bowl)
    found = geometry.measures(surface, radius=0.5, delta=0.1)
    assert list(found) == list(geometry.MEASURES)
    assert all("larger =" in measure.words for measure in geometry.MEASURES.values())
    assert found["sharpness"] == geometry.sharpness(surface, 0.5)
    assert found["basin_area"] == geometry.basin_area(surface, 0.1)
    on_line = geometry.measures(line_of(np.square), radius=0.5, delta=0.1)
    assert list(on_line) == [name for name in geometry.MEASURES if name not in ("anisotropy", "step")]


def test_the_order_of_the_dimensions_does_not_matter():
    surface = surface_of(double_well, extent=1.6, betas=np.linspace(-1, 1, 23))
    turned = surface.transpose("beta", "alpha")
    xr.testing.assert_identical(*(geometry.measures(each, radius=0.5, delta=0.1) for each in (turned, surface)))


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
