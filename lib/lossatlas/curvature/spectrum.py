"""Eigenvalues of the Hessian: the extreme ones, all of them as a density, and their sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from curvlinops import hutchpp_trace, lanczos_approximate_spectrum
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import nn

from lossatlas._checks import flag, one_of, real_number, whole_number
from lossatlas._progress import bar as progress_bar
from lossatlas.curvature.hessian import LossHessian, check_finite_loss, loss_hessian
from lossatlas.vectors import Params

ENDS = {"largest": ("LA",), "smallest": ("SA",), "both": ("LA", "SA"), "magnitude": ("LM",)}
METHODS = ("slq",)
PARTS = ("model", "layer", "parameter")
REPEATS = 5  # estimates of a trace, whose spread is its standard error


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues of a Hessian with their eigenvectors.

    Attributes
    ----------
    values : ndarray
        In falling order, (k,); in units of the loss per squared step in weight space.
    vectors : tuple of dict
        One parameter dict per value, of length 1.
    residuals : ndarray
        ``‖H·v − λ·v‖`` of each pair, (k,): no eigenvalue is farther from λ than that.
    products : int
        How many products with the Hessian they took.
    """

    values: np.ndarray
    vectors: tuple[Params, ...]
    residuals: np.ndarray
    products: int


def eigenpairs(
    model: nn.Module,
    data,
    k: int = 2,
    *,
    which: str = "both",
    loss: str | Callable = "cross_entropy",
    layers: Sequence[str] | None = None,
    coordinates: str = "weights",
    predict: Callable | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Eigenpairs:
    """Return extreme eigenpairs of the Hessian of a model's mean loss, by Lanczos' iteration (ARPACK).

    Parameters
    ----------
    model, data, loss, layers, coordinates, predict, device
        As in :func:`loss_hessian`.
    k : int
        How many at each end.
    which : {"both", "largest", "smallest", "magnitude"}
        The end of the spectrum; ``"magnitude"`` takes the largest absolute values.
    tolerance : float
        Relative accuracy of the eigenvalues; 0 is machine precision.
    seed : int
        Of the vector that the iteration begins with.
    progress : bool
        Whether a bar on stderr counts products.

    Returns
    -------
    Eigenpairs

    Raises
    ------
    ValueError
        Naming the argument that does not fit, or if the iteration does not converge.

    Examples
    --------
    >>> model = nn.Linear(3, 1, bias=False)
    >>> inputs = torch.diag(torch.tensor([1.0, 2.0, 3.0]))
    >>> pairs = eigenpairs(model, (inputs, torch.zeros(3, 1)), 1, loss="mse", device="cpu", progress=False)
    >>> pairs.values.round(4).tolist()  # 2·x²/3
    [6.0, 0.6667]
    """
    one_of(which, "which", tuple(ENDS))
    k, seed, progress = whole_number(k, "k", least=1), whole_number(seed, "seed", least=0), flag(progress, "progress")
    tolerance = real_number(tolerance, "tolerance", least=0, below=1)
    hessian = loss_hessian(
        model, data, loss=loss, layers=layers, coordinates=coordinates, predict=predict, device=device
    )
    check_finite_loss(hessian)
    size = hessian.shape[0]
    if not 1 <= k * len(ENDS[which]) <= size:
        raise ValueError(f"k={k}: expected 1 to {size // len(ENDS[which])} eigenvalues at each end of {size}")
    with progress_bar(total=None, description="eigenvalues", unit=" products", show=progress) as bar:
        values, vectors = _extremes(hessian, k, ENDS[which], tolerance, seed, bar.update)
    order = np.argsort(-values)
    values, vectors = values[order], vectors[:, order]
    products = hessian.products
    residuals = np.linalg.norm(_apply(hessian, vectors) - vectors * values, axis=0)
    return Eigenpairs(values, tuple(hessian.as_params(vector) for vector in vectors.T), residuals, products)


def _apply(hessian: LossHessian, matrix: np.ndarray) -> np.ndarray:
    """Return the product with a matrix (n, k) in float64."""
    given = torch.as_tensor(np.ascontiguousarray(matrix), dtype=hessian.dtype, device=hessian.device)
    return (hessian @ given).detach().cpu().double().numpy()


def _extremes(
    hessian: LossHessian, k: int, ends: Sequence[str], tolerance: float, seed: int, advance: Callable[[int], object]
) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues (m,) and vectors (n, m), in no particular order."""
    size = hessian.shape[0]

    def product(vector: np.ndarray) -> np.ndarray:
        advance(1)
        return _apply(hessian, vector.reshape(size, 1))[:, 0]

    if size <= max(20, 2 * k + 2):  # ARPACK needs room
        dense = _apply(hessian, np.eye(size))
        values, vectors = np.linalg.eigh((dense + dense.T) / 2)
        if ends == ("LM",):
            chosen = np.argsort(-np.abs(values))[:k]
        else:
            chosen = np.concatenate([np.arange(size)[-k:] if end == "LA" else np.arange(size)[:k] for end in ends])
        return values[chosen], vectors[:, chosen]
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(seed).standard_normal(size)
    found = []
    for end in ends:
        try:
            found.append(eigsh(operator, k, which=end, tol=tolerance, v0=start))
        except ArpackNoConvergence as error:
            raise ValueError(
                f"tolerance={tolerance!r}: {len(error.eigenvalues)} of {k} eigenvalues converged; "
                "expected a larger tolerance, or float64 weights"
            ) from error
    return np.concatenate([values for values, _ in found]), np.concatenate([vectors for _, vectors in found], axis=1)


def spectrum(
    model: nn.Module,
    data,
    *,
    method: str = "slq",
    loss: str | Callable = "cross_entropy",
    layers: Sequence[str] | None = None,
    coordinates: str = "weights",
    predict: Callable | None = None,
    steps: int = 60,
    draws: int = 5,
    points: int = 1024,
    seed: int = 0,
    device: str | torch.device = "auto",
) -> xr.Dataset:
    """Return the density of all eigenvalues of the Hessian, by stochastic Lanczos quadrature.

    Parameters
    ----------
    model, data, loss, layers, coordinates, predict, device
        As in :func:`loss_hessian`.
    method : {"slq"}
        Stochastic Lanczos quadrature, as curvlinops has it.
    steps : int
        Lanczos steps of each draw: the more, the finer the detail.
    draws : int
        Random vectors that are averaged over.
    points : int
        Points of the density.
    seed : int
        Of the random vectors.

    Returns
    -------
    Dataset
        ``density`` over ``eigenvalue``, scaled to an integral of 1. It is smoothed: a single eigenvalue is a peak.

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    Papyan, "Traces of class/cross-class structure pervade deep learning spectra", JMLR 21, 2020, section 7;
    Ghorbani, Krishnan and Xiao, "An investigation into neural net optimization via Hessian eigenvalue density",
    ICML 2019.
    """
    one_of(method, "method", METHODS)
    steps, draws = whole_number(steps, "steps", least=2), whole_number(draws, "draws", least=1)
    points, seed = whole_number(points, "points", least=2), whole_number(seed, "seed", least=0)
    hessian = loss_hessian(
        model, data, loss=loss, layers=layers, coordinates=coordinates, predict=predict, device=device
    )
    check_finite_loss(hessian)
    if not steps < hessian.shape[0]:
        raise ValueError(f"steps={steps}: expected 2 to {hessian.shape[0] - 1}, fewer than the weights")
    ends = _extremes(hessian, 1, ("LA", "SA"), 1e-3, seed, lambda n: None)[0]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        grid, density = lanczos_approximate_spectrum(
            hessian, steps, num_points=points, num_repeats=draws, boundaries=(float(ends.min()), float(ends.max()))
        )
    grid, density = grid.double().cpu().numpy(), density.double().cpu().numpy()
    density = density / np.trapezoid(density, grid)
    attrs = {"n_weights": hessian.shape[0], "steps": steps, "draws": draws, "seed": seed, "loss": hessian.loss}
    return xr.Dataset({"density": ("eigenvalue", density)}, {"eigenvalue": grid}, attrs)


def trace(
    model: nn.Module,
    data,
    *,
    per: str = "model",
    loss: str | Callable = "cross_entropy",
    layers: Sequence[str] | None = None,
    coordinates: str = "weights",
    predict: Callable | None = None,
    products: int = 90,
    seed: int = 0,
    device: str | torch.device = "auto",
) -> xr.Dataset:
    """Return the trace of the Hessian, the sum of its eigenvalues, with a standard error.

    Parameters
    ----------
    model, data, loss, layers, coordinates, predict, device
        As in :func:`loss_hessian`.
    per : {"model", "layer", "parameter"}
        The trace of the whole matrix by Hutch++, or of its diagonal blocks by Hutchinson's estimator.
    products : int
        Products with the Hessian, about. The error falls with their number, or with its root for the blocks.
    seed : int
        Of the random vectors.

    Returns
    -------
    Dataset
        ``trace`` and ``standard_error``, over ``layer`` or ``parameter`` if asked for.

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    Meyer, Musco, Musco and Woodruff, "Hutch++: Optimal Stochastic Trace Estimation", SOSA 2021;
    Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1990.
    """
    one_of(per, "per", PARTS)
    products = whole_number(products, "products", least=3 * REPEATS)
    seed = whole_number(seed, "seed", least=0)
    hessian = loss_hessian(
        model, data, loss=loss, layers=layers, coordinates=coordinates, predict=predict, device=device
    )
    check_finite_loss(hessian)
    size = hessian.shape[0]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if per == "model":
            each = 3 * (products // (3 * REPEATS))
            if each >= size:  # as cheap as the whole matrix
                return _dataset(np.trace(_apply(hessian, np.eye(size))), 0.0, hessian, seed)
            found = [float(hutchpp_trace(hessian, each)) for _ in range(REPEATS)]
            return _dataset(np.mean(found), np.std(found, ddof=1) / math.sqrt(REPEATS), hessian, seed)
        signs = torch.randint(0, 2, (size, products), device=hessian.device).mul_(2).sub_(1).to(hessian.dtype)
        parts = torch.cat([(hessian @ part) * part for part in signs.split(10, dim=1)], dim=1).double().cpu()
    names = list(hessian.names)
    blocks = [block.sum(0) for block in parts.split([tensor.numel() for tensor in hessian.like.values()])]
    if per == "layer":
        layers_of = [name.rpartition(".")[0] or name for name in names]
        names = list(dict.fromkeys(layers_of))
        blocks = [sum(b for b, own in zip(blocks, layers_of, strict=True) if own == name) for name in names]
    samples = torch.stack(blocks).numpy()
    error = samples.std(axis=1, ddof=1) / math.sqrt(products)
    return _dataset((per, samples.mean(axis=1)), (per, error), hessian, seed).assign_coords({per: names})


def _dataset(value, error, hessian: LossHessian, seed: int) -> xr.Dataset:
    attrs = {"n_weights": hessian.shape[0], "products": hessian.products, "seed": seed, "loss": hessian.loss}
    return xr.Dataset({"trace": value, "standard_error": error}, attrs=attrs)
