"""A training path: the plane that holds most of it, and how it looks in a plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch import nn

from lossatlas import vectors
from lossatlas._checks import flag
from lossatlas.directions import checks
from lossatlas.directions.checkpoints import Network, changes, find_module, read, read_all, travelling_buffers
from lossatlas.directions.moving import moving_parameters, weights_in
from lossatlas.directions.principal import main_directions
from lossatlas.directions.subspaces import DISTANCE, Plane, Subspace
from lossatlas.vectors import Params, Point

REPORTED = 100  # singular values that a description holds: a file's attributes have little room


def _names(checkpoints: Sequence[Point], least: int) -> list[str]:
    """Return what messages call the networks of a path. Raises ValueError unless there are enough of them."""
    if isinstance(checkpoints, nn.Module | str) or not isinstance(checkpoints, Sequence):
        raise ValueError(f"checkpoints: got {type(checkpoints).__name__}, expected a list of networks")
    if len(checkpoints) == 0:
        raise ValueError("checkpoints: empty, at least one is needed")
    if len(checkpoints) < least:
        raise ValueError(f"checkpoints: {len(checkpoints)} given, at least {least} are needed to span a plane")
    return [f"checkpoint {i}" for i in range(len(checkpoints))]


def pca_plane(
    checkpoints: Sequence[Point],
    *,
    center: bool = False,
    include_biases: bool = False,
    model: nn.Module | None = None,
) -> Plane:
    """Return the plane through the last checkpoint along the two main directions of a training path.

    The rows ``θ(i) − θ(n)`` form a matrix whose first two right singular vectors are δ and η: orthonormal, signed so
    that the first checkpoint has coordinates of at least 0. They come from the Gram matrix of the rows, so that the
    memory needed beside the checkpoints is that of a few networks.

    Buffers, such as the running statistics of batch normalization, travel with the weights: those of the last
    checkpoint at the origin, and a least-squares fit to those of all checkpoints elsewhere.

    Parameters
    ----------
    checkpoints : sequence of Module or dict of str to Tensor
        Networks, parameter dicts or state dicts, at least three; the last is θ*.
    center : bool
        Subtract the mean row first, as principal component analysis proper does.
    include_biases : bool
        Let all parameters move, not only weights (see the table at :func:`random_plane`).
    model : Module, optional
        A module of the same architecture, which tells parameters from buffers in state dicts and weights from
        scales. Without any module, names and shapes decide.

    Returns
    -------
    Plane
        In distance in weights. Its description holds the largest singular values and the shares of the variance that
        they explain.

    Raises
    ------
    ValueError
        For fewer than three checkpoints, checkpoints that are not of one architecture or not finite, or a path that
        spans no plane.

    References
    ----------
    Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 7.

    Examples
    --------
    >>> path = [{"w": torch.tensor([[x, x**2]])} for x in (3.0, 2.0, 1.0, 0.0)]
    >>> plane = pca_plane(path)
    >>> [round(share, 3) for share in plane.description["explained"][:2]]
    [0.994, 0.006]
    """
    center, include_biases = flag(center, "center"), flag(include_biases, "include_biases")
    whats = _names(checkpoints, 3)
    networks = read_all(checkpoints, whats, model=model, reference=-1)
    last = networks[-1]
    checks.check_finite(last.parameters, whats[-1])
    source = last.source if model is None else model
    moving = moving_parameters(source, last.parameters, None, include_biases)
    names = [name for name in last.parameters if name in moving]
    rows = [[network.parameters[name] for name in names] for network in networks]
    try:
        directions, singular, coordinates = main_directions(rows, center=center)
    except ValueError as error:
        for network, what in zip(networks, whats, strict=True):
            checks.check_finite({name: network.parameters[name] for name in names}, what)
        raise ValueError(f"checkpoints: {error}") from None
    zero = vectors.zeros_like(last.parameters)
    delta, eta = ({**zero, **dict(zip(names, direction, strict=True))} for direction in directions)
    shares = singular**2 / np.sum(singular**2)
    description = {
        "kind": "PCA plane",
        "normalize": None,
        "center": center,
        "include_biases": include_biases,
        "checkpoints": len(networks),
        "singular_values": singular[:REPORTED].tolist(),
        "explained": shares[:REPORTED].tolist(),
    }
    statistics = travelling_buffers(networks, whats)
    buffers = vectors.copy_of(last.buffers) | statistics[-1]
    steps = _fitted(statistics, coordinates) if statistics[-1] else ()
    origin = vectors.copy_of(last.parameters)
    return Plane(origin, delta, eta, description, units=DISTANCE, buffers=buffers, buffer_directions=steps)


def _fitted(statistics: list[Params], coordinates: np.ndarray) -> list[Params]:
    """Return how buffers change along the directions, by least squares from the coordinates (n − 1, 2) of a path."""
    *others, last = statistics
    inverse = np.linalg.pinv(coordinates)
    steps = [{name: torch.zeros_like(tensor, dtype=_wide(tensor)) for name, tensor in last.items()} for _ in range(2)]
    for i, other in enumerate(others):
        for name, change in changes(last, other).items():
            for k in range(2):
                steps[k][name] += inverse[k, i] * change
    return [vectors.combine(lambda step, tensor: step.to(tensor), step, last) for step in steps]


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return torch.complex128 if tensor.is_complex() else torch.float64


def _linear(plane: Subspace) -> Subspace:
    """Return a subspace whose coordinates are its coefficients. Raises ValueError for anything else."""
    if not isinstance(plane, Subspace):
        raise ValueError(f"plane: got {type(plane).__name__}, expected a Plane (see pca_plane)")
    if type(plane).coefficients is not Subspace.coefficients:
        raise ValueError(f"plane: a {type(plane).__name__} is curved, expected a Plane (see pca_plane)")
    return plane


def _offsets(
    checkpoints: Sequence[Point], plane: Subspace, model: nn.Module | None
) -> tuple[Subspace, list[np.ndarray], list[float]]:
    """Return the plane, and of every checkpoint the products of θ(i) − θ* with the directions and its norm."""
    plane, whats = _linear(plane), _names(checkpoints, 1)
    helper = find_module(checkpoints, whats, model)
    if helper is not None:
        plane = plane.for_model(helper)
    like = Network(plane.origin, plane.buffers, plane.origin)
    networks = read_all(checkpoints, whats, model=model, like=like)
    products, distances = [], []
    for network, what in zip(networks, whats, strict=True):
        vectors.check_same_shape(plane.origin, network.parameters, what=what)
        checks.check_finite(network.parameters, what)
        offset = vectors.difference(network.parameters, plane.origin)
        products.append(np.array([vectors.dot(offset, direction) for direction in plane.directions]))
        distances.append(vectors.norm(offset))
    return plane, products, distances


def project(
    checkpoints: Sequence[Point],
    plane: Subspace,
    *,
    steps: Sequence[float] | None = None,
    model: nn.Module | None = None,
) -> xr.Dataset:
    """Return the coordinates of every checkpoint on a plane, by least squares on its (possibly oblique) basis.

    Distances are those of the parameters; buffers, such as running statistics, count nowhere.

    Parameters
    ----------
    checkpoints : sequence of Module or dict of str to Tensor
        Networks, parameter dicts or state dicts of the plane's architecture.
    plane : Plane
        Or a Line or Box.
    steps : sequence of float, optional
        The step of every checkpoint; 0, 1, 2, ... by default.
    model : Module, optional
        A module of the same architecture, which tells parameters from buffers in state dicts. Without any module,
        the plane tells them apart.

    Returns
    -------
    Dataset
        Over ``step``: ``alpha`` and ``beta`` (one variable for each axis); ``distance``, the norm of ``θ(i) − θ*``;
        ``captured``, the share of that norm that lies in the plane (1 at θ* itself). For a PCA plane the attributes
        ``explained_variance_alpha`` and ``_beta`` are the shares of the path's variance along δ and η.

    Raises
    ------
    ValueError
        If a checkpoint is of another architecture or not finite, if steps are not as many as checkpoints, or if the
        directions span no plane.

    Examples
    --------
    >>> path = [{"w": torch.tensor([[x, x**2, 0.0]])} for x in (3.0, 2.0, 1.0, 0.0)]
    >>> found = project(path, pca_plane(path))
    >>> found.distance.values.round(3)
    array([9.487, 4.472, 1.414, 0.   ])
    >>> found.captured.values.round(3)
    array([1., 1., 1., 1.])
    """
    plane, products, distances = _offsets(checkpoints, plane, model)
    numbers = np.arange(len(products)) if steps is None else checks.numbers(steps, "steps")
    if len(numbers) != len(products):
        raise ValueError(f"steps: {len(numbers)} given for {len(products)} checkpoints")
    if steps is not None and np.asarray(steps).dtype.kind in "iu":
        numbers = np.asarray(steps)
    gram = np.array([[vectors.dot(one, other) for other in plane.directions] for one in plane.directions])
    if np.linalg.matrix_rank(gram) < len(gram):
        raise ValueError("plane: delta and eta are parallel or zero, and span no plane")
    solutions = np.linalg.solve(gram, np.array(products).T).T
    inside = np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", solutions, gram, solutions), 0))
    length = np.array(distances)
    captured = np.divide(inside, length, out=np.ones_like(length), where=length > 0)
    axes = [axis.name for axis in plane.axes]
    explained = plane.description.get("explained", ())
    attrs = {f"explained_variance_{name}": share for name, share in zip(axes, explained, strict=False)}
    variables = {**dict(zip(axes, solutions.T, strict=True)), "distance": length, "captured": captured}
    return xr.Dataset({name: ("step", values) for name, values in variables.items()}, {"step": numbers}, attrs)


def dot_products(checkpoints: Sequence[Point], plane: Subspace, *, model: nn.Module | None = None) -> np.ndarray:
    """Return ``(θ(i) − θ*)·d / (d·d)`` for every direction d: the shadow on each by itself.

    If δ and η are orthogonal these are the coordinates of :func:`project`; if they are not, what both have in common
    is counted twice.

    Parameters
    ----------
    checkpoints, plane, model
        As for :func:`project`.

    Returns
    -------
    ndarray
        Of shape (checkpoints, directions).

    Raises
    ------
    ValueError
        If a checkpoint is of another architecture or not finite.

    Examples
    --------
    >>> plane = Plane({"w": torch.zeros(2)}, {"w": torch.tensor([1.0, 0])}, {"w": torch.tensor([1.0, 1])})
    >>> dot_products([{"w": torch.tensor([1.0, 0])}], plane)
    array([[1. , 0.5]])
    """
    plane, products, _ = _offsets(checkpoints, plane, model)
    return np.array(products) / np.array([vectors.dot(d, d) for d in plane.directions])


def effective_dimensions(origin: Point, vector: Point) -> float:
    """Return how many dimensions a filter-normalized random direction seems to have, seen from a vector.

    The cosine of the two has mean zero and mean square ``1/n`` with
    ``1/n = Σ_f (‖θ_f‖²/‖θ‖²)·(‖v_f‖²/‖v‖²)/m_f`` over all filters f, of m_f weights each: filters that are long in
    both count the more. (Without normalization n is the number of weights.) Parameters that do not move, such as
    biases, are left out.

    Parameters
    ----------
    origin : Module or dict of str to Tensor
        θ, the weights that the direction is scaled to.
    vector : dict of str to Tensor
        v, of the same names and shapes.

    Returns
    -------
    float
        n, at most the number of weights.

    Raises
    ------
    ValueError
        If names or shapes differ, if no parameter moves, or if a vector is zero or not finite.

    Examples
    --------
    >>> ones = {"w": torch.ones(4, 25)}
    >>> effective_dimensions(ones, ones)
    100.0
    """
    network = read(origin, "origin")
    other = read(vector, "vector").parameters
    vectors.check_same_shape(network.parameters, other, what="vector")
    names = weights_in(network.source)
    if not names:
        raise ValueError("origin has no weights that move")
    for what, point in (("origin", network.parameters), ("vector", other)):
        checks.check_finite(point, what)
        if not any(bool(point[name].any()) for name in names):
            raise ValueError(f"{what}: its weights are all zero")
    shapes = [network.parameters[name].shape for name in names]
    sizes = torch.cat([torch.full((shape[0],), shape[1:].numel()) for shape in shapes]).double()
    weights, shares = (
        torch.cat([vectors.filter_norms(point[name].to(_wide(point[name]))).flatten() ** 2 for name in names]).cpu()
        for point in (network.parameters, other)
    )
    return float(weights.sum() * shares.sum() / (weights * shares / sizes).sum())
