"""The singular value decomposition from eigenvectors, and how well a matrix is rebuilt from few of its parts."""

from __future__ import annotations

import numpy as np

from lossatlas.directions import checks


def svd_by_eigenvectors(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decompose ``A = U·diag(σ)·Vᵀ`` by the eigenvectors of AᵀA, or of AAᵀ if that is smaller.

    The eigenvalues of both are σ². The eigenvectors of AᵀA are V, and ``u = A·v/σ``; those of AAᵀ are U, and
    ``v = Aᵀ·u/σ``. Squaring costs accuracy: in the matrix's own precision ε, each σ² can be off by about ``ε·σ₁²``,
    so that σ is relatively off by up to about ``(ε/2)·(σ₁/σ)²``, and what lies below ``√ε·σ₁`` may be noise. Vectors
    of such σ need not be orthogonal; those of σ = 0 are zero.

    Parameters
    ----------
    matrix : ndarray
        A, of shape (n, m).

    Returns
    -------
    left : ndarray
        U, of shape (n, r), where r is the smaller of n and m.
    singular : ndarray
        The σ in falling order, of shape (r,).
    right : ndarray
        Vᵀ, of shape (r, m).

    Raises
    ------
    ValueError
        For anything but a finite matrix.

    Examples
    --------
    >>> left, singular, right = svd_by_eigenvectors(np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 2.0]]))
    >>> singular
    array([3., 2.])
    """
    matrix = checks.finite_matrix(matrix, "matrix")
    if matrix.shape[0] > matrix.shape[1]:
        left, singular, right = svd_by_eigenvectors(matrix.T)
        return right.T, singular, left.T
    squares, left = np.linalg.eigh(matrix @ matrix.T)
    singular, left = np.sqrt(np.maximum(squares[::-1], 0)), left[:, ::-1]
    right = left.T @ matrix
    right = np.divide(right, singular[:, None], out=np.zeros_like(right), where=singular[:, None] > 0)
    return left, singular, right


def reconstruction_errors(matrix: np.ndarray, left: np.ndarray, singular: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return ``‖A − A_k‖ / ‖A‖`` (Frobenius) for k = 0, 1, …, r, with ``A_k`` the sum of the first k ``σ·u·vᵀ``.

    Parameters
    ----------
    matrix : ndarray
        A, of shape (n, m).
    left, singular, right : ndarray
        U (n, r), σ (r,) and Vᵀ (r, m).

    Returns
    -------
    ndarray
        Of shape (r + 1,).

    Raises
    ------
    ValueError
        For anything but finite matrices whose shapes fit, or if A is zero.

    Examples
    --------
    >>> matrix = np.diag([4.0, 3.0])
    >>> reconstruction_errors(matrix, *np.linalg.svd(matrix))
    array([1. , 0.6, 0. ])
    """
    rest = np.array(checks.finite_matrix(matrix, "matrix"), copy=True)
    checks.numbers(singular, "singular")
    shapes = {"left": (left, (rest.shape[0], len(singular))), "right": (right, (len(singular), rest.shape[1]))}
    for name, (given, shape) in shapes.items():
        if checks.finite_matrix(given, name).shape != shape:
            raise ValueError(f"{name}: shape {np.shape(given)}, expected {shape}")
    whole = np.linalg.norm(rest)
    if whole == 0:
        raise ValueError("matrix: zero everywhere, so that no error is relative to it")
    errors = [1.0]
    for k in range(len(singular)):
        rest -= np.outer(singular[k] * left[:, k], right[k])
        errors.append(float(np.linalg.norm(rest) / whole))
    return np.array(errors)


def smallest_errors(singular: np.ndarray) -> np.ndarray:
    """Return the smallest such error that a matrix of rank k = 0, 1, …, r can have: ``√(Σ_{i>k} σᵢ² / Σ σᵢ²)``.

    Parameters
    ----------
    singular : ndarray
        The σ in falling order, of shape (r,).

    Returns
    -------
    ndarray
        Of shape (r + 1,).

    Raises
    ------
    ValueError
        For anything but finite numbers of at least 0, not all of them 0.

    References
    ----------
    Eckart & Young, Psychometrika 1, 1936.

    Examples
    --------
    >>> smallest_errors(np.array([4.0, 3.0]))
    array([1. , 0.6, 0. ])
    """
    squares = checks.numbers(singular, "singular", lowest=0.0) ** 2
    if not squares.any():
        raise ValueError("singular: zero everywhere, so that no error is relative to it")
    left_over = np.append(np.cumsum(squares[::-1])[::-1], 0.0)
    return np.sqrt(left_over / left_over[0])
