"""Lines and planes through networks that were trained, and a training path seen in such a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lossatlas import vectors
from lossatlas.directions.gaussian import moving_parameters
from lossatlas.directions.subspaces import DISTANCE, Line, Plane
from lossatlas.vectors import Point

REPORTED = 100  # singular values that a description holds: a file's attributes have little room


def line_between(a: Point, b: Point) -> Line:
    """The line with α = 0 at ``a`` and α = 1 at ``b`` (Goodfellow et al. 2015, linear interpolation)."""
    start, end = vectors.parameters_of(a), vectors.parameters_of(b)
    vectors.check_same_shape(start, end, what="model b")
    return Line(start, vectors.subtract(end, start), {"kind": "line between two points"})


def pca_plane(checkpoints: Sequence[Point], *, center: bool = False, include_biases: bool = False) -> Plane:
    """The plane through the last checkpoint along the two main directions of a training path.

    The rows ``θ(i) − θ(n)`` form a matrix whose first two right singular vectors are δ and η: orthonormal,
    in units of weight distance (Li et al. 2018, section 7; the report's equation 2). ``center`` subtracts
    the mean row first, as PCA proper does. ``description`` holds the largest singular values and the explained shares.
    Raises ValueError for fewer than three checkpoints or a path that spans no plane.
    """
    points = [vectors.parameters_of(checkpoint) for checkpoint in checkpoints]
    if len(points) < 3:
        raise ValueError(f"checkpoints: {len(points)} given, at least 3 are needed to span a plane")
    origin = points[-1]
    for i, point in enumerate(points[:-1]):
        vectors.check_same_shape(origin, point, what=f"checkpoint {i}")
    moving = moving_parameters(origin, None, include_biases)
    part = {name: tensor for name, tensor in origin.items() if name in moving}
    end = vectors.flatten(part)
    matrix = torch.stack([vectors.flatten({name: point[name] for name in part}) - end for point in points[:-1]])
    if center:
        matrix = matrix - matrix.mean(0)
    _, singular, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    if singular[0] == 0 or singular[1] <= 1e-12 * singular[0]:
        raise ValueError("checkpoints: they lie on one line (or in one point) and span no plane")
    shares = singular**2 / (singular**2).sum()
    zero = vectors.zeros_like(origin)
    delta, eta = ({**zero, **vectors.unflatten(row.to(end), part)} for row in right[:2])
    description = {
        "kind": "PCA plane",
        "normalize": None,
        "center": center,
        "include_biases": include_biases,
        "checkpoints": len(points),
        "singular_values": singular[:REPORTED].tolist(),
        "explained": shares[:REPORTED].tolist(),
    }
    return Plane(origin, delta, eta, description, units=DISTANCE)


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
    explained = plane.description.get("explained", [None, None])
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
