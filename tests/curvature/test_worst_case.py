import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from hessians import small_data, small_network
from lossatlas import curvature, vectors
from lossatlas.curvature.hessian import filter_scaling
from lossatlas.directions import relative_length


def linear_regression(noise, seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Linear(5, 3, bias=False).double()
    nn.init.normal_(model.weight, generator=generator)
    inputs = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    inputs = inputs * torch.tensor([3.0, 1, 1, 0.5, 0.2])
    targets = model(inputs).detach() + noise * torch.randn(40, 3, generator=generator, dtype=torch.float64)
    return model, (inputs, targets)


def largest_rise(model, data, radius):
    """The maximum of g·u + u·H·u/2 over |u| = radius·√F, by bisection on the multiplier."""
    hessian = curvature.loss_hessian(model, data, loss="mse", coordinates="filters", device="cpu")
    values, vectors_ = np.linalg.eigh((hessian @ torch.eye(hessian.shape[0], dtype=torch.float64)).numpy())
    model.zero_grad()
    nn.functional.mse_loss(model(data[0]), data[1]).backward()
    slope = vectors_.T @ (model.weight.grad.flatten() * filter_scaling({"weight": model.weight})).numpy()
    length, low, high = radius * np.sqrt(3), values[-1], values[-1] + np.linalg.norm(slope) / radius
    for _ in range(200):
        middle = (low + high) / 2
        longer = np.linalg.norm(slope / (middle - values)) > length
        low, high = (middle, high) if longer else (low, middle)
    step = slope / (high - values)
    return float(slope @ step + (values * step**2).sum() / 2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("radius", [0.05, 1.0])
def test_the_worst_case_of_a_quadratic_is_that_of_its_closed_form(seed, radius):
    model, data = linear_regression(0.5, seed)
    line = curvature.worst_line(model, data, radius=radius, loss="mse", steps=300, device="cpu", progress=False)
    assert line.description["rise"] == pytest.approx(largest_rise(model, data, radius), rel=1e-6)


def test_at_a_minimum_the_worst_direction_is_the_first_eigenvector_in_units_of_the_filters():
    model, data = linear_regression(0.0)
    options = {"loss": "mse", "device": "cpu", "progress": False}
    line = curvature.worst_line(model, data, steps=300, **options)
    [vector] = curvature.eigenpairs(model, data, 1, which="largest", coordinates="filters", **options).vectors
    step = {"weight": line.delta["weight"] / vectors.filter_norms(model.weight.detach())}
    assert abs(vectors.cosine(step, vector)) == pytest.approx(1, abs=1e-6)


def test_the_line_reaches_the_rise_at_its_radius_and_beats_random_directions():
    model, data = small_network(), small_data()
    line = curvature.worst_line(model, data, radius=0.3, device="cpu", progress=False)
    assert relative_length(line.delta, line.origin) == pytest.approx(1)
    assert not any(line.delta[name].any() for name in ("0.bias", "2.weight", "2.bias", "3.bias"))
    found = la.evaluate(model, line, data, alphas=[0, 0.3], device="cpu", progress=False)
    assert float(found.loss[1] - found.loss[0]) == pytest.approx(line.description["rise"], rel=1e-9)
    for seed in range(10):
        random = la.evaluate(
            model, la.random_line(model, seed=seed), data, alphas=[0, 0.3], device="cpu", progress=False
        )
        assert float(random.loss[1] - random.loss[0]) < line.description["rise"]


def test_only_named_layers_move_and_the_model_stays_as_it_was():
    model, data = small_network(), small_data()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    line = curvature.worst_line(model, data, layers=["3"], steps=5, device="cpu", progress=False)
    assert [name for name, tensor in line.delta.items() if tensor.any()] == ["3.weight"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
