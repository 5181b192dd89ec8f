"""Check the arguments of the package's functions; errors name the argument, its value and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import xarray as xr


def check_integer(name: str, value: Any, *, least: int) -> int:
    """Return `value` as an int.

    Raises
    ------
    ValueError
        If it is not an integer of at least `least`.

    Examples
    --------
    >>> check_integer("contours", 12, least=0)
    12
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}; expected an integer of at least {least}")
    return int(value)


def check_text(name: str, value: Any) -> str | None:
    """Return `value`, which must be a text or None."""
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}={value!r}; expected a text or None")
    return value


def check_titled(name: str, value: Any, *, what: str) -> dict[str, Any]:
    """Return `value`, which must be a mapping from titles, as a dict."""
    if not isinstance(value, Mapping) or isinstance(value, xr.Dataset):
        raise ValueError(f"{name} is a {type(value).__name__}; expected a mapping {{title: {what}}}")
    if wrong := [title for title in value if not isinstance(title, str)]:
        raise ValueError(f"{name} has the title {wrong[0]!r}; expected texts as titles")
    return dict(value)


def check_path(path: Any, name: str = "path") -> xr.Dataset:
    """Return `path`, which must be a trajectory: a Dataset with alpha and beta over one dimension.

    Raises
    ------
    ValueError
        If it is something else, such as a surface.
    """
    if not isinstance(path, xr.Dataset):
        raise ValueError(f"{name} is a {type(path).__name__}; expected an xarray.Dataset with alpha and beta over step")
    if missing := [axis for axis in ("alpha", "beta") if axis not in path.variables]:
        raise ValueError(f"{name} has no {' and no '.join(missing)}; it has {list(path.variables)}")
    alpha, beta = path["alpha"], path["beta"]
    if alpha.ndim != 1 or alpha.dims != beta.dims or not alpha.size:
        raise ValueError(
            f"{name}: alpha has dimensions {alpha.dims} and beta {beta.dims}; expected a trajectory, both over step"
        )
    if any(not np.issubdtype(axis.dtype, np.number) for axis in (alpha, beta)):
        raise ValueError(f"{name}: alpha has the type {alpha.dtype} and beta {beta.dtype}; expected real numbers")
    return path
