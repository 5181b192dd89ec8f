"""Pictures that a loss surface is asked to draw: shapes, text, random masks and files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lossatlas._checks import flag, path_like, real_number, whole_number

LARGEST = 200  # cells along a side
EVERY = -1  # stands for all labels
SPAN = 1.25  # shapes fit into a square of this half-width

Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    y = y + 0.1
    return (x**2 + y**2 - 0.8) ** 3 < 1.2 * x**2 * y**3


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius = np.hypot(x, y)
    return (radius > 0.55) & (radius < 1.0)


def _spiral(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    return (np.mod(radius / 0.5 - angle / (2 * np.pi), 1) < 0.5) & (radius < 1.15)


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius, angle = np.hypot(x, y), np.arctan2(x, y)
    corner = np.abs(np.mod(angle, 2 * np.pi / 5) - np.pi / 5) / (np.pi / 5)  # 1 at a point of the star, 0 between
    return radius < 0.45 + 0.7 * corner**1.6


def _checkerboard(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (np.floor(2 * (x + SPAN) / SPAN) + np.floor(2 * (y + SPAN) / SPAN)) % 2 == 0


def _smiley(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius = np.hypot(x, y)
    eyes = np.hypot(np.abs(x) - 0.38, y - 0.32) < 0.16
    mouth = (np.abs(np.hypot(x, y + 0.02) - 0.6) < 0.09) & (y < -0.22)
    return (np.abs(radius - 1.0) < 0.1) | eyes | mouth


SHAPES: dict[str, Shape] = {
    "heart": _heart,
    "ring": _ring,
    "spiral": _spiral,
    "star": _star,
    "checkerboard": _checkerboard,
    "smiley": _smiley,
}


def picture(what: str | os.PathLike, *, size: int = 30, grey: bool = False) -> np.ndarray:
    """Return a picture: a shape, a text, or the picture in a file.

    Parameters
    ----------
    what
        One of ``SHAPES`` ("heart", "ring", "spiral", "star", "checkerboard", "smiley"), a path to a PNG file, or any
        other text, which is drawn in letters.
    size
        Cells along the longer side.
    grey
        Whether a file keeps its greys.

    Returns
    -------
    ndarray of bool
        (rows, columns), the first row on top; True is black, where the loss is to be low. With ``grey``, numbers from
        0 (black) to 1 (white).

    Raises
    ------
    ValueError
        If ``size`` is out of range, the text is empty or cannot be drawn, or the file has no black or no white cell.

    Examples
    --------
    >>> for row in picture("ring", size=9):
    ...     print("".join("-#"[int(cell)] for cell in row))
    ---------
    ---###---
    --#####--
    -##---##-
    -##---##-
    -##---##-
    --#####--
    ---###---
    ---------
    """
    size = whole_number(size, "size", least=3, most=LARGEST)
    path_like(what, "what")
    if flag(grey, "grey"):
        if not (isinstance(what, os.PathLike) or Path(what).suffix.lower() == ".png"):
            raise ValueError(f"grey=True: expected a PNG file, not what={what!r}")
        return _from_file(Path(what), size)
    if isinstance(what, str) and what in SHAPES:
        side = SPAN * (2 * np.arange(size) + 1 - size) / size
        found = SHAPES[what](side[None, :], -side[:, None])
    elif isinstance(what, os.PathLike) or Path(what).suffix.lower() == ".png":
        found = _from_file(Path(what), size) < 0.5
    else:
        found = _letters(str(what), size)
    return check_picture(found, name=f"what={str(what)!r:.60}")


def random_mask(share: float, *, size: int = 30, seed: int = 0) -> np.ndarray:
    """Return a picture of random cells.

    Parameters
    ----------
    share
        Share of black cells, between 0 and 1; that many cells are black, rounded to a whole number.
    size
        Cells along each side.
    seed
        Decides which.

    Returns
    -------
    ndarray of bool
        (size, size); True is black.

    Examples
    --------
    >>> int(random_mask(0.3, size=10).sum())
    30
    """
    share = real_number(share, "share", above=0, below=1)
    size = whole_number(size, "size", least=3, most=LARGEST)
    black = min(max(round(share * size**2), 1), size**2 - 1)
    order = np.random.default_rng(whole_number(seed, "seed", least=0)).permutation(size**2)
    return (order < black).reshape(size, size)


def check_pictures(found: object, levels: Any) -> dict[int, np.ndarray]:
    """Return checked pictures by label: black and white without ``levels``. One for all labels stands at ``EVERY``.

    Raises
    ------
    ValueError
        If one is no picture, a label is no whole number, or their shapes differ.
    """
    every = dict(found) if isinstance(found, Mapping) else {EVERY: found}
    if isinstance(found, Mapping):
        every = {whole_number(label, "picture: a label", least=0): one for label, one in every.items()}
    checked = {
        label: check_picture(one, name="picture") if levels is None else check_greys(one, levels)
        for label, one in every.items()
    }
    if len({one.shape for one in checked.values()}) != 1:
        shapes = [one.shape for one in checked.values()]
        raise ValueError(f"picture: shapes {shapes!r:.60}; expected at least one picture, and all of one shape")
    return checked


def check_picture(found: object, *, name: str) -> np.ndarray:
    """Return a two-valued picture as booleans, True where it is black. Raises ValueError for anything else."""
    cells = np.asarray(found)
    if cells.ndim != 2 or cells.dtype.kind not in "biuf" or not np.isfinite(cells).all():
        raise ValueError(f"{name}: expected an array (rows, columns) of finite numbers or booleans, not {found!r:.60}")
    if min(cells.shape) < 1 or max(cells.shape) > LARGEST:
        raise ValueError(f"{name}: {cells.shape[0]}×{cells.shape[1]} cells, expected at most {LARGEST} along a side")
    values = np.unique(cells)
    if len(values) != 2:
        raise ValueError(f"{name}: {len(values)} different values; expected black and white cells")
    return cells if cells.dtype == bool else cells == values[0]


def check_greys(found: object, levels: Any) -> np.ndarray:
    """Return the losses that the cells of a grey picture are to have. Raises ValueError for anything else."""
    try:
        first, second = levels
        low, high = real_number(first, "levels"), real_number(second, "levels")
    except TypeError:
        raise ValueError(f"levels={levels!r:.60}: expected two losses, for black and for white cells") from None
    cells = np.asarray(found)
    if cells.ndim != 2 or cells.dtype.kind not in "biuf" or not ((cells >= 0) & (cells <= 1)).all():
        raise ValueError(f"picture: expected an array (rows, columns) of numbers from 0 to 1, not {found!r:.60}")
    if not 1 <= min(cells.shape) <= max(cells.shape) <= LARGEST or cells.min() == cells.max() or low == high:
        raise ValueError(f"picture, levels: expected at most {LARGEST} cells along a side, and different losses")
    return low + (high - low) * cells.astype(np.float64)


def _from_file(path: Path, size: int) -> np.ndarray:
    """Return the greys of a picture file, from 0 (black) to 1, resized; transparent pixels are white."""
    from matplotlib.image import imread

    try:
        pixels = np.asarray(imread(path), dtype=np.float64)
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"what={str(path)!r}: cannot be read as a picture ({error})") from None
    pixels = np.atleast_3d(pixels)
    grey = pixels[..., : min(3, pixels.shape[2])].mean(axis=2)
    if pixels.shape[2] in (2, 4):
        grey = 1 - (1 - grey) * pixels[..., -1]
    return _resized(grey, size)


def _letters(text: str, size: int) -> np.ndarray:
    """Return text drawn in the bold font that comes with matplotlib."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path as Outline
    from matplotlib.textpath import TextPath

    if not text.strip():
        raise ValueError(f"what={text!r}: expected a shape, a file or a text that can be drawn")
    outline = TextPath((0, 0), text, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    low, high = outline.vertices.min(0), outline.vertices.max(0)
    margin = 0.12 * (high - low).max()
    low, high = low - margin, high + margin
    columns, rows = np.maximum(3, np.round(size * (high - low) / (high - low).max()).astype(int))
    fine = 4  # points across a cell
    x = low[0] + (np.arange(columns * fine) + 0.5) * (high[0] - low[0]) / (columns * fine)
    y = high[1] - (np.arange(rows * fine) + 0.5) * (high[1] - low[1]) / (rows * fine)
    points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    within = [Outline(line).contains_points(points) for line in outline.to_polygons()]
    inside = np.logical_xor.reduce(within)  # the second outline of an O is that of its hole
    return inside.reshape(rows, fine, columns, fine).mean(axis=(1, 3)) > 0.5


def _resized(grey: np.ndarray, size: int) -> np.ndarray:
    """Return a picture whose longer side has ``size`` cells, each the mean of the pixels that it covers."""
    factor = size / max(grey.shape)
    rows, columns = (max(1, round(factor * side)) for side in grey.shape)
    for cells in (rows, columns):  # each axis in turn comes first
        edges, at = np.linspace(0, len(grey), cells + 1), np.arange(len(grey) + 1)
        total = np.vstack([np.zeros((1, grey.shape[1])), np.cumsum(grey, axis=0)])
        sums = np.stack([np.interp(edges, at, line) for line in total.T])
        grey = np.diff(sums, axis=1) * cells / len(grey)
    return grey
