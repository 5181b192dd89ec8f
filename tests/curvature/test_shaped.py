import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from hessians import small_data, small_network
from lossatlas import curvature, geometry


def trained():
    data = la.load_dataset("digits")
    model = la.build_model("feedforward", data, depth=3, width=16)
    la.fit(model, data, recipe=la.Recipe(learning_rate=0.05, momentum=0.9, epochs=8), progress=False)
    return model, data.train


@pytest.mark.parametrize("low, high, expected", [([1], [0.5], "w-basin"), ([-1, 1], [-0.5, 0.5], "vvv-basin")])
def test_a_search_finds_a_curve_that_random_directions_do_not_have(low, high, expected):
    model, data = trained()
    line = curvature.shaped_subspace(model, data, low=low, high=high, device="cpu", progress=False)
    alphas = np.linspace(-1.5, 1.5, 61)
    found = la.evaluate(model, line, data, alphas=alphas, device="cpu", progress=False)
    random = la.evaluate(model, la.random_line(model), data, alphas=alphas, device="cpu", progress=False)
    types = [geometry.curve_type(np.log10(curve[["loss"]])).item() for curve in (found, random)]
    assert types == [expected, "v-basin"]


def test_the_losses_it_reports_are_those_of_the_subspace():
    model, data = small_network(), small_data()
    low, high = [[1, 0], [0, 1]], [[-1, 0.5]]
    plane = curvature.shaped_subspace(model, data, low=low, high=high, steps=20, device="cpu", progress=False)
    for points, losses in ((low, "low_losses"), (high, "high_losses")):
        for (a, b), loss in zip(points, plane.description[losses], strict=True):
            network = small_network()
            network.load_state_dict(plane.at(a, b), strict=False)
            assert nn.functional.cross_entropy(network(data[0]), data[1]).item() == pytest.approx(loss, rel=1e-9)
    assert not plane.delta["0.bias"].any() and not plane.eta["2.weight"].any()


def test_points_that_are_high_enough_pull_no_more():
    model = nn.Linear(1, 1, bias=False).double()
    data = torch.ones(1, 1, dtype=torch.float64), model(torch.ones(1, 1, dtype=torch.float64)).detach()
    options = {"loss": "mse", "rate": 0.001, "steps": 3000, "device": "cpu", "progress": False}
    line = curvature.shaped_subspace(model, data, high=[1.0], level=0.25, **options)
    assert line.delta["weight"].abs().item() == pytest.approx(0.5, abs=0.02)  # the loss is w²


def test_three_coordinates_make_a_box():
    options = {"steps": 2, "device": "cpu", "progress": False}
    assert isinstance(curvature.shaped_subspace(small_network(), small_data(), low=[[1, 0, 0]], **options), la.Box)
