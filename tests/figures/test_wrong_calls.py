"""Every public function of figures refuses what it cannot draw, by the name of the argument."""

import matplotlib.figure
import numpy as np
import pytest
import xarray as xr

from lossatlas import evidence, figures, geometry

AXIS = np.linspace(-1, 1, 5)
SURFACE = xr.Dataset({"loss": (("alpha", "beta"), 1 + np.add.outer(AXIS**2, AXIS**2))}, {"alpha": AXIS, "beta": AXIS})
FRAMES = xr.concat([SURFACE, SURFACE + 1], "update").assign_coords(update=[0, 10])
LINE = xr.Dataset({"loss": ("alpha", AXIS**2)}, {"alpha": AXIS})
PATH = xr.Dataset({"alpha": ("step", [0.5, 0.0]), "beta": ("step", [0.5, 0.0])})
RUN = xr.Dataset({"train_loss": ("epoch", [2.0, 1.0]), "test_loss": ("epoch", [2.0, 1.0])}, {"epoch": [1, 2]})
RECORDS = [{"condition": "a", "seed": seed, "m": 1.0 + seed, "n": 2.0} for seed in range(4)]
FEATURES, COUNTS = geometry.persistence(SURFACE), geometry.sublevel_components(SURFACE, [1.0, 2.0])
SHARES = xr.DataArray([0.2, 0.8], {"weight": [0.0, 1.0]}, ["weight"])
OVER_DEPTH = xr.Dataset({"m": ("depth", [1.0, 2.0]), "name": ("depth", ["a", "b"])}, {"depth": [2, 4]})
TREND = evidence.trend([1, 2, 3, 4, 5], [2, 3, 5, 7, 11])
NOT_DATASETS = (None, 3, "loss", [1, 2], SURFACE.loss, np.ones((3, 3)))

CALLS = {  # by function: how it is called rightly, and what must be refused: the argument named, and its values
    "contour": (
        lambda surface=SURFACE, **options: figures.contour(surface, **options),
        {
            "surface": (*NOT_DATASETS, {"a": SURFACE}, LINE),
            "variable": ("accuracy", 3, None),
            "levels": ([3, 1], [1, 1], "many", -2, [[1, 2]], [1, np.nan], True, None, 2.5),
            "clip": (np.nan, "high", 0.5, [1, 2]),
            "clim": ((2, 1), (0, 1), 3, (1, 2, 3), ("a", "b")),
            "interpolate_to": (1, -3, "fine", 2.5),
            "path": (*NOT_DATASETS[1:], LINE),
            "title": (3, ["a"]),
            "ax": (3, "axes", matplotlib.figure.Figure()),
        },
    ),
    "cell_maps": (
        lambda maps={"a": SURFACE}, **options: figures.cell_maps(maps, **options),
        {
            "maps": (None, 3, [SURFACE], {}, {"a": np.ones((2, 2), bool)}),
            "columns": (0, 1.5, "a"),
            "clim": ((2, 1), 3),
        },
    ),
    "animation": (
        lambda frames=FRAMES, over="update", **options: figures.animation(frames, over, **options),
        {"frames": (None, 3, {"a": FRAMES}), "over": ("epoch", 3), "seconds": (0, "a"), "caption": (3,)},
    ),
    "merge_tree": (
        lambda surface=SURFACE, **options: figures.merge_tree(surface, **options),
        {
            "surface": (*NOT_DATASETS, LINE),
            "variable": ("accuracy", 3),
            "most": (0, -1, 1.5, "a", True),
            "levels": ([3, 1], "many"),
            "clip": (np.nan, "high"),
            "title": (3,),
        },
    ),
    "persistence_diagram": (
        lambda features={"a": FEATURES}, **options: figures.persistence_diagram(features, **options),
        {
            "features": (None, 3, [FEATURES], FEATURES.birth, {}, {"a": SURFACE}, {"a": 3}, FEATURES * np.nan),
            "xlabel": (3,),
            "title": (3,),
        },
    ),
    "component_counts": (
        lambda counts={"a": COUNTS}, **options: figures.component_counts(counts, **options),
        {
            "counts": (
                None,
                3,
                [COUNTS],
                COUNTS.components,
                {},
                {"a": SURFACE},
                {"a": [COUNTS, COUNTS[{"level": [0]}]]},
            ),
            "xlabel": (3,),
        },
    ),
    "path_over_contours": (
        lambda surface=SURFACE, path=PATH, **options: figures.path_over_contours(surface, path, **options),
        {"surface": (*NOT_DATASETS, LINE), "path": (*NOT_DATASETS, LINE), "marks": (-1, "a", 1.5), "levels": ([3, 1],)},
    ),
    "panels": (
        lambda surfaces={"a": SURFACE}, **options: figures.panels(surfaces, **options),
        {
            "surfaces": (None, 3, [SURFACE], SURFACE, SURFACE.loss, {}, {"a": SURFACE.loss}, {"a": [SURFACE] * 2}),
            "columns": (0, -1, 1.5, "a"),
            "variable": ("accuracy",),
            "levels": ([3, 1],),
        },
    ),
    "path_panels": (
        lambda paths={"a": PATH}, **options: figures.path_panels(paths, **options),
        {"paths": (None, [PATH], PATH, {}, {"a": LINE}, {"a": 3}), "columns": (0, "a"), "marks": (-1, 2.5)},
    ),
    "profile": (
        lambda lines={"a": LINE}, **options: figures.profile(lines, **options),
        {
            "lines": (None, 3, [LINE], LINE.loss, {}, {"a": LINE.loss}, {"a": []}, {"a": 3}, {"a": SURFACE}),
            "variable": ("accuracy", 3),
        },
    ),
    "profile_panels": (
        lambda lines={"a": LINE}, **options: figures.profile_panels(lines, **options),
        {
            "lines": (None, 3, [LINE], LINE, {}, {"a": LINE.loss}, {"a": 3}, {"a": SURFACE}),
            "columns": (0, "a", 1.5),
            "variable": ("accuracy", 3),
        },
    ),
    "loss_curves": (
        lambda history={"a": RUN}, **options: figures.loss_curves(history, **options),
        {
            "history": (None, [RUN], RUN.train_loss, {}, {"a": RUN.train_loss}, {"a": LINE}, {"a": "x"}),
            "variables": ("train_loss", [], [3], None),
            "ylabel": (3,),
        },
    ),
    "histograms": (
        lambda shares={"a": SHARES}, xlabel="weight", **options: figures.histograms(shares, xlabel=xlabel, **options),
        {"shares": (None, [SHARES], {}, RUN, {"a": RUN}, {"a": SHARES.drop_vars("weight")}), "xlabel": (3,)},
    ),
    "dots": (
        lambda measured=RECORDS, measures="m", **options: figures.dots(measured, measures, **options),
        {
            "measured": (None, 3, "m", {"a": 1}, [], [3], RUN, SURFACE.loss),
            "records": ([{"condition": "a"}], [{"m": 1.0}], [{"condition": "a", "m": "high"}]),
            "measures": ("roughness", ["m", "roughness"], 3, [], [3]),
            "log": (3, "m", ["roughness"]),
            "xlabel": (3,),
        },
    ),
    "scatter": (
        lambda measured=RECORDS, x="m", y="n", **options: figures.scatter(measured, x, y, **options),
        {"measured": (None, {"a": 1}, [], RUN), "x": ("roughness",), "y": ("roughness",), "title": (3,)},
    ),
    "against": (
        lambda measured=OVER_DEPTH, x="depth", y="m", **options: figures.against(measured, x, y, **options),
        {
            "measured": (None, 3, {"a": 1}, [], RECORDS, OVER_DEPTH.m),
            "x": (None, 3, "width", "name"),
            "y": (None, 3, "roughness", "name"),
            "by": (3, "width"),
            "xlabel": (3,),
            "ylabel": (3,),
        },
    ),
    "claims_table": (lambda verdicts=(): figures.claims_table(verdicts), {"verdicts": (None, 3, "a", [3], [TREND])}),
    "trends_table": (
        lambda trends={"a": TREND}: figures.trends_table(trends),
        {"trends": (None, [TREND], {"a": 3})},
    ),
    "seeds_table": (
        lambda measured=RECORDS, **options: figures.seeds_table(measured, **options),
        {"measured": (None, {"a": 1}, [], [3], RUN, SURFACE.loss), "measures": ("m", [3], [], ["roughness"])},
    ),
    "percent": (
        lambda values=0.5, **options: figures.percent(values, **options),
        {"values": (None, "a", True, [], ["a"], RUN), "digits": (0, 1.5, "a")},
    ),
    "amount": (
        lambda values=0.5, **options: figures.amount(values, **options),
        {"values": (None, "a", True, [], ["a"], RUN), "digits": (0, 1.5, "a"), "unit": (3, None)},
    ),
    "provenance_table": (
        lambda surfaces=(): figures.provenance_table(surfaces),
        {"surfaces": (None, 3, "a", SURFACE, [SURFACE.loss], [SURFACE], {"a": SURFACE})},
    ),
    "describe": (
        lambda surface=SURFACE, **options: figures.describe(surface, **options),
        {"surface": NOT_DATASETS, "variable": ("accuracy", 3)},
    ),
    "figure_html": (
        lambda figure=matplotlib.figure.Figure(), alt="x", **options: figures.figure_html(figure, alt=alt, **options),  # noqa: B008
        {"figure": (None, 3, SURFACE), "alt": ("", None, 3), "caption": (3,)},
    ),
}
SAID_AS = {  # what the error may name instead of the argument
    ("contour", "surface"): "loss",
    ("contour", "variable"): "accuracy",
    ("path_over_contours", "surface"): "loss",
    ("dots", "measures"): "records",
    ("dots", "measured"): "records",
    ("scatter", "x"): "records",
    ("scatter", "y"): "records",
    ("seeds_table", "measures"): "records",
    ("profile", "variable"): "surface",
    ("merge_tree", "surface"): "loss",
    ("merge_tree", "variable"): "accuracy",
    ("profile_panels", "variable"): "surface",
}
WRONG = [
    pytest.param(function, name, value, id=f"{function}-{name}-{type(value).__name__}-{i}")
    for function, (_, arguments) in CALLS.items()
    for name, values in arguments.items()
    for i, value in enumerate(values)
]
PLAIN = {"Quantity", "Table", "say", "interval_text", "listed", "number", "spoken"}  # values and words, not drawings


def test_every_public_function_is_in_the_table():
    assert set(figures.__all__) == set(CALLS) | PLAIN


@pytest.mark.parametrize("function", CALLS)
def test_the_calls_of_the_table_are_right_otherwise(function):
    call, _ = CALLS[function]
    assert call() is not None


@pytest.mark.parametrize("function, name, value", WRONG)
def test_a_wrong_argument_is_refused_by_name(function, name, value):
    call, _ = CALLS[function]
    arguments = {"measured": value} if name == "records" else {name: value}
    with pytest.raises(ValueError) as error:
        call(**arguments)
    said = str(error.value)
    assert name in said or SAID_AS.get((function, name), name) in said, said
    assert any(word in said for word in ("expected", "it has", "has no", "draw it with", "take a slice")), said
