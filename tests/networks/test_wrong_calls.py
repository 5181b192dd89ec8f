from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lossatlas import networks
from lossatlas.networks import MODELS, Recipe
from networks import DATA
from wrong_calls import cases, check, functions_without_wrong_calls

DIGITS = DATA["feedforward"]()
TABLE = DATA["feedforward-2"]()
VOCABULARY = "abc"
RNN = MODELS["rnn"]((5,), 3, hidden=4)


def built(name="feedforward", data=DIGITS, **options):
    return networks.build_model(name, data, **options)


def trained(model=None, data=DIGITS, recipe=Recipe(), **options):  # noqa: B008  (frozen)
    return networks.fit(model or built(), data, recipe=recipe, progress=False, **options)


def convexified(train=DIGITS.train, radius=1.0, **options):
    return networks.fit_convexified(train, radius=radius, features=4, progress=False, **options)


def written(vocabulary=VOCABULARY, **options):
    return networks.sample_text(RNN, vocabulary, **{"prompt": "a", "length": 2} | options)


def scored(model=None, split=DIGITS.test, loss="cross_entropy"):
    return networks.classification_scores(model or built(), split, loss=loss)


WRONG = {
    "build_model": [
        ("model 'mlp' is unknown: expected one of", lambda: built("mlp")),
        ("model None is unknown", lambda: built(None)),
        ("seed='a': expected a whole number of at least 0", lambda: built(seed="a")),
        ("seed=-1", lambda: built(seed=-1)),
        ("depth=-3: expected a whole number of at least 1", lambda: built(depth=-3)),
        ("depth=2.5", lambda: built(depth=2.5)),
        ("width=0", lambda: built(width=0)),
        ("width=True", lambda: built(width=True)),
        (r"options: \['dept'\] not known to this model; it takes \['depth', 'skips', 'width'\]", lambda: built(dept=2)),
        (r"\['hidden'\] not known to this model; it takes none", lambda: built("cnn-1", hidden=3)),
        ("skips=5: expected a list of pairs", lambda: built(skips=5)),
        (r"skips=\[\(1, 2, 3\)\]", lambda: built(skips=[(1, 2, 3)])),
        (r"skips: \(1, 40\) needs", lambda: built(skips=[(1, 40)])),
        ("hidden=0", lambda: built("rnn", DATA["rnn"](), hidden=0)),
    ],
    "classification_scores": [
        ("loss='mse': expected one of", lambda: scored(loss="mse")),
        ("loss=<function", lambda: scored(loss=nn.functional.cross_entropy)),
        (r"expected \(N, 1\)", lambda: scored(loss="bce_with_logits")),
        ("model=None: expected a torch.nn.Module", lambda: networks.classification_scores(None, DIGITS.test, loss="")),
        ("split=3: expected a pair", lambda: scored(split=3)),
    ],
    "fit": [
        ("model=.*: expected a torch.nn.Module", lambda: trained(nn.Linear)),
        ("(?s)data=.*: expected a lossatlas.Dataset; it has no", lambda: trained(data=DIGITS.train)),
        ("recipe={'epochs': 3}: expected a lossatlas.Recipe", lambda: trained(recipe={"epochs": 3})),
        ("augment=True expects images", lambda: trained(data=TABLE, recipe=Recipe(augment=True))),
        ("seed=1.5", lambda: trained(seed=1.5)),
    ],
    "fit_convexified": [
        ("train=3: expected images", lambda: networks.fit_convexified(3, radius=1)),
        ("(?s)train=.*: expected images", lambda: convexified(train=TABLE.train)),
        ("targets: values from 0 to 9; cross_entropy on this model expects 0 to 4", lambda: convexified(outputs=5)),
        ("radius=-1", lambda: convexified(radius=-1)),
        ("method='adam': expected one of", lambda: convexified(method="adam")),
        ("steps=0", lambda: convexified(steps=0)),
        ("start=-1", lambda: convexified(start=-1)),
        ("seed=1.5", lambda: convexified(seed=1.5)),
        ("kind='gauss': expected one of", lambda: convexified(kind="gauss")),
        ("gamma=0: expected a positive number", lambda: convexified(gamma=0)),
        (r"image=\(1, 8, 8\): expected at least 10 pixels a side", lambda: convexified(side=9)),
    ],
    "Recipe": [
        ("optimizer='adamw': expected one of", lambda: Recipe("adamw")),
        ("optimizer=None", lambda: Recipe(None)),
        ("epochs=1.5: expected a whole number of at least 1", lambda: Recipe(epochs=1.5)),
        ("epochs='3'", lambda: Recipe(epochs="3")),
        ("steps=0", lambda: Recipe(steps=0)),
        ("batch_size=True", lambda: Recipe(batch_size=True)),
        ("momentum=2: expected zero or more, below 1", lambda: Recipe(momentum=2)),
        ("momentum=0.9: Adam takes none", lambda: Recipe("adam", momentum=0.9)),
        ("learning_rate=nan: expected a positive number", lambda: Recipe(learning_rate=float("nan"))),
        ("learning_rate=inf", lambda: Recipe(learning_rate=float("inf"))),
        ("decay=0", lambda: Recipe(decay=0)),
        ("l1=-1: expected zero or more", lambda: Recipe(l1=-1)),
        ("clip=0", lambda: Recipe(clip=0)),
        ("checkpoint_every=-1", lambda: Recipe(checkpoint_every=-1)),
        ("schedule='step': expected one of", lambda: Recipe(schedule="step")),
        ("decay=0.9: expected 1, because the schedule is a cosine", lambda: Recipe(schedule="cosine", decay=0.9)),
        ("augment=1: expected True or False", lambda: Recipe(augment=1)),
    ],
    "load_pretrained": [
        ("name='resnet50-cifar10': expected one of", lambda: networks.load_pretrained("resnet50-cifar10")),
        ("name=None: expected one of", lambda: networks.load_pretrained(None)),
    ],
    "sample_text": [
        ("prompt='': expected characters of the vocabulary", lambda: written(prompt="")),
        ("prompt='ax'.*not .'x'.", lambda: written(prompt="ax")),
        ("prompt=3: expected text", lambda: written(prompt=3)),
        ("length=-1", lambda: written(length=-1)),
        ("length=2.5", lambda: written(length=2.5)),
        ("temperature=0", lambda: written(temperature=0)),
        ("temperature=nan", lambda: written(temperature=float("nan"))),
        ("seed=None", lambda: written(seed=None)),
    ],
}


def test_every_public_function_has_wrong_calls():
    assert not functions_without_wrong_calls(networks, WRONG, takes_anything=set())


@pytest.mark.parametrize("pattern, call", cases(WRONG))
def test_a_wrong_call_is_refused_with_a_reason(pattern, call):
    check(pattern, call)


def test_numpy_scalars_are_taken_for_what_they_are():
    given = Recipe(learning_rate=np.float32(0.5), epochs=np.int64(2), momentum=np.float64(0.5), steps=np.int32(3))
    assert given == Recipe(learning_rate=0.5, epochs=2, momentum=0.5, steps=3)
    assert {type(value) for value in vars(given).values()} <= {str, bool, int, float, type(None)}
    one, other = built(depth=np.int64(2), seed=np.int64(1)), built(depth=2, seed=1)
    assert torch.equal(one.layers[0].weight, other.layers[0].weight)
