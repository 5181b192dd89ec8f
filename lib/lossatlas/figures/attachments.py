"""Files offered below a picture: the numbers that it was drawn from, as NetCDF."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from lossatlas.figures.page import Bundle, asset

MEDIA = {
    ".nc": "application/x-netcdf",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".vts": "application/octet-stream",
}


@dataclass(frozen=True)
class Attachment:
    """A file offered below a picture: its name, the text of its link, its bytes."""

    name: str
    text: str
    content: bytes

    def asset(self) -> Bundle:
        """Return the file as an asset of a bundle (see `lossatlas.figures.page`)."""
        return asset(self.content, MEDIA[Path(self.name).suffix], name=self.name, text=self.text)


def numbers(arguments: Mapping[str, object]) -> dict[str, list[xr.Dataset]]:
    """Return what holds numbers among the arguments of a drawing function, as Datasets by title.

    These are Datasets, arrays, mappings of them by title, several (training runs) under a title, and records (mappings
    of plain values). Other arguments, such as colours and labels, are left out.
    """
    found = {}
    for name, value in arguments.items():
        if members := _members(value):
            found[name] = members
        elif isinstance(value, Mapping):
            found |= {str(title): members for title, entry in value.items() if (members := _members(entry))}
    return found


def _members(value: object) -> list[xr.Dataset]:
    """Return the Datasets of one entry, none if it holds no numbers."""
    if isinstance(value, xr.Dataset):
        return [value]
    if isinstance(value, xr.DataArray):
        return [value.to_dataset(name=value.name or "value")]
    if isinstance(value, Sequence) and value and isinstance(value[0], Mapping) and not isinstance(value[0], xr.Dataset):
        return [_table(value)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [one for entry in value if isinstance(entry, xr.Dataset | xr.DataArray) for one in _members(entry)]
    return []


def _joined(members: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return the Datasets of training runs along `run`; an attribute in which they differ becomes a JSON list."""
    if len(members) == 1:
        return members[0]
    names = dict.fromkeys(name for one in members for name in one.attrs)
    lists = {name: [one.attrs.get(name) for one in members] for name in names}
    joined = xr.concat(members, dim="run", join="outer", data_vars="all", combine_attrs="drop")
    for name in joined.variables:
        joined[name].attrs = dict(members[0][name].attrs) if name in members[0].variables else {}
    same = {name: values[0] for name, values in lists.items() if all(_equal(v, values[0]) for v in values)}
    return joined.assign_attrs({name: same.get(name, _json(values)) for name, values in lists.items()})


def _equal(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _json(values: object) -> str:
    return json.dumps(values, default=lambda value: value.item())


def _table(records: Sequence[Mapping]) -> xr.Dataset:
    """Return records of plain values as one Dataset over `record`, with a variable a column."""
    columns = {}
    for name in dict.fromkeys(name for record in records for name in record):
        values = [record.get(name) for record in records]
        if all(isinstance(value, bool | int | float | np.number | None) for value in values):
            columns[str(name)] = ("record", np.array([np.nan if v is None else v for v in values], dtype=float))
        elif all(isinstance(value, str | None) for value in values):
            columns[str(name)] = ("record", np.array([value or "" for value in values], dtype=object))
    return xr.Dataset(columns)


def netcdf(data: Mapping[str, Sequence[xr.Dataset]]) -> bytes:
    """Return titled Datasets as one NetCDF-4 file: one title at its root, several as groups under their titles."""
    packing = {"zlib": True, "complevel": 9, "shuffle": True}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.nc")
        for i, (title, members) in enumerate(data.items()):
            one = _joined(members)
            group = None if len(data) == 1 else re.sub(r"[/\s]+", " ", title).strip()
            encoding = {name: packing for name, variable in one.data_vars.items() if variable.dtype.kind in "fiu"}
            one.to_netcdf(path, mode="a" if i else "w", group=group, engine="h5netcdf", encoding=encoding)
        return path.read_bytes()


def slug(text: str, words: int = 6) -> str:
    """Return the first words of a text as part of a file name.

    Examples
    --------
    >>> slug("Test loss, around the network.")
    'test-loss-around-the-network'
    """
    return "-".join(re.findall(r"[a-z0-9]+", text.lower())[:words]) or "figure"


def data_file(data: Mapping[str, Sequence[xr.Dataset]], *, name: str) -> Attachment:
    """Return titled Datasets as an attachment, named after the picture and its own content."""
    content = netcdf(data)
    digest = hashlib.sha256(content).hexdigest()[:8]
    return Attachment(f"{slug(name)}-{digest}.nc", "Data (NetCDF)", content)
