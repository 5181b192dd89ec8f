"""Files of results that are checked when they are read: request, sizes, and a digest of the content.

A NetCDF file holds, as its attribute ``digest``, the SHA-256 sum of its dimensions, variables, coordinates and
attributes. A safetensors file holds, in its metadata, the SHA-256 sum of the whole file with the digest's own 64
characters replaced by zeros.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from safetensors.torch import load, save
from torch import Tensor

from lossatlas.vectors import Params

SMALL = 2**20  # bytes that a file may declare whatever its own size
DEFLATE = 1032  # no zlib stream is smaller than its content divided by this
DIGEST = re.compile(rb'"digest":"([0-9a-f]{64})"')
COMPRESSION = {"zlib": True, "complevel": 9, "shuffle": True}


class DamagedFile(ValueError):
    """A stored file that is not what was written, or not the answer to the request."""


def content_digest(dataset: xr.Dataset) -> str:
    """Return the SHA-256 sum, hexadecimal, of what a Dataset holds, its attribute ``digest`` left out.

    The order of variables and attributes does not count, nor do byte order and memory layout.

    Examples
    --------
    >>> a = xr.Dataset({"loss": ("alpha", [1.0, 2.0])}, attrs={"seed": 0})
    >>> content_digest(a) == content_digest(a.copy(deep=True))
    True
    >>> content_digest(a) == content_digest(a.assign_attrs(seed=1))
    False
    """
    digest = hashlib.sha256()
    attrs = {name: value for name, value in dataset.attrs.items() if name != "digest"}
    digest.update(_json([_plain(attrs), {str(name): size for name, size in dataset.sizes.items()}]))
    for name, variable in sorted(dataset.variables.items(), key=lambda item: str(item[0])):
        values = variable.values
        text = values.dtype.kind not in "biufc"
        kind = "text" if text else values.dtype.newbyteorder("<").str
        kept = _plain({key: value for key, value in variable.attrs.items()})
        digest.update(_json([str(name), name in dataset.coords, kind, list(variable.dims), variable.shape, kept]))
        digest.update(_json(values.astype(str).tolist()) if text else _bytes(values))
    return digest.hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _plain(value):
    """Attributes as JSON has them. NetCDF does not tell a list of one number from the number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return _plain(value[0]) if len(value) == 1 else [_plain(item) for item in value]
    return value


def _bytes(values: np.ndarray) -> bytes:
    """The values in little-endian order; all NaN alike, since NetCDF keeps no more of them."""
    plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    if plain.dtype.kind in "fc" and np.isnan(plain).any():
        plain = np.where(np.isnan(plain), plain.dtype.type(np.nan), plain)
    return plain.tobytes()


def write_dataset(path: Path, dataset: xr.Dataset) -> None:
    """Write a Dataset to a NetCDF-4 file, compressed, with the digest of its content."""
    encoding = {name: COMPRESSION for name, variable in dataset.data_vars.items() if variable.dtype.kind in "fiu"}
    dataset.assign_attrs(digest=content_digest(dataset)).to_netcdf(path, engine="h5netcdf", encoding=encoding)


def read_dataset(path: Path, *, request: Mapping | None = None) -> xr.Dataset:
    """Return the Dataset of a NetCDF-4 file after checking sizes, request and digest.

    Parameters
    ----------
    path
        The file.
    request
        The request that the file must answer. By default, the one that its own attributes state; that must
        still be the one that its name stands for.

    Raises
    ------
    DamagedFile
        If the file cannot be read, is empty, declares more values than it can hold, answers another request, or
        is not what was written.
    """
    try:
        _check_sizes(path)
        dataset = xr.load_dataset(path, engine="h5netcdf")
    except DamagedFile:
        raise
    except Exception as error:  # a damaged HDF5 file may fail anywhere in the libraries that read it
        raise DamagedFile(f"it cannot be read ({error!r})") from error
    _check_request(path, dataset.attrs.get("request"), request)
    stored = dataset.attrs.pop("digest", None)
    if stored != content_digest(dataset):
        raise DamagedFile("its content is not what was written (the digest differs)" if stored else "it has no digest")
    return dataset


def _check_sizes(path: Path) -> None:
    """Raise DamagedFile for a file that declares more bytes than it can hold, before any are allocated."""
    bound = SMALL + DEFLATE * path.stat().st_size
    declared = 0

    def count(_: str, item: object) -> None:
        nonlocal declared
        if isinstance(item, h5py.Dataset):
            chunk = int(np.prod(item.chunks, dtype=object)) * item.dtype.itemsize if item.chunks else 0
            declared += max(int(np.prod(item.shape, dtype=object)) * item.dtype.itemsize, chunk)

    with h5py.File(path, "r") as file:
        file.visititems(count)
    if declared > bound:
        raise DamagedFile(f"it declares {declared:,} bytes of values in a file of {path.stat().st_size:,}")


def _check_request(path: Path, stored: object, request: Mapping | None) -> None:
    """Raise DamagedFile unless a file's stored request is the one asked for and the one that its name stands for."""
    if not isinstance(stored, str):
        raise DamagedFile("it does not say what it is the answer to")
    try:
        document = json.loads(stored)
    except ValueError:
        raise DamagedFile("its request is not JSON") from None
    if request is not None and document != json.loads(json.dumps(request)):
        raise DamagedFile("it is the answer to another request")
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    if request is None and path.stem[-12:] != digest[:12]:
        raise DamagedFile("its request is not what its name says")


def write_tensors(path: Path, params: Mapping[str, Tensor], *, request: Mapping) -> None:
    """Write tensors to a safetensors file, with their request and a digest of the whole file."""
    metadata = {"digest": "0" * 64, "request": json.dumps(request, sort_keys=True)}
    content = save({key: tensor.detach().cpu().contiguous() for key, tensor in params.items()}, metadata=metadata)
    start, end = _digest_span(content)
    path.write_bytes(content[:start] + hashlib.sha256(content).hexdigest().encode() + content[end:])


def read_tensors(path: Path, *, request: Mapping | None = None) -> Params:
    """Return the tensors of a safetensors file after checking digest and request.

    Raises
    ------
    DamagedFile
        If the file cannot be read, answers another request than ``request``, or is not what was written.
    """
    try:
        content = path.read_bytes()
        start, end = _digest_span(content)
        blank = content[:start] + b"0" * 64 + content[end:]
        if hashlib.sha256(blank).hexdigest().encode() != content[start:end]:
            raise DamagedFile("its content is not what was written (the digest differs)")
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        _check_request(path, header["__metadata__"].get("request"), request)
        return load(content)
    except DamagedFile:
        raise
    except Exception as error:
        raise DamagedFile(f"it cannot be read ({error!r})") from error


def _digest_span(content: bytes) -> tuple[int, int]:
    """Return where the 64 characters of the digest lie in a safetensors file."""
    size = int.from_bytes(content[:8], "little")
    if not 2 <= size <= len(content) - 8:
        raise DamagedFile("it cannot be read (its header does not fit into it)")
    found = list(DIGEST.finditer(content[8 : 8 + size]))
    if len(found) != 1:
        raise DamagedFile("it has no digest")
    return 8 + found[0].start(1), 8 + found[0].end(1)
