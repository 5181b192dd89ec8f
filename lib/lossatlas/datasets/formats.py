"""File formats of the datasets: the canonical form of a file, and its contents as arrays."""

from __future__ import annotations

import io

import numpy as np


def arff_form(contents: bytes) -> bytes:
    """Return the data rows of an ARFF file, one a line: copies differ in comments, blanks and line endings."""
    lines = (b"".join(line.split()) for line in contents.splitlines())
    return b"".join(line + b"\n" for line in lines if line and not line.startswith((b"%", b"@")))


def cifar_form(image: bytes, labels: list[int]) -> bytes:
    """Return a PNG with one image a row (each row a row-major RGB image) in CIFAR-10's binary layout.

    That is a label byte, then the red, the green and the blue plane, image after image.
    """
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    planes = pixels.transpose(0, 2, 1).reshape(len(pixels), -1)
    return np.column_stack([np.asarray(labels, dtype=np.uint8), planes]).tobytes()


def decode_idx(contents: bytes) -> np.ndarray:
    """Return the array of an IDX file of bytes: two zeros, the type 8, the rank, big-endian sizes, the values."""
    if contents[:3] != b"\0\0\x08":
        raise ValueError(f"IDX file starts with {contents[:3]!r}: expected {bytes([0, 0, 8])!r} (unsigned bytes)")
    rank = contents[3]
    shape = np.frombuffer(contents, ">u4", count=rank, offset=4)
    return np.frombuffer(contents, np.uint8, offset=4 + 4 * rank).reshape(shape.astype(int))


def decode_cifar(contents: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) and labels (N,) of a CIFAR-10 binary batch: a label byte and 3072 pixels each."""
    rows = np.frombuffer(contents, np.uint8).reshape(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]


# The attributes of seismic-bumps in order: what a number is divided by, or the letters that count from 0
SEISMIC_COLUMNS: dict[str, float | str] = {
    "seismic": "abcd",
    "seismoacoustic": "abcd",
    "shift": "WN",
    "genergy": 1e5,
    "gpuls": 1e3,
    "gdenergy": 100,
    "gdpuls": 100,
    "ghazard": "abcd",
    **dict.fromkeys([f"nbumps{energies}" for energies in ("", 2, 3, 4, 5, 6, 7, 89)], 1),
    "energy": 1e4,
    "maxenergy": 1e4,
}


def decode_seismic(contents: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Scaled attributes float32 (N, 18) and classes float32 (N, 1) of seismic-bumps rows."""
    columns = list(zip(*(line.split(",") for line in contents.decode("ascii").splitlines()), strict=True))
    scaled = []
    for column, scale in zip(columns[:-1], SEISMIC_COLUMNS.values(), strict=True):
        if isinstance(scale, str):
            scaled.append(np.array([scale.index(value) for value in column], float))
        else:
            scaled.append(np.array(column, float) / scale)
    return np.stack(scaled, axis=1).astype(np.float32), np.array(columns[-1], np.float32)[:, None]
