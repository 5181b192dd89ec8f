"""Files of results that are checked when they are read: first their digest, then the request that they answer.

The digest is the SHA-256 sum of a whole file. It is compared before any library parses the file, because a damaged
HDF5 file can make its reader allocate gigabytes, or never return. A NetCDF file carries it behind the end of the HDF5
data, where readers do not look (:data:`TRAILER`). A safetensors file carries it in its metadata; for the sum, its 64
characters count as zeros.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import xarray as xr
from safetensors.torch import load, save
from torch import Tensor

from lossatlas.study import netcdf
from lossatlas.vectors import Params

TRAILER = re.compile(rb"\nsha256:([0-9a-f]{64})\n")
TRAILER_BYTES = 73
DIGEST = re.compile(rb'"digest":"([0-9a-f]{64})"')
COMPRESSION = {"zlib": True, "complevel": 9, "shuffle": True}


class DamagedFile(ValueError):
    """A stored file that is not what was written, or not the answer to the request."""


def write_dataset(path: Path, dataset: xr.Dataset) -> None:
    """Write a Dataset to a NetCDF-4 file, compressed, with its digest."""
    encoding = {name: COMPRESSION for name, variable in dataset.data_vars.items() if variable.dtype.kind in "fiu"}
    dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with path.open("ab") as file:
        file.write(f"\nsha256:{digest}\n".encode())


def read_dataset(path: Path, *, request: Mapping | None = None) -> xr.Dataset:
    """Return the Dataset of a NetCDF-4 file after checking digest and request.

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
        If the file cannot be read, answers another request, or is not what was written.
    """
    try:
        content = path.read_bytes()
        trailer = TRAILER.fullmatch(content[-TRAILER_BYTES:])
        if trailer is None:
            raise DamagedFile("it has no digest: it was not written by the store, or not to its end")
        if hashlib.sha256(content[:-TRAILER_BYTES]).hexdigest().encode() != trailer[1]:
            raise DamagedFile("its content is not what was written (the digest differs)")
        dataset = netcdf.load(path, content)
    except DamagedFile:
        raise
    except Exception as error:  # whatever the libraries below make of it
        raise DamagedFile(repr(error)) from error
    _check_request(path, dataset.attrs.get("request"), request)
    return dataset


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
        raise DamagedFile(repr(error)) from error


def _digest_span(content: bytes) -> tuple[int, int]:
    """Return where the 64 characters of the digest lie in a safetensors file."""
    size = int.from_bytes(content[:8], "little")
    if not 2 <= size <= len(content) - 8:
        raise DamagedFile("its header does not fit into it")
    found = list(DIGEST.finditer(content[8 : 8 + size]))
    if len(found) != 1:
        raise DamagedFile("it has no digest")
    return 8 + found[0].start(1), 8 + found[0].end(1)
