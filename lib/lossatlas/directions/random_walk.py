"""A random walk through weight space: what a training path that leads nowhere would look like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def random_walk(lengths: Sequence[float], *, dimensions: int, seed: int = 0) -> np.ndarray:
    """A path of steps with these lengths, each in a random direction.

    Returns the positions minus the last, (steps + 1, dimensions), float32. What a path looks like that goes
    nowhere in particular: the baseline of Antognini & Sohl-Dickstein 2018.
    """
    random = np.random.default_rng(seed)
    steps = random.standard_normal((len(lengths), dimensions), dtype=np.float32)
    steps *= (np.asarray(lengths) / np.linalg.norm(steps, axis=1))[:, None].astype(np.float32)
    positions = np.concatenate([np.zeros_like(steps[:1]), np.cumsum(steps, axis=0, dtype=np.float32)])
    return positions - positions[-1]


def random_walk_shares(lengths: Sequence[float]) -> np.ndarray:
    """The shares of variance along the components of such a walk where the dimensions are many, in falling order.

    Then the steps are orthogonal, and ``(θ(i) − θ(n))·(θ(j) − θ(n))`` is the sum of the squared lengths of the
    steps after both i and j, whose eigenvalues these are.
    """
    left = np.cumsum(np.asarray(lengths, dtype=np.float64)[::-1] ** 2)[::-1]
    values = np.linalg.eigvalsh(np.minimum.outer(left, left))[::-1]
    return values / values.sum()
