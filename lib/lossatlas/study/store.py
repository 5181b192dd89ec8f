"""Results on disk, found by what was asked.

A request is a JSON document; its hash finds the file. Surfaces and histories are NetCDF files
(``<name>-<hash>.nc``), parameters safetensors files (``<name>-<hash>.safetensors``); nothing is pickled.
Files are written beside their place and then moved there, so that an interrupt leaves the old one whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lossatlas._files import set_aside, written_whole
from lossatlas.vectors import Params


@dataclass(frozen=True)
class Store:
    """A folder of results. ``request`` below is any JSON-able document that says what was asked."""

    root: Path

    def path(self, name: str, request: Mapping, suffix: str) -> Path:
        """Where the answer to a request is kept: a readable name and 12 hexadecimal digits of its hash."""
        if not re.fullmatch(r"[A-Za-z0-9._+-]+", name):
            raise ValueError(f"name={name!r}: expected letters, digits and . _ + - only")
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        return self.root / f"{name}-{digest[:12]}{suffix}"

    def result(self, name: str, request: Mapping, compute: Callable[[], xr.Dataset]) -> xr.Dataset:
        """The stored answer to a request; computed and stored where there is none or it cannot be read.

        The file's attributes hold the request as JSON under ``asked``.
        """
        path = self.path(name, request, ".nc")
        if path.exists():
            try:
                return xr.load_dataset(path, engine="h5netcdf")
            except (OSError, ValueError, KeyError) as error:
                set_aside(path, f"{path.name} cannot be read ({error})")
        dataset = compute()
        dataset = dataset.assign_attrs(asked=json.dumps(request, sort_keys=True), key=path.stem)
        squeeze = {"zlib": True, "complevel": 9, "shuffle": True}
        encoding = {name: squeeze for name, variable in dataset.data_vars.items() if variable.dtype.kind in "fiu"}
        with written_whole(path) as temporary:
            dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        return dataset

    def tensors(self, name: str, request: Mapping, compute: Callable[[], Params] | None = None) -> Params | None:
        """The stored parameters for a request; without ``compute``, None where there are none."""
        path = self.path(name, request, ".safetensors")
        if path.exists():
            try:
                return load_file(path)
            except (OSError, SafetensorError) as error:
                set_aside(path, f"{path.name} cannot be read ({error})")
        if compute is None:
            return None
        params = {key: tensor.detach().cpu().contiguous() for key, tensor in compute().items()}
        self.put_tensors(name, request, params)
        return params

    def put_tensors(self, name: str, request: Mapping, params: Mapping[str, Tensor]) -> Path:
        """Store parameters under a request."""
        path = self.path(name, request, ".safetensors")
        with written_whole(path) as temporary:
            save_file(
                {key: tensor.detach().cpu().contiguous() for key, tensor in params.items()},
                temporary,
                metadata={"asked": json.dumps(request, sort_keys=True)},
            )
        return path


def jsonable(value):
    """Plain JSON values out of NumPy scalars, arrays, tuples and paths."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
