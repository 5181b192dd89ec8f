"""A training path seen in a plane, and how much of it the plane holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from lossatlas import vectors
from lossatlas.directions import Plane, Point


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
    basis = torch.stack([vectors.flatten(direction) for direction in plane.directions]).double().cpu()
    gram = basis @ basis.T
    if torch.linalg.matrix_rank(gram) < 2:
        raise ValueError("plane: delta and eta are parallel or zero, and span no plane")
    coordinates, distances, captured = [], [], []
    for i, checkpoint in enumerate(checkpoints):
        point = vectors.parameters_of(checkpoint)
        vectors.check_same_shape(plane.origin, point, what=f"checkpoint {i}")
        offset = vectors.flatten(vectors.subtract(point, plane.origin)).double().cpu()
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
