"""Every registered transform gives the plain loop's values, on every network that it applies to."""

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.evaluation.kernels import TRANSFORMS
from lossatlas.evaluation.metrics import make_quantities
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.sweep import profile
from networks import DATA, make_sweep, plain_loop, table_1

GRID = np.linspace(-0.5, 1, 3)


def test_no_two_transforms_are_recorded_or_reported_alike():
    assert len({transform.name for transform in TRANSFORMS}) == len(TRANSFORMS)
    assert len({transform.words for transform in TRANSFORMS}) == len(TRANSFORMS)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda transform: transform.name)
def test_a_transform_gives_the_values_of_the_plain_loop(transform, name):
    model, data = table_1(name)
    inputs, targets = data.test[0][:20], data.test[1][:20]
    plane = la.random_plane(model, seed=1)
    sweep = make_sweep(model, plane, make_quantities(data.loss))
    seen = profile(sweep, inputs[:2])
    if not transform.applies(sweep, seen, inputs, targets):
        pytest.skip("it does not apply to this network")
    if transform.worth_seconds(sweep) > 10:
        pytest.skip("it takes a compiler and half a minute; test_methods has one network for it")
    runner = Runner(sweep, Strategy(20, transforms=(transform,)), seen)
    points = torch.tensor([(a, b) for a in GRID for b in GRID], dtype=torch.float32)
    with torch.no_grad():
        runner.prepare(inputs, targets)
        found = runner.run(points)
    expected, _ = plain_loop(model, plane, (inputs, targets), loss=data.loss, alphas=GRID, betas=GRID)
    np.testing.assert_allclose((found[0] / len(inputs)).reshape(3, 3), expected, rtol=2e-5)
