"""Where to look: lines and planes through weight space.

A plane holds an origin θ* and two directions δ and η, and stands for the points
``θ* + α·δ + β·η``; a line has δ alone. How the directions are drawn decides what a picture can mean:
see Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", sections 4 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas.vectors import Params

NORMALIZATIONS = ("filter", "layer", None)
EPSILON = 1e-10  # keeps a zero slice of a direction from dividing by zero (Li et al.'s code has the same)

Point = nn.Module | Mapping[str, Tensor]


@dataclass(frozen=True)
class Line:
    """The points ``origin + α·delta``; ``facts`` say how it was made, for provenance."""

    origin: Params
    delta: Params
    facts: dict = field(default_factory=dict)

    @property
    def directions(self) -> tuple[Params, ...]:
        return (self.delta,)

    def at(self, alpha: float) -> Params:
        """The parameters at coordinate α."""
        return vectors.axpy(alpha, self.delta, self.origin)


@dataclass(frozen=True)
class Plane:
    """The points ``origin + α·delta + β·eta``; ``facts`` say how it was made, for provenance."""

    origin: Params
    delta: Params
    eta: Params
    facts: dict = field(default_factory=dict)

    @property
    def directions(self) -> tuple[Params, ...]:
        return (self.delta, self.eta)

    def at(self, alpha: float, beta: float) -> Params:
        """The parameters at coordinates (α, β)."""
        return vectors.axpy(beta, self.eta, vectors.axpy(alpha, self.delta, self.origin))


def weight_layers(model: Point) -> list[str]:
    """Names of the layers that hold a weight of two or more dimensions, in the model's order."""
    layers: dict[str, None] = {}
    for name, tensor in vectors.parameters_of(model).items():
        if tensor.dim() >= 2:
            layers.setdefault(name.rpartition(".")[0] or name)
    return list(layers)


def normalize_direction(direction: Mapping[str, Tensor], origin: Mapping[str, Tensor], normalize) -> Params:
    """Scale a direction to the weights it is added to (Li et al. 2018, section 4).

    ``"filter"``: every slice along dimension 0 gets the norm of the same slice of θ*,
    ``d ← d · ‖θ‖ / (‖d‖ + 1e-10)``. ``"layer"``: the same with the whole tensor as the slice.
    ``None``: unchanged. Raises ValueError for any other value.
    """
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize={normalize!r}: expected one of {NORMALIZATIONS}")
    if normalize is None:
        return dict(direction)
    size = vectors.filter_norms if normalize == "filter" else torch.linalg.vector_norm
    return vectors.combine(lambda d, theta: d * (size(theta) / (size(d) + EPSILON)), direction, origin)


def moving_parameters(origin: Mapping[str, Tensor], layers: Sequence[str] | None, include_biases: bool) -> set:
    """Names of the parameters that a direction moves.

    ``layers`` are names of layers or parameters (a layer stands for all its parameters); None is all.
    Parameters of fewer than two dimensions stay put unless ``include_biases``.
    Raises ValueError for a name that the model does not have, or where nothing would move.
    """
    names = set(origin)
    if layers is not None:
        if isinstance(layers, str):
            layers = [layers]
        names = set()
        for layer in layers:
            found = {name for name in origin if name == layer or name.startswith(f"{layer}.")}
            if not found:
                raise ValueError(f"layers: no layer {layer!r} in this model; it has {weight_layers(origin)}")
            names |= found
    if not include_biases:
        names = {name for name in names if origin[name].dim() >= 2}
    if not names:
        raise ValueError(
            f"layers={layers!r} with include_biases={include_biases}: no parameter would move; "
            f"layers with weights are {weight_layers(origin)}"
        )
    return names


def random_direction(
    model: Point,
    *,
    generator: torch.Generator,
    normalize="filter",
    scale=1.0,
    layers=None,
    include_biases=False,
) -> Params:
    """One Gaussian direction, normalized, times ``scale``; zero where nothing is to move.

    Drawn in float64 on the CPU, so that a seed means the same direction on every device and precision.
    """
    origin = vectors.parameters_of(model)
    moving = moving_parameters(origin, layers, include_biases)
    drawn = {
        name: torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)
        for name, tensor in origin.items()
    }
    direction = normalize_direction(drawn, origin, normalize)
    return {name: scale * tensor if name in moving else torch.zeros_like(tensor) for name, tensor in direction.items()}


def random_plane(
    model: Point,
    *,
    seed: int = 0,
    normalize: str | None = "filter",
    scale: float = 1.0,
    layers: Sequence[str] | None = None,
    include_biases: bool = False,
) -> Plane:
    """The plane through a model's weights along two Gaussian directions.

    ``normalize``: ``"filter"``, ``"layer"`` or None (see :func:`lossatlas.directions.normalize_direction`);
    ``scale`` multiplies both directions afterwards (the report's unnormalized pictures use ``normalize=None,
    scale=0.1``); ``layers``: move only these (see :func:`weight_layers`). Biases and normalization scales stay put
    unless ``include_biases``. Raises ValueError for an unknown normalization or layer.
    """
    generator = torch.Generator().manual_seed(seed)
    options = dict(normalize=normalize, scale=scale, layers=layers, include_biases=include_biases)
    delta = random_direction(model, generator=generator, **options)
    eta = random_direction(model, generator=generator, **options)
    facts = {"kind": "random plane", "seed": seed, **options}
    return Plane(vectors.parameters_of(model), delta, eta, facts)


def random_line(
    model: Point,
    *,
    seed: int = 0,
    normalize: str | None = "filter",
    scale: float = 1.0,
    layers: Sequence[str] | None = None,
    include_biases: bool = False,
) -> Line:
    """The line through a model's weights along the δ of :func:`random_plane` with the same arguments."""
    generator = torch.Generator().manual_seed(seed)
    options = dict(normalize=normalize, scale=scale, layers=layers, include_biases=include_biases)
    delta = random_direction(model, generator=generator, **options)
    return Line(vectors.parameters_of(model), delta, {"kind": "random line", "seed": seed, **options})


def line_between(a: Point, b: Point) -> Line:
    """The line with α = 0 at ``a`` and α = 1 at ``b`` (Goodfellow et al. 2015, linear interpolation)."""
    start, end = vectors.parameters_of(a), vectors.parameters_of(b)
    vectors.check_same_shape(start, end, what="model b")
    return Line(start, vectors.subtract(end, start), {"kind": "line between two points"})


def plane_from_directions(model: Point, delta: Mapping[str, Tensor], eta: Mapping[str, Tensor]) -> Plane:
    """The plane through a model's weights along two given parameter dicts, taken as they are."""
    origin = vectors.parameters_of(model)
    vectors.check_same_shape(origin, delta, what="delta")
    vectors.check_same_shape(origin, eta, what="eta")
    return Plane(origin, dict(delta), dict(eta), {"kind": "given directions", "normalize": None})


def pca_plane(checkpoints: Sequence[Point], *, center: bool = False, include_biases: bool = False) -> Plane:
    """The plane through the last checkpoint along the two main directions of a training path.

    The rows ``θ(i) − θ(n)`` form a matrix whose first two right singular vectors are δ and η: orthonormal,
    in units of weight distance (Li et al. 2018, section 7; the report's equation 2). ``center`` subtracts
    the mean row first, as PCA proper does. ``facts`` hold all singular values and the explained shares.
    Raises ValueError for fewer than three checkpoints or a path that spans no plane.
    """
    points = [vectors.parameters_of(checkpoint) for checkpoint in checkpoints]
    if len(points) < 3:
        raise ValueError(f"checkpoints: {len(points)} given, at least 3 are needed to span a plane")
    origin = points[-1]
    for i, point in enumerate(points[:-1]):
        vectors.check_same_shape(origin, point, what=f"checkpoint {i}")
    moving = moving_parameters(origin, None, include_biases)
    part = {name: tensor for name, tensor in origin.items() if name in moving}
    end = vectors.flatten(part)
    matrix = torch.stack([vectors.flatten({name: point[name] for name in part}) - end for point in points[:-1]])
    if center:
        matrix = matrix - matrix.mean(0)
    _, singular, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    if singular[0] == 0 or singular[1] <= 1e-12 * singular[0]:
        raise ValueError("checkpoints: they lie on one line (or in one point) and span no plane")
    shares = singular**2 / (singular**2).sum()
    zero = vectors.zeros_like(origin)
    delta, eta = ({**zero, **vectors.unflatten(row.to(end), part)} for row in right[:2])
    facts = {
        "kind": "PCA plane",
        "normalize": None,
        "center": center,
        "include_biases": include_biases,
        "checkpoints": len(points),
        "singular_values": singular.tolist(),
        "explained": shares.tolist(),
    }
    return Plane(origin, delta, eta, facts)
