"""Smooth convex functions of a matrix, minimized over the matrices whose singular values add up to at most a radius."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lossatlas._checks import one_of, real_number, whole_number
from lossatlas._progress import bar as progress_bar

METHODS = ("accelerated", "projected", "conditional")

Objective = Callable[[Tensor], tuple[float, Tensor]]


def project(matrix: Tensor, radius: float) -> Tensor:
    """Return the nearest matrix whose nuclear norm, the sum of singular values, is at most a radius.

    Parameters
    ----------
    matrix : Tensor
        Shape (rows, columns).
    radius : float
        At least zero.

    Returns
    -------
    Tensor
        ``matrix`` itself if it lies in the ball. Otherwise its singular values are all lowered by the same amount,
        to zero at the least, so that they add up to the radius.

    Raises
    ------
    ValueError
        If the matrix has other than two dimensions, or the radius is negative.

    References
    ----------
    Duchi, Shalev-Shwartz, Singer and Chandra, "Efficient Projections onto the l1-Ball for Learning in High
    Dimensions", ICML 2008, figure 1.

    Examples
    --------
    >>> project(torch.diag(torch.tensor([3.0, 1.0])), 2.0)
    tensor([[2., 0.],
            [0., 0.]])
    """
    _check_matrix(matrix)
    radius = real_number(radius, "radius", least=0)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    if float(values.sum()) <= radius:
        return matrix
    if radius == 0:
        return torch.zeros_like(matrix)
    above = (values.double().cumsum(0) - radius) / torch.arange(1, len(values) + 1, device=matrix.device)
    kept = int((values > above).sum())
    return (left * (values - above[kept - 1]).clamp(min=0).to(values)) @ right


def duality_gap(matrix: Tensor, gradient: Tensor, radius: float) -> float:
    """Return how much lower a convex function can be in the nuclear-norm ball than at a matrix: an upper bound.

    The bound is ``<A, G> + radius · (largest singular value of G)`` for the gradient G at A: the difference between
    the function and its Fenchel dual. It is zero exactly at a minimum.

    Parameters
    ----------
    matrix, gradient : Tensor
        A, in the ball, and the gradient of the function there. Shape (rows, columns).
    radius : float
        The largest sum of singular values.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Jaggi, "Revisiting Frank-Wolfe: Projection-Free Sparse Convex Optimization", ICML 2013, equation 2.

    Examples
    --------
    >>> duality_gap(torch.zeros(2, 2), torch.diag(torch.tensor([3.0, 1.0])), 2.0)
    6.0
    """
    _check_matrix(matrix)
    if gradient.shape != matrix.shape:
        raise ValueError(f"gradient: shape {tuple(gradient.shape)}; expected that of matrix, {tuple(matrix.shape)}")
    radius = real_number(radius, "radius", least=0)
    inner = float((matrix.double() * gradient.double()).sum())
    return inner + radius * float(torch.linalg.matrix_norm(gradient, 2))


def minimise(
    objective: Objective,
    start: Tensor,
    *,
    radius: float,
    smoothness: float,
    steps: int = 200,
    method: str = "accelerated",
    tolerance: float = 0.0,
    every: int = 10,
    progress: bool = True,
) -> tuple[Tensor, xr.Dataset]:
    """Minimize a convex function of a matrix over a nuclear-norm ball.

    Parameters
    ----------
    objective : callable
        ``objective(matrix)`` returns the value and the gradient.
    start : Tensor
        Where to start, shape (rows, columns); it is projected onto the ball.
    radius : float
        The largest sum of singular values.
    smoothness : float
        Lipschitz constant of the gradient, or an upper bound.
    steps : int
        The most steps.
    method : str
        ``"projected"``: gradient steps of length 1 / smoothness, each projected onto the ball. ``"accelerated"``: the
        same with Nesterov's momentum, which starts anew whenever it points uphill. ``"conditional"``: steps towards
        the vertex of the ball that the gradient favours (Frank and Wolfe), as long as smoothness allows.
    tolerance : float
        Ends as soon as the duality gap is at most this.
    every : int
        Steps between two measurements of the gap.
    progress : bool
        Whether a progress bar is shown.

    Returns
    -------
    matrix : Tensor
        In the ball.
    history : Dataset
        Over ``step``: ``objective``, ``gap`` (the exact duality gap), ``norm`` (the sum of singular values) and
        ``rank`` (singular values above 10⁻⁵ of the largest).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Beck and Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm", SIAM J. Imaging Sciences 2(1), 2009;
    O'Donoghue and Candès, "Adaptive Restart for Accelerated Gradient Schemes", 2015, equation 13; Jaggi 2013.

    Examples
    --------
    >>> target = torch.diag(torch.tensor([3.0, 1.0]))
    >>> square = lambda matrix: (float((matrix - target).square().sum() / 2), matrix - target)
    >>> found, history = minimise(square, torch.zeros(2, 2), radius=2.0, smoothness=1.0, progress=False)
    >>> found, float(history.gap[-1])  # the projection of the target
    (tensor([[2., 0.],
            [0., 0.]]), 0.0)
    """
    _check_matrix(start, "start")
    one_of(method, "method", METHODS)
    radius, smoothness = real_number(radius, "radius", least=0), real_number(smoothness, "smoothness", above=0)
    steps, every = whole_number(steps, "steps", least=1), whole_number(every, "every", least=1)
    matrix = project(start, radius)
    ahead, weight = matrix, 1.0  # where momentum points, and how much of it there is
    rows = []
    with progress_bar(total=steps, description="convex", unit=" steps", show=progress) as bar:
        for step in range(steps + 1):
            measured = step % every == 0 or step == steps
            if measured:
                value, gradient = objective(matrix)
                rows.append((step, value, duality_gap(matrix, gradient, radius), *_spectrum(matrix)))
                bar.set_postfix(gap=f"{rows[-1][2]:.3g}", refresh=False)
                if rows[-1][2] <= tolerance or step == steps:
                    break
            if method != "accelerated" and not measured:
                gradient = objective(matrix)[1]
            if method == "conditional":
                matrix = _towards_vertex(matrix, gradient, radius, smoothness)
            elif method == "projected":
                matrix = project(matrix - gradient / smoothness, radius)
            else:
                slope = objective(ahead)[1]
                following = project(ahead - slope / smoothness, radius)
                uphill = float(((ahead - following) * (following - matrix)).sum()) > 0
                later = 1.0 if uphill else (1 + math.sqrt(1 + 4 * weight**2)) / 2
                momentum = 0.0 if uphill else (weight - 1) / later
                ahead, matrix, weight = following + momentum * (following - matrix), following, later
            bar.update()
    names = ("step", "objective", "gap", "norm", "rank")
    columns = dict(zip(names, np.array(rows).T, strict=True))
    at = columns.pop("step").astype(int)
    return matrix, xr.Dataset({name: ("step", column) for name, column in columns.items()}, {"step": at})


def _towards_vertex(matrix: Tensor, gradient: Tensor, radius: float, smoothness: float) -> Tensor:
    """Return the matrix after one step of the conditional gradient method."""
    left, _, right = torch.linalg.svd(gradient, full_matrices=False)
    change = -radius * torch.outer(left[:, 0], right[0]) - matrix
    curvature = smoothness * float(change.square().sum())
    length = -float((gradient * change).sum()) / curvature if curvature else 0.0
    return matrix + min(1.0, max(0.0, length)) * change


def _spectrum(matrix: Tensor) -> tuple[float, int]:
    values = torch.linalg.svdvals(matrix)
    return float(values.sum()), int((values > 1e-5 * values[0]).sum()) if float(values[0]) else 0


def _check_matrix(matrix: Tensor, name: str = "matrix") -> None:
    if not isinstance(matrix, Tensor) or matrix.dim() != 2:
        got = f"shape {tuple(matrix.shape)}" if isinstance(matrix, Tensor) else type(matrix).__name__
        raise ValueError(f"{name}: got {got}; expected a tensor of two dimensions")
