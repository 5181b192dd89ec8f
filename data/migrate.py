"""Bring stored results into their present form: python data/migrate.py [FOLDER, data/results by default].

A stored request once named its plane by the fields of a random plane (or of a path), under the attribute ``asked``.
Now the plane is a document of its own, and the attribute is ``request``. The file's name follows the new key. Every
file also gets the digest that is checked on each read. Values stay as they are, bit for bit, and nothing is computed.
A file that is already in the present form is left alone, so that the script can be run again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import xarray as xr
from safetensors import safe_open
from safetensors.torch import load_file

from lossatlas.study.files import DamagedFile, read_dataset, read_tensors
from lossatlas.study.planes import PathPlane, RandomPlane
from lossatlas.study.slices import Slice
from lossatlas.study.store import Store


def new_slice(old: dict) -> dict:
    """Return the present request of a slice for an old one, whose plane was random."""
    plane = RandomPlane(old["plane_seed"], normalize=old["normalize"], scale=old["scale"], layers=old["layers"])
    names = ("points", "split", "samples")
    options = {name: old[name] for name in names}
    return Slice(plane, alpha=old["extent"], precision=old.get("precision"), **options).request()


def new_path_slice(old: dict) -> dict:
    """Return the present request of a slice under a path for an old one."""
    options = {name: old[name] for name in ("points", "split", "samples")}
    plane = PathPlane(old["plane"], old["plane_seed"])
    return Slice(plane, alpha=tuple(old["alpha"]), beta=tuple(old["beta"]), **options).request()


def new_request(old: dict) -> dict:
    """Return the present form of a stored request; one that has it is returned as it is."""
    if "slice" in old and "plane" not in old["slice"]:
        return {**old, "slice": new_slice(old["slice"])}
    if "asked" not in old:
        return old
    rest, given = {key: value for key, value in old.items() if key != "asked"}, dict(old["asked"])
    if old["measure"] == "surface":
        version = given.pop("computing_version")
        return {"run": old["run"], "slice": new_path_slice(given), "computing_version": version}
    if old["measure"] == "rounding":
        steps = given["slice"].pop("steps")
        given = {"slice": new_slice(given["slice"]), "steps": steps}
    return {**rest, "request": given}


def migrate_dataset(path: Path) -> Path:
    """Rewrite a NetCDF file and return its new place."""
    dataset = xr.load_dataset(path, engine="h5netcdf")
    dataset.attrs.pop("digest", None)  # once of the content; now of the file, behind its end
    request = new_request(json.loads(dataset.attrs.pop("asked", dataset.attrs.get("request", ""))))
    store, name = Store(path.parent), path.stem[:-13]
    before = dataset.copy(deep=True)
    store.put_result(name, request, dataset)
    place = store.path(name, request, ".nc")
    after = read_dataset(place, request=request)
    for variable in before.variables:
        one, other = before[variable], after[variable]
        same = one.dims == other.dims and one.dtype == other.dtype and one.attrs == other.attrs
        assert same and np.asarray(one.values).tobytes() == np.asarray(other.values).tobytes(), (path, variable)
    kept = set(before.attrs) - {"key", "request"}
    assert all(np.array_equal(before.attrs[key], after.attrs[key]) for key in kept), path
    return place


def migrate_tensors(path: Path) -> Path:
    """Rewrite a safetensors file and return its new place."""
    with safe_open(path, "pt") as file:
        request = new_request(json.loads(file.metadata()["asked"]))
    before = load_file(path)
    store, name = Store(path.parent), path.stem[:-13]
    place = store.put_tensors(name, request, before)
    after = read_tensors(place, request=request)
    assert list(before) == list(after) or set(before) == set(after), path
    for key, tensor in before.items():
        assert tensor.dtype == after[key].dtype and tensor.numpy().tobytes() == after[key].numpy().tobytes(), path
    return place


def migrate(folder: Path) -> tuple[int, int]:
    """Migrate every result below a folder; return how many were rewritten and how many were left alone."""
    rewritten = left = 0
    for path in sorted(path for suffix in ("nc", "safetensors") for path in folder.glob(f"*/[!.]*.{suffix}")):
        dataset = path.suffix == ".nc"
        try:
            read_dataset(path) if dataset else read_tensors(path)
        except DamagedFile:
            place = migrate_dataset(path) if dataset else migrate_tensors(path)
            if place != path:
                path.unlink()
            rewritten += 1
        else:
            left += 1
    return rewritten, left


if __name__ == "__main__":
    results = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "results")
    print("{} files rewritten, {} already in the present form".format(*migrate(results)))
