"""Wrong calls of the functions of `patterns`: a ValueError that names the argument. A new one has to join."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import lossatlas as la
from lossatlas import patterns
from lossatlas.patterns import PatternRecipe, fidelity, picture, random_mask
from wrong_calls import cases, check, functions_without_wrong_calls

DATA = la.load_dataset("digits")
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
MIXED = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
RING = picture("ring", size=5)
SURFACE = xr.Dataset({"loss": (("alpha", "beta"), np.zeros((5, 5)))})


def fit(model=MODEL, data=DATA, cells=RING, **options):
    return patterns.fit(model, data, cells, **{"progress": False, "recipe": PatternRecipe(updates=1), **options})


WRONG = {
    "picture": [
        ("size=2: expected a whole number of at least 3 and at most 200", lambda: picture("heart", size=2)),
        ("size=201", lambda: picture("heart", size=201)),
        ("what=3: expected a path", lambda: picture(3)),
        ("what='': expected a shape, a file or a text", lambda: picture("")),
        ("grey=True: expected a PNG file", lambda: picture("heart", grey=True)),
        ("grey=1: expected True or False", lambda: picture("heart", grey=1)),
        ("what='no.png': cannot be read as a picture", lambda: picture("no.png")),
    ],
    "random_mask": [
        ("share=0: expected a positive number, below 1", lambda: random_mask(0)),
        ("share=1", lambda: random_mask(1)),
        ("size='big'", lambda: random_mask(0.5, size="big")),
        ("seed=-1", lambda: random_mask(0.5, seed=-1)),
    ],
    "fidelity": [
        ("surface=3: expected a Dataset", lambda: fidelity(3, RING)),
        ("surface: expected a Dataset with the loss", lambda: fidelity(SURFACE.isel(beta=0), RING)),
        ("surface: 5×5 points, expected 4×4", lambda: fidelity(SURFACE, picture("heart", size=4))),
        ("picture: 1 different values", lambda: fidelity(SURFACE, np.ones((5, 5), bool))),
    ],
    "fit": [
        ("model", lambda: fit(model=None)),
        (
            "model: expected parameters that are all real",
            lambda: fit(MIXED),
        ),
        ("data=3: expected a lossatlas.Dataset or a pair", lambda: fit(data=3)),
        ("data: 3 inputs for 2 targets", lambda: fit(data=(torch.zeros(3, 64), torch.zeros(2)))),
        ("picture: expected an array .*heart", lambda: fit(cells="heart")),
        ("picture: 1 different values; expected black and white", lambda: fit(cells=np.zeros((4, 4)))),
        ("picture: 3 different values", lambda: fit(cells=np.arange(9).reshape(3, 3) % 3)),
        ("picture: 201×3 cells, expected at most 200", lambda: fit(cells=np.arange(603).reshape(201, 3) % 2)),
        ("picture: .*finite", lambda: fit(cells=np.array([[np.nan, 1.0]]))),
        ("levels=3: expected two losses", lambda: fit(levels=3)),
        ("picture: has one for label 11, expected labels", lambda: fit(cells={11: RING})),
        ("picture: a label='a'", lambda: fit(cells={"a": RING})),
        ("picture: shapes .*expected at least one picture", lambda: fit(cells={})),
        ("picture: shapes .* all of one shape", lambda: fit(cells={0: RING, 1: picture("ring", size=6)})),
        ("together=0: expected a whole number of at least 1", lambda: fit(together=0)),
        ("levels='low': expected a finite number", lambda: fit(levels=("low", 1))),
        ("picture: expected an array .* from 0 to 1", lambda: fit(cells=np.arange(4).reshape(2, 2), levels=(0, 1))),
        ("picture, levels: .* different losses", lambda: fit(levels=(1, 1))),
        ("recipe=3: expected a lossatlas.patterns.PatternRecipe", lambda: fit(recipe=3)),
        ("loss='nothing'", lambda: fit(loss="nothing")),
        ("seed=-1", lambda: fit(seed=-1)),
        ("watch=3: expected a function", lambda: fit(watch=3)),
        ("watch_every=0", lambda: fit(watch_every=0)),
        ("resume", lambda: fit(resume=3)),
        ("device", lambda: fit(device="nowhere")),
        ("progress=3", lambda: fit(progress=3)),
    ],
    "PatternRecipe": [
        ("updates=0: expected a whole number of at least 1", lambda: PatternRecipe(updates=0)),
        ("cells=1.5", lambda: PatternRecipe(cells=1.5)),
        ("batch_size=-1", lambda: PatternRecipe(batch_size=-1)),
        ("learning_rate=0: expected a positive number", lambda: PatternRecipe(learning_rate=0)),
        ("threshold=inf", lambda: PatternRecipe(threshold=float("inf"))),
        ("clip=0", lambda: PatternRecipe(clip=0)),
        ("scale=-1", lambda: PatternRecipe(scale=-1)),
        ("skip_interior=1", lambda: PatternRecipe(skip_interior=1)),
        ("centre_scales='yes'", lambda: PatternRecipe(centre_scales="yes")),
    ],
}


def test_every_public_function_has_wrong_calls():
    assert not functions_without_wrong_calls(patterns, WRONG, takes_anything=set())


@pytest.mark.parametrize("pattern, call", cases(WRONG))
def test_a_wrong_call_is_refused_with_a_reason(pattern, call):
    check(pattern, call)
