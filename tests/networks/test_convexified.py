"""Convexified networks: patches and features against slow loops and scikit-learn, and the convexity of their loss."""

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.metrics.pairwise import rbf_kernel
from torch import nn

import lossatlas as la
from lossatlas import geometry
from lossatlas.networks.models import ConvexifiedNetwork, PatchFeatures, fit_convexified, fit_top
from lossatlas.networks.models.convexified import matrix_of, smoothness, without_parameters
from lossatlas.networks.models.patch_features import contrast_normalized, fit_patch_features

DATA = la.load_dataset("digits")
TRAIN = tuple(part[:200] for part in DATA.train)
OPTIONS = {"features": 30, "side": 3, "progress": False}


@pytest.fixture(scope="module")
def fitted():
    return fit_convexified(TRAIN, radius=50.0, steps=300, seed=1, **OPTIONS)


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_patches_are_those_of_a_slow_loop_and_of_unfold():
    batch = images(2, 3, 6, 5)
    found = contrast_normalized(batch, 3)
    whole = nn.functional.unfold(batch, 3).mT
    place = 0
    for row in range(4):
        for column in range(3):
            patch = batch[:, :, row : row + 3, column : column + 3].flatten(1)
            assert torch.equal(patch, whole[:, place])
            patch = patch - patch.mean(1, keepdim=True)
            torch.testing.assert_close(found[:, place], patch / (patch.norm(dim=1, keepdim=True) + 0.1))
            place += 1
    assert found.shape == (2, place, 27)


def test_whitened_patches_have_equal_variances_along_strong_axes_and_length_one():
    features = PatchFeatures((1, 12, 12), features=5, side=2)
    batch = images(400, 1, 12, 12)
    fit_patch_features(features, batch)
    raw = contrast_normalized(batch, 2).flatten(0, 1)
    covariance = (raw - features.mean).double() @ features.whitening.double()
    variances = np.linalg.eigvalsh(np.cov(covariance.numpy().T))
    before = np.linalg.eigvalsh(np.cov(raw.double().numpy().T))
    np.testing.assert_allclose(variances, before / (before + 0.1 * before.mean()), rtol=0.01, atol=1e-6)
    torch.testing.assert_close(features.patches(batch).norm(dim=-1), torch.ones(400, 121))
    torch.testing.assert_close(features.whitening, features.whitening.T)  # ZCA, not another whitening


@pytest.mark.parametrize(("kind", "sampler"), [("fourier", RBFSampler), ("nystroem", Nystroem)])
def test_features_are_those_of_scikit_learn_and_approximate_the_kernel(kind, sampler):
    features = PatchFeatures((1, 8, 8), features=300, side=3, pooling=1, gamma=0.5, kind=kind)
    fit_patch_features(features, TRAIN[0], seed=3)
    patches = features.patches(TRAIN[0][:4])
    found = features.maps(TRAIN[0][:4]).flatten(2).mT.flatten(0, 1)
    exact = rbf_kernel(patches.flatten(0, 1).numpy(), gamma=0.5)
    errors = np.abs(found.numpy() @ found.numpy().T - exact)
    assert errors.mean() < (0.1 if kind == "fourier" else 0.02)
    theirs = sampler(gamma=0.5, n_components=300, random_state=3)
    if kind == "fourier":
        expected = theirs.fit(np.zeros((1, 9))).transform(patches.flatten(0, 1).numpy())
    else:
        kernel = rbf_kernel(patches.flatten(0, 1).numpy(), features.points.numpy(), gamma=0.5)
        expected = kernel @ features.mixing.numpy().T
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_features_are_averages_over_squares_of_patches_with_mean_zero_and_norm_one():
    fine, coarse = (PatchFeatures((1, 8, 8), features=20, side=3, pooling=side) for side in (1, 2))
    for features in (fine, coarse):
        fit_patch_features(features, TRAIN[0])
    maps = fine.maps(TRAIN[0][:3])
    by_hand = torch.stack([maps[:, :, i : i + 2, j : j + 2].mean((2, 3)) for i in (0, 2, 4) for j in (0, 2, 4)], -1)
    torch.testing.assert_close(coarse.maps(TRAIN[0][:3]).flatten(2), by_hand)
    found = coarse(TRAIN[0])
    torch.testing.assert_close(found.mean(0), torch.zeros(20, 3, 3), atol=1e-6, rtol=0)
    assert found.flatten(1).square().sum(1).mean().item() == pytest.approx(1)


def test_outputs_are_traces_of_the_matrix(fitted):
    network, _ = fitted
    batch = DATA.test[0][:5]
    maps = network.features(batch).flatten(2)  # (N, features, places)
    blocks = network.matrix.unflatten(1, (10, -1))  # (features, outputs, places)
    traces = torch.stack([(maps * blocks[:, k]).sum((1, 2)) for k in range(10)], 1)
    torch.testing.assert_close(network(batch), traces, atol=1e-4, rtol=1e-4)
    assert matrix_of(network.top.weight, 9).shape == (30, 90)


def test_the_fit_predicts_lies_in_the_ball_and_reports_what_it_reached(fitted):
    network, history = fitted
    with torch.no_grad():
        accuracy = (network(DATA.test[0]).argmax(1) == DATA.test[1]).double().mean()
        loss = nn.functional.cross_entropy(network(TRAIN[0]), TRAIN[1])
    assert accuracy > 0.85
    assert float(history.objective[-1]) == pytest.approx(float(loss), rel=1e-4)
    assert float(torch.linalg.matrix_norm(network.matrix, "nuc")) <= 50.001
    assert history.gap[-1] < 0.05 * history.gap[0]


def test_starts_end_in_the_same_place_up_to_the_gap(fitted):
    network, _ = fitted
    inputs = network.represent(TRAIN[0])
    found = [fit_top(network, inputs, TRAIN[1], radius=50.0, steps=300, start=s, progress=False) for s in (0, 1)]
    first, second = (float(one.objective[-1]) for one in found)
    assert found[0].objective[0] != found[1].objective[0]
    assert abs(first - second) <= max(float(one.gap[-1]) for one in found)
    fit_top(network, inputs, TRAIN[1], radius=50.0, steps=300, progress=False)  # as it was


def test_only_the_top_moves_and_the_surface_is_convex(fitted):
    network, _ = fitted
    assert [name for name, _ in network.named_parameters()] == ["top.weight"]
    train = TRAIN[0][:50], TRAIN[1][:50]
    line, top_line = (la.random_line(module, seed=0) for module in (network, network.top))
    options = {"alphas": np.linspace(-2, 2, 9), "progress": False}
    whole = la.evaluate(network, line, train, **options)
    alone = la.evaluate(network.top, top_line, (network.represent(train[0]), train[1]), **options)
    np.testing.assert_allclose(whole.loss, alone.loss, rtol=1e-5)
    assert np.diff(whole.loss, 2).min() > -1e-5 * float(whole.loss.max())
    plane, images = la.random_plane(network.top, seed=0), network.represent(TRAIN[0])
    options |= {"betas": np.linspace(-2, 2, 9)}
    surface = la.evaluate(network.top, plane, (images, TRAIN[1]), **options)
    assert float(geometry.measures(surface, ["nonconvex_share"]).nonconvex_share) == 0


def test_a_network_is_saved_and_loaded_like_any_module(fitted, tmp_path):
    network, _ = fitted
    safetensors.torch.save_file(network.state_dict(), tmp_path / "network.safetensors")
    again = ConvexifiedNetwork((1, 8, 8), features=30, side=3)
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "network.safetensors"))
    assert torch.equal(again(DATA.test[0]), network(DATA.test[0]))


def test_a_seed_decides_the_features_and_another_gives_others(fitted):
    network, _ = fitted
    same, other = (fit_convexified(TRAIN, radius=50.0, steps=1, seed=seed, **OPTIONS)[0] for seed in (1, 2))
    assert torch.equal(same.features.points, network.features.points)
    assert not torch.equal(other.features.points, network.features.points)


def test_a_second_layer_reads_the_first_through_orthonormal_filters(fitted):
    first, _ = fitted
    below = first.filters(4, TRAIN[0])
    found = below(TRAIN[0])
    assert found.shape == (200, 4, 3, 3)
    assert found.square().mean().item() == pytest.approx(1, rel=1e-4)
    gram = below.vectors.T @ below.vectors
    torch.testing.assert_close(gram / gram[0, 0], torch.eye(4), atol=1e-5, rtol=0)
    second, _ = fit_convexified(TRAIN, radius=50.0, below=below, side=2, features=20, steps=50, progress=False)
    assert second.top.in_features == 20 and [name for name, _ in second.named_parameters()] == ["top.weight"]
    assert first(TRAIN[0]).shape == second(TRAIN[0]).shape
    with pytest.raises(ValueError, match="number=31: expected at most the 30 features"):
        first.filters(31, TRAIN[0])


def test_the_lower_layers_of_another_network_can_come_first():
    torch.manual_seed(0)
    below = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.BatchNorm2d(3))
    network = ConvexifiedNetwork((1, 8, 8), below=below, features=6, side=3)
    assert [name for name, _ in network.named_parameters()] == ["top.weight"]
    assert all(parameter.requires_grad for parameter in below.parameters())  # the original is left alone
    torch.testing.assert_close(without_parameters(below)(TRAIN[0]), below.eval()(TRAIN[0]))


def test_the_bound_on_the_curvature_is_half_the_largest_second_moment():
    inputs = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    largest = float(torch.linalg.eigvalsh(inputs.T @ inputs / 50)[-1])
    assert largest / 2 <= smoothness(inputs) <= 1.06 * largest / 2
