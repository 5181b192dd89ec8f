"""Convexified convolutional networks: one convex problem a layer (Zhang, Liang and Wainwright 2016)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from lossatlas._checks import whole_number
from lossatlas.networks.losses import check_targets
from lossatlas.networks.models.patch_features import AT_ONCE, FITTED_ON, PatchFeatures, fit_patch_features
from lossatlas.networks.nuclear_norm import minimise


class Filters(nn.Module):
    """A convexified layer below others: the leading singular vectors of its matrix as filters on patch features.

    Parameters
    ----------
    below : Module
        Comes before it.
    features : PatchFeatures
        Its features.
    vectors : Tensor
        Orthonormal columns, shape (features, filters).
    scale : float
        Multiplies what it returns.
    """

    vectors: Tensor

    def __init__(self, below: nn.Module, features: PatchFeatures, vectors: Tensor, *, scale: float = 1.0):
        super().__init__()
        self.below, self.features = below, features
        self.register_buffer("vectors", vectors * scale)

    def forward(self, images: Tensor) -> Tensor:
        """Return maps (N, filters, height, width)."""
        parts = images.split(AT_ONCE)
        return torch.cat([torch.einsum("nmhw,mr->nrhw", self.features(self.below(p)), self.vectors) for p in parts])


class ConvexifiedNetwork(nn.Module):
    """A network whose output is linear in its only weights, so that its loss is convex in them.

    The weights ``top.weight`` (outputs, features · places) hold the matrix A of the convex problem: output k is
    ``trace(Z(x) A_k)`` for the features Z(x) of all places. What lies below is held in buffers.

    Parameters
    ----------
    image : (int, int, int)
        Channels, height and width of an input.
    outputs : int
        Number of outputs.
    below : Module, optional
        What is applied to the images first; a copy of it is held, without trainable parameters.
    options
        Of :class:`PatchFeatures`.

    Examples
    --------
    >>> network = ConvexifiedNetwork((1, 28, 28), outputs=10, features=50)
    >>> network(torch.zeros(2, 1, 28, 28)).shape, network.matrix.shape
    (torch.Size([2, 10]), torch.Size([50, 1440]))
    """

    def __init__(self, image: Sequence[int], *, outputs: int = 10, below: nn.Module | None = None, **options: Any):
        super().__init__()
        self.below = without_parameters(nn.Identity() if below is None else below)
        with torch.no_grad():
            shape = self.below(torch.zeros(1, *image)).shape[1:]
        self.features = PatchFeatures(shape, **options)
        self.top = nn.Linear(self.features.center.numel(), outputs, bias=False)
        nn.init.zeros_(self.top.weight)

    @property
    def matrix(self) -> Tensor:
        """The matrix A, (features, outputs · places)."""
        return matrix_of(self.top.weight.detach(), self.top.in_features // len(self.features.points))

    def represent(self, images: Tensor) -> Tensor:
        """Return the inputs (N, features · places) of the layer ``top``, which do not depend on its weights."""
        with torch.no_grad():
            return torch.cat([self.features(self.below(some)).flatten(1) for some in images.split(AT_ONCE)])

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs (N, outputs) for images (N, channels, height, width)."""
        return self.top(self.represent(images))

    def filters(self, number: int, images: Tensor) -> Filters:
        """Return this layer as one below another: its leading left singular vectors are the filters.

        Parameters
        ----------
        number
            How many singular vectors, at most the number of features.
        images
            Images on which the mean square of the maps becomes one.
        """
        number = whole_number(number, "number", least=1)
        if number > len(self.features.points):
            raise ValueError(f"number={number}: expected at most the {len(self.features.points)} features of a patch")
        vectors = torch.linalg.svd(self.matrix, full_matrices=False)[0][:, :number]
        found = Filters(self.below, self.features, vectors)
        return Filters(self.below, self.features, vectors, scale=1 / float(found(images).square().mean().sqrt()))


def matrix_of(weight: Tensor, places: int) -> Tensor:
    """Return the matrix (features, outputs · places) of weights (outputs, features · places).

    Examples
    --------
    >>> matrix_of(torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]), 2)
    tensor([[1, 2, 5, 6],
            [3, 4, 7, 8]])
    """
    return weight.unflatten(1, (-1, places)).movedim(1, 0).flatten(1)


def without_parameters(module: nn.Module) -> nn.Module:
    """Return a copy of a module that computes the same and holds its parameters as buffers.

    Examples
    --------
    >>> list(without_parameters(nn.Linear(2, 1)).parameters())
    []
    """
    module = copy.deepcopy(module).eval()
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None:
                delattr(part, name)
                part.register_buffer(name, parameter.detach())
    return module


def fit_top(
    network: ConvexifiedNetwork,
    inputs: Tensor,
    labels: Tensor,
    *,
    radius: float,
    start: int | None = None,
    steps: int = 200,
    method: str = "accelerated",
    tolerance: float = 0.0,
    every: int = 10,
    progress: bool = True,
) -> xr.Dataset:
    """Solve the convex problem of a network in place, and return how the fit converged.

    Parameters
    ----------
    network : ConvexifiedNetwork
        Its features stay as they are.
    inputs : Tensor
        ``network.represent(images)``, of shape (N, features · places).
    labels : Tensor
        Class labels (N,).
    radius, start, steps, method, tolerance, every, progress
        As :func:`fit_convexified` takes them.

    Examples
    --------
    >>> network = ConvexifiedNetwork((1, 3, 3), outputs=2, features=1, side=2)
    >>> inputs, labels = torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1])
    >>> history = fit_top(network, inputs, labels, radius=2.0, progress=False)
    >>> network.matrix, round(float(history.norm[-1]), 4)
    (tensor([[ 1.4142, -1.4142]]), 2.0)
    """
    places, outputs = inputs.shape[1] // len(network.features.points), network.top.out_features

    def weight_of(matrix: Tensor) -> Tensor:
        return matrix.unflatten(1, (outputs, places)).movedim(1, 0).flatten(1)

    def objective(matrix: Tensor) -> tuple[float, Tensor]:
        logits = (weight_of(matrix) @ inputs.T).T  # twice as fast as F.linear for few outputs
        errors = torch.softmax(logits, 1)
        errors[torch.arange(len(labels)), labels] -= 1
        return float(F.cross_entropy(logits.double(), labels)), matrix_of(errors.T @ inputs / len(labels), places)

    first = torch.zeros_like(network.matrix)
    if start is not None:
        draw = torch.Generator().manual_seed(whole_number(start, "start", least=0))
        first = torch.randn(first.shape, generator=draw)
        first = first * (radius / float(torch.linalg.matrix_norm(first, "nuc")))
    plan: dict[str, Any] = {
        "steps": steps,
        "method": method,
        "tolerance": tolerance,
        "every": every,
        "progress": progress,
    }
    matrix, history = minimise(objective, first, radius=radius, smoothness=smoothness(inputs), **plan)
    with torch.no_grad():
        network.top.weight.copy_(weight_of(matrix))
    return history


def smoothness(inputs: Tensor) -> float:
    """Return a bound on the curvature of the mean cross-entropy of a linear layer.

    It is half the largest second moment of the inputs, found by power iteration, and 5 % for what that misses.

    Examples
    --------
    >>> round(smoothness(torch.eye(2)), 4)
    0.2625
    """
    vector = inputs.T @ torch.randn(len(inputs), generator=torch.Generator().manual_seed(0))
    for _ in range(20):
        vector = inputs.T @ (inputs @ (vector / vector.norm()))
    return 1.05 * float(vector.norm()) / len(inputs) / 2


def fit_convexified(
    train: tuple[Tensor, Tensor],
    *,
    radius: float,
    outputs: int = 10,
    below: nn.Module | None = None,
    start: int | None = None,
    steps: int = 200,
    method: str = "accelerated",
    tolerance: float = 0.0,
    every: int = 10,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> tuple[ConvexifiedNetwork, xr.Dataset]:
    """Return a convexified network fitted to training images with the cross-entropy, and how the fit converged.

    Parameters
    ----------
    train : (Tensor, Tensor)
        Images (N, channels, height, width) and class labels (N,).
    radius : float
        The largest nuclear norm of the matrix.
    outputs : int
        Number of classes.
    below : Module, optional
        What is applied to the images first, and is not trained: :meth:`ConvexifiedNetwork.filters` of a layer fitted
        before, or the lower layers of any network.
    start : int, optional
        Seed of a random matrix in the ball from which to start; None starts from zero.
    steps, method, tolerance, every, progress
        As in :func:`lossatlas.networks.nuclear_norm.minimise`.
    seed : int
        Decides the random features.
    options
        Of :class:`PatchFeatures`.

    Returns
    -------
    network : ConvexifiedNetwork
        In eval mode.
    history : Dataset
        Over ``step``: objective, exact duality gap, nuclear norm and rank.

    Raises
    ------
    ValueError
        If the images or labels have other shapes, or an argument is out of range.

    References
    ----------
    Zhang, Liang and Wainwright, "Convexified Convolutional Neural Networks", 2016, algorithms 1 and 2.

    Examples
    --------
    >>> import lossatlas as la
    >>> data = la.load_dataset("digits")
    >>> network, history = fit_convexified(data.train, radius=100, features=40, side=3, progress=False)
    >>> float(history.objective[-1]) < 0.3
    True
    """
    pair = isinstance(train, tuple | list) and len(train) == 2 and all(isinstance(part, Tensor) for part in train)
    if not pair or train[0].dim() != 4:
        raise ValueError(f"train={train!r:.80}: expected images (N, channels, height, width) and labels (N,)")
    images, labels = train
    check_targets("cross_entropy", (len(images), outputs), labels)
    network = ConvexifiedNetwork(images.shape[1:], outputs=outputs, below=below, **options).eval()
    with torch.no_grad():
        fit_patch_features(network.features, network.below(images[:FITTED_ON]), seed=seed)
        inputs = network.represent(images)
    plan: dict[str, Any] = {
        "steps": steps,
        "method": method,
        "tolerance": tolerance,
        "every": every,
        "progress": progress,
    }
    return network, fit_top(network, inputs, labels, radius=radius, start=start, **plan)
