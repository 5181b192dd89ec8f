"""The two main directions of a path through weight space, from the Gram matrix of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

CHUNK = 2**19  # numbers of all rows together that are held in double precision at a time: they stay in the cache
THINNEST = 1e-12  # the second singular value of a plane, relative to the first
SQUARED = 1e-4  # the same, below which one Gram matrix does not give it to seven digits


def _columns(rows: Sequence[Sequence[Tensor]]) -> Iterator[tuple[int, slice, Tensor]]:
    """Yield (tensor, part, values): the rows minus the last (n − 1, m) in float64, a part of a tensor at a time.

    Complex tensors count as pairs of real ones. The values are overwritten by the next.
    """
    count = len(rows) - 1
    width = max(1, CHUNK // count)
    held = torch.empty(count, width, dtype=torch.float64)
    for i in range(len(rows[-1])):
        *flat, last = (_real(row[i]) for row in rows)
        for start in range(0, last.numel(), width):
            part = slice(start, min(start + width, last.numel()))
            values = held[:, : part.stop - part.start]
            for row, tensor in zip(values, flat, strict=True):
                row.copy_(tensor[part])
            yield i, part, values.sub_(last[part].to("cpu", torch.float64))


def _real(tensor: Tensor) -> Tensor:
    return (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).reshape(-1)


def _gram(rows: Sequence[Sequence[Tensor]], mix: np.ndarray | None = None) -> np.ndarray:
    """Return AAᵀ, or that of ``mix``·A."""
    gram = torch.zeros(len(rows) - 1, len(rows) - 1, dtype=torch.float64)
    for _, _, values in _columns(rows):
        mixed = values if mix is None else torch.from_numpy(mix) @ values
        gram.addmm_(mixed, mixed.T)
    return gram.numpy()


def main_directions(
    rows: Sequence[Sequence[Tensor]], *, center: bool
) -> tuple[list[list[Tensor]], np.ndarray, np.ndarray]:
    """Return the first two right singular vectors of the rows minus the last, its singular values, and coordinates.

    With ``A = U·diag(σ)·Vᵀ``, the eigenvectors of AAᵀ are U, and ``v = Aᵀ·u/σ``. Squaring loses everything below
    ``√ε·σ₁``; if σ₂ is small, the part along v₁ is therefore taken out of A and a second Gram matrix formed.

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
        All singular values in falling order, to ``√ε·σ₁``.
    coordinates : ndarray
        Of the n − 1 rows, not centred, on both directions.

    Raises
    ------
    ValueError
        If the points are not finite or span no plane.
    """
    count = len(rows) - 1
    centring = np.eye(count) - (1 / count if center else 0)
    gram = _gram(rows)
    if not np.isfinite(gram).all():
        raise ValueError("not finite")
    squares, left = np.linalg.eigh(centring @ gram @ centring)
    singular = np.sqrt(np.maximum(squares[::-1], 0))
    mixes = [left[:, -1] @ centring, left[:, -2] @ centring]
    if singular[0] > 0 and singular[1] < SQUARED * singular[0]:
        without = (np.eye(count) - np.outer(left[:, -1], left[:, -1])) @ centring
        squares, left = np.linalg.eigh(_gram(rows, without))
        singular[1:] = np.sqrt(np.maximum(squares[::-1], 0))[:-1]
        mixes[1] = left[:, -1] @ without
    if singular[1] <= THINNEST * singular[0]:
        raise ValueError("they lie on one line (or in one point) and span no plane")
    weights = np.stack([mix / sigma for mix, sigma in zip(mixes, singular, strict=False)])  # v = weights·A
    coordinates = gram @ weights.T
    signs = np.where(coordinates[0] < 0, -1.0, 1.0)
    flat = [torch.empty(2, _real(tensor).numel(), dtype=torch.float64) for tensor in rows[-1]]
    mixer = torch.from_numpy(weights * signs[:, None])
    for i, part, values in _columns(rows):
        torch.mm(mixer, values, out=flat[i][:, part])
    _orthonormalize(flat)
    return [_shaped([pair[k] for pair in flat], rows[-1]) for k in range(2)], singular, coordinates * signs


def _orthonormalize(flat: list[Tensor]) -> None:
    """Take what rounding has left of the first vector out of the second, and give both length 1, in place."""
    gram = torch.stack([pair @ pair.T for pair in flat]).sum(0)
    lengths = gram.diagonal().sqrt()
    along = gram[0, 1] / (lengths[0] * lengths[1])
    for pair in flat:
        pair /= lengths[:, None]
        pair[1] -= along * pair[0]


def _shaped(flat: Sequence[Tensor], like: Sequence[Tensor]) -> list[Tensor]:
    found = []
    for real, tensor in zip(flat, like, strict=True):
        if tensor.is_complex():
            real = torch.view_as_complex(real.reshape(*tensor.shape, 2))
        found.append(real.reshape(tensor.shape).to(tensor))
    return found
