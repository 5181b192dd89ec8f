"""Subspaces of weight space: an origin, directions, and axes that say what a coordinate means.

A subspace stands for the points ``θ* + Σ cᵢ·dᵢ``. A line has one direction δ, a plane adds η and a box a third.
How the directions are drawn decides what a picture can mean: see Li et al. 2018, "Visualizing the Loss Landscape
of Neural Nets", sections 4 and 7.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas.directions import checks
from lossatlas.directions.checkpoints import read
from lossatlas.vectors import Params, Point

STEP = "step along the direction"
DISTANCE = "distance in weights"
AXIS_NAMES = ("alpha", "beta", "gamma")
ROLES = ("delta", "eta", "the third direction")


@dataclass(frozen=True)
class Axis:
    """Name one coordinate of a subspace.

    Parameters
    ----------
    name : str
        The dimension of the surfaces that are evaluated, such as ``"alpha"``.
    units : str
        What the coordinate counts in.
    bounds : (float, float)
        The range that :func:`lossatlas.evaluate` covers by default.

    Examples
    --------
    >>> Axis("alpha", "distance in weights").units
    'distance in weights'
    """

    name: str
    units: str = STEP
    bounds: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        """Raise ValueError for a name or units that are not text, and for bounds that hold no range."""
        for role in ("name", "units"):
            if not isinstance(getattr(self, role), str) or not getattr(self, role):
                raise ValueError(f"{role}={getattr(self, role)!r}: expected text")
        low, high = checks.numbers(self.bounds, "bounds") if len(self.bounds) == 2 else (0.0, 0.0)
        if not low < high:
            raise ValueError(f"bounds={self.bounds!r}: expected two increasing numbers")


@dataclass(frozen=True, eq=False, repr=False)
class Subspace:
    """Represent the points ``origin + Σ cᵢ·directionsᵢ``, where the axes' coordinates decide the coefficients c.

    Parameters
    ----------
    origin : dict of str to Tensor
        θ*, a value for every parameter of a model.
    directions : sequence of dict
        Parameter dicts with the names and shapes of ``origin``. They are brought into its dtypes.
    axes : sequence of Axis
        One axis a coordinate; there are as many as directions unless a subclass overrides ``coefficients``.
    description : mapping, optional
        How the subspace was made (kind, seed, ...), in values that JSON can hold. Results record it.
    buffers : dict of str to Tensor, optional
        Buffers at the origin that travel with the weights, such as running statistics of batch normalization.
        Buffers that are not named here stay those of the model.
    buffer_directions : sequence of dict, optional
        How the real-valued buffers change along each direction; empty if they do not.

    Raises
    ------
    ValueError
        If a part is no dict of finite tensors, if a direction does not fit the origin, or moves nothing.

    Examples
    --------
    >>> import torch
    >>> origin, step = {"w": torch.zeros(2, 2)}, {"w": torch.ones(2, 2)}
    >>> Subspace(origin, [step], [Axis("alpha")]).at(0.5)
    {'w': tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])}
    """

    origin: Params
    directions: tuple[Params, ...]
    axes: tuple[Axis, ...]
    description: Mapping[str, Any] = field(default_factory=dict)
    buffers: Params = field(default_factory=dict)
    buffer_directions: tuple[Params, ...] = ()

    def __post_init__(self) -> None:
        """Bring the parts into one form."""
        origin = checks.tensors(self.origin, "origin")
        checks.check_finite(origin, "origin")
        if not self.directions:
            raise ValueError("directions: none given, expected at least one")
        whats = ROLES if len(self.directions) <= len(ROLES) else map("direction {}".format, range(len(self.directions)))
        directions = [
            checks.direction_like(origin, given, what) for given, what in zip(self.directions, whats, strict=False)
        ]
        axes = tuple(self.axes)
        if type(self).coefficients is Subspace.coefficients and len(axes) not in (0, len(directions)):
            raise ValueError(f"axes={axes!r}: {len(axes)} axes for {len(directions)} directions")
        if not axes or not all(isinstance(axis, Axis) for axis in axes):
            raise ValueError(f"axes={axes!r}: expected one Axis a coordinate")
        if len({axis.name for axis in axes}) < len(axes):
            raise ValueError(f"axes={axes!r}: expected a name of its own for each")
        buffers = checks.tensors(self.buffers, "buffers") if self.buffers else {}
        moving = {name: tensor for name, tensor in buffers.items() if checks.movable(tensor)}
        if self.buffer_directions and len(self.buffer_directions) != len(directions):
            raise ValueError(f"buffer_directions: {len(self.buffer_directions)} given for {len(directions)} directions")
        steps = [checks.tensors(given, f"buffer_directions[{i}]") for i, given in enumerate(self.buffer_directions)]
        for i, given in enumerate(steps):
            vectors.check_same_shape(moving, given, what=f"buffer_directions[{i}]")
        self._set(
            origin=origin,
            directions=tuple(directions),
            axes=axes,
            description=checks.description_of(self.description),
            buffers=buffers,
            buffer_directions=tuple(vectors.combine(lambda d, b: d.to(b), given, moving) for given in steps),
        )

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        """Return the class, the axes and the description, without the tensors."""
        names = ", ".join(axis.name for axis in self.axes)
        weights = sum(tensor.numel() for tensor in self.origin.values())
        return f"{type(self).__name__}({names}; {weights} weights; {self.description})"

    @property
    def facts(self) -> Mapping[str, Any]:
        """The description, under the name that it had in version 0.1."""
        return self.description

    def coefficients(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the coefficients (n, number of directions) of the directions at coordinates (n, number of axes)."""
        return np.asarray(coordinates, dtype=np.float64)

    def _row(self, coordinates: Sequence[float]) -> list[float]:
        if len(coordinates) != len(self.axes):
            names = ", ".join(axis.name for axis in self.axes)
            raise ValueError(f"coordinates: {len(coordinates)} given, expected {len(self.axes)} ({names})")
        return self.coefficients(checks.numbers(coordinates, "coordinates")[None])[0].tolist()

    def at(self, *coordinates: float) -> Params:
        """Return the parameters at a point, each in its own dtype."""
        return vectors.add_scaled(self.origin, self.directions, self._row(coordinates))

    def buffers_at(self, *coordinates: float) -> Params:
        """Return the buffers that travel with the subspace, as they are at a point."""
        row = self._row(coordinates)
        return vectors.add_scaled(self.buffers, self.buffer_directions, row if self.buffer_directions else ())

    def for_model(self, model: nn.Module) -> Self:
        """Return the subspace with its tensors divided into the parameters and buffers of a module.

        A subspace that was made of state dicts, without a module that tells one from the other, may hold buffers
        among its parameters.

        Raises
        ------
        ValueError
            If the subspace lacks a parameter of the model, has one of another shape, or has a tensor that the model
            does not have.
        """
        own = read(model, "model").parameters
        if own.keys() == self.origin.keys():
            vectors.check_same_shape(own, self.origin, what="plane")
            return self
        network = read({**self.buffers, **self.origin}, "plane", model=model)
        vectors.check_same_shape(own, network.parameters, what="plane")
        directions, buffer_directions = [], []
        for i, direction in enumerate(self.directions):
            steps = {**(self.buffer_directions[i] if self.buffer_directions else {}), **direction}
            at_rest = vectors.zeros_like({**network.buffers, **network.parameters})
            steps = {name: steps.get(name, tensor) for name, tensor in at_rest.items()}
            directions.append({name: steps[name] for name in network.parameters})
            buffer_directions.append({name: steps[name] for name, b in network.buffers.items() if checks.movable(b)})
        moving = any(bool(step.any()) for steps in buffer_directions for step in steps.values())
        divided = copy.copy(self)
        divided._set(
            origin=network.parameters,
            directions=tuple(directions),
            buffers=network.buffers,
            buffer_directions=tuple(buffer_directions) if moving else (),
        )
        return divided


def make_axes(number: int, units: str) -> tuple[Axis, ...]:
    """Return the first axes of alpha, beta and gamma, all in the same units."""
    return tuple(Axis(name, units) for name in AXIS_NAMES[:number])


class Line(Subspace):
    """Represent the points ``origin + α·delta``.

    Parameters
    ----------
    origin, delta : dict of str to Tensor
        θ* and the direction δ.
    description, buffers, buffer_directions
        See :class:`Subspace`.
    units : str
        What α counts in.

    Examples
    --------
    >>> import torch
    >>> line = Line({"w": torch.zeros(2)}, {"w": torch.ones(2)})
    >>> line.at(0.5)["w"]
    tensor([0.5000, 0.5000])
    """

    def __init__(
        self,
        origin: Params,
        delta: Params,
        description: Mapping[str, Any] | None = None,
        *,
        units: str = STEP,
        buffers: Params | None = None,
        buffer_directions: Sequence[Params] = (),
    ):
        parts = (description or {}, buffers or {}, tuple(buffer_directions))
        super().__init__(origin, (delta,), make_axes(1, units), *parts)

    @property
    def delta(self) -> Params:
        """The direction δ."""
        return self.directions[0]


class Plane(Subspace):
    """Represent the points ``origin + α·delta + β·eta``.

    Parameters
    ----------
    origin, delta, eta : dict of str to Tensor
        θ* and the directions δ and η.
    description, buffers, buffer_directions
        See :class:`Subspace`.
    units : str
        What α and β count in.

    Examples
    --------
    >>> import torch
    >>> plane = Plane({"w": torch.zeros(2)}, {"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([0.0, 2.0])})
    >>> plane.at(0.5, -1)["w"]
    tensor([ 0.5000, -2.0000])
    """

    def __init__(
        self,
        origin: Params,
        delta: Params,
        eta: Params,
        description: Mapping[str, Any] | None = None,
        *,
        units: str = STEP,
        buffers: Params | None = None,
        buffer_directions: Sequence[Params] = (),
    ):
        parts = (description or {}, buffers or {}, tuple(buffer_directions))
        super().__init__(origin, (delta, eta), make_axes(2, units), *parts)

    @property
    def delta(self) -> Params:
        """The direction δ."""
        return self.directions[0]

    @property
    def eta(self) -> Params:
        """The direction η."""
        return self.directions[1]


class Box(Subspace):
    """Represent the points ``origin + α·d₁ + β·d₂ + γ·d₃``.

    Parameters
    ----------
    origin : dict of str to Tensor
        θ*.
    directions : sequence of dict
        Three directions.
    description, buffers, buffer_directions
        See :class:`Subspace`.
    units : str
        What α, β and γ count in.

    Examples
    --------
    >>> import torch
    >>> box = Box({"w": torch.zeros(3)}, [{"w": row} for row in torch.eye(3)])
    >>> box.at(1, 2, 3)["w"]
    tensor([1., 2., 3.])
    """

    def __init__(
        self,
        origin: Params,
        directions: Sequence[Params],
        description: Mapping[str, Any] | None = None,
        *,
        units: str = STEP,
        buffers: Params | None = None,
        buffer_directions: Sequence[Params] = (),
    ):
        if not isinstance(directions, Sequence) or len(directions) != 3:
            number = f"{len(directions)} in a " if isinstance(directions, Sequence) else ""
            raise ValueError(f"directions: got {number}{type(directions).__name__}, expected three parameter dicts")
        parts = (description or {}, buffers or {}, tuple(buffer_directions))
        super().__init__(origin, tuple(directions), make_axes(3, units), *parts)


def plane_from_directions(model: Point, delta: Mapping[str, Tensor], eta: Mapping[str, Tensor]) -> Plane:
    """Return the plane through a model's weights along two given directions.

    Parameters
    ----------
    model : Module or dict of str to Tensor
        θ*: a network, its parameters or its state dict. A network's buffers stay its own.
    delta, eta : dict of str to Tensor
        The directions, taken as they are, for every parameter of the model.

    Returns
    -------
    Plane
        In steps along the directions.

    Raises
    ------
    ValueError
        If a direction lacks a parameter, has another shape or kind of numbers, is not finite, or moves nothing.

    Examples
    --------
    >>> import torch
    >>> model = nn.Linear(2, 1, bias=False)
    >>> plane_from_directions(model, {"weight": torch.ones(1, 2)}, {"weight": torch.eye(2)[:1]}).description["kind"]
    'given directions'
    """
    network = read(model, "model")
    checks.check_finite(network.parameters, "model")
    origin, buffers = vectors.copy_of(network.parameters), vectors.copy_of(network.buffers)
    delta = vectors.copy_of(checks.direction_like(origin, delta, "delta"))
    eta = vectors.copy_of(checks.direction_like(origin, eta, "eta"))
    return Plane(origin, delta, eta, {"kind": "given directions", "normalize": None}, buffers=buffers)
