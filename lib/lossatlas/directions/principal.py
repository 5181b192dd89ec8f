"""The two main directions of a path through weight space, from the Gram matrix of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

CHUNK = 2**22  # numbers of all rows together that are held in double precision at a time
THINNEST = 1e-12  # the second singular value of a plane, relative to the first


def _columns(rows: Sequence[Sequence[Tensor]]) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Yield (tensor, part, values): the rows minus the last (n − 1, m) in float64, a part of a tensor at a time.

    Complex tensors count as pairs of real ones.
    """
    width = max(1, CHUNK // len(rows))
    for i in range(len(rows[-1])):
        flat = [_real(row[i]) for row in rows]
        for start in range(0, flat[-1].numel(), width):
            part = slice(start, start + width)
            values = torch.stack([tensor[part].to("cpu", torch.float64) for tensor in flat]).numpy()
            yield i, part, values[:-1] - values[-1]


def _real(tensor: Tensor) -> Tensor:
    return (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).reshape(-1)


def _gram(rows: Sequence[Sequence[Tensor]], project: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    gram = np.zeros((len(rows) - 1, len(rows) - 1))
    for _, _, values in _columns(rows):
        values = project(values)
        gram += values @ values.T
    return gram


def main_directions(
    rows: Sequence[Sequence[Tensor]], *, center: bool
) -> tuple[list[list[Tensor]], np.ndarray, np.ndarray]:
    """Return the first two right singular vectors of the rows minus the last, its singular values, and coordinates.

    With ``A = U·diag(σ)·Vᵀ``, the eigenvectors of AAᵀ are U, and ``v = Aᵀ·u/σ``. Squaring loses everything below
    ``√ε·σ₁``; therefore the part along v₁ is taken out of A before its second Gram matrix is formed.

    Parameters
    ----------
    rows : sequence of sequence of Tensor
        n points, the last of which is the origin; all tensors are real or complex.
    center : bool
        Subtract the mean row from all others.

    Returns
    -------
    directions : list of list of Tensor
        v₁ and v₂, in the shapes and dtypes of the last row, signed so that the first row lies at positive coordinates.
    singular : ndarray
        All singular values in falling order, to ``√ε·σ₂``.
    coordinates : ndarray
        Of the n − 1 rows, not centred, on both directions.

    Raises
    ------
    ValueError
        If the points are not finite or span no plane.
    """
    count = len(rows) - 1
    centring = np.eye(count) - (1 / count if center else 0)
    gram = _gram(rows, lambda values: values)
    if not np.isfinite(gram).all():
        raise ValueError("not finite")
    squares, left = np.linalg.eigh(centring @ gram @ centring)
    first = left[:, -1]
    sigma = np.sqrt(max(squares[-1], 0.0))
    without = (np.eye(count) - np.outer(first, first)) @ centring
    squares, left = np.linalg.eigh(_gram(rows, lambda values: without @ values))
    second = left[:, -1]
    rest = np.sqrt(np.maximum(squares[::-1][: count - 1], 0))
    if sigma == 0 or rest[0] <= THINNEST * sigma:
        raise ValueError("they lie on one line (or in one point) and span no plane")
    # v₁ = Aᵀu₁/σ₁ and v₂ = Bᵀu₂/σ₂, as weights of the rows that are not centred.
    weights = np.stack([first @ centring / sigma, second @ without / rest[0]])
    flat = [[np.empty(_real(tensor).numel()) for tensor in rows[-1]] for _ in range(2)]
    for i, part, values in _columns(rows):
        for k, row in enumerate(weights @ values):
            flat[k][i][part] = row
    _orthonormalize(flat)
    coordinates = np.zeros((count, 2))
    for i, part, values in _columns(rows):
        coordinates += values @ np.stack([flat[k][i][part] for k in range(2)], axis=1)
    for k in range(2):
        if coordinates[0, k] < 0:
            coordinates[:, k] *= -1
            for values in flat[k]:
                values *= -1
    return [_shaped(one, rows[-1]) for one in flat], np.append(sigma, rest), coordinates


def _orthonormalize(flat: list[list[np.ndarray]]) -> None:
    """Take what rounding has left of the first vector out of the second, and give both length 1, in place."""
    one, other = flat
    for vector in (one, other):
        length = np.sqrt(sum(float(values @ values) for values in vector))
        for values in vector:
            values /= length
    along = sum(float(a @ b) for a, b in zip(one, other, strict=True))
    for a, b in zip(one, other, strict=True):
        b -= along * a


def _shaped(flat: Sequence[np.ndarray], like: Sequence[Tensor]) -> list[Tensor]:
    found = []
    for values, tensor in zip(flat, like, strict=True):
        real = torch.from_numpy(values)
        if tensor.is_complex():
            real = torch.view_as_complex(real.reshape(*tensor.shape, 2))
        found.append(real.reshape(tensor.shape).to(tensor))
    return found
