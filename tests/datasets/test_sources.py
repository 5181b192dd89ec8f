"""The files of a dataset: their forms, where they are looked for, what is done with bad ones."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import struct
import threading
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lossatlas.datasets import DatasetUnavailable, cache, formats, load_dataset, sources

# --- handmade files ---------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    """An IDX file by the format's definition."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def sha256(contents: bytes) -> str:
    return "sha256:" + hashlib.sha256(contents).hexdigest()


def images(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


TINY_MNIST = {
    "train-images-idx3-ubyte": idx(images(5, 28, 28)),
    "train-labels-idx1-ubyte": idx(np.arange(5, dtype=np.uint8)),
    "t10k-images-idx3-ubyte": idx(images(3, 28, 28, seed=1)),
    "t10k-labels-idx1-ubyte": idx(np.array([9, 0, 9], np.uint8)),
}

ARFF = """% a comment, with a comma\r
@relation seismic-bumps\r
@attribute seismic {a,b,c,d}\r
\r
@data\r
a,b,W,20000,500,-50,25,c,7,1,2,3,4,5,6,8,15000,10000,1\r
d,a,N,100000,1000,100,-100,a,0,0,0,0,0,0,0,0,0,0,0 \r
"""


@pytest.fixture
def nothing_else(monkeypatch):
    """No LOSSATLAS_DATA, no network: a function that sets what the sources of a dataset answer."""
    monkeypatch.delenv("LOSSATLAS_DATA", raising=False)
    monkeypatch.delenv("LOSSATLAS_PROGRESS", raising=False)

    def answers(name: str, contents: dict[str, bytes], *fetchers, canonical=bytes):
        checksums = {file: sha256(canonical(data)) for file, data in contents.items()}
        monkeypatch.setitem(sources.FILES, name, sources.Files(checksums, fetchers, canonical))

    return answers


def refuse(message: str):
    def fetch(folder: Path) -> dict[str, bytes]:
        raise OSError(message)

    return fetch


def write(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in contents.items():
        (folder / file).write_bytes(data)


# --- their forms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 5, 3)])
def test_idx_files_are_decoded(shape):
    array = images(*shape)
    np.testing.assert_array_equal(formats.decode_idx(idx(array)), array)


def test_an_idx_file_of_another_type_is_refused():
    with pytest.raises(ValueError, match="unsigned bytes"):
        formats.decode_idx(b"\0\0\x0d\x01\0\0\0\x01abcd")


def test_a_png_becomes_the_binary_layout_of_cifar10():
    pictures = images(4, 32, 32, 3)  # image, row, column, colour
    png = io.BytesIO()
    Image.fromarray(pictures.reshape(4, 1024, 3)).save(png, "PNG")
    batch = formats.cifar_form(png.getvalue(), [3, 0, 9, 1])
    expected = b"".join(
        bytes([label]) + b"".join(picture[:, :, colour].tobytes() for colour in range(3))
        for label, picture in zip([3, 0, 9, 1], pictures, strict=True)
    )
    assert batch == expected
    decoded, labels = formats.decode_cifar(batch)
    np.testing.assert_array_equal(decoded[2, 1], pictures[2, :, :, 1])
    assert labels.tolist() == [3, 0, 9, 1]


def test_arff_rows_survive_comments_blanks_and_line_endings():
    rows = formats.arff_form(ARFF.encode())
    assert rows == formats.arff_form(ARFF.replace("\r\n", "\n").rstrip().encode()) == formats.arff_form(rows)
    assert rows.count(b"\n") == 2 and rows.startswith(b"a,b,W,20000")


# --- where files come from --------------------------------------------------------------------------------


def test_fetched_files_are_kept_and_found_again(nothing_else, tmp_path, capsys):
    nothing_else("mnist", TINY_MNIST, ("first", refuse("asleep")), ("second", lambda folder: TINY_MNIST))
    data = load_dataset("mnist", root=tmp_path)
    assert data.source == "second"
    assert capsys.readouterr().out.splitlines() == [
        "mnist: fetching from first",
        "mnist: fetching from second",
    ]
    assert {path.name: path.read_bytes() for path in (tmp_path / "mnist").iterdir()} == TINY_MNIST

    nothing_else("mnist", TINY_MNIST, ("nobody", refuse("asleep")))
    again = load_dataset("mnist", root=tmp_path)
    assert again.source == "root" and capsys.readouterr().out == ""
    assert again.train[0].shape == (5, 1, 28, 28) and again.train[0].dtype == torch.float32
    np.testing.assert_allclose(again.train[0][:, 0], images(5, 28, 28) / 255, rtol=1e-6)
    assert again.test[1].tolist() == [9, 0, 9] and again.test[1].dtype == torch.int64


def test_the_announcement_goes_where_progress_goes(nothing_else, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LOSSATLAS_PROGRESS", str(tmp_path / "progress"))
    nothing_else("mnist", TINY_MNIST, ("second", lambda folder: TINY_MNIST))
    load_dataset("mnist", root=tmp_path)
    assert (tmp_path / "progress").read_text() == "mnist: fetching from second\n"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("place", [".", "mnist"])
@pytest.mark.parametrize("zipped", [False, True])
def test_lossatlas_data_folders_are_read_where_they_are(nothing_else, tmp_path, monkeypatch, place, zipped):
    contents = {f"{file}.gz": gzip.compress(data) for file, data in TINY_MNIST.items()} if zipped else TINY_MNIST
    write(tmp_path / "mine" / place, contents)
    monkeypatch.setenv("LOSSATLAS_DATA", os.pathsep.join([str(tmp_path / "no such"), str(tmp_path / "mine")]))
    before = sorted((tmp_path / "mine").rglob("*"))
    nothing_else("mnist", TINY_MNIST, ("nobody", refuse("asleep")))
    data = load_dataset("mnist", root=tmp_path / "raw")
    assert data.source == "LOSSATLAS_DATA" and str(tmp_path) not in repr(data)
    assert data.train[1].tolist() == [0, 1, 2, 3, 4]
    assert not (tmp_path / "raw").exists() and sorted((tmp_path / "mine").rglob("*")) == before


def test_a_named_subfolder_comes_before_the_folder_itself(nothing_else, tmp_path, monkeypatch):
    write(tmp_path, dict.fromkeys(TINY_MNIST, b"of another dataset"))
    write(tmp_path / "mnist", TINY_MNIST)
    nothing_else("mnist", TINY_MNIST)
    monkeypatch.setenv("LOSSATLAS_DATA", str(tmp_path))
    assert load_dataset("mnist", root=tmp_path / "raw").source == "LOSSATLAS_DATA"


def test_corrupted_cached_files_are_renamed_told_and_fetched_again(nothing_else, tmp_path):
    bad = {
        "train-images-idx3-ubyte": TINY_MNIST["train-images-idx3-ubyte"][:-1] + b"?",
        "t10k-labels-idx1-ubyte": b"",
    }
    write(tmp_path / "mnist", {**TINY_MNIST, **bad})
    nothing_else("mnist", TINY_MNIST, ("again", lambda folder: TINY_MNIST))
    with pytest.warns(UserWarning) as told:
        assert load_dataset("mnist", root=tmp_path).source == "again"
    for file, contents in bad.items():
        assert any(file in str(one.message) and f"{file}.corrupt-1" in str(one.message) for one in told)
        assert (tmp_path / "mnist" / f"{file}.corrupt-1").read_bytes() == contents
        assert (tmp_path / "mnist" / file).read_bytes() == TINY_MNIST[file]

    write(tmp_path / "mnist", bad)  # the first one set aside is not lost to a second
    with pytest.warns(UserWarning, match="corrupt-2"):
        load_dataset("mnist", root=tmp_path)
    assert (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.corrupt-1").exists()


def test_a_corrupted_file_of_someone_else_is_left_alone(nothing_else, tmp_path, monkeypatch):
    write(tmp_path / "mine", {**TINY_MNIST, "t10k-labels-idx1-ubyte": b"?"})
    nothing_else("mnist", TINY_MNIST, ("again", lambda folder: TINY_MNIST))
    monkeypatch.setenv("LOSSATLAS_DATA", str(tmp_path / "mine"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_dataset("mnist", root=tmp_path / "raw").source == "again"
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == sorted(TINY_MNIST)


def test_offline_one_error_names_everything(nothing_else, tmp_path, monkeypatch):
    write(tmp_path / "raw" / "mnist", {"train-images-idx3-ubyte": TINY_MNIST["train-images-idx3-ubyte"]})
    write(tmp_path / "mine", {"t10k-labels-idx1-ubyte": b"\x1f\x8bnot gzip"})
    corrupt = ("mirror", lambda folder: dict.fromkeys(TINY_MNIST, b"wrong"))
    nothing_else("mnist", TINY_MNIST, ("official", refuse("name not known")), corrupt)
    monkeypatch.setenv("LOSSATLAS_DATA", str(tmp_path / "mine"))
    with pytest.raises(DatasetUnavailable) as caught:
        load_dataset("mnist", root=tmp_path / "raw")
    lines = str(caught.value).splitlines()
    assert lines[0] == "dataset 'mnist' is not available. Tried:"
    assert lines[1].startswith("  - root") and "not there: train-labels-idx1-ubyte, t10k-images" in lines[1]
    assert "train-images" not in lines[1]
    assert "LOSSATLAS_DATA" in lines[2] and "t10k-labels-idx1-ubyte cannot be read" in lines[2]
    assert lines[3] == "  - official: name not known"
    assert lines[4].startswith("  - mirror: train-images-idx3-ubyte has sha256")
    assert str(tmp_path / "raw" / "mnist") in lines[5] and all(file in lines[5] for file in TINY_MNIST)
    assert [path.name for path in (tmp_path / "raw" / "mnist").iterdir()] == ["train-images-idx3-ubyte"]


def test_a_cache_that_cannot_be_written_is_told_and_nothing_else(nothing_else, tmp_path):
    (tmp_path / "mnist").write_text("a file where the folder should be")
    nothing_else("mnist", TINY_MNIST, ("again", lambda folder: TINY_MNIST))
    with pytest.warns(UserWarning, match="not kept"):
        assert load_dataset("mnist", root=tmp_path).source == "again"


def test_an_interrupted_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    write(tmp_path, {"file": b"old"})

    def interrupted(path, contents):
        with open(path, "wb") as stream:
            stream.write(contents[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache._keep({"file": b"new"}, tmp_path)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_a_reader_never_meets_a_half_written_file(tmp_path):
    contents = {"file": bytes(1_000_000)}
    cache._keep(contents, tmp_path)
    writers = [threading.Thread(target=lambda: [cache._keep(contents, tmp_path) for _ in range(30)]) for _ in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert (tmp_path / "file").stat().st_size == 1_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# --- the sources themselves, against stand-ins for the other side -----------------------------------------


def test_idx_files_from_torchvision(tmp_path):
    class Images:
        def __init__(self, folder, *, download):
            self.raw_folder = str(folder / "Images" / "raw")
            write(folder / "Images" / "raw", TINY_MNIST)

    assert sources._idx_files(tmp_path, Images) == TINY_MNIST


@pytest.fixture
def server(tmp_path):
    """A folder served on this machine: (folder, address)."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{service.server_port}"
        service.shutdown()


def test_downloads_are_checked_and_leave_no_trace_on_stderr(server, tmp_path, capfd):
    folder, address = server
    (folder / "text").write_bytes(b"to be")
    assert sources.download(f"{address}/text", tmp_path, known_hash=sha256(b"to be")) == b"to be"
    with pytest.raises(ValueError, match="hash"):
        sources.download(f"{address}/text", tmp_path / "again", known_hash=sha256(b"or not"))
    assert capfd.readouterr().err == ""


def test_seismic_bumps_from_the_archive_that_uci_serves(monkeypatch, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        files.writestr("seismic-bumps.arff", ARFF)
    monkeypatch.setattr(sources, "download", lambda url, folder: packed.getvalue())
    assert sources._seismic_bumps(tmp_path) == {"seismic-bumps.arff": ARFF.encode()}
