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


# Stacks


def stack_of_four():
    """Surfaces by condition and seed that differ in shape, in the value at the origin and in precision."""
    made = {}
    for condition in ("shallow", "deep"):
        for seed in range(2):
            random = np.random.default_rng(seed + 10 * len(condition))
            turn, bump = random.normal(size=2)
            surface = surface_of(
                lambda a, b, t=turn, u=bump: double_well(a, b) + t * a * b + u * np.sin(5 * b), points=15
            )
            precision = "float64" if condition == "deep" else "float32"
            made[condition, seed] = surface.assign_attrs(origin_loss=float(random.normal()), precision=precision)
    return made


def test_measures_of_a_stack_are_those_of_each_surface():
    surfaces = stack_of_four()
    whole = geometry.measures(geometry.stack(surfaces, ("condition", "seed")), radius=0.5, delta=1.0)
    assert set(whole.data_vars) == set(geometry.MEASURES)
    for (condition, seed), surface in surfaces.items():
        alone = geometry.measures(surface, radius=0.5, delta=1.0)
        for name in geometry.MEASURES:
            assert whole[name].dims == ("condition", "seed")
            assert whole[name].sel(condition=condition, seed=seed).item() == alone[name].item(), name


def test_a_missing_surface_has_no_measures():
    surfaces = stack_of_four()
    del surfaces["deep", 1]
    whole = geometry.measures(geometry.stack(surfaces, ("condition", "seed")), radius=0.5, delta=1.0)
    for name in geometry.MEASURES:
        assert np.isnan(whole[name]).sum() == 1 and np.isnan(whole[name].sel(condition="deep", seed=1)), name


def test_a_stack_keeps_what_all_agree_in_and_labels_what_they_differ_in():
    surfaces = {
        key: surface.assign_attrs(model="cnn", seconds=i) for i, (key, surface) in enumerate(stack_of_four().items())
    }
    whole = geometry.stack(surfaces, ("condition", "seed"))
    assert whole.attrs == {"model": "cnn"}
    assert whole.precision.sel(condition="deep").values.tolist() == ["float64"] * 2
    assert whole.origin_loss.sel(condition="deep", seed=0) == surfaces["deep", 0].attrs["origin_loss"]
    xr.testing.assert_equal(whole.loss.sel(condition="deep", seed=1, drop=True), surfaces["deep", 1].loss)
    same = geometry.stack({(0,): surfaces["deep", 0], (1,): surfaces["deep", 0]}, ("seed",))
    assert same.attrs == surfaces["deep", 0].attrs and set(same.data_vars) == {"loss"}


def test_any_other_dimension_is_kept():
    epochs = xr.concat([surface_of(bowl), 2 * surface_of(bowl)], dim="epoch", join="exact").transpose(
        "alpha", "epoch", "beta"
    )
    found = geometry.sharpness(epochs, 0.5)
    assert found.dims == ("epoch",) and found.values == pytest.approx([0.3125, 0.625])


# Records of measures


@settings(deadline=None, max_examples=40)
@given(grids)
def test_every_measure_lies_within_its_bounds(values):
    surface = surface_from(values)
    axes = {d: np.linspace(-1, 1, surface.sizes[d]) for d in ("alpha", "beta")}
    found = geometry.measures(surface.assign_coords(axes).assign_attrs(origin_loss=2.0), radius=0.5, delta=1.0)
    assert set(found.data_vars) == set(geometry.MEASURES)
    for name, measure in geometry.MEASURES.items():
        value = found[name].item()
        assert np.isnan(value) or measure.bounds[0] <= value <= measure.bounds[1], name


def test_a_measure_of_ones_own_stands_beside_the_registered_ones():
    def highest(surface, *, variable="loss", share=1.0):
        return share * surface[variable].max(("alpha", "beta"))

    own = geometry.Measure(
        "highest", highest, "the highest loss; larger = higher walls", (0.0, 9.0), geometry.records.OF_VARIABLE
    )
    surface = surface_of(bowl)
    surface.loss.attrs["units"] = "nats"
    found = geometry.measures(surface, [own, "roughness"], share=0.5)
    assert list(found) == ["highest", "roughness"]
    assert found.highest.item() == pytest.approx(0.5 * (0.7 + 2.5))
    known = geometry.quantity(found.highest)
    assert (known.label, known.bounds, known.unit, known.words) == ("highest", (0.0, 9.0), "nats", own.words)
    assert found.highest.attrs["share"] == 0.5
    assert geometry.quantity(found.roughness).bounds == (0.0, np.inf)


def test_a_function_that_keeps_an_axis_is_refused():
    own = geometry.Measure("wrong", lambda surface, *, variable="loss": surface[variable].max("beta"))
    with pytest.raises(ValueError, match=r"'wrong' returned dimensions \('alpha',\); expected \(\)"):
        geometry.measures(surface_of(bowl), [own])


def test_measures_that_do_not_apply_are_left_out_unless_asked_for():
    aside = surface_of(bowl).sel(alpha=slice(0.1, 1))
    assert not {"step", "asymmetry"} & set(geometry.measures(aside))
    with pytest.raises(ValueError, match="origin"):
        geometry.measures(aside, ["step"])


@pytest.mark.parametrize(
    "name, label",
    [
        ("nonconvex_share", "non-convex share"),
        ("train_loss", "training loss"),
        ("nonconvex_share, train − test", "non-convex share, train − test"),
        ("sharpness with L1", "sharpness with L1"),
        ("final training loss", "final training loss"),
        ("gap of the loss, log₁₀", "gap of the loss, log₁₀"),
    ],
)
def test_names_in_prose(name, label):
    assert geometry.spoken(name) == label


def test_a_missing_surface_has_no_value_at_the_origin_even_if_all_others_agree():
    surface = surface_of(bowl, points=9, origin_loss=0.7)
    whole = geometry.stack({("a", 0): surface, ("a", 1): surface, ("b", 0): surface}, ("condition", "seed"))
    found = geometry.basin_area(whole, 0.1)
    assert np.isnan(found.sel(condition="b", seed=1)) and np.isfinite(found).sum() == 3
