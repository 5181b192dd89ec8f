"""Labelled data as figures and tables take them, and the checks of their arguments.

Data over the dimensions `condition` and `seed` are taken apart here: a curve, a panel or a row for each condition,
and the seeds of a condition together. Mappings by label, lists of seeds and records are taken as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import xarray as xr

Data = TypeVar("Data", xr.Dataset, xr.DataArray)


def check_kind(name: str, value: object, kind: type[Data]) -> Data:
    """Return a Dataset, or a DataArray if `kind` says so.

    Raises
    ------
    ValueError
        If `value` is of another type.

    Examples
    --------
    >>> check_kind("surface", [1, 2], xr.Dataset)
    Traceback (most recent call last):
    ValueError: surface is a list; expected an xarray.Dataset
    """
    if not isinstance(value, kind):
        hint = "; convert it with .to_dataset(name=...)" if isinstance(value, xr.DataArray) else ""
        raise ValueError(f"{name} is a {type(value).__name__}; expected an xarray.{kind.__name__}{hint}")
    return value


def check_path(name: str, value: object) -> xr.Dataset:
    """Return a trajectory. Raises ValueError if `value` is no Dataset with alpha and beta over step."""
    path = check_kind(name, value, xr.Dataset)
    for variable in ("alpha", "beta"):
        if variable not in path.variables or path[variable].dims != ("step",) or not path.sizes["step"]:
            raise ValueError(
                f"{name} has no {variable!r} over step; it has {dict(path.sizes)} and {list(path.variables)}"
            )
    return path


def check_whole(name: str, value: object, *, least: int) -> int:
    """Return a whole number. Raises ValueError if `value` is none, or less than `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r}: expected a whole number of at least {least}")
    return int(value)


def check_names(name: str, values: object) -> list[str]:
    """Return names. Raises ValueError if `values` is no list of one or more texts."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ValueError(f"{name}={values!r}: expected a list of one or more names")
    if wrong := [value for value in values if not isinstance(value, str)]:
        raise ValueError(f"{name} holds {wrong[0]!r}; expected names")
    return list(values)


def titled(name: str, data: object) -> dict[str, xr.Dataset]:
    """Return Datasets by title, from a mapping or from a Dataset over `condition`.

    Parameters
    ----------
    name
        The argument, for errors.
    data
        Datasets by title, or one with the dimension `condition`.

    Raises
    ------
    ValueError
        If `data` is neither, or empty.

    Examples
    --------
    >>> both = xr.Dataset({"loss": (("condition", "alpha"), [[1, 2], [3, 4]])}, {"condition": ["a", "b"]})
    >>> list(titled("surfaces", both))
    ['a', 'b']
    """
    if isinstance(data, xr.Dataset) and "condition" not in data.dims:
        raise ValueError(f"{name} has dimensions {tuple(data.dims)}; expected 'condition' among them, or a mapping")
    found = {}
    for title, members in groups(name, data, xr.Dataset).items():
        if len(members) != 1:
            raise ValueError(f"{name}[{title!r}] holds {len(members)} Datasets; expected one: choose a seed")
        found[title] = members[0]
    return found


def groups(name: str, data: object, kind: type[Data]) -> dict[str, list[Data]]:
    """Return the seeds of every condition, as Datasets (or DataArrays) by label.

    Parameters
    ----------
    name
        The argument, for errors.
    data
        One Dataset whose dimensions may be `condition` and `seed` beside others; or a mapping of labels to one, or to
        a list of several (seeds).
    kind
        `xarray.Dataset` or `xarray.DataArray`.

    Raises
    ------
    ValueError
        If `data` is neither, or empty.

    Examples
    --------
    >>> runs = xr.Dataset({"loss": (("condition", "seed", "epoch"), np.ones((2, 3, 4)))}, {"condition": ["a", "b"]})
    >>> {label: len(seeds) for label, seeds in groups("history", runs, xr.Dataset).items()}
    {'a': 3, 'b': 3}
    """
    expected = f"expected an xarray.{kind.__name__} over condition, or a mapping of labels to them"
    if isinstance(data, kind):
        entries: Mapping[Any, object] = _by_condition(data)
    elif isinstance(data, Mapping) and not isinstance(data, xr.Dataset):
        entries = data
    else:
        hint = "; convert it with .to_dataset(name=...)" if isinstance(data, xr.DataArray) else ""
        raise ValueError(f"{name} is a {type(data).__name__}; {expected}{hint}")
    if not entries:
        raise ValueError(f"{name}: empty; {expected}")
    return {str(label): _seeds(f"{name}[{label!r}]", entry, kind) for label, entry in entries.items()}


def _by_condition(data: Data) -> dict[str, Data]:
    if "condition" not in data.dims:
        return {str(data.attrs.get("condition", getattr(data, "name", None) or "all")): data}
    labels = data["condition"].to_numpy() if "condition" in data.coords else range(data.sizes["condition"])
    return {str(label): data.isel(condition=i, drop=True) for i, label in enumerate(labels)}


def _seeds(name: str, entry: object, kind: type[Data]) -> list[Data]:
    members = [entry] if isinstance(entry, xr.Dataset | xr.DataArray) else entry
    if isinstance(members, str) or not isinstance(members, Sequence) or not members:
        raise ValueError(f"{name} is {members!r:.60}; expected an xarray.{kind.__name__}, or several (seeds)")
    found: list[Data] = []
    for member in members:
        one = check_kind(name, member, kind)
        if "seed" in one.dims:
            found += [one.isel(seed=i, drop=True) for i in range(one.sizes["seed"])]
        else:
            found.append(one)
    return found


def records(name: str, data: object) -> list[dict[str, Any]]:
    """Return a record for every condition and seed: plain values by name.

    Parameters
    ----------
    name
        The argument, for errors.
    data
        A Dataset of measures over `condition` and `seed`, and other dimensions of one entry; or records, which are
        returned as they are.

    Raises
    ------
    ValueError
        If `data` is neither, or empty.

    Examples
    --------
    >>> coords = {"condition": ["a"], "seed": [3, 5]}
    >>> measured = xr.Dataset({"roughness": (("condition", "seed"), [[0.1, 0.2]])}, coords)
    >>> records("measured", measured)
    [{'condition': 'a', 'seed': 3, 'roughness': 0.1}, {'condition': 'a', 'seed': 5, 'roughness': 0.2}]
    """
    if isinstance(data, xr.Dataset):
        return _rows(name, data)
    expected = "expected an xarray.Dataset over condition and seed, or a list of records"
    if isinstance(data, str | Mapping | xr.DataArray) or not isinstance(data, Sequence):
        raise ValueError(f"{name} is a {type(data).__name__}; {expected}")
    if not data:
        raise ValueError(f"{name}: empty; {expected}")
    if wrong := [record for record in data if not isinstance(record, Mapping)]:
        raise ValueError(f"{name} holds a {type(wrong[0]).__name__}; {expected}")
    return [dict(record) for record in data]


def _rows(name: str, data: xr.Dataset) -> list[dict[str, Any]]:
    data = data.squeeze([one for one, size in data.sizes.items() if size == 1 and one not in ("condition", "seed")])
    variables = [str(variable) for variable in data.data_vars]
    wrong = [
        (variable, data[variable].dims) for variable in variables if set(data[variable].dims) - {"condition", "seed"}
    ]
    if wrong or not variables:
        found = f"{wrong[0][0]!r} over {wrong[0][1]}" if wrong else "no variable"
        raise ValueError(f"{name} has {found}; expected measures over condition and seed: select along the others")
    rows = []
    for label, part in _by_condition(data).items():
        seeds = part["seed"].to_numpy().tolist() if "seed" in part.coords else list(range(part.sizes.get("seed", 1)))
        for i, seed in enumerate(np.atleast_1d(seeds).tolist()):
            one = part.isel(seed=i) if "seed" in part.dims else part
            rows.append({"condition": label, "seed": seed, **{v: one[v].item() for v in variables}})
    return rows
