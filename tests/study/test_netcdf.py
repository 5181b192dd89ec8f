"""The quick reader of stored files gives what xarray gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lossatlas.study import netcdf

ROOT = Path(__file__).resolve().parents[2]


def test_stored_surfaces_need_no_other_reader(monkeypatch):
    monkeypatch.setattr(netcdf.xr, "load_dataset", pytest.fail)
    path = next((ROOT / "data" / "results").glob("*/surface-*.nc"))
    assert {"alpha", "beta", "loss"} <= set(netcdf.load(path, path.read_bytes()).variables)


def kinds() -> list[Path]:
    """One stored file of every chapter and kind."""
    files = sorted((ROOT / "data" / "results").glob("*/*.nc"))
    return list({(path.parent.name, path.name.partition("-")[0]): path for path in files}.values())


def check(path: Path) -> None:
    expected = xr.load_dataset(path, engine="h5netcdf")
    found = netcdf.load(path, path.read_bytes())
    xr.testing.assert_identical(found, expected)
    for one, other in ((found, expected), *((found[name], expected[name]) for name in expected.variables)):
        assert [(key, type(value)) for key, value in one.attrs.items()] == [
            (key, type(value)) for key, value in other.attrs.items()
        ]
    assert {name: found[name].dtype for name in found.variables} == {
        name: expected[name].dtype for name in expected.variables
    }


@pytest.mark.parametrize("path", kinds(), ids=lambda path: f"{path.parent.name}-{path.name[:20]}")
def test_stored_files_are_read_as_xarray_reads_them(path):
    check(path)


@pytest.mark.parametrize(
    "dataset",
    [
        xr.Dataset({"a": ("x", [1.0, np.nan])}, {"x": [1, 2], "seed": 3}, {"words": "ä", "many": [1, 2], "one": [1.5]}),
        xr.Dataset({"a": ("x", np.arange(3, dtype="float32"), {"units": "nats"})}),
        xr.Dataset({"a": ("x", [1.0, 2.0], {"units": "seconds"})}),
        xr.Dataset({"a": ("x", [1, 2], {"units": "days since 2026-01-01"})}),
        xr.Dataset({"a": ("x", [1, 2], {"units": "millimetres a day"})}, {"x": ("x", [1, 2], {"units": "steps"})}),
        xr.Dataset({"truth": ("x", [True, False])}),
        xr.Dataset({"words": ("x", ["a", "bc"])}),
        xr.Dataset({"when": ("x", np.array(["2026-01-02"], dtype="datetime64[ns]"))}),
        xr.Dataset({"a": ((), 1.0)}, attrs={"empty": ""}),
        xr.Dataset({"a": (("x", "y"), np.zeros((2, 0)))}),
        xr.Dataset({"a": (("x", "x2"), np.eye(2))}, {"far": ("x", [3.0, 4.0])}),
    ],
    ids=str,
)
def test_files_of_any_kind_are_read_as_xarray_reads_them(tmp_path, dataset):
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    check(tmp_path / "a.nc")
