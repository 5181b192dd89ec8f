"""Extreme eigenvalues at one point after another, each started from the eigenvectors of the one before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from lossatlas.curvature.hessian import LossHessian
from lossatlas.curvature.lanczos import lanczos
from lossatlas.evaluation import batches
from lossatlas.evaluation.devices import provenance
from lossatlas.vectors import Params

COLUMNS = ("smallest", "largest", "residual_smallest", "residual_largest", "loss", "products")
MOST = 400  # products at one point
FEW = 4  # products at a point that starts from its neighbour
FRESH = 0.1  # length of what is drawn at random beside a neighbour's eigenvectors, which may miss a new extreme


def follow(
    hessian: LossHessian,
    points: Iterable[tuple[Params, Params]],
    *,
    enough: Callable[[float, float, float, float], bool],
    tolerance: float,
    generator: np.random.Generator,
    warm: bool = True,
    advance: Callable[[int], object] = lambda n: None,
) -> np.ndarray:
    """Return the columns at points one after another, (n points, n columns); NaN where the loss is not finite.

    Parameters
    ----------
    points : iterable of (parameters, buffers)
        In an order in which neighbours are alike.
    enough : callable
        When Lanczos' iteration may stop; see :func:`lossatlas.curvature.lanczos.lanczos`.
    tolerance : float
        How far from all others an extreme eigenvalue must be to be found from a random start, relative to their
        spread.
    warm : bool
        Whether a point starts from its neighbour's eigenvectors; without it every point starts at random.
    advance : callable
        Told of every finished point.
    """
    start: np.ndarray | None = None
    many, rows = products_to_find(hessian.shape[0], tolerance), []
    for parameters, buffers in points:
        loss = hessian.move_to(parameters, buffers)
        if np.isfinite(loss):
            least = FEW
            if start is None or not warm:
                start, least = generator.standard_normal(hessian.shape[0]), many
            found = lanczos(hessian.product, start, enough=enough, least=least, most=MOST)
            rows.append([found.values[0], found.values[-1], *found.residuals, loss, found.products])
            drawn = generator.standard_normal(hessian.shape[0])
            start = found.vectors.sum(axis=1) + FRESH * drawn / np.linalg.norm(drawn)
        else:
            rows.append([np.nan] * 4 + [loss, 0])
            start = None
        advance(1)
    return np.array(rows, dtype=np.float64)


def products_to_find(size: int, tolerance: float) -> int:
    """Return how many products a random start needs to find an isolated extreme eigenvalue.

    The start has a part of about 1/√n in the eigenvector. If the eigenvalue is farther from all others than
    ``tolerance`` times their spread, k products multiply this part by the Chebyshev polynomial
    ``T_k(1 + 2·tolerance)``, about ``exp(2k·√tolerance)/2``, relative to the rest (Parlett, *The Symmetric Eigenvalue
    Problem*, section 12.4). At most `MOST`.
    """
    return min(MOST, math.ceil(math.log(2 * math.sqrt(size)) / (2 * math.sqrt(tolerance))))


def how_computed(found: xr.Dataset, hessian: LossHessian, model: nn.Module, place: torch.device) -> dict[str, Any]:
    """Return the attributes that tell how eigenvalues were computed."""
    return {
        "n_samples": sum(map(batches.samples_in, hessian.held)),
        "n_weights": hessian.shape[0],
        "total_products": int(found.products.sum()),
        "n_unfinished": int((found.products >= MOST).sum()),
        **provenance(model, place),
    }
