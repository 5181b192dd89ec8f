import numpy as np
import pytest
import xarray as xr

from lossatlas import geometry
from lossatlas.geometry import Measure
from shapes import bowl, line_of, surface_of
from wrong_calls import cases, check, functions_without_wrong_calls

SURFACE, LINE = surface_of(bowl, points=9), line_of(np.square, points=9)
EMPTY, ASIDE = SURFACE * np.nan, SURFACE.sel(alpha=slice(0.5, 1))
FEATURES = geometry.persistence(SURFACE)
STACK = geometry.stack({(0,): SURFACE, (1,): SURFACE}, ("seed",))


def no_surfaces(function):
    """Calls of a function of one surface with what is none."""
    return [
        ("surface is a DataArray; expected an xarray.Dataset; convert it", lambda: function(SURFACE.loss)),
        ("surface is a ndarray; expected an xarray.Dataset", lambda: function(np.zeros((3, 3)))),
        ("surface is a NoneType", lambda: function(None)),
        (
            r"variable='loss' is not in the surface; expected one of \['lost'\]",
            lambda: function(SURFACE.rename(loss="lost")),
        ),
        (r'dimensions .*; expected \("alpha", "beta"\)', lambda: function(SURFACE.rename(alpha="a"))),
        (r'dimensions .*; expected \("alpha", "beta"\)', lambda: function(SURFACE.rename(beta="gamma"))),
        ("no coordinate 'beta'", lambda: function(SURFACE.drop_vars("beta"))),
        ("alpha: expected two or more increasing", lambda: function(SURFACE.isel(alpha=slice(None, None, -1)))),
        ("beta: expected two or more increasing", lambda: function(SURFACE.isel(beta=[0]))),
        (
            "alpha: expected two or more increasing, finite",
            lambda: function(SURFACE.assign_coords(alpha=[*SURFACE.alpha.values[:-1], np.inf])),
        ),
        ("values of type complex128; expected real", lambda: function(SURFACE * (1 + 1j))),
        ("values of type object|values of type .*; expected real", lambda: function(SURFACE.astype(str))),
    ]


WRONG = {
    "anisotropy": [*no_surfaces(geometry.anisotropy), ("surface is a line", lambda: geometry.anisotropy(LINE))],
    "asymmetry": [
        *no_surfaces(geometry.asymmetry),
        ("alpha runs from 0.5 to 1; expected values symmetric about 0", lambda: geometry.asymmetry(ASIDE)),
    ],
    "axis_names": no_surfaces(geometry.axis_names),
    "barrier": no_surfaces(geometry.barrier),
    "basin_area": [
        *no_surfaces(lambda surface: geometry.basin_area(surface, 0.1)),
        ("delta=-1: expected a finite number of at least 0", lambda: geometry.basin_area(SURFACE, -1)),
        ("delta=nan", lambda: geometry.basin_area(SURFACE, np.nan)),
        ("delta='big'", lambda: geometry.basin_area(SURFACE, "big")),
        ("delta=None", lambda: geometry.basin_area(SURFACE, None)),
        ("does not hold the origin", lambda: geometry.basin_area(ASIDE, 0.1)),
    ],
    "diagram_distance": [
        ("one is a NoneType; expected an xarray.Dataset", lambda: geometry.diagram_distance(None, FEATURES)),
        ("one holds .*loss.*; expected 'birth'", lambda: geometry.diagram_distance(SURFACE, FEATURES)),
        ("other is a ndarray; expected", lambda: geometry.diagram_distance(FEATURES, np.zeros((2, 2)))),
        (
            "other holds .*seed.*: select one surface",
            lambda: geometry.diagram_distance(FEATURES, geometry.persistence(STACK)),
        ),
        ("kind='l2': expected one of", lambda: geometry.diagram_distance(FEATURES, FEATURES, kind="l2")),
        (r"kind=\['bottleneck'\]", lambda: geometry.diagram_distance(FEATURES, FEATURES, kind=["bottleneck"])),
    ],
    "grid_values": [
        *no_surfaces(geometry.grid_values),
        (r"dimensions \('seed', .*: select \['seed'\]", lambda: geometry.grid_values(STACK)),
    ],
    "interpolate": [
        *no_surfaces(lambda surface: geometry.interpolate(surface, 5))[:3],
        ("resolution=1: expected", lambda: geometry.interpolate(SURFACE, 1)),
        ("resolution=2.5: expected a whole number", lambda: geometry.interpolate(SURFACE, 2.5)),
        ("resolution='fine'", lambda: geometry.interpolate(SURFACE, "fine")),
    ],
    "interpolator": [
        (r"values have shape \(3,\); expected \(2,\)", lambda: geometry.interpolator([np.arange(2.0)], np.zeros(3))),
        ("axes: expected two or more increasing", lambda: geometry.interpolator([np.zeros(2)], np.zeros(2))),
        ("values: .*expected real numbers", lambda: geometry.interpolator([np.arange(2.0)], ["a", "b"])),
    ],
    "curve_type": [
        *no_surfaces(geometry.curve_type),
        ("expected a line over alpha with the origin inside", lambda: geometry.curve_type(SURFACE)),
        ("with the origin inside", lambda: geometry.curve_type(LINE.sel(alpha=slice(0.5, 1)))),
        ("no finite value", lambda: geometry.curve_type(LINE * np.nan)),
        ("depth=0: expected a finite number greater than 0", lambda: geometry.curve_type(LINE, 0)),
        ("depth=1.5: .*at most 1", lambda: geometry.curve_type(LINE, 1.5)),
    ],
    "fill_holes": [("values: .*expected real numbers", lambda: geometry.fill_holes(["a", "b"]))],
    "measures": [
        *no_surfaces(geometry.measures),
        ("which='roughness': expected a list", lambda: geometry.measures(SURFACE, "roughness")),
        ("which=3: expected a list", lambda: geometry.measures(SURFACE, 3)),
        ("'ruggedness' is no measure; expected .*'roughness'", lambda: geometry.measures(SURFACE, ["ruggedness"])),
        ("<function.* is no measure", lambda: geometry.measures(SURFACE, [geometry.roughness])),
        ("'own' has no function", lambda: geometry.measures(SURFACE, [Measure("own")])),
        ("expected every name once", lambda: geometry.measures(SURFACE, ["minima", "minima"])),
        (
            "radius: not given; expected a number, which 'sharpness' needs",
            lambda: geometry.measures(SURFACE, ["sharpness"]),
        ),
        ("radus=0.5: an option of none", lambda: geometry.measures(SURFACE, ["sharpness"], radus=0.5)),
        ("surface is a line", lambda: geometry.measures(LINE, ["anisotropy"])),
    ],
    "merge_tree": [
        *no_surfaces(geometry.merge_tree),
        ("select \\['seed'\\]", lambda: geometry.merge_tree(STACK)),
        ("least=-1: expected a finite number of at least 0", lambda: geometry.merge_tree(SURFACE, least=-1)),
        ("least=None", lambda: geometry.merge_tree(SURFACE, least=None)),
        ("least=inf", lambda: geometry.merge_tree(SURFACE, least=np.inf)),
    ],
    "minima": no_surfaces(geometry.minima),
    "nonconvex_share": [
        *no_surfaces(geometry.nonconvex_share),
        ("at least 3 along each axis", lambda: geometry.nonconvex_share(SURFACE.isel(alpha=[0, 1]))),
        ("tolerance=-1", lambda: geometry.nonconvex_share(SURFACE, -1)),
        (
            "precision='float7': expected one of",
            lambda: geometry.nonconvex_share(SURFACE.assign_attrs(precision="float7")),
        ),
    ],
    "origin_value": [
        *no_surfaces(geometry.origin_value),
        ("does not hold the origin, and the surface has no 'origin_loss'", lambda: geometry.origin_value(ASIDE)),
    ],
    "persistence": [
        *no_surfaces(geometry.persistence),
        (
            "dimension=2: expected .* less than the number of axes, here 2",
            lambda: geometry.persistence(SURFACE, dimension=2),
        ),
        ("dimension=1: .* here 1", lambda: geometry.persistence(LINE, dimension=1)),
        ("dimension=-1", lambda: geometry.persistence(SURFACE, dimension=-1)),
        ("dimension=True", lambda: geometry.persistence(SURFACE, dimension=True)),
        ("dimension=0.5", lambda: geometry.persistence(SURFACE, dimension=0.5)),
    ],
    "quantity": [
        ("quantity 3: expected a name or a DataArray", lambda: geometry.quantity(3)),
        ("DataArray without a name", lambda: geometry.quantity(xr.DataArray([1.0]))),
    ],
    "random_phases": [
        *no_surfaces(lambda surface: geometry.random_phases(surface, 0)),
        ("seed=-1: expected a whole number of at least 0", lambda: geometry.random_phases(SURFACE, -1)),
        ("seed=None", lambda: geometry.random_phases(SURFACE, None)),
        ("seed=True", lambda: geometry.random_phases(SURFACE, True)),
    ],
    "rays": [
        *no_surfaces(geometry.rays),
        ("expected a grid over alpha and beta with the origin inside", lambda: geometry.rays(LINE)),
        ("with the origin inside", lambda: geometry.rays(ASIDE)),
    ],
    "reduce": [
        *no_surfaces(lambda surface: geometry.reduce(surface, lambda grid: 0.0)),
        ("function='max': expected a function of one Grid", lambda: geometry.reduce(SURFACE, "max")),
        (
            r"origin_loss has dimensions \('epoch',\); expected some of",
            lambda: geometry.origin_value(STACK.assign(origin_loss=("epoch", [1.0]))),
        ),
    ],
    "roughness": no_surfaces(geometry.roughness),
    "rounding": [
        ("precision='float7': expected one of", lambda: geometry.rounding(np.ones(2), "float7")),
        ("values: .*expected real numbers", lambda: geometry.rounding(["a"])),
    ],
    "sharpness": [
        *no_surfaces(lambda surface: geometry.sharpness(surface, 0.5)),
        ("radius=0: expected a finite number greater than 0 and at most 1", lambda: geometry.sharpness(SURFACE, 0)),
        ("radius=1.01: .*at most 1", lambda: geometry.sharpness(SURFACE, 1.01)),
        ("radius=nan", lambda: geometry.sharpness(SURFACE, np.nan)),
        (r"radius=\[0.5\]", lambda: geometry.sharpness(SURFACE, [0.5])),
        ("radius=True", lambda: geometry.sharpness(SURFACE, True)),
    ],
    "spoken": [("quantity None: expected a name", lambda: geometry.spoken(None))],
    "significance": [
        *no_surfaces(geometry.significance),
        ("dimension=2: expected", lambda: geometry.significance(SURFACE, dimension=2)),
        ("draws=18: expected a whole number of at least 19", lambda: geometry.significance(SURFACE, draws=18)),
        ("draws=19.5", lambda: geometry.significance(SURFACE, draws=19.5)),
        ("level=0: expected a finite number greater than 0", lambda: geometry.significance(SURFACE, level=0)),
        ("level=2: expected", lambda: geometry.significance(SURFACE, level=2)),
        ("seed=0.5", lambda: geometry.significance(SURFACE, seed=0.5)),
    ],
    "stack": [
        ("surfaces: list; expected a mapping", lambda: geometry.stack([SURFACE], ("seed",))),
        ("surfaces: dict; expected a mapping with one or more", lambda: geometry.stack({}, ("seed",))),
        ("label 0; expected a tuple of 1", lambda: geometry.stack({0: SURFACE}, ("seed",))),
        ("is a DataArray; expected an xarray.Dataset", lambda: geometry.stack({(0,): SURFACE.loss}, ("seed",))),
        ("differ in alpha; expected one grid", lambda: geometry.stack({(0,): SURFACE, (1,): ASIDE}, ("seed",))),
        ("differ in beta; expected one grid", lambda: geometry.stack({(0,): SURFACE, (1,): LINE}, ("seed",))),
        ("dims='seed': expected different names", lambda: geometry.stack({(0,): SURFACE}, "seed")),
        ("dims=.*none of them among", lambda: geometry.stack({(0, 0): SURFACE}, ("seed", "alpha"))),
    ],
    "steepest_share": [
        *no_surfaces(geometry.steepest_share),
        ("width=0: expected", lambda: geometry.steepest_share(SURFACE, 0)),
        ("width=1.5: .*at most 1", lambda: geometry.steepest_share(SURFACE, 1.5)),
        ("with the origin inside", lambda: geometry.steepest_share(LINE)),
    ],
    "sublevel_components": [
        *no_surfaces(geometry.sublevel_components),
        (r"levels=\[3, 1\]: expected increasing", lambda: geometry.sublevel_components(SURFACE, [3, 1])),
        (r"levels=\[\]: expected increasing", lambda: geometry.sublevel_components(SURFACE, [])),
        ("levels=0: expected", lambda: geometry.sublevel_components(SURFACE, 0)),
        ("levels='many': expected", lambda: geometry.sublevel_components(SURFACE, "many")),
        ("levels=1.5: expected a whole number", lambda: geometry.sublevel_components(SURFACE, 1.5)),
        ("no finite value of 'loss'", lambda: geometry.sublevel_components(EMPTY)),
    ],
    "surface_distance": [
        *no_surfaces(lambda surface: geometry.surface_distance(surface, SURFACE)),
        ("other has the axes", lambda: geometry.surface_distance(SURFACE, LINE)),
        ("other has the dimensions .*seed", lambda: geometry.surface_distance(SURFACE, STACK)),
        ("dimension=2: expected", lambda: geometry.surface_distance(SURFACE, SURFACE, dimension=2)),
        ("kind='l2': expected one of", lambda: geometry.surface_distance(SURFACE, SURFACE, kind="l2")),
    ],
    "tree_paths": [
        *no_surfaces(lambda surface: geometry.tree_paths(surface, geometry.merge_tree(SURFACE))),
        ("tree is a NoneType; expected a networkx.DiGraph", lambda: geometry.tree_paths(SURFACE, None)),
        ("tree: node .* expected the tree of this", lambda: geometry.tree_paths(SURFACE, geometry.merge_tree(LINE))),
        ("tree: node .* expected the tree", lambda: geometry.tree_paths(SURFACE + 1, geometry.merge_tree(SURFACE))),
    ],
}


def test_every_public_function_has_wrong_calls():
    assert not functions_without_wrong_calls(geometry, WRONG, takes_anything=set())


@pytest.mark.parametrize("pattern, call", cases(WRONG))
def test_a_wrong_call_is_refused_with_a_reason(pattern, call):
    check(pattern, call)


@pytest.mark.parametrize(
    "pattern, call",
    [
        ("name='': expected the name", lambda: Measure("")),
        ("function=3: expected a function", lambda: Measure("own", 3)),
        (r"bounds=\(1, 0\): expected the least and the largest", lambda: Measure("own", bounds=(1, 0))),
        (r"bounds=\[0, 1\]: expected", lambda: Measure("own", bounds=[0, 1])),
    ],
)
def test_a_record_of_a_measure_is_checked(pattern, call):
    check(pattern, call)


def test_values_at_or_below_zero_and_values_that_are_not_finite_are_data():
    below = SURFACE - 10
    assert geometry.measures(below, radius=0.5, delta=0.1).sharpness == pytest.approx(0.3125)
    for hole in (np.nan, np.inf, -np.inf):
        holed = SURFACE.copy(deep=True)
        holed.loss[0, 0] = hole
        assert np.isfinite(geometry.measures(holed, radius=0.5, delta=0.1).to_array()).all()
