"""The singular value decomposition from eigenvectors, and how well a matrix is rebuilt from few of its parts."""

from __future__ import annotations

import numpy as np


def svd_by_eigenvectors(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``A = U·diag(σ)·Vᵀ`` from the eigenvectors of AᵀA, or of AAᵀ where that is smaller.

    The eigenvalues of both are σ². Of AᵀA the eigenvectors are V, and ``u = A·v/σ``; of AAᵀ they are U, and
    ``v = Aᵀ·u/σ``. Returns U (n, r), the σ in falling order, and Vᵀ (r, m), r the smaller side, in the
    matrix's own precision ε. Squaring costs accuracy: each σ² can be off by about ε·σ₁², so that σ is relatively
    off by up to about ``(ε/2)·(σ₁/σ)²``, and what lies below ``√ε·σ₁`` may be noise; vectors of such σ need not
    be orthogonal, those of σ = 0 are zero. Raises ValueError for anything but a finite matrix.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
        raise ValueError(f"matrix: shape {matrix.shape}, expected two dimensions and finite numbers")
    if matrix.shape[0] > matrix.shape[1]:
        left, singular, right = svd_by_eigenvectors(matrix.T)
        return right.T, singular, left.T
    squares, left = np.linalg.eigh(matrix @ matrix.T)
    singular, left = np.sqrt(np.maximum(squares[::-1], 0)), left[:, ::-1]
    right = left.T @ matrix
    right = np.divide(right, singular[:, None], out=np.zeros_like(right), where=singular[:, None] > 0)
    return left, singular, right


def reconstruction_errors(matrix: np.ndarray, left: np.ndarray, singular: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``‖A − A_k‖ / ‖A‖`` (Frobenius) for k = 0, 1, …, r, where ``A_k`` is the sum of the first k parts ``σ·u·vᵀ``."""
    rest, whole = np.array(matrix, copy=True), np.linalg.norm(matrix)
    errors = [1.0]
    for k in range(len(singular)):
        rest -= np.outer(singular[k] * left[:, k], right[k])
        errors.append(float(np.linalg.norm(rest) / whole))
    return np.array(errors)


def smallest_errors(singular: np.ndarray) -> np.ndarray:
    """The smallest such error that any matrix of rank k = 0, 1, …, r can have: ``√(Σ_{i>k} σᵢ² / Σ σᵢ²)``.

    (Eckart & Young, Psychometrika 1, 1936.)
    """
    squares = np.asarray(singular, dtype=np.float64) ** 2
    left_over = np.append(np.cumsum(squares[::-1])[::-1], 0.0)
    return np.sqrt(left_over / left_over[0])
