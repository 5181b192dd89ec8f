import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

import lossatlas as la
from lossatlas import vectors
from lossatlas.directions import normalize_direction
from lossatlas.networks.models import MODELS
from networks import odd_net, table_1


def test_filter_normalization_by_the_formula():
    model, _ = table_1("cnn-1")
    plane = la.random_plane(model, seed=5)
    generator = torch.Generator().manual_seed(5)
    for name, theta in vectors.parameters_of(model).items():
        drawn = torch.randn(theta.shape, generator=generator, dtype=torch.float64).float()
        if theta.dim() < 2:
            assert not plane.delta[name].any()
            continue
        for i in range(len(theta)):  # every slice along dimension 0
            expected = drawn[i] * theta[i].norm() / (drawn[i].norm() + 1e-10)
            torch.testing.assert_close(plane.delta[name][i], expected)


def test_layer_normalization_and_none():
    model, _ = table_1("feedforward-4")
    layer = la.random_plane(model, seed=1, normalize="layer")
    plain = la.random_plane(model, seed=1, normalize=None, scale=0.1)
    for name, theta in vectors.parameters_of(model).items():
        if theta.dim() >= 2:
            assert float(layer.eta[name].norm()) == pytest.approx(float(theta.norm()), rel=1e-5)
            assert float(plain.eta[name].std()) == pytest.approx(0.1, rel=0.2)
            assert vectors.cosine({"w": layer.eta[name]}, {"w": plain.eta[name]}) == pytest.approx(1, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(0.01, 100), seed=st.integers(0, 1000))
def test_filter_normalized_steps_scale_with_the_weights(factor, seed):
    """Rescaling a layer rescales its direction: the cure for the scale invariance of ReLU networks."""
    generator = torch.Generator().manual_seed(seed)
    theta, d = torch.randn(4, 7, generator=generator), torch.randn(4, 7, generator=generator)
    once = normalize_direction({"w": d}, {"w": theta}, "filter")["w"]
    scaled = normalize_direction({"w": d}, {"w": factor * theta}, "filter")["w"]
    torch.testing.assert_close(scaled, factor * once, rtol=1e-4, atol=1e-6)


def test_a_zero_filter_stays_put():
    d = normalize_direction({"w": torch.ones(2, 3)}, {"w": torch.tensor([[0.0] * 3, [1.0] * 3])}, "filter")["w"]
    assert not d[0].any() and float(d[1].norm()) == pytest.approx(3**0.5)


def test_a_seed_means_the_same_plane_and_another_seed_another():
    model, _ = table_1("feedforward-4")
    a, b, c = (la.random_plane(model, seed=s) for s in (7, 7, 8))
    assert all(torch.equal(a.delta[n], b.delta[n]) and torch.equal(a.eta[n], b.eta[n]) for n in a.delta)
    assert abs(vectors.cosine(a.delta, c.delta)) < 0.1
    assert abs(vectors.cosine(a.delta, a.eta)) < 0.1
    assert all(torch.equal(a.delta[n], la.random_line(model, seed=7).delta[n]) for n in a.delta)


def test_layers_and_biases():
    model, _ = table_1("feedforward-16")
    plane = la.random_plane(model, layers=["layers.2"], include_biases=True)
    moved = {name for name, tensor in plane.delta.items() if tensor.any()}
    assert moved <= {"layers.2.weight", "layers.2.bias"} and "layers.2.weight" in moved
    assert la.weight_layers(model) == [f"layers.{i}" for i in range(16)]
    with pytest.raises(ValueError, match=r"no layer 'layers.99' in this model; it has \['layers.0'"):
        la.random_plane(model, layers=["layers.99"])
    with pytest.raises(ValueError, match="no parameter would move"):
        la.random_plane(model, layers=["layers.2.bias"])
    with pytest.raises(ValueError, match=r"normalize='fliter': expected one of \('filter', 'layer', None\)"):
        la.random_plane(model, normalize="fliter")


def test_points_of_a_plane_and_a_line():
    a, b = odd_net(0), odd_net(1)
    line = la.line_between(a, b)
    for name, p in vectors.parameters_of(b).items():
        torch.testing.assert_close(line.at(1.0)[name], p)
        torch.testing.assert_close(line.at(0.0)[name], vectors.parameters_of(a)[name])
    plane = la.plane_from_directions(a, vectors.parameters_of(b), vectors.parameters_of(a))
    for name, p in plane.at(0.5, -2).items():
        torch.testing.assert_close(p, plane.origin[name] + 0.5 * plane.delta[name] - 2 * plane.eta[name])


def test_other_architectures_are_refused_by_the_first_difference():
    a, _ = table_1("feedforward-4")
    b, _ = table_1("feedforward-2")
    with pytest.raises(ValueError, match=r"model b differs at parameter 'layers.0.weight'"):
        la.line_between(a, b)
    with pytest.raises(ValueError, match="delta differs at parameter"):
        la.plane_from_directions(a, vectors.parameters_of(b), vectors.parameters_of(a))


def path(n=7, seed=0):
    torch.manual_seed(seed)
    return [{"w": torch.randn(5, 4, dtype=torch.float64), "b": torch.randn(4, dtype=torch.float64)} for _ in range(n)]


def test_pca_plane_agrees_with_scikit_learn():
    checkpoints = path()
    rows = np.stack([(c["w"] - checkpoints[-1]["w"]).flatten().numpy() for c in checkpoints[:-1]])
    plane = la.pca_plane(checkpoints, center=True)
    reference = PCA(n_components=2).fit(rows)
    for direction, component in zip(plane.directions, reference.components_, strict=True):
        assert abs(float(direction["w"].flatten() @ torch.tensor(component))) == pytest.approx(1, abs=1e-10)
        assert not direction["b"].any()
    assert plane.description["explained"][:2] == pytest.approx(reference.explained_variance_ratio_.tolist())


def test_pca_plane_without_centring_maximises_the_projection():
    checkpoints = path()
    plane = la.pca_plane(checkpoints, include_biases=True)
    rows = torch.stack([vectors.flatten(vectors.subtract(c, checkpoints[-1])) for c in checkpoints[:-1]])
    values, eigenvectors = torch.linalg.eigh(rows.T @ rows)
    for i, direction in enumerate(plane.directions, start=1):
        flat = vectors.flatten(direction)
        assert abs(float(flat @ eigenvectors[:, -i])) == pytest.approx(1, abs=1e-10)
        assert plane.description["singular_values"][i - 1] ** 2 == pytest.approx(float(values[-i]))
    assert vectors.dot(plane.delta, plane.eta) == pytest.approx(0, abs=1e-12)
    assert all(torch.equal(plane.origin[n], checkpoints[-1][n]) for n in plane.origin)


def test_paths_that_span_no_plane_are_refused():
    with pytest.raises(ValueError, match="2 given, at least 3"):
        la.pca_plane(path(2))
    start = path(1)[0]
    line = [vectors.scale(t, start) for t in (1.0, 2.0, 3.0, 4.0)]
    with pytest.raises(ValueError, match="on one line"):
        la.pca_plane(line)


def test_coordinates_and_units_come_from_the_axes():
    model, _ = table_1("feedforward-4")
    box = la.random_box(model, seed=7, normalize="layer")
    plane = la.random_plane(model, seed=7, normalize="layer")
    assert [axis.name for axis in box.axes] == ["alpha", "beta", "gamma"]
    assert {axis.units for axis in box.axes} == {"layer-normalized step"}
    for name in plane.delta:
        assert torch.equal(box.directions[0][name], plane.delta[name])
        assert torch.equal(box.directions[1][name], plane.eta[name])
    coordinates = (0.5, -2.0, 0.25)
    for name, tensor in box.at(*coordinates).items():
        moves = (c * d[name] for c, d in zip(coordinates, box.directions, strict=True))
        torch.testing.assert_close(tensor, box.origin[name] + sum(moves))
    grid = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_array_equal(box.coefficients(grid), grid)
    with pytest.raises(ValueError, match=r"coordinates: 2 given, expected 3 \(alpha, beta, gamma\)"):
        box.at(0.0, 1.0)


def test_buffers_travel_with_a_subspace():
    origin, delta = {"w": torch.zeros(2, 2)}, {"w": torch.ones(2, 2)}
    mean, step = {"m": torch.tensor([1.0, 2.0])}, {"m": torch.tensor([0.5, -1.0])}
    line = la.Line(origin, delta, buffers=mean, buffer_directions=(step,))
    torch.testing.assert_close(line.buffers_at(2.0)["m"], torch.tensor([2.0, 0.0]))
    assert la.Line(origin, delta).buffers_at(2.0) == {}
    torch.testing.assert_close(la.Line(origin, delta, buffers=mean).buffers_at(2.0), mean)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("normalize", ["filter", "layer", None])
def test_drawings_of_the_books_networks_never_change(name, normalize):
    """To the bit: stored surfaces are evaluated again on the planes that their seeds draw."""
    model, _ = table_1(name)
    plane = la.random_plane(model, seed=5, normalize=normalize, scale=0.3)
    generator = torch.Generator().manual_seed(5)
    for direction in plane.directions:
        for key, theta in vectors.parameters_of(model).items():
            drawn = torch.randn(theta.shape, generator=generator, dtype=torch.float64).float()
            if theta.dim() < 2:
                assert not direction[key].any()
                continue
            if normalize == "filter":
                size, own = (t.flatten(1).norm(dim=1).reshape(-1, *[1] * (t.dim() - 1)) for t in (theta, drawn))
                drawn = drawn * (size / (own + 1e-10))
            elif normalize == "layer":
                drawn = drawn * (torch.linalg.vector_norm(theta) / (torch.linalg.vector_norm(drawn) + 1e-10))
            assert torch.equal(direction[key], 0.3 * drawn)
