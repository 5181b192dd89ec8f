"""Subspaces of weight space: an origin, directions, and axes that say what a coordinate means.

A subspace stands for the points ``θ* + Σ cᵢ·dᵢ``. A line has one direction δ, a plane adds η and a box a third.
How the directions are drawn decides what a picture can mean: see Li et al. 2018, "Visualizing the Loss Landscape
of Neural Nets", sections 4 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from lossatlas import vectors
from lossatlas.vectors import Params, Point

STEP = "step along the direction"
DISTANCE = "distance in weights"
AXIS_NAMES = ("alpha", "beta", "gamma")


@dataclass(frozen=True)
class Axis:
    """One coordinate of a subspace: its name and the units it counts in."""

    name: str
    units: str = STEP


@dataclass(frozen=True, eq=False, repr=False)
class Subspace:
    """Represent the points ``origin + Σ cᵢ·directionsᵢ``, where the axes' coordinates decide the coefficients c.

    Parameters
    ----------
    origin : dict of str to Tensor
        θ*, a value for every parameter of a model.
    directions : tuple of dict
        Parameter dicts with the names and shapes of ``origin``.
    axes : tuple of Axis
        One axis a coordinate; there are as many as directions unless a subclass overrides ``coefficients``.
    description : dict
        How the subspace was made (kind, seed, ...), as plain JSON values. Results record it.
    buffers : dict of str to Tensor
        Buffers at the origin that travel with the weights, such as running statistics of batch normalization.
        Buffers that are not named here stay those of the model.
    buffer_directions : tuple of dict
        How the buffers change along each direction; empty if they do not.
    """

    origin: Params
    directions: tuple[Params, ...]
    axes: tuple[Axis, ...]
    description: dict = field(default_factory=dict)
    buffers: Params = field(default_factory=dict)
    buffer_directions: tuple[Params, ...] = ()

    def __repr__(self) -> str:
        """Return the class, the axes and the description, without the tensors."""
        names = ", ".join(axis.name for axis in self.axes)
        weights = sum(tensor.numel() for tensor in self.origin.values())
        return f"{type(self).__name__}({names}; {weights} weights; {self.description})"

    def coefficients(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the coefficients (n, number of directions) of the directions at coordinates (n, k)."""
        return np.asarray(coordinates, dtype=np.float64)

    def _row(self, coordinates: Sequence[float]) -> list[float]:
        if len(coordinates) != len(self.axes):
            names = ", ".join(axis.name for axis in self.axes)
            raise ValueError(f"coordinates: {len(coordinates)} given, expected {len(self.axes)} ({names})")
        return self.coefficients(np.array([coordinates], dtype=np.float64))[0].tolist()

    def at(self, *coordinates: float) -> Params:
        """Return the parameters at a point, each in its own dtype."""
        return vectors.add_scaled(self.origin, self.directions, self._row(coordinates))

    def buffers_at(self, *coordinates: float) -> Params:
        """Return the buffers that travel with the subspace at a point."""
        row = self._row(coordinates)
        return vectors.add_scaled(self.buffers, self.buffer_directions, row if self.buffer_directions else ())


def make_axes(number: int, units: str) -> tuple[Axis, ...]:
    """Return the first axes of alpha, beta and gamma, all in the same units."""
    return tuple(Axis(name, units) for name in AXIS_NAMES[:number])


class Line(Subspace):
    """The points ``origin + α·delta``; see :class:`Subspace` for the other arguments."""

    def __init__(
        self,
        origin: Params,
        delta: Params,
        description: Mapping | None = None,
        *,
        units: str = STEP,
        buffers: Params | None = None,
        buffer_directions: Sequence[Params] = (),
    ):
        description = dict(description or {})
        super().__init__(
            origin, (delta,), make_axes(1, units), description, dict(buffers or {}), tuple(buffer_directions)
        )

    @property
    def delta(self) -> Params:
        """The direction δ."""
        return self.directions[0]


class Plane(Subspace):
    """The points ``origin + α·delta + β·eta``; see :class:`Subspace` for the other arguments."""

    def __init__(
        self,
        origin: Params,
        delta: Params,
        eta: Params,
        description: Mapping | None = None,
        *,
        units: str = STEP,
        buffers: Params | None = None,
        buffer_directions: Sequence[Params] = (),
    ):
        description = dict(description or {})
        super().__init__(
            origin, (delta, eta), make_axes(2, units), description, dict(buffers or {}), tuple(buffer_directions)
        )

    @property
    def delta(self) -> Params:
        """The direction δ."""
        return self.directions[0]

    @property
    def eta(self) -> Params:
        """The direction η."""
        return self.directions[1]


class Box(Subspace):
    """The points ``origin + α·d₁ + β·d₂ + γ·d₃``; see :class:`Subspace` for the other arguments."""

    def __init__(
        self,
        origin: Params,
        directions: Sequence[Params],
        description: Mapping | None = None,
        *,
        units: str = STEP,
        buffers: Params | None = None,
        buffer_directions: Sequence[Params] = (),
    ):
        if len(directions) != 3:
            raise ValueError(f"directions: {len(directions)} given, a Box has 3")
        description = dict(description or {})
        super().__init__(
            origin, tuple(directions), make_axes(3, units), description, dict(buffers or {}), tuple(buffer_directions)
        )


def plane_from_directions(model: Point, delta: Mapping[str, Tensor], eta: Mapping[str, Tensor]) -> Plane:
    """The plane through a model's weights along two given parameter dicts, taken as they are."""
    origin = vectors.parameters_of(model)
    vectors.check_same_shape(origin, delta, what="delta")
    vectors.check_same_shape(origin, eta, what="eta")
    return Plane(origin, dict(delta), dict(eta), {"kind": "given directions", "normalize": None})
