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


def test_complex_parameters_are_pairs_of_real_ones(pair):
    torch.manual_seed(1)
    a, b = ({"z": torch.randn(3, 2, dtype=torch.complex64), "w": torch.randn(4)} for _ in range(2))
    as_real = [{"z": torch.view_as_real(v["z"]), "w": v["w"]} for v in (a, b)]
    assert vectors.dot(a, b) == pytest.approx(vectors.dot(*as_real))
    assert vectors.norm(a) == pytest.approx(vectors.norm(as_real[0]))
    assert torch.equal(vectors.flatten(a), vectors.flatten(as_real[0]))
    both = vectors.unflatten(torch.stack([vectors.flatten(a), vectors.flatten(b)]), a)
    assert torch.equal(both["z"], torch.stack([a["z"], b["z"]])) and both["w"].shape == (2, 4)
    assert torch.equal(vectors.filter_norms(a["z"]), a["z"].abs().square().sum(1, keepdim=True).sqrt())


def test_scaled_sums_keep_each_type_and_round_once():
    torch.manual_seed(2)
    types = torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.complex64
    a, b, c = ({str(t): torch.randn(50, dtype=t) for t in types} | {"n": torch.arange(3)} for _ in range(3))
    found = vectors.add_scaled(a, [b, c], [0.3, -1.7])
    for dtype in types:
        wide = torch.complex128 if dtype.is_complex else torch.float64
        exact = a[str(dtype)].to(wide) + 0.3 * b[str(dtype)].to(wide) - 1.7 * c[str(dtype)].to(wide)
        assert found[str(dtype)].dtype == dtype
        error = (found[str(dtype)].to(wide) - exact).abs()
        largest = sum(t[str(dtype)].to(wide).abs() for t in (a, b, c)) * torch.finfo(dtype).eps * 4
        rounded = exact.abs() * torch.finfo(dtype).eps * 0.51
        assert (error <= (rounded + 1e-6 if dtype in types[:2] else largest)).all()
    assert torch.equal(found["n"], a["n"])
