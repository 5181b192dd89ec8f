from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from lossatlas import study as package
from lossatlas.networks import Recipe
from lossatlas.study import Condition, GivenPlane, PathPlane, PlaneBetween, RandomPlane, Slice, Store, Study
from lossatlas.study.path_measures import random_walks, straightness, variance_held, walk_shares
from lossatlas.study.training_paths import measure_runs, slice_around
from wrong_calls import cases, check, functions_without_wrong_calls

ONE = Condition("one", "digits", "feedforward", Recipe(epochs=1), {"depth": 2, "width": 4})
SAME_LABEL = replace(ONE, options={"depth": 3, "width": 4})
STUDY = Study("test", results="results that are never written", progress=False)


def condition(**changes):
    return replace(ONE, **changes)


WRONG = {
    "Condition": [
        ("label=3: expected text", lambda: condition(label=3)),
        ("dataset='mnits': expected one of", lambda: condition(dataset="mnits")),
        ("model='mlp': expected one of", lambda: condition(model="mlp")),
        ("recipe={}: expected a lossatlas.Recipe", lambda: condition(recipe={})),
        (r"options: \['dept'\] not known", lambda: condition(options={"dept": 3})),
        ("depth=-3", lambda: condition(options={"depth": -3})),
        (r"options=\[3\]: expected a mapping", lambda: condition(options=[3])),
        (r"data_options: \['length'\] not known to digits", lambda: condition(data_options={"length": 3})),
        ("data_options=.*expected numbers, text and lists", lambda: condition(data_options={"sequence_length": {1}})),
    ],
    "Slice": [
        ("plane=0: expected a plane specification", lambda: Slice(0)),
        (r"plane=<class .*RandomPlane'>", lambda: Slice(RandomPlane)),
        ("alpha=0: expected a positive number", lambda: Slice(alpha=0)),
        ("alpha=nan", lambda: Slice(alpha=float("nan"))),
        ("alpha='wide'", lambda: Slice(alpha="wide")),
        (r"alpha=\(1, -1\): expected a positive number, or \(lowest, highest\)", lambda: Slice(alpha=(1, -1))),
        (r"beta=\(0, 1, 2\)", lambda: Slice(beta=(0, 1, 2))),
        ("beta=inf", lambda: Slice(beta=(0, float("inf")))),
        ("points=1: expected a whole number of at least 2", lambda: Slice(points=1)),
        ("points=5.0", lambda: Slice(points=5.0)),
        ("split='validation': expected one of", lambda: Slice(split="validation")),
        ("samples=0", lambda: Slice(samples=0)),
        ("precision='half': expected one of", lambda: Slice(precision="half")),
        ("tolerance=1", lambda: Slice(tolerance=1)),
    ],
    "RandomPlane": [
        ("seed=-1", lambda: RandomPlane(-1)),
        ("normalize='filters': expected one of", lambda: RandomPlane(normalize="filters")),
        ("scale=0: expected a positive number", lambda: RandomPlane(scale=0)),
        ("scale='big'", lambda: RandomPlane(scale="big")),
        ("layers='output': expected a sequence of names", lambda: RandomPlane(layers="output")),
        ("layers=5", lambda: RandomPlane(layers=5)),
        (r"layers=\[5\]", lambda: RandomPlane(layers=[5])),
    ],
    "PathPlane": [
        ("directions='diagonal': expected one of", lambda: PathPlane("diagonal")),
        ("seed=0.5", lambda: PathPlane(seed=0.5)),
    ],
    "PlaneBetween": [
        ("other=None", lambda: PlaneBetween(None)),
        ("third=-1", lambda: PlaneBetween(1, third=-1)),
        ("condition='one': expected a Condition", lambda: PlaneBetween(1, condition="one")),
    ],
    "GivenPlane": [
        ("delta=3: expected a mapping from names to tensors", lambda: GivenPlane.of("mine", 3, {})),
        ("eta={'w': 1}", lambda: GivenPlane.of("mine", {"w": torch.ones(1)}, {"w": 1})),
    ],
    "Store": [(r"name='\.\./up'", lambda: Store("here").path("../up", {}, ".nc"))],
    "Study": [
        (r"chapter='../../x': expected letters", lambda: Study("../../x")),
        (r"chapter='\.\.'", lambda: Study("..")),
        ("chapter=''", lambda: Study("")),
        ("chapter=3", lambda: Study(3)),
        (r"reads='\.\./x': expected letters", lambda: Study("test", reads=["../x"])),
        ("reads='depth': expected a list", lambda: Study("test", reads="depth")),
        ("kept_seeds=0: expected a sequence", lambda: Study("test", kept_seeds=0)),
        ("results=3: expected a path", lambda: Study("test", results=3)),
    ],
    "Study.surfaces": [
        ("2 different ones have the label 'one'", lambda: STUDY.surfaces([ONE, SAME_LABEL], [0], slices=[Slice()])),
        ("conditions='one': expected a lossatlas", lambda: STUDY.surfaces(["one"], [0], slices=[Slice()])),
        ("seed=-1", lambda: STUDY.surfaces([ONE], [-1], slices=[Slice()])),
        ("slice=0: expected a lossatlas.study.Slice", lambda: STUDY.surfaces([ONE], [0], slices=[0])),
    ],
    "Study.measure": [
        ("2 different ones have the label 'one'", lambda: STUDY.measure([ONE, SAME_LABEL], [0], [Slice()])),
        ("slices: empty", lambda: STUDY.measure([ONE], [0], [])),
        ("slices=0", lambda: STUDY.measure([ONE], [0], [0])),
        (r"seeds=\[\]", lambda: STUDY.measure([ONE], [], [Slice()])),
        (r"seeds=\[1, 1\]", lambda: STUDY.measure([ONE], [1, 1], [Slice()])),
        ("conditions: empty", lambda: STUDY.measure([], [0], [Slice()])),
    ],
    "Study.collect": [
        ("2 different ones have the label 'one'", lambda: STUDY.collect("x", [ONE, SAME_LABEL], [0], compute=None)),
        (r"seeds=\[\]", lambda: STUDY.collect("x", [ONE], [], compute=None)),
        ("conditions: empty", lambda: STUDY.collect("x", [], [0], compute=None)),
    ],
    "Study.histories": [
        ("2 different ones have the label 'one'", lambda: STUDY.histories([ONE, SAME_LABEL], [0])),
        ("seeds='a'", lambda: STUDY.histories([ONE], ["a"])),
        ("conditions: empty", lambda: STUDY.histories([], [0])),
    ],
    "Study.conclude": [
        ("claims=3", lambda: STUDY.conclude(3)),
    ],
    "Study.class_shares": [
        ("split='validation': expected one of", lambda: STUDY.class_shares(ONE, split="validation")),
    ],
    "Study.history": [("seed=1.5", lambda: STUDY.history(ONE, 1.5))],
    "slice_around": [("directions='diagonal': expected one of", lambda: slice_around(None, "diagonal"))],
    "measure_runs": [
        ("conditions: empty; expected at least one", lambda: measure_runs(STUDY, [], [0])),
        (r"seeds=\[\]: expected at least one", lambda: measure_runs(STUDY, [ONE], [])),
    ],
    "random_walks": [
        ("paths=3: expected a Dataset of training_paths.measure_runs", lambda: random_walks(3)),
        ("paths: no 'condition'; expected a Dataset", lambda: random_walks(xr.Dataset())),
    ],
    "straightness": [
        ("paths: no 'shadow'; expected a Dataset", lambda: straightness(xr.Dataset())),
        (
            "paths: 1 random direction; expected two or more",
            lambda: straightness(xr.Dataset({"shadow": (("step", "draw"), [[0.0], [1.0]])})),
        ),
    ],
    "walk_shares": [("paths: no 'differences'; expected a Dataset", lambda: walk_shares(xr.Dataset()))],
    "variance_held": [("paths: no 'plane'; expected a Dataset", lambda: variance_held(xr.Dataset()))],
    "eigenvalue_map": [
        ("slice=3: expected a lossatlas.study.Slice", lambda: package.eigenvalue_map(STUDY, ONE, 0, slice=3)),
        ("tolerance=2: expected", lambda: package.eigenvalue_map(STUDY, ONE, 0, slice=Slice(), tolerance=2)),
        ("seed=-1", lambda: package.eigenvalue_map(STUDY, ONE, -1, slice=Slice())),
    ],
    "answers": [("results=3: expected a path", lambda: package.answers(3))],
    "published": [("results=3: expected a path", lambda: package.published(3))],
    "in_project": [("path=3: expected a path", lambda: package.in_project(3))],
}

ELSEWHERE = {"chapters", "check_parameters"}  # tested in tests/book


def test_every_public_function_has_wrong_calls():
    assert not functions_without_wrong_calls(package, WRONG, takes_anything=ELSEWHERE)
    methods = {name for name, value in vars(Study).items() if callable(value) and not name.startswith("_")}
    computing = {
        "compute_surface",
        "model",
        "params",
        "publish",
        "result",
        "surface",
        "tensors",
        "train",
        "weights_path",
    }
    assert methods - computing <= {name.removeprefix("Study.") for name in WRONG}


@pytest.mark.parametrize("pattern, call", cases(WRONG))
def test_a_wrong_call_is_refused_with_a_reason(pattern, call):
    check(pattern, call)


def test_numpy_scalars_are_taken_for_what_they_are():
    plane = RandomPlane(np.int64(1), scale=np.float32(2))
    given = Slice(plane, alpha=np.float64(0.5), points=np.int32(5), samples=np.int64(9))
    assert given == Slice(RandomPlane(1, scale=2.0), alpha=0.5, points=5, samples=9)
    assert Slice.from_request(given.request()) == given
    assert replace(ONE, options={"depth": np.int64(2), "width": np.int32(4)}) == ONE
    assert hash(replace(ONE, options={"width": 4, "depth": 2})) == hash(ONE)
