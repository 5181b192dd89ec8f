"""Who holds the files of a dataset, and what the files must be.

Each file is brought into one canonical form (unzipped; CIFAR-10 in its official binary layout; the rows of an
ARFF file) and only then compared with its checksum, so that the same bytes reach the caller whichever source
answered.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import socket
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lossatlas.datasets.formats import arff_form

CONNECT_SECONDS = 10  # a host that does not answer must not hold up the next source

Fetch = Callable[[Path], dict[str, bytes]]


class CorruptFile(ValueError):
    """A file's contents do not have the checksum of the official release."""


def _watched() -> bool:
    return bool(os.environ.get("LOSSATLAS_PROGRESS")) or sys.stderr.isatty()


@contextlib.contextmanager
def _downloading() -> Iterator[None]:
    """Let connections time out, and send the progress bars of others where ours go: never into a notebook."""
    place = os.environ.get("LOSSATLAS_PROGRESS")
    before = socket.getdefaulttimeout()
    with contextlib.ExitStack() as stack:
        if place:
            stream = stack.enter_context(open(place, "a", encoding="utf-8", buffering=1))
            stack.enter_context(contextlib.redirect_stderr(stream))
        elif not sys.stderr.isatty():
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        socket.setdefaulttimeout(CONNECT_SECONDS)
        try:
            yield
        finally:
            socket.setdefaulttimeout(before)


def _from_torchvision(name: str, convert: Callable[[Path, type], dict[str, bytes]]) -> Fetch:
    def fetch(folder: Path) -> dict[str, bytes]:
        from torchvision import datasets

        with _downloading():
            return convert(folder, getattr(datasets, name))

    return fetch


def _idx_files(folder: Path, images: type) -> dict[str, bytes]:
    raw = Path(images(folder, download=True).raw_folder)
    return {file: (raw / file).read_bytes() for file in MNIST}


def _cifar_batches(folder: Path, images: type) -> dict[str, bytes]:
    parts = [images(folder, train=True, download=True), images(folder, train=False)]
    pixels = [part.data.transpose(0, 3, 1, 2).reshape(-1, 3072) for part in parts]
    rows = [np.column_stack([np.uint8(part.targets), planes]) for part, planes in zip(parts, pixels, strict=True)]
    batches = np.concatenate(rows).reshape(len(CIFAR10), -1)
    return {file: batch.tobytes() for file, batch in zip(CIFAR10, batches, strict=True)}


def download(url: str, folder: Path, *, known_hash: str | None = None) -> bytes:
    """Return what lies at an address, with a progress bar where somebody looks. Raises OSError if nothing answers."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=CONNECT_SECONDS)
    with _downloading():
        return Path(pooch.retrieve(url, known_hash, path=folder, downloader=downloader)).read_bytes()


def _seismic_bumps(folder: Path) -> dict[str, bytes]:
    archive = download("https://archive.ics.uci.edu/static/public/266/seismic+bumps.zip", folder)
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        member = next(member for member in files.namelist() if member.endswith("seismic-bumps.arff"))
        return {"seismic-bumps.arff": files.read(member)}


def _seismic_bumps_plain(folder: Path) -> dict[str, bytes]:
    url = "https://archive.ics.uci.edu/ml/machine-learning-databases/00266/seismic-bumps.arff"
    return {"seismic-bumps.arff": download(url, folder)}


def _tinyshakespeare(folder: Path) -> dict[str, bytes]:
    commit = "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
    url = f"https://raw.githubusercontent.com/karpathy/char-rnn/{commit}/data/tinyshakespeare/input.txt"
    return {file: download(url, folder, known_hash=checksum) for file, checksum in SHAKESPEARE.items()}


MNIST = {
    "train-images-idx3-ubyte": "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
FASHION_MNIST = {
    "train-images-idx3-ubyte": "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
CIFAR10 = {
    "data_batch_1.bin": "md5:5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "md5:5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "md5:942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "md5:ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "md5:53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "md5:803d5f7f4d78ea53de84dbe85f74fb6d",
}
SEISMIC_BUMPS = {"seismic-bumps.arff": "sha256:80be804a920bbf83300abba32e7a4e572e5009afa3e4c30e470d1d7a8617e5f6"}
SHAKESPEARE = {"tinyshakespeare.txt": "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"}


@dataclass(frozen=True)
class Files:
    """Describe the files of a dataset: checksums of their canonical form, and who has them.

    Parameters
    ----------
    checksums
        File name to "algorithm:hex".
    fetchers
        (source's name, function that is given an empty temporary folder and returns the contents of every file), in
        the order in which they are tried.
    canonical
        The form that is checked and kept.
    what
        What these files are, for messages.
    """

    checksums: Mapping[str, str]
    fetchers: tuple[tuple[str, Fetch], ...]
    canonical: Callable[[bytes], bytes] = bytes
    what: str = "dataset"

    def checked(self, file: str, contents: bytes) -> bytes:
        """Plain or gzipped ``contents`` in canonical form. Raises CorruptFile unless the checksum agrees."""
        algorithm, expected = self.checksums[file].split(":")
        try:
            contents = self.canonical(gzip.decompress(contents) if contents[:2] == b"\x1f\x8b" else contents)
        except Exception as error:
            raise CorruptFile(f"{file} cannot be read ({error})") from error
        found = hashlib.new(algorithm, contents).hexdigest()
        if found != expected:
            raise CorruptFile(f"{file} has {algorithm} {found[:12]}…, expected {expected[:12]}…")
        return contents


FILES: dict[str, Files] = {
    "mnist": Files(
        MNIST,
        (("torchvision", _from_torchvision("MNIST", _idx_files)),),
    ),
    "cifar10": Files(
        CIFAR10,
        (("torchvision", _from_torchvision("CIFAR10", _cifar_batches)),),
    ),
    "fashion-mnist": Files(
        FASHION_MNIST,
        (("torchvision", _from_torchvision("FashionMNIST", _idx_files)),),
    ),
    "seismic-bumps": Files(
        SEISMIC_BUMPS,
        (
            ("UCI Machine Learning Repository, archive", _seismic_bumps),
            ("UCI Machine Learning Repository, file", _seismic_bumps_plain),
        ),
        arff_form,
    ),
    "shakespeare": Files(SHAKESPEARE, (("char-rnn repository", _tinyshakespeare),)),
}
