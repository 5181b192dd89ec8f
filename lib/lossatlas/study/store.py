"""Results on disk, found by their request.

A request is a JSON document; its hash finds the file. Surfaces and histories are NetCDF files
(``<name>-<hash>.nc``), tensors safetensors files (``<name>-<hash>.safetensors``); nothing is pickled.
Files are written beside their place and then moved there, so that an interrupt leaves the old one whole.

Every file holds its request and a digest of its content. Both are checked on every read (`lossatlas.study.files`):
a file that does not match is set aside with a warning and computed again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import xarray as xr
from torch import Tensor

from lossatlas._files import set_aside, written_whole
from lossatlas.study import files
from lossatlas.vectors import Params

Kept = TypeVar("Kept", xr.Dataset, Params)


@dataclass(frozen=True)
class Store:
    """Keep results in a folder. A ``request`` below is any JSON document that says what a result is.

    Parameters
    ----------
    root
        The folder.
    reads
        Other folders whose files are read if the own one lacks an answer; nothing is written there.

    Examples
    --------
    >>> Store(Path("results")).path("surface", {"seed": 0}, ".nc").name
    'surface-de7d7744ccd7.nc'
    """

    root: Path
    reads: tuple[Path, ...] = ()

    def path(self, name: str, request: Mapping, suffix: str) -> Path:
        """Return where the answer to a request is kept: a readable name and 12 hexadecimal digits of its hash."""
        if not re.fullmatch(r"[A-Za-z0-9._+-]+", name):
            raise ValueError(f"name={name!r}: expected letters, digits and . _ + - only")
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        return self.root / f"{name}-{digest[:12]}{suffix}"

    def result(self, name: str, request: Mapping, compute: Callable[[], xr.Dataset]) -> xr.Dataset:
        """Return the stored answer to a request; compute and store it if it is missing or cannot be trusted.

        The attributes hold the request as JSON under ``request`` and the file's name under ``key``.
        """
        found = self._read(files.read_dataset, name, request, ".nc")
        if found is not None:
            return found
        return self.put_result(name, request, compute())

    def put_result(self, name: str, request: Mapping, dataset: xr.Dataset) -> xr.Dataset:
        """Store the answer to a request and return it with the attributes that the file has."""
        path = self.path(name, request, ".nc")
        dataset = dataset.assign_attrs(request=json.dumps(request, sort_keys=True), key=path.stem)
        with written_whole(path) as temporary:
            files.write_dataset(temporary, dataset)
        return dataset

    def tensors(self, name: str, request: Mapping, compute: Callable[[], Params] | None = None) -> Params | None:
        """Return the stored tensors for a request; without ``compute``, None if there are none to be trusted."""
        found = self._read(files.read_tensors, name, request, ".safetensors")
        if found is not None or compute is None:
            return found
        params = {key: tensor.detach().cpu().contiguous() for key, tensor in compute().items()}
        self.put_tensors(name, request, params)
        return params

    def put_tensors(self, name: str, request: Mapping, params: Mapping[str, Tensor]) -> Path:
        """Store tensors under a request and return where."""
        path = self.path(name, request, ".safetensors")
        with written_whole(path) as temporary:
            files.write_tensors(temporary, params, request=request)
        return path

    def _read(self, read: Callable[..., Kept], name: str, request: Mapping, suffix: str) -> Kept | None:
        """Return the first stored answer that can be trusted, None if there is none."""
        own: Path = self.path(name, request, suffix)
        for path in [own, *(folder / own.name for folder in self.reads)]:
            if path.exists():
                try:
                    return read(path, request=request)
                except files.DamagedFile as error:
                    set_aside(path, f"{path.name} cannot be read ({error})")
        return None
