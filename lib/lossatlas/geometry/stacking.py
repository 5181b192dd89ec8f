"""Surfaces of one grid as one Dataset over named dimensions, such as condition and seed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import xarray as xr

from lossatlas.geometry.grid import BESIDE, DIMENSIONS


def stack(surfaces: Mapping[tuple[Hashable, ...], xr.Dataset], dims: Sequence[str]) -> xr.Dataset:
    """Return surfaces that share a grid as one Dataset over new dimensions.

    Parameters
    ----------
    surfaces
        Datasets by their labels along `dims`: `{("deep", 0): ..., ("deep", 1): ...}`. Combinations of labels that
        are missing become surfaces of NaN.
    dims
        Names of the new dimensions, one for each part of a label: `("condition", "seed")`.

    Returns
    -------
    xarray.Dataset
        The variables that all surfaces have, over `dims` and their own dimensions. Attributes in which all agree
        are kept; `origin_loss` and `precision`, which belong to one surface, become variables over `dims` if the
        surfaces differ in them.

    Raises
    ------
    ValueError
        If there is no surface, a label does not fit `dims`, or the surfaces have different grids.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [2.0, 1.0, 2.0])}, {"alpha": [-1, 0, 1]})
    >>> stack({("deep", 0): line, ("deep", 1): line}, ("condition", "seed")).loss.dims
    ('condition', 'seed', 'alpha')
    """
    dims = _dims(dims)
    if not isinstance(surfaces, Mapping) or not surfaces:
        raise ValueError(f"surfaces: {type(surfaces).__name__}; expected a mapping with one or more by their labels")
    for label, surface in surfaces.items():
        if not isinstance(label, tuple) or len(label) != len(dims):
            raise ValueError(f"surfaces: label {label!r}; expected a tuple of {len(dims)}, one for each of {dims}")
        if not isinstance(surface, xr.Dataset):
            raise ValueError(f"surfaces[{label!r}] is a {type(surface).__name__}; expected an xarray.Dataset")
    labels = [list(dict.fromkeys(label[i] for label in surfaces)) for i in range(len(dims))]
    first, *others = surfaces.values()
    _check_grids(surfaces)
    shared = [name for name in first.data_vars if all(name in other.data_vars for other in others)]
    shape = tuple(map(len, labels))
    variables: dict[Hashable, tuple] = {}
    for name in shared:
        array = first[name]
        values = np.full((*shape, *array.shape), np.nan)
        for label, surface in surfaces.items():
            where = tuple(each.index(part) for each, part in zip(labels, label, strict=True))
            values[where] = surface[name].transpose(*array.dims).to_numpy()
        variables[name] = ((*dims, *array.dims), values, array.attrs)
    attrs = {k: v for k, v in first.attrs.items() if all(_same(other.attrs.get(k), v) for other in others)}
    if len(surfaces) < np.prod(shape):
        attrs.pop("origin_loss", None)  # a surface that is missing has none
    for name in BESIDE:
        if any(name in surface.attrs for surface in surfaces.values()) and name not in attrs:
            beside = np.full(shape, np.nan if name == "origin_loss" else "float32", dtype=object)
            for label, surface in surfaces.items():
                where = tuple(each.index(part) for each, part in zip(labels, label, strict=True))
                beside[where] = surface.attrs.get(name, beside[where])
            variables[name] = (dims, beside.astype(float if name == "origin_loss" else str), {})
    axes = {name: first[name] for name in DIMENSIONS if name in first.coords}
    return xr.Dataset(variables, {**dict(zip(dims, labels, strict=True)), **axes}, attrs)


def _dims(dims: Sequence[str]) -> tuple[str, ...]:
    good = isinstance(dims, list | tuple) and dims and all(isinstance(name, str) for name in dims)
    if not good or len(set(dims)) < len(dims) or set(dims) & set(DIMENSIONS):
        raise ValueError(f"dims={dims!r}: expected different names, none of them among {DIMENSIONS}")
    return tuple(dims)


def _check_grids(surfaces: Mapping[tuple[Hashable, ...], xr.Dataset]) -> None:
    first_label, first = next(iter(surfaces.items()))
    for label, surface in surfaces.items():
        for name in DIMENSIONS:
            here, there = (s[name].to_numpy() if name in s.coords else np.empty(0) for s in (first, surface))
            if not np.array_equal(here, there):
                raise ValueError(
                    f"surfaces[{label!r}] and [{first_label!r}] differ in {name}; expected one grid for all"
                )


def _same(a: object, b: object) -> bool:
    return type(a) is type(b) and np.array_equal(np.asarray(a), np.asarray(b))
