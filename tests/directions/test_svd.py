import numpy as np
import pytest
from scipy.linalg import subspace_angles

from lossatlas.directions.svd import reconstruction_errors, smallest_errors, svd_by_eigenvectors


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (7, 7)])
def test_the_decomposition_is_the_librarys(shape):
    matrix = np.random.default_rng(0).standard_normal(shape)
    left, singular, right = svd_by_eigenvectors(matrix)
    np.testing.assert_allclose(singular, np.linalg.svd(matrix, compute_uv=False), rtol=1e-10)
    np.testing.assert_allclose((left * singular) @ right, matrix, atol=1e-12)
    np.testing.assert_allclose(left.T @ left, np.eye(len(singular)), atol=1e-9)
    np.testing.assert_allclose(right @ right.T, np.eye(len(singular)), atol=1e-9)
    other = np.linalg.svd(matrix, full_matrices=False)[2][:2]
    assert subspace_angles(right[:2].T, other.T).max() < 1e-9


def graded(dtype):
    """A matrix with singular values 1, 0.1, 0.01, …"""
    powers = np.arange(13)
    random = np.random.default_rng(1)
    left = np.linalg.qr(random.standard_normal((len(powers), len(powers))))[0]
    right = np.linalg.qr(random.standard_normal((50, len(powers))))[0]
    return ((left * 10.0**-powers) @ right.T).astype(dtype), 10.0**-powers


@pytest.mark.parametrize(("dtype", "lost"), [(np.float64, 1e-8), (np.float32, 10**-3.5)])
def test_what_lies_below_the_root_of_the_precision_is_lost_as_the_docstring_says(dtype, lost):
    matrix, true = graded(dtype)
    found = svd_by_eigenvectors(matrix)[1]
    relative = abs(found / true - 1)
    assert (relative[true > 10 * lost] < 0.05).all()
    assert (relative[true < lost / 30] > 0.5).all()
    predicted = np.finfo(dtype).eps / 2 * (true[0] / true) ** 2
    assert (relative < 20 * predicted + 20 * np.finfo(dtype).eps)[true > lost].all()
    assert abs(np.linalg.svd(graded(np.float64)[0], compute_uv=False) / true - 1).max() < 1e-3


def test_zero_singular_values_make_no_noise():
    matrix = np.outer([3.0, 4.0], [1.0, 0.0, 0.0])
    left, singular, right = svd_by_eigenvectors(matrix)
    np.testing.assert_allclose(singular, [5, 0], atol=1e-12)
    np.testing.assert_allclose((left * singular) @ right, matrix, atol=1e-12)
    assert np.isfinite(right).all()


def test_reconstruction_errors_are_the_smallest_there_can_be():
    matrix = np.random.default_rng(2).standard_normal((5, 30)) * np.array([5.0, 2, 1, 0.5, 0.1])[:, None]
    parts = svd_by_eigenvectors(matrix)
    errors = reconstruction_errors(matrix, *parts)
    assert len(errors) == 6 and errors[0] == 1 and errors[-1] < 1e-12
    np.testing.assert_allclose(errors, smallest_errors(parts[1]), atol=1e-10)
    # No other projection onto as many directions does better.
    random = np.random.default_rng(3)
    for k in range(1, 5):
        basis = np.linalg.qr(random.standard_normal((30, k)))[0]
        assert np.linalg.norm(matrix - matrix @ basis @ basis.T) / np.linalg.norm(matrix) > errors[k]


def test_what_is_no_matrix():
    for bad in (np.zeros(3), np.zeros((0, 3)), np.array([[np.nan, 1.0]])):
        with pytest.raises(ValueError, match="matrix: shape"):
            svd_by_eigenvectors(bad)
