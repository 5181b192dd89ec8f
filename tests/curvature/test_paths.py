"""Eigenvalues along a training path, against the full Hessian at every checkpoint."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hessians import full_hessian, small_data, small_network
from lossatlas import curvature


@pytest.fixture(scope="module")
def path():
    """The checkpoints of full-batch gradient descent."""
    model, (inputs, labels) = small_network(), small_data()
    optimizer, checkpoints = torch.optim.SGD(model.parameters(), lr=0.5), []
    for _ in range(6):
        checkpoints.append(copy.deepcopy(model.state_dict()))
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    return checkpoints


def test_eigenvalues_are_those_of_the_full_hessian_at_every_checkpoint(path):
    model = small_network()
    before = copy.deepcopy(model.state_dict())
    found = curvature.eigenvalues_along(
        path, small_data(), model=model, learning_rate=0.5, tolerance=1e-8, device="cpu", progress=False
    )
    for step, checkpoint in enumerate(path):
        moved = copy.deepcopy(model)
        moved.load_state_dict(checkpoint)
        values = np.linalg.eigvalsh(full_hessian(moved, small_data(), F.cross_entropy))
        np.testing.assert_allclose(found.largest[step], values[-1], rtol=1e-8)
        np.testing.assert_allclose(found.smallest[step], values[0], atol=1e-8 * values[-1])
    assert float(found.threshold) == 4 and found.largest.std() > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_start_from_the_checkpoint_before_saves_products(path):
    together = curvature.eigenvalues_along(path, small_data(), model=small_network(), device="cpu", progress=False)
    alone = [
        curvature.eigenvalues_along([one], small_data(), model=small_network(), device="cpu", progress=False)
        for one in path
    ]
    assert together.attrs["total_products"] < sum(one.attrs["total_products"] for one in alone)


def test_running_statistics_are_those_of_the_checkpoint():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double().eval()
    other = copy.deepcopy(model)
    other[1].running_var.fill_(4.0)
    data = torch.randn(20, 4).double(), torch.randint(0, 3, (20,))
    found = curvature.eigenvalues_along(
        [other.state_dict(), dict(model.named_parameters())],
        data,
        model=model,
        tolerance=1e-8,
        steps=[10, 20],
        device="cpu",
        progress=False,
    )
    for step, network in ((10, other), (20, model)):
        values = np.linalg.eigvalsh(full_hessian(network, data, F.cross_entropy))
        np.testing.assert_allclose(found.largest.sel(step=step), values[-1], rtol=1e-7)


def test_a_checkpoint_that_diverged_is_nan_and_the_next_goes_on(path):
    weights = {name: tensor for name, tensor in path[0].items() if tensor.is_floating_point()}
    broken = {name: torch.full_like(tensor, torch.nan) for name, tensor in weights.items()}
    found = curvature.eigenvalues_along(
        [path[0], broken, path[1]], small_data(), model=small_network(), device="cpu", progress=False
    )
    assert np.isfinite(found.largest[[0, 2]]).all() and np.isnan(found.largest[1]) and not np.isfinite(found.loss[1])
