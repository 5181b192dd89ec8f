"""Read NetCDF-4 files of numbers quickly.

A chapter reads hundreds of small files. :func:`xarray.load_dataset` spends ten times as long on what lies around the
numbers of each. A file that holds anything else than plain numbers over named dimensions is left to xarray.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

INTERNAL = {
    "CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Coordinates", "_Netcdf4Dimid", "_NCProperties",
    "_FillValue", "coordinates",
}  # fmt: skip
ENCODED = {"dtype", "calendar", "scale_factor", "add_offset", "missing_value", "_Unsigned"}  # may change values
TIMES = re.compile(r".* since .*|days|hours|minutes|seconds|(milli|micro|nano)seconds", re.DOTALL)  # units of times


class _Other(Exception):
    """The file holds something that only xarray reads."""


def load(path: Path, content: bytes) -> xr.Dataset:
    """Return the Dataset of a NetCDF-4 file whose bytes are given, as :func:`xarray.load_dataset` would."""
    try:
        with h5py.File(io.BytesIO(content)) as file:
            return _read(file)
    except _Other:
        return xr.load_dataset(path, engine="h5netcdf")


def _read(file: h5py.File) -> xr.Dataset:
    variables, coordinates = (
        {},
        set(_attribute(file.attrs["coordinates"]).split() if "coordinates" in file.attrs else []),
    )
    for name, stored in file.items():
        if not isinstance(stored, h5py.Dataset) or stored.dtype.kind not in "fi":
            raise _Other(name)
        attrs = dict(stored.attrs)
        if set(attrs) & ENCODED or TIMES.fullmatch(str(attrs.get("units", ""))):
            raise _Other(name)
        if not np.isnan(np.asarray(attrs.get("_FillValue", np.nan), dtype=float)).all():
            raise _Other(name)
        coordinates |= set(_attribute(attrs.get("coordinates", "")).split())
        own = {key: _attribute(value) for key, value in attrs.items() if key not in INTERNAL}
        variables[name] = (_dimensions(name, stored, attrs), stored[()], own)
    attrs = {key: _attribute(value) for key, value in file.attrs.items() if key not in INTERNAL}
    dataset = xr.Dataset(variables, attrs=attrs)
    return dataset.set_coords(sorted(coordinates & set(variables)))


def _dimensions(name: str, stored: h5py.Dataset, attrs: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of a variable's dimensions: of its own name if it is a coordinate along one."""
    if "CLASS" in attrs:
        if stored.ndim != 1 or _attribute(attrs["NAME"]) != name:
            raise _Other(name)
        return (name,)
    if any(len(dimension) != 1 for dimension in stored.dims):
        raise _Other(name)
    return tuple(dimension[0].name.rpartition("/")[2] for dimension in stored.dims)


def _attribute(value: Any) -> Any:
    """Return an attribute as xarray gives it: texts as str, arrays of one number as the number."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, h5py.Empty):
        raise _Other("an empty attribute")
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fi" or value.ndim != 1:
            raise _Other("an attribute that is neither text nor numbers")
        return value[0] if value.shape == (1,) else value
    return value
