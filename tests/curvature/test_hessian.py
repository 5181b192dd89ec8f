"""Hessians against closed forms and against the full matrix by autograd."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lossatlas as la
from hessians import full_hessian, small_data, small_network
from lossatlas import curvature, vectors


def weighted(outputs, targets):
    return F.cross_entropy(outputs, targets, weight=torch.tensor([1.0, 4.0, 0.5], dtype=outputs.dtype))


@pytest.mark.parametrize("loss", ["cross_entropy", weighted, nn.CrossEntropyLoss(label_smoothing=0.1)])
@pytest.mark.parametrize("batches", [1, 3])
def test_products_are_those_of_the_full_matrix(loss, batches):
    model, data = small_network(), small_data()
    cut = list(zip(*(part.chunk(batches) for part in data), strict=True))
    plain = F.cross_entropy if loss == "cross_entropy" else loss
    expected = sum(full_hessian(model, batch, plain) * len(batch[0]) for batch in cut) / len(data[0])
    hessian = curvature.loss_hessian(model, cut, loss=loss, device="cpu")
    np.testing.assert_allclose(hessian @ torch.eye(len(expected), dtype=torch.float64), expected, atol=1e-12)


def test_linear_regression_has_the_hessian_of_the_normal_equations():
    torch.manual_seed(0)
    inputs = torch.randn(50, 6, dtype=torch.float64)
    model = nn.Linear(6, 1, bias=False).double()
    hessian = curvature.loss_hessian(model, (inputs, torch.randn(50, 1).double()), loss="mse", device="cpu")
    np.testing.assert_allclose(hessian @ torch.eye(6).double(), 2 * inputs.T @ inputs / 50, rtol=1e-10)


def test_logistic_regression_has_its_closed_form():
    torch.manual_seed(0)
    inputs, targets = torch.randn(40, 3, dtype=torch.float64), (torch.rand(40, 1) > 0.5).double()
    model = nn.Linear(3, 1, bias=False).double()
    p = torch.sigmoid(model(inputs)).detach()
    expected = inputs.T @ (p * (1 - p) * inputs) / 40
    pairs = curvature.eigenpairs(model, (inputs, targets), 3, which="largest", loss="bce_with_logits", progress=False)
    np.testing.assert_allclose(pairs.values[::-1], torch.linalg.eigvalsh(expected), rtol=1e-8)


@pytest.mark.parametrize("which", ["both", "largest", "smallest", "magnitude"])
def test_eigenpairs_are_those_of_the_full_matrix(which):
    model, data = small_network(), small_data()
    matrix = full_hessian(model, data, F.cross_entropy)
    values = np.linalg.eigvalsh(matrix)
    pairs = curvature.eigenpairs(model, data, 2, which=which, tolerance=0, progress=False, device="cpu")
    magnitude = np.sort(values[np.argsort(-abs(values))[:2]])[::-1]
    ends = {"both": values[[-1, -2, 1, 0]], "largest": values[[-1, -2]], "smallest": values[[1, 0]]}
    np.testing.assert_allclose(pairs.values, ends.get(which, magnitude), atol=1e-8)
    assert pairs.residuals.max() < 1e-8
    for value, vector in zip(pairs.values, pairs.vectors, strict=True):
        flat = vectors.flatten(vector).numpy()
        np.testing.assert_allclose(matrix @ flat, value * flat, atol=1e-8)


def test_filter_coordinates_scale_rows_and_columns_by_the_filters():
    model, data = small_network(), small_data()
    like = vectors.parameters_of(model)
    scales = [
        vectors.filter_norms(t).expand(t.shape).flatten() if t.dim() > 1 else torch.zeros(t.numel()).double()
        for t in like.values()
    ]
    scale = torch.cat(scales).numpy()
    expected = scale[:, None] * full_hessian(model, data, F.cross_entropy) * scale
    hessian = curvature.loss_hessian(model, data, coordinates="filters", device="cpu")
    np.testing.assert_allclose(hessian @ torch.eye(len(scale)).double(), expected, atol=1e-12)


def test_the_curvature_along_a_filter_normalized_direction_is_that_of_its_profile():
    model, data = small_network(), small_data()
    line = la.random_line(model, seed=3, normalize="filter")
    matrix = full_hessian(model, data, F.cross_entropy)
    flat = vectors.flatten(line.delta).numpy()
    step = 1e-3
    loss = la.evaluate(model, line, data, alphas=[-step, 0, step], progress=False).loss.values
    assert (loss[0] - 2 * loss[1] + loss[2]) / step**2 == pytest.approx(flat @ matrix @ flat, rel=1e-4)


@pytest.mark.parametrize("per", ["model", "layer", "parameter"])
def test_traces_lie_within_their_errors(per):
    model, data = small_network(), small_data()
    matrix = full_hessian(model, data, F.cross_entropy)
    like = vectors.parameters_of(model)
    blocks = np.split(np.diag(matrix), np.cumsum([t.numel() for t in like.values()])[:-1])
    exact = {name: block.sum() for name, block in zip(like, blocks, strict=True)}
    found = curvature.trace(model, data, per=per, products=600 if per != "model" else 60, device="cpu")
    if per == "model":
        expected = np.array(np.trace(matrix))
    elif per == "parameter":
        expected = np.array(list(exact.values()))
    else:
        groups = {}
        for name, value in exact.items():
            groups[name.rpartition(".")[0]] = groups.get(name.rpartition(".")[0], 0) + value
        assert list(found.layer.values) == list(groups)
        expected = np.array(list(groups.values()))
    assert (abs(found.trace.values - expected) <= 4 * found.standard_error.values + 1e-9).all()


def test_a_density_has_the_mean_and_the_ends_of_the_eigenvalues():
    model, data = small_network(), small_data()
    values = np.linalg.eigvalsh(full_hessian(model, data, F.cross_entropy))
    found = curvature.spectrum(model, data, steps=40, draws=40, device="cpu")
    grid, density = found.eigenvalue.values, found.density.values
    assert np.trapezoid(density, grid) == pytest.approx(1)
    spread = np.ptp(values)
    assert np.trapezoid(grid * density, grid) == pytest.approx(values.mean(), abs=0.05 * spread)
    beyond = (grid < values[0] - 0.2 * spread) | (grid > values[-1] + 0.2 * spread)
    assert density[beyond].max(initial=0) < 0.01 * density.max()


def test_the_model_and_the_random_state_stay_as_they_were():
    model, data = small_network(), small_data()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    curvature.eigenpairs(model, data, 1, progress=False, device="cpu")
    curvature.spectrum(model, data, steps=5, draws=1, device="cpu")
    curvature.trace(model, data, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


class Noisy(nn.Module):
    """Draws random numbers in eval mode too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = small_network()

    def forward(self, inputs):
        return self.inner(inputs + 0.5 * torch.randn_like(inputs))


def test_a_loss_that_uses_the_model_itself_is_refused():
    model = nn.Linear(2, 3)
    data = torch.randn(8, 2), torch.randint(0, 3, (8,))

    def decayed(outputs, labels):
        return F.cross_entropy(outputs, labels) + model.weight.square().sum()

    before = model.weight.detach().clone()
    with pytest.raises(ValueError, match="loss: it or predict uses the model itself"):
        curvature.loss_hessian(model, data, loss=decayed, device="cpu")
    assert torch.equal(model.weight, before) and model.weight.requires_grad


def test_every_product_sees_the_same_random_numbers():
    model, data = Noisy(), small_data()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    hessian = curvature.loss_hessian(model, data, device="cpu")
    columns = [hessian.product(row) for row in np.eye(hessian.shape[0])]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    noisy = data[0] + 0.5 * torch.randn_like(data[0])
    expected = full_hessian(model.inner, (noisy, data[1]), F.cross_entropy)
    np.testing.assert_allclose(np.stack(columns), expected, atol=1e-12)
    torch.manual_seed(5)
    found = curvature.trace(model, data, products=330, device="cpu")
    assert float(found.trace) == pytest.approx(np.trace(expected))  # its own draws are not the model's
    loose = curvature.trace(model, data, per="parameter", products=200, device="cpu")
    assert float(abs(loose.trace.sum() - np.trace(expected))) < 4 * float((loose.standard_error**2).sum() ** 0.5) + 1e-9
