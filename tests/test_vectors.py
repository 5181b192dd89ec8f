import pytest
import torch

from lossatlas import vectors


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return [{"w": torch.randn(3, 4), "b": torch.randn(3), "k": torch.randn(2, 3, 5, 5)} for _ in range(2)]


def test_arithmetic_agrees_with_flat_vectors(pair):
    a, b = pair
    flat_a, flat_b = vectors.flatten(a), vectors.flatten(b)
    assert vectors.dot(a, b) == pytest.approx(float(flat_a @ flat_b), rel=1e-5)
    assert vectors.norm(a) == pytest.approx(float(flat_a.norm()), rel=1e-6)
    assert vectors.cosine(a, a) == pytest.approx(1)
    torch.testing.assert_close(vectors.flatten(vectors.axpy(2.5, a, b)), 2.5 * flat_a + flat_b)
    torch.testing.assert_close(vectors.flatten(vectors.subtract(a, b)), flat_a - flat_b)


def test_unflatten_is_the_inverse_of_flatten(pair):
    a, b = pair
    both = vectors.unflatten(torch.stack([vectors.flatten(a), vectors.flatten(b)]), a)
    for name in a:
        torch.testing.assert_close(both[name], torch.stack([a[name], b[name]]))


def test_parameters_are_copies():
    model = torch.nn.Linear(2, 2)
    params = vectors.parameters_of(model)
    params["weight"].zero_()
    assert model.weight.abs().sum() > 0


def test_filter_norms_slice_by_slice():
    kernel = torch.randn(4, 3, 5, 5)
    norms = vectors.filter_norms(kernel)
    assert norms.shape == (4, 1, 1, 1)
    for i in range(4):
        assert float(norms[i]) == pytest.approx(float((kernel[i] ** 2).sum().sqrt()), rel=1e-6)


def test_the_first_difference_is_named(pair):
    a, b = pair
    with pytest.raises(ValueError, match=r"other differs at parameter 'w': shape \(4, 3\), expected \(3, 4\)"):
        vectors.check_same_shape(a, {**b, "w": b["w"].T}, what="other")
    with pytest.raises(ValueError, match="no parameter 'k'"):
        vectors.check_same_shape(a, {"w": b["w"], "b": b["b"]}, what="other")
    with pytest.raises(ValueError, match="'extra' that is not expected"):
        vectors.check_same_shape(a, {**b, "extra": b["w"]}, what="other")
