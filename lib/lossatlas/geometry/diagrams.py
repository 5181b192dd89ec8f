"""Distances between persistence diagrams, and between surfaces by their diagrams."""

from __future__ import annotations

from collections.abc import Callable

import gudhi
import gudhi.hera
import numpy as np
import xarray as xr

from lossatlas.geometry.grid import Stack, axis_names
from lossatlas.geometry.topology import check_dimension, pairs

WITHIN = 1e-6  # the relative error of a Wasserstein distance


def _bottleneck(one: np.ndarray, other: np.ndarray) -> float:
    return float(gudhi.bottleneck_distance(one, other))


def _wasserstein(one: np.ndarray, other: np.ndarray) -> float:
    return float(gudhi.hera.wasserstein_distance(one, other, order=1.0, internal_p=np.inf, delta=WITHIN))


KINDS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "bottleneck": _bottleneck,
    "wasserstein": _wasserstein,
}


def _distance(kind: object) -> Callable[[np.ndarray, np.ndarray], float]:
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind={kind!r}: expected one of {list(KINDS)}")
    return KINDS[kind]


def diagram_distance(one: xr.Dataset, other: xr.Dataset, *, kind: str = "bottleneck") -> float:
    """Return how far apart two persistence diagrams are.

    Features of one diagram are matched with features of the other or with the diagonal, at which a feature ends where
    it begins. A match costs the larger of the differences of birth and death; what never ends is matched with what
    never ends. The bottleneck distance is the cost of the dearest match, the Wasserstein distance the sum of all, and
    the matching is the one that makes it least.

    Parameters
    ----------
    one, other
        What :func:`persistence` returns for a surface, in the same dimension.
    kind
        "bottleneck" (exact but for the last bits), or "wasserstein" (of order 1, to a relative error of 1e-6).

    Returns
    -------
    float
        In units of the surface; inf if the numbers of features that never end differ.

    Raises
    ------
    ValueError
        If a Dataset is no diagram of one surface, or `kind` is neither.

    References
    ----------
    Cohen-Steiner, Edelsbrunner and Harer, Stability of persistence diagrams (2007); computed by GUDHI.

    Examples
    --------
    >>> def features(birth, death):
    ...     return xr.Dataset({"birth": ("component", birth), "death": ("component", death)})
    >>> one, other = features([0.0, 1.0], [np.inf, 3.0]), features([0.25], [np.inf])
    >>> diagram_distance(one, other), round(diagram_distance(one, other, kind="wasserstein"), 6)
    (1.0, 1.25)
    """
    return _distance(kind)(_diagram("one", one), _diagram("other", other))


def _diagram(name: str, features: object) -> np.ndarray:
    """Return birth and death of every feature; raises ValueError if `features` are none of one surface."""
    if not isinstance(features, xr.Dataset):
        raise ValueError(f"{name} is a {type(features).__name__}; expected an xarray.Dataset, see geometry.persistence")
    for variable in ("birth", "death"):
        if variable not in features or features[variable].dims != ("component",):
            found = {str(key): array.dims for key, array in features.data_vars.items()}
            raise ValueError(f"{name} holds {found}; expected 'birth' and 'death' over component: select one surface")
    both = np.stack([features[variable].to_numpy().astype(float) for variable in ("birth", "death")], axis=1)
    return both[np.isfinite(both[:, 0])]


def surface_distance(
    one: xr.Dataset, other: xr.Dataset, *, dimension: int = 0, kind: str = "bottleneck", variable: str = "loss"
) -> xr.DataArray:
    """Return how far apart the persistence diagrams of two surfaces are.

    On the same grid, the bottleneck distance is at most the largest difference between the surfaces. It does not
    depend on where features lie: moved, turned or mirrored surfaces have the distance 0.

    Parameters
    ----------
    one
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    other
        A Dataset over the same axes, on any grid, and over the same other dimensions or none.
    dimension
        0 for components, 1 for loops, 2 for cavities; less than the number of axes.
    kind
        "bottleneck" or "wasserstein", see :func:`diagram_distance`.
    variable
        The variable to read.

    Returns
    -------
    xarray.DataArray
        Over the other dimensions of `one`, in units of the variable.

    Raises
    ------
    ValueError
        If the surfaces have different axes or other dimensions, or `dimension` or `kind` is none.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 2.0, 1.0])}, {"alpha": [0, 1, 2]})
    >>> surface_distance(line, line + [0, 0, 1]).item()
    0.5
    """
    axes = axis_names(one, variable), axis_names(other, variable)
    if axes[0] != axes[1]:
        raise ValueError(f"other has the axes {axes[1]}; expected {axes[0]}, those of one")
    check_dimension(dimension, len(axes[0]))
    between = _distance(kind)
    first, second = Stack.of(one, variable), Stack.of(other, variable)
    if second.shape and (second.dims, second.shape) != (first.dims, first.shape):
        found, expected = (dict(zip(each.dims, each.shape, strict=True)) for each in (second, first))
        raise ValueError(f"other has the dimensions {found}; expected {expected} as one, or none")
    there = [pairs(grid, dimension)[:, :2] for grid in second.grids]
    here = [pairs(grid, dimension)[:, :2] for grid in first.grids]
    there = there if second.shape else there * len(here)
    return first.array([between(a, b) for a, b in zip(here, there, strict=True)])
