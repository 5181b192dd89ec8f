import json
import os

import numpy as np
import pytest
import torch
import xarray as xr

from lossatlas.study.conditions import jsonable
from lossatlas.study.store import Store

REQUEST = {"model": "cnn-1", "seed": 0, "grid": [0, 1]}


def dataset(value=1.0):
    values = np.array([[value, np.inf], [np.nan, -2.5]])
    return xr.Dataset({"loss": (("alpha", "beta"), values)}, {"alpha": [0.0, 1.0], "beta": [0.0, 1.0]}, {"n": 3})


def never():
    raise AssertionError("computed although it is stored")


def test_computed_once_then_found(tmp_path):
    store = Store(tmp_path / "depth")
    first = store.result("surface", REQUEST, dataset)
    again = store.result("surface", dict(reversed(REQUEST.items())), never)  # the order of keys is no matter
    xr.testing.assert_identical(first, again)
    np.testing.assert_array_equal(again.loss, dataset().loss)  # inf and NaN survive
    assert json.loads(again.attrs["request"]) == REQUEST
    (file,) = (tmp_path / "depth").iterdir()
    assert file.name == f"{again.attrs['key']}.nc"


def test_another_request_is_another_file(tmp_path):
    store = Store(tmp_path)
    store.result("surface", REQUEST, dataset)
    other = store.result("surface", {**REQUEST, "seed": 1}, lambda: dataset(5.0))
    assert float(other.loss[0, 0]) == 5.0 and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"not a file" * 99])
def test_a_corrupted_result_is_renamed_aside_told_and_computed_again(tmp_path, spoil):
    store = Store(tmp_path)
    store.result("surface", REQUEST, dataset)
    path = store.path("surface", REQUEST, ".nc")
    spoiled = spoil(path.read_bytes())
    path.write_bytes(spoiled)
    with pytest.warns(UserWarning, match="cannot be used: it cannot be read.* kept as .*corrupt-1"):
        found = store.result("surface", REQUEST, lambda: dataset(7.0))
    assert float(found.loss[0, 0]) == 7.0
    assert path.with_name(path.name + ".corrupt-1").read_bytes() == spoiled
    assert float(store.result("surface", REQUEST, never).loss[0, 0]) == 7.0


def test_an_interrupt_while_storing_leaves_the_old_file_whole(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.put_tensors("weights", REQUEST, {"w": torch.ones(2)})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.put_tensors("weights", REQUEST, {"w": torch.zeros(2)})
    with pytest.raises(KeyboardInterrupt):
        store.result("surface", REQUEST, dataset)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(self, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(OSError, match="No space left"):
        Store(tmp_path).result("surface", REQUEST, dataset)
    assert list(tmp_path.iterdir()) == []


def test_tensors(tmp_path):
    store = Store(tmp_path)
    assert store.tensors("weights", REQUEST) is None
    params = {"w": torch.randn(3, 4).T, "b": torch.tensor([float("nan"), 1.0])}
    store.tensors("weights", REQUEST, lambda: params)
    found = store.tensors("weights", REQUEST, never)
    assert torch.equal(found["w"], params["w"]) and found["b"].isnan().tolist() == [True, False]
    path = store.path("weights", REQUEST, ".safetensors")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(UserWarning, match="cannot be used"):
        assert store.tensors("weights", REQUEST) is None


def test_bad_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"name='\.\./up': expected letters"):
        Store(tmp_path).path("../up", REQUEST, ".nc")


def test_jsonable():
    value = {"a": np.float64(1.5), 2: (np.arange(2), [np.int64(3)])}
    assert json.loads(json.dumps(jsonable(value))) == {"a": 1.5, "2": [[0, 1], [3]]}
