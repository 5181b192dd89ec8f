"""Lanczos' iteration with early stopping: extreme eigenvalues from a good start in few products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

BREAKDOWN = 1e-12  # of the largest Ritz value: a smaller remainder means that the space is exhausted


@dataclass(frozen=True)
class Ritz:
    """Eigenpairs of a matrix as seen from a Krylov space.

    Attributes
    ----------
    values : ndarray
        Ritz values in rising order, (m,).
    vectors : ndarray
        Their vectors, (n, 2): of the smallest and of the largest.
    residuals : ndarray
        ``‖A·v − θ·v‖`` of those two, (2,).
    products : int
        Products with the matrix.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    products: int


def lanczos(
    product: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    *,
    enough: Callable[[float, float, float, float], bool],
    least: int = 2,
    most: int = 200,
    basis: int = 80,
) -> Ritz:
    """Return the smallest and the largest eigenpair of a symmetric matrix.

    The basis is orthogonalized in full. When it is full, the iteration restarts with the sum of the two Ritz vectors.

    Parameters
    ----------
    product : callable
        ``v -> A·v`` for vectors (n,).
    start : ndarray
        A vector (n,) with a share in both wanted eigenvectors; those of a neighbouring matrix save most products.
    enough : callable
        ``(smallest, largest, residual of the smallest, residual of the largest) -> bool``: whether to stop.
    least : int
        Products before it may stop. If most eigenvalues are close together, residuals are small before any extreme
        eigenvalue is found.
    most : int
        Products at most.
    basis : int
        Vectors held in memory at most.

    Returns
    -------
    Ritz

    References
    ----------
    Parlett, *The Symmetric Eigenvalue Problem*, SIAM 1998, chapter 13.

    Examples
    --------
    >>> matrix = np.diag([-1.0, 2.0, 5.0])
    >>> found = lanczos(lambda v: matrix @ v, np.ones(3), enough=lambda a, b, ra, rb: ra + rb < 1e-10)
    >>> found.values[[0, -1]].round(6).tolist()
    [-1.0, 5.0]
    """
    if not np.linalg.norm(start) > 0:
        raise ValueError("start: has length 0; expected a vector with a direction")
    products, vector = 0, np.asarray(start, dtype=np.float64)
    while True:
        space = np.empty((min(basis, most - products, len(vector)), len(vector)))
        diagonal: list[float] = []
        beside: list[float] = []
        space[0] = vector / np.linalg.norm(vector)
        for k in range(len(space)):
            rest = np.asarray(product(space[k]), dtype=np.float64)
            products += 1
            diagonal.append(float(space[k] @ rest))
            for _ in range(2):  # twice is enough
                rest = rest - space[: k + 1].T @ (space[: k + 1] @ rest)
            length = float(np.linalg.norm(rest))
            values, inner = eigh_tridiagonal(np.array(diagonal), np.array(beside))
            residuals = length * np.abs(inner[-1, [0, -1]])
            exhausted = length <= BREAKDOWN * max(abs(values[0]), abs(values[-1]), 1e-300)
            done = exhausted or (k > 0 and products >= least and enough(values[0], values[-1], *residuals))
            if done or products >= most:
                return Ritz(values, space[: k + 1].T @ inner[:, [0, -1]], residuals, products)
            if k + 1 < len(space):
                beside.append(length)
                space[k + 1] = rest / length
        vector = space.T @ (inner[:, 0] + inner[:, -1])
