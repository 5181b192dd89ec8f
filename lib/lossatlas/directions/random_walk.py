"""A random walk through weight space: what a training path that leads nowhere would look like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lossatlas._checks import whole_number
from lossatlas.directions import checks


def _checked(lengths: Sequence[float]) -> np.ndarray:
    array = checks.numbers(lengths, "lengths", lowest=0.0)
    if not array.any():
        raise ValueError("lengths: zero everywhere, so that the walk stays in one point")
    return array


def random_walk(lengths: Sequence[float], *, dimensions: int, seed: int = 0) -> np.ndarray:
    """Return a path of steps with these lengths, each in a random direction: a baseline for training paths.

    Parameters
    ----------
    lengths : sequence of float
        The length of every step.
    dimensions : int
        Of the space; memory grows with steps times dimensions.
    seed : int
        The same seed gives the same walk.

    Returns
    -------
    ndarray
        The positions minus the last, of shape (steps + 1, dimensions), in float32.

    Raises
    ------
    ValueError
        For lengths that are no finite numbers of at least 0, or are all 0, and for no dimensions.

    References
    ----------
    Antognini & Sohl-Dickstein 2018, "PCA of high dimensional random walks with comparison to neural network
    training".

    Examples
    --------
    >>> walk = random_walk([3.0, 1.0], dimensions=1000)
    >>> np.linalg.norm(np.diff(walk, axis=0), axis=1).round(4)
    array([3., 1.], dtype=float32)
    """
    sizes = _checked(lengths)
    dimensions = whole_number(dimensions, "dimensions", least=1)
    random = np.random.default_rng(whole_number(seed, "seed", least=0))
    steps = random.standard_normal((len(sizes), dimensions), dtype=np.float32)
    steps *= (sizes / np.linalg.norm(steps, axis=1))[:, None].astype(np.float32)
    positions = np.concatenate([np.zeros_like(steps[:1]), np.cumsum(steps, axis=0, dtype=np.float32)])
    return positions - positions[-1]


def random_walk_shares(lengths: Sequence[float]) -> np.ndarray:
    """Return the shares of variance along the components of such a walk in many dimensions, in falling order.

    There the steps are orthogonal, and ``(θ(i) − θ(n))·(θ(j) − θ(n))`` is the sum of the squared lengths of the
    steps after both i and j. The shares are the eigenvalues of that matrix, divided by their sum.

    Parameters
    ----------
    lengths : sequence of float
        The length of every step.

    Returns
    -------
    ndarray
        One share a step.

    Raises
    ------
    ValueError
        For lengths that are no finite numbers of at least 0, or are all 0.

    References
    ----------
    Antognini & Sohl-Dickstein 2018, "PCA of high dimensional random walks with comparison to neural network
    training".

    Examples
    --------
    >>> random_walk_shares([1.0, 1.0]).round(3)
    array([0.873, 0.127])
    """
    left = np.cumsum(_checked(lengths)[::-1] ** 2)[::-1]
    values = np.linalg.eigvalsh(np.minimum.outer(left, left))[::-1]
    return values / values.sum()
