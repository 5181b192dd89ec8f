"""Measures of training paths in weight space, and random walks to compare them with.

They take the Datasets of :mod:`lossatlas.study.training_paths`, of one path or of several runs, and keep the dimensions
``condition``, ``seed`` and ``plane``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from lossatlas.directions import random_walk, random_walk_shares
from lossatlas.study.labelled import stack_runs
from lossatlas.study.planes import PATH_PLANES


def variance_held(paths: xr.Dataset) -> xr.DataArray:
    """Return the share of a path's variance, the sum of the squared distances from θ*, that lies in each plane.

    Parameters
    ----------
    paths
        As :func:`measure`, :func:`measure_runs` or :func:`random_walks` returns them.

    Returns
    -------
    DataArray
        Over ``plane``, and ``condition`` and ``seed`` if the paths have them.

    Raises
    ------
    ValueError
        If the paths were not measured on planes.

    Examples
    --------
    >>> captured = ("plane", "step"), [[0.6, 1.0, 1.0]]
    >>> path = xr.Dataset({"captured": captured, "distance": ("step", [1.0, 0.5, 0.0])}, {"plane": ["PCA + PCA"]})
    >>> variance_held(path).item()
    0.488
    """
    _check_paths(paths, "plane", "distance", "captured")
    squares = paths.distance**2
    return ((paths.captured**2 * squares).sum("step") / squares.sum("step")).rename("variance held")


def straightness(paths: xr.Dataset) -> xr.DataArray:
    """Return the distance between the ends over the length of the way, in the shadow on random planes.

    Parameters
    ----------
    paths
        Their ``shadow`` on random directions: two after the other span a plane.

    Returns
    -------
    DataArray
        The mean over planes: 1 for a straight line, 0 for a way that returns to its start.

    Raises
    ------
    ValueError
        If the paths have no shadow on at least two directions.

    Examples
    --------
    >>> around_a_corner = [[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]
    >>> straightness(xr.Dataset({"shadow": (("step", "draw"), around_a_corner)})).round(3).item()
    0.714
    """
    _check_paths(paths, "shadow")
    if paths.sizes["draw"] < 2:
        raise ValueError(f"paths: {paths.sizes['draw']} random direction; expected two or more")
    whole = paths.sizes["draw"] // 2 * 2
    x, y = (paths.shadow.isel(draw=slice(first, whole, 2)) for first in (0, 1))
    way = np.hypot(x.diff("step"), y.diff("step")).sum("step")
    ends = [one.isel(step=-1) - one.isel(step=0) for one in (x, y)]
    return (np.hypot(*ends) / way).mean("draw").rename("straightness")


def random_walks(paths: xr.Dataset) -> xr.Dataset:
    """Return random walks with the step lengths of paths, in as many dimensions, in the same form.

    Parameters
    ----------
    paths
        As :func:`measure_runs` returns them. The walk beside a run has the run's seed.

    Returns
    -------
    Dataset
        ``distance``, ``differences`` and ``shadow`` as in :func:`measure`; their basis are the main directions of
        the walk. ``alpha``, ``beta``, ``alpha_dot``, ``beta_dot`` and ``captured`` on its plane of two PCA
        directions.

    See Also
    --------
    lossatlas.directions.random_walk : Draws one walk.

    Raises
    ------
    ValueError
        If the paths have no conditions and seeds.

    Examples
    --------
    >>> straight = xr.DataArray([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]], dims=("step", "basis"))
    >>> path = xr.Dataset({"differences": straight, "shadow": straight.rename(basis="draw"), "n_weights": 10**5})
    >>> walks = random_walks(path.expand_dims(condition=["SGD"], seed=[0]))
    >>> walks.distance.values.round(1)
    array([[[1.4, 1. , 0. ]]])
    """
    _check_paths(paths, "condition", "seed", "differences", "shadow", "n_weights")
    labels, seeds = (paths[name].to_numpy().tolist() for name in ("condition", "seed"))
    rows = [[_walk(paths.sel(condition=label, seed=seed), int(seed)) for seed in seeds] for label in labels]
    return stack_runs(rows, labels, seeds)


def _walk(path: xr.Dataset, seed: int) -> xr.Dataset:
    walk = random_walk(_lengths(path.differences.to_numpy()), dimensions=int(path.n_weights), seed=seed)
    squares, left = np.linalg.eigh(walk[:-1] @ walk[:-1].T)  # not of the other side, which is n × n
    main = np.vstack([left[:, ::-1] * np.sqrt(np.maximum(squares[::-1], 0)), np.zeros(len(squares))])
    distance = np.linalg.norm(main, axis=1)
    captured = np.divide(np.hypot(main[:, 0], main[:, 1]), distance, out=np.ones_like(distance), where=distance > 0)
    seen = {"alpha": main[:, 0], "beta": main[:, 1], "alpha_dot": main[:, 0], "beta_dot": main[:, 1]}
    variables = {name: (("plane", "step"), values[None]) for name, values in (seen | {"captured": captured}).items()}
    # No direction is special to a walk, so that the axes of its space are as random as any others.
    shadow = walk[:, : path.sizes["draw"]].copy()  # not a view, which would keep the whole walk
    variables |= {"differences": (("step", "basis"), main), "shadow": (("step", "draw"), shadow)}
    coords = {"plane": [PATH_PLANES[2]], "epoch": path.coords.get("epoch", ("step", np.arange(len(main))))}
    return xr.Dataset({"distance": ("step", distance), **variables}, coords)


def walk_shares(paths: xr.Dataset) -> xr.DataArray:
    """Return the shares of variance that theory expects of random walks with the step lengths of paths.

    Parameters
    ----------
    paths
        Their ``differences`` give the lengths.

    Returns
    -------
    DataArray
        Over ``component``, in falling order, as :func:`lossatlas.directions.random_walk_shares` gives them.

    Raises
    ------
    ValueError
        If the paths have no differences.

    Examples
    --------
    >>> line = [[2.0], [1.0], [0.0]]
    >>> walk_shares(xr.Dataset({"differences": (("step", "basis"), line)})).values.round(3)
    array([0.873, 0.127])
    """
    _check_paths(paths, "differences")
    dims: Any = {"input_core_dims": [["step", "basis"]], "output_core_dims": [["component"]]}
    return xr.apply_ufunc(lambda rows: random_walk_shares(_lengths(rows)), paths.differences, vectorize=True, **dims)


def _lengths(differences: np.ndarray) -> list[float]:
    return np.linalg.norm(np.diff(differences, axis=0), axis=1).tolist()


def _check_paths(paths: object, *names: str) -> None:
    if not isinstance(paths, xr.Dataset):
        raise ValueError(f"paths={paths!r:.60}: expected a Dataset of training_paths.measure_runs")
    if missing := [name for name in names if name not in paths.variables]:
        raise ValueError(f"paths: no {missing[0]!r}; expected a Dataset of training_paths.measure_runs")
