"""A training path seen in a plane, and how much of it the plane holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lossatlas import vectors
from lossatlas.directions.subspaces import Plane, Point


def project(checkpoints: Sequence[Point], plane: Plane, *, steps: Sequence[float] | None = None) -> xr.Dataset:
    """Coordinates of every checkpoint on a plane, by least squares on its (possibly oblique) basis.

    Returns a Dataset over ``step`` (``steps``, or 0, 1, 2, …) with ``alpha``, ``beta``; ``distance``, the norm
    of ``θ(i) − θ*`` over all parameters; and ``captured``, the share of that norm that lies in the plane
    (1 at θ* itself). For a PCA plane the attributes ``explained_variance_alpha`` and ``_beta`` are the shares
    of the path's variance along δ and η. Raises ValueError for another architecture, no checkpoint, a number
    of steps other than that of checkpoints, or directions that span no plane.
    """
    if len(checkpoints) == 0:
        raise ValueError("checkpoints: empty, at least one is needed")
    steps = np.arange(len(checkpoints)) if steps is None else np.asarray(steps)
    if len(steps) != len(checkpoints):
        raise ValueError(f"steps: {len(steps)} given for {len(checkpoints)} checkpoints")
    same_order = [{name: direction[name] for name in plane.origin} for direction in plane.directions]
    basis = torch.stack([vectors.flatten(direction) for direction in same_order]).double().cpu()
    gram = basis @ basis.T
    if torch.linalg.matrix_rank(gram) < 2:
        raise ValueError("plane: delta and eta are parallel or zero, and span no plane")
    coordinates, distances, captured = [], [], []
    for i, checkpoint in enumerate(checkpoints):
        point = vectors.parameters_of(checkpoint)
        vectors.check_same_shape(plane.origin, point, what=f"checkpoint {i}")
        offset = -vectors.flatten(vectors.subtract(plane.origin, point)).double().cpu()
        solution = torch.linalg.solve(gram, basis @ offset)
        distance = float(offset.norm())
        inside = float((solution @ gram @ solution).clamp(min=0).sqrt())
        coordinates.append(solution.tolist())
        distances.append(distance)
        captured.append(inside / distance if distance > 0 else 1.0)
    alpha, beta = np.array(coordinates).T
    explained = plane.facts.get("explained", [None, None])
    attrs = {
        f"explained_variance_{name}": share
        for name, share in zip(("alpha", "beta"), explained, strict=False)
        if share is not None
    }
    variables = {"alpha": alpha, "beta": beta, "distance": distances, "captured": captured}
    return xr.Dataset({name: ("step", values) for name, values in variables.items()}, {"step": steps}, attrs)


def dot_products(checkpoints: Sequence[Point], plane: Plane) -> np.ndarray:
    """``(θ(i) − θ*)·d / (d·d)`` for both directions d, as (checkpoints, 2): the shadow on each by itself.

    Where δ and η are orthogonal these are the coordinates of :func:`project`; where they are not, what both
    have in common is counted twice.
    """
    found = []
    for checkpoint in checkpoints:
        offset = vectors.subtract(vectors.parameters_of(checkpoint), plane.origin)
        found.append([vectors.dot(offset, d) / vectors.dot(d, d) for d in plane.directions])
    return np.array(found)


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


def effective_dimensions(origin: Mapping[str, Tensor], vector: Mapping[str, Tensor]) -> float:
    """How many dimensions a filter-normalized random direction seems to have as seen from a vector.

    The cosine of the two has mean zero and mean square ``1/n`` with
    ``1/n = Σ_f (‖θ_f‖²/‖θ‖²)·(‖v_f‖²/‖v‖²)/m_f`` over all filters f, of m_f weights each: filters that are
    long in both count the more. (Without normalization n is the number of weights.) Parameters of fewer than
    two dimensions are left out, as they do not move.
    """
    names = [name for name, tensor in origin.items() if tensor.dim() >= 2]
    sizes = torch.cat([torch.full((len(origin[name]),), origin[name][0].numel()) for name in names]).double()
    weights, shares = (
        torch.cat([vectors.filter_norms(point[name].double()).flatten() ** 2 for name in names])
        for point in (origin, vector)
    )
    return float(weights.sum() * shares.sum() / (weights * shares / sizes).sum())
