"""Planes along eigenvectors of the Hessian, and how much of the curvature any plane sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations

import numpy as np
import torch
import xarray as xr
from torch import nn

from lossatlas import vectors
from lossatlas.curvature.spectrum import Eigenpairs, eigenpairs
from lossatlas.directions import Plane, Subspace, checks
from lossatlas.evaluation import arguments

DIRECTIONS = ("largest", "second", "smallest")


def hessian_plane(
    model: nn.Module,
    data,
    *,
    directions: Sequence[str] = ("largest", "second"),
    loss: str | Callable = "cross_entropy",
    layers: Sequence[str] | None = None,
    predict: Callable | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Plane:
    """Return the plane through a model's weights along two eigenvectors of the Hessian, each of length 1.

    Parameters
    ----------
    model, data, loss, layers, predict, tolerance, seed, device, progress
        As in `eigenpairs`.
    directions : pair of {"largest", "second", "smallest"}
        Whose eigenvectors δ and η are: the largest eigenvalue's, the second largest's or the smallest's.

    Returns
    -------
    Plane
        Its description holds the two eigenvalues.

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    Examples
    --------
    >>> model = nn.Linear(3, 1, bias=False)
    >>> inputs = torch.diag(torch.tensor([1.0, 2.0, 3.0]))
    >>> plane = hessian_plane(model, (inputs, torch.zeros(3, 1)), loss="mse", device="cpu", progress=False)
    >>> plane.delta["weight"].abs().round(decimals=3)
    tensor([[0., 0., 1.]])
    """
    if not isinstance(directions, tuple | list) or list(directions) not in map(list, permutations(DIRECTIONS, 2)):
        raise ValueError(f"directions={directions!r}: expected two different ones of {DIRECTIONS}")
    find = partial(
        eigenpairs,
        model,
        data,
        loss=loss,
        layers=layers,
        predict=predict,
        tolerance=tolerance,
        seed=seed,
        device=device,
        progress=progress,
    )
    found = {}
    if set(directions) & {"largest", "second"}:
        top = find(2 if "second" in directions else 1, which="largest")
        found = dict(zip(("largest", "second"), zip(top.values, top.vectors, strict=True), strict=False))
    if "smallest" in directions:
        bottom = find(1, which="smallest")
        found["smallest"] = bottom.values[0], bottom.vectors[0]
    origin = vectors.parameters_of(model)
    still = vectors.zeros_like(origin)
    delta, eta = ({**still, **found[name][1]} for name in directions)
    description = {
        "kind": f"eigenvectors of the Hessian: {directions[0]} and {directions[1]}",
        "normalize": None,
        "seed": int(seed),
        "eigenvalues": [float(found[name][0]) for name in directions],
    }
    return Plane(origin, delta, eta, description)


def share_seen(plane: Subspace, pairs: Eigenpairs) -> xr.Dataset:
    """Return how much of some eigenvectors, and of the curvature along them, lies in a plane.

    Parameters
    ----------
    plane : Subspace
        A line, plane or box.
    pairs : Eigenpairs
        Of the Hessian at the plane's origin.

    Returns
    -------
    Dataset
        ``seen`` over ``eigenvalue``: the squared length of each eigenvector's projection, from 0 to 1. The attribute
        ``share`` is their mean, weighted by the absolute eigenvalues.

    Raises
    ------
    ValueError
        If the plane has other parameters than the eigenvectors, or no extent.

    Examples
    --------
    >>> import lossatlas as la
    >>> model = nn.Linear(3, 1, bias=False)
    >>> data = torch.diag(torch.tensor([1.0, 2.0, 3.0])), torch.zeros(3, 1)
    >>> pairs = eigenpairs(model, data, 1, loss="mse", device="cpu", progress=False)
    >>> plane = hessian_plane(model, data, loss="mse", device="cpu", progress=False)
    >>> share_seen(plane, pairs).seen.values.round(3)
    array([1., 0.])
    """
    arguments.check_plane(plane)
    if not isinstance(pairs, Eigenpairs):
        raise ValueError(f"pairs: got {type(pairs).__name__}, expected Eigenpairs (see eigenpairs)")
    names = list(plane.origin)
    for i, vector in enumerate(pairs.vectors):
        checks.tensors(vector, f"pairs: vectors[{i}]")
        if unknown := set(vector) - set(names):
            raise ValueError(f"pairs: the parameter {min(unknown)!r} is not one of the plane's")
    sides = np.stack([_flat(direction, names, plane.origin) for direction in plane.directions], axis=1)
    basis, singular, _ = np.linalg.svd(sides, full_matrices=False)
    if not singular[-1] > 1e-7 * singular[0]:
        raise ValueError("plane: its directions are parallel or have no length")
    eigenvectors = np.stack([_flat(vector, names, plane.origin) for vector in pairs.vectors], axis=1)
    seen = ((basis.T @ eigenvectors) ** 2).sum(axis=0)
    weights = np.abs(pairs.values)
    share = float(weights @ seen / weights.sum()) if weights.sum() > 0 else float("nan")
    return xr.Dataset({"seen": ("eigenvalue", seen)}, {"eigenvalue": pairs.values}, {"share": share})


def _flat(vector, names: Sequence[str], like) -> np.ndarray:
    parts = [vector.get(name, torch.zeros_like(like[name])) for name in names]
    return torch.cat([part.detach().cpu().double().flatten() for part in parts]).numpy()
