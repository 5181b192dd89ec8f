"""What the functions of this package are given: checked and normalized in one place, before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from lossatlas.directions.subspaces import Subspace


def check_grid(values: Sequence[float] | None, name: str, *, least: int = 2) -> np.ndarray:
    """Return coordinates along one axis as a float64 array.

    Parameters
    ----------
    values : sequence of float
        Coordinates.
    name : str
        What a message calls them.
    least : int
        How many of them there must be.

    Raises
    ------
    ValueError
        If there are fewer of them, or if they are not finite or not increasing.

    Examples
    --------
    >>> check_grid([0, 1], "alphas")
    array([0., 1.])
    """
    try:
        if values is None:
            raise TypeError
        grid = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={values!r}: expected increasing numbers") from error
    if grid.ndim != 1 or grid.size < least:
        points = "1 point" if least == 1 else f"{least} points"
        raise ValueError(f"{name}: shape {grid.shape}, expected one dimension with at least {points}")
    if not np.isfinite(grid).all():
        bad = int(np.flatnonzero(~np.isfinite(grid))[0])
        raise ValueError(f"{name}[{bad}] = {grid[bad]}: every grid value must be finite")
    if (np.diff(grid) <= 0).any():
        bad = int(np.flatnonzero(np.diff(grid) <= 0)[0])
        raise ValueError(f"{name}: not increasing at index {bad} ({grid[bad]:g} then {grid[bad + 1]:g})")
    return grid


def make_grid(plane: Subspace, given: Mapping[str, Sequence[float] | None]) -> dict[str, np.ndarray]:
    """Return the checked coordinates by dimension, by default 51 within the axis' bounds, then those of the first axis.

    Raises
    ------
    ValueError
        If a grid is none, or is given for an axis that the subspace does not have.
    """
    names = [axis.name for axis in plane.axes]
    for name, values in given.items():
        if values is not None and name not in names:
            raise ValueError(f"{name}s: given for a {type(plane).__name__}, whose axes are {', '.join(names)}")
    grid: dict[str, np.ndarray] = {}
    for name, axis in zip(names, plane.axes, strict=True):
        values = given.get(name)
        if values is None:
            values = next(iter(grid.values()), np.linspace(*axis.bounds, 51)).tolist()
        grid[name] = check_grid(values, f"{name}s")
    return grid


def check_plane(plane) -> None:
    """Raise ValueError unless this is a subspace with tensors for its origin and directions."""
    if not isinstance(plane, Subspace):
        got = f"the class {plane.__name__}" if isinstance(plane, type) else type(plane).__name__
        raise ValueError(f"plane: got {got}, expected a Plane or a Line (see random_plane), a Box or a Curve")


def check_memory(memory) -> int | None:
    """Return a number of bytes. Raise ValueError if it is none, or less than one."""
    if memory is None:
        return None
    if isinstance(memory, bool | np.bool_) or not isinstance(memory, Integral) or int(memory) <= 0:
        raise ValueError(f"memory={memory!r}: expected a number of bytes, at least 1")
    return int(memory)


def check_resume(resume) -> Path | None:
    """Return the path of a resume file. Raise ValueError if no file can be written there."""
    if resume is None:
        return None
    if not isinstance(resume, str | os.PathLike) or not os.fspath(resume):
        raise ValueError(f"resume={resume!r}: expected the path of a file")
    path = Path(os.fsdecode(resume))
    if path.is_dir():
        raise ValueError(f"resume={str(path)!r}: a folder, expected a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"resume={str(path)!r}: {str(folder)!r} is no folder to write in; expected the path of a file")
    return path


def check_client(client) -> None:
    """Check that this is None or a client of a Dask cluster. Raise ValueError if not, ImportError without Dask."""
    if client is None:
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("client: needs the package distributed (pip install 'lossatlas[distributed]')") from error
    if not isinstance(client, Client):
        raise ValueError(f"client: got {type(client).__name__}, expected a dask.distributed.Client")


def check_predict(predict) -> None:
    """Raise ValueError unless this is None or a callable."""
    if predict is not None and (isinstance(predict, type) or not callable(predict)):
        raise ValueError(f"predict={predict!r}: expected a callable (model, inputs) or None")


def plain_values(value: Any) -> Any:
    """Return a value as JSON can hold it: numbers of NumPy and tensors as numbers or lists, paths as text.

    Examples
    --------
    >>> plain_values({"seed": np.int64(3), "file": Path("a.pt"), "layers": {"out"}})
    {'seed': 3, 'file': 'a.pt', 'layers': ['out']}
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # arrays, tensors and their scalars
        return plain_values(value.tolist())
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, set | frozenset):
        return sorted(map(plain_values, value), key=str)
    if isinstance(value, list | tuple | type({}.keys()) | range):
        return [plain_values(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
