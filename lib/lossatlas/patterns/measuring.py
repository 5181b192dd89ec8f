"""How well a surface draws a picture."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from lossatlas._checks import instance_of
from lossatlas.patterns.pictures import check_picture


def fidelity(surface: xr.Dataset, picture: np.ndarray) -> xr.Dataset:
    """Measure how well the loss over a plane draws a picture.

    Parameters
    ----------
    surface
        Result of :func:`lossatlas.evaluate` at the ``alphas`` and ``betas`` of a :class:`Pattern`.
    picture
        The picture that was asked for.

    Returns
    -------
    Dataset
        ``auc``, the probability that a white cell has a higher loss than a black one (ties count one half; cells whose
        loss is not finite count as the highest); ``loss_black``, ``loss_white`` and ``loss_gap``, means over cells
        and their difference, without cells that are not finite (``n_not_finite``); and, if the surface has an
        accuracy, ``accuracy_black``, ``accuracy_white`` and ``accuracy_gap``, black minus white.

    Raises
    ------
    ValueError
        If the surface has another number of points than the picture has cells.

    Examples
    --------
    >>> losses = np.array([[0.1, 2.0], [2.0, 0.2]])  # alpha by beta
    >>> surface = xr.Dataset({"loss": (("alpha", "beta"), losses)}, {"alpha": [-0.5, 0.5], "beta": [-0.5, 0.5]})
    >>> round(float(fidelity(surface, np.array([[False, True], [True, False]])).loss_gap), 2)
    1.85
    """
    instance_of(surface, "surface", xr.Dataset, "a Dataset with the loss over alpha and beta")
    black = check_picture(picture, name="picture")
    if "loss" not in surface or set(surface.loss.dims) != {"alpha", "beta"}:
        raise ValueError("surface: expected a Dataset with the loss over alpha and beta")
    sizes = surface.sizes["beta"], surface.sizes["alpha"]
    if sizes != black.shape:
        raise ValueError(f"surface: {sizes[0]}×{sizes[1]} points, expected {black.shape[0]}×{black.shape[1]}")
    losses = as_cells(surface.loss)
    finite = np.isfinite(losses)
    ranks = rankdata(np.where(finite, losses, np.inf))
    whites, blacks = int((~black).sum()), int(black.sum())
    auc = (ranks[~black.ravel()].sum() - whites * (whites + 1) / 2) / (whites * blacks)
    found = {"auc": float(auc), "n_not_finite": int((~finite).sum())}
    found |= _compared(losses, black & finite, ~black & finite, "loss", sign=1)
    if "accuracy" in surface:
        found |= _compared(as_cells(surface.accuracy), black, ~black, "accuracy", sign=-1)
    return xr.Dataset(found)


def as_cells(values: xr.DataArray) -> np.ndarray:
    """Return values over alpha and beta as a picture has them: rows from the top, (rows, columns)."""
    return values.transpose("beta", "alpha").to_numpy()[::-1]


def _compared(values: np.ndarray, black: np.ndarray, white: np.ndarray, name: str, *, sign: int) -> dict[str, float]:
    low, high = (float(values[cells].mean()) if cells.any() else np.nan for cells in (black, white))
    return {f"{name}_black": low, f"{name}_white": high, f"{name}_gap": sign * (high - low)}
