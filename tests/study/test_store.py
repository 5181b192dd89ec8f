import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import xarray as xr

from lossatlas import _files
from lossatlas._files import written_whole
from lossatlas.study import files
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
    with pytest.warns(UserWarning, match="cannot be read .* kept as .*corrupt-1"):
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
    with pytest.warns(UserWarning, match="cannot be read"):
        assert store.tensors("weights", REQUEST) is None


def test_bad_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"name='\.\./up': expected letters"):
        Store(tmp_path).path("../up", REQUEST, ".nc")


def test_jsonable():
    value = {"a": np.float64(1.5), 2: (np.arange(2), [np.int64(3)])}
    assert json.loads(json.dumps(jsonable(value))) == {"a": 1.5, "2": [[0, 1], [3]]}


KILLED = """
import os, signal, sys
from pathlib import Path
from lossatlas._files import written_whole
with written_whole(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):
    path = tmp_path / "surface-0.nc"
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    (left,) = tmp_path.iterdir()
    with written_whole(tmp_path / "other.nc") as own:
        assert own.exists() and not left.exists()
        elsewhere = tmp_path / own.name.replace(f"{os.getpid()}", "1").replace(_files._machine(), "0a1b2c")
        elsewhere.touch()
        hidden = tmp_path / ".notes.txt"
        hidden.touch()
        with written_whole(tmp_path / "third.nc") as third:
            assert own.exists() and third.exists()  # their writer is at work
    assert {p.name for p in tmp_path.iterdir()} == {elsewhere.name, hidden.name, "other.nc", "third.nc"}
    day_before = time.time() - _files.OLD - 60
    os.utime(elsewhere, (day_before, day_before))
    _files.remove_left_over(tmp_path)
    assert not elsewhere.exists() and hidden.exists()


# what is read must be what was written


def stored_files(folder) -> tuple[Store, Path, Path]:
    store = Store(folder)
    generator = np.random.default_rng(0)
    values = xr.Dataset({"loss": (("alpha", "beta"), generator.normal(size=(9, 9)))}, {"alpha": np.arange(9.0)})
    store.result("surface", REQUEST, lambda: values.assign_attrs(seed=0, split="test"))
    store.put_tensors("weights", REQUEST, {"w": torch.randn(5, 7), "b": torch.randn(5)})
    return store, store.path("surface", REQUEST, ".nc"), store.path("weights", REQUEST, ".safetensors")


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_flipped_bit_of_a_weight_file_is_noticed(tmp_path):
    _, _, path = stored_files(tmp_path)
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 5):  # header and data, every bit of a byte in turn
        path.write_bytes(flipped(content, bit))
        with pytest.raises(files.DamagedFile):
            files.read_tensors(path, request=REQUEST)


def test_every_flipped_bit_of_a_result_is_noticed(tmp_path):
    _, path, _ = stored_files(tmp_path)
    content = path.read_bytes()
    for bit in np.random.default_rng(1).permutation(8 * len(content))[:1000]:
        path.write_bytes(flipped(content, int(bit)))
        with pytest.raises(files.DamagedFile):
            files.read_dataset(path, request=REQUEST)


def huge(path):
    with h5py.File(path, "w") as file:
        file.attrs["request"] = json.dumps(REQUEST)
        file.create_dataset("loss", (20_000, 20_000), chunks=(100, 100), dtype="f8")


def another_request(path):
    dataset = xr.load_dataset(path, engine="h5netcdf")
    path.unlink()
    files.write_dataset(path, dataset.assign_attrs(request=json.dumps({**REQUEST, "seed": 1})))


def no_request(path):
    path.unlink()
    files.write_dataset(path, xr.Dataset())


def saved_by_others(path):
    dataset = xr.load_dataset(path, engine="h5netcdf")
    path.unlink()
    dataset.to_netcdf(path, engine="h5netcdf")


def another_value(path):
    with h5py.File(path, "r+") as file:
        file["loss"][3, 4] += 1e-12


def another_attribute(path):
    with h5py.File(path, "r+") as file:
        file.attrs["split"] = "train"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: h5py.File(path, "w").close(), "it has no digest"),
        (huge, "it has no digest"),
        (saved_by_others, "it has no digest"),
        (another_request, "answer to another request"),
        (no_request, "does not say what it is the answer to"),
        (another_value, "it has no digest|digest differs"),
        (another_attribute, "it has no digest|digest differs"),
    ],
)
def test_a_file_that_is_not_the_answer_is_set_aside_and_computed_again(tmp_path, spoil, words):
    store, path, _ = stored_files(tmp_path)
    spoil(path)
    before = peak_memory()
    with pytest.warns(UserWarning, match=f"({words}).*kept as .*corrupt-1"):
        found = store.result("surface", REQUEST, lambda: dataset(7.0))
    assert float(found.loss[0, 0]) == 7.0 and peak_memory() - before < 100e6
    xr.testing.assert_identical(store.result("surface", REQUEST, never), found)


def peak_memory() -> float:
    """The largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_renamed_file_is_no_answer(tmp_path):
    store, path, weights = stored_files(tmp_path)
    other = {**REQUEST, "seed": 5}
    path.rename(store.path("surface", other, ".nc"))
    weights.rename(store.path("weights", other, ".safetensors"))
    with pytest.raises(files.DamagedFile, match="its request is not what its name says"):
        files.read_dataset(store.path("surface", other, ".nc"))
    with pytest.warns(UserWarning, match="answer to another request"):
        assert float(store.result("surface", other, lambda: dataset(3.0)).loss[0, 0]) == 3.0
    with pytest.warns(UserWarning, match="answer to another request"):
        assert store.tensors("weights", other) is None


def test_other_programs_can_read_a_result(tmp_path):
    store, path, _ = stored_files(tmp_path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["loss"], store.result("surface", REQUEST, never).loss)
