"""Curves through parameter space that begin at one network and end at another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from lossatlas import vectors
from lossatlas._checks import one_of
from lossatlas.directions import checks
from lossatlas.directions.interpolation import through
from lossatlas.directions.subspaces import Axis, Subspace
from lossatlas.vectors import Params, Point

KINDS = ("bezier", "polygon")
POSITION = "position along the curve"


class Curve(Subspace):
    """Represent a curve from a first network (t = 0) to a last one (t = 1), bent by the points between.

    A Bézier curve is ``Σ C(n, i)·tⁱ·(1 − t)ⁿ⁻ⁱ·pᵢ``; its inner points attract it, and with one of them it is
    quadratic. A polygon passes through every point ``pᵢ``, at ``t = i/n``, along straight lines. Both are affine in
    coefficients that depend on t, so :func:`lossatlas.evaluate` takes a curve as it takes a line.

    Parameters
    ----------
    points : sequence of Module or dict of str to Tensor
        Two or more networks, parameter dicts or state dicts: the ends, and the bends between them. Buffers, such as
        running statistics, are combined like the weights.
    kind : {"bezier", "polygon"}
        How the points make a curve.
    description : mapping, optional
        How the curve was made, in values that JSON can hold.
    model : Module, optional
        A module of the same architecture, which tells parameters from buffers in a state dict.

    Raises
    ------
    ValueError
        If the networks differ in architecture, if two points next to the first are equal to it, or if weights are
        not finite.

    References
    ----------
    Garipov et al. 2018, "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs", equations 3 and 4.

    Examples
    --------
    >>> import torch
    >>> points = [{"w": torch.tensor(p)} for p in ([0.0, 0.0], [1.0, 2.0], [2.0, 0.0])]
    >>> Curve(points).at(0.5)["w"], Curve(points, "polygon").at(0.5)["w"]
    (tensor([1., 1.]), tensor([1., 2.]))
    """

    kind: str

    def __init__(
        self,
        points: Sequence[Point],
        kind: str = "bezier",
        description: Mapping[str, Any] | None = None,
        *,
        model: nn.Module | None = None,
    ):
        one_of(kind, "kind", KINDS)
        if not isinstance(points, Sequence) or isinstance(points, str) or len(points) < 2:
            got = f"{len(points)} in a " if isinstance(points, Sequence) else ""
            raise ValueError(f"points: got {got}{type(points).__name__}, expected two or more networks")
        origin, steps, buffers, moves = through(points, [f"points[{i}]" for i in range(len(points))], model=model)
        described = {"kind": f"{kind} curve", "bends": len(points) - 2, **checks.description_of(description)}
        axes = (Axis("t", POSITION, bounds=(0.0, 1.0)),)
        super().__init__(origin, tuple(steps), axes, described, buffers, tuple(moves))
        self._set(kind=kind)

    @property
    def points(self) -> list[Params]:
        """The parameters of the ends and of the bends between them, in order."""
        unit = np.eye(len(self.directions))
        return [vectors.add_scaled(self.origin, self.directions, row) for row in (np.zeros(len(unit)), *unit)]

    @property
    def point_buffers(self) -> list[Params]:
        """The buffers that travel with the curve, for each of :attr:`points`."""
        unit = np.eye(len(self.directions)) if self.buffer_directions else np.zeros((len(self.directions), 0))
        rows = (np.zeros(len(self.buffer_directions)), *unit)
        return [vectors.add_scaled(self.buffers, self.buffer_directions, row) for row in rows]

    def coefficients(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the weights (n, points - 1) of all points but the first at positions (n, 1)."""
        return basis(self.kind, len(self.directions), np.asarray(coordinates, dtype=np.float64)[:, 0])[:, 1:]

    def derivative(self, t: float) -> Params:
        """Return how the parameters change with t. At a corner of a polygon it is the slope after the corner."""
        at = checks.numbers([t], "t")
        row = basis_slopes(self.kind, len(self.directions), at)[0, 1:]
        return vectors.add_scaled(vectors.zeros_like(self.origin), self.directions, row.tolist())


def basis(kind: str, degree: int, t: np.ndarray) -> np.ndarray:
    """Return the weights (n, degree + 1) of the points of a curve at positions (n,); every row sums to one.

    Examples
    --------
    >>> basis("bezier", 2, np.array([0.5])), basis("polygon", 2, np.array([0.75]))
    (array([[0.25, 0.5 , 0.25]]), array([[0. , 0.5, 0.5]]))
    """
    t = np.asarray(t, dtype=np.float64)[:, None]
    i = np.arange(degree + 1)
    if kind == "bezier":
        return np.array([math.comb(degree, k) for k in i]) * t**i * (1 - t) ** (degree - i)
    piece = np.clip(np.floor(t * degree), 0, degree - 1)  # outside the ends, the first and the last piece go on
    along = t * degree - piece
    return (i == piece) * (1 - along) + (i == piece + 1) * along


def basis_slopes(kind: str, degree: int, t: np.ndarray) -> np.ndarray:
    """Return the derivatives (n, degree + 1) of :func:`basis` by the position.

    Examples
    --------
    >>> basis_slopes("polygon", 2, np.array([0.75]))
    array([[ 0., -2.,  2.]])
    """
    t = np.asarray(t, dtype=np.float64)
    if kind == "bezier":
        lower = degree * basis("bezier", degree - 1, t) if degree > 1 else np.ones((len(t), 1))
        padded = np.pad(lower, ((0, 0), (1, 1)))
        return padded[:, :-1] - padded[:, 1:]
    i, piece = np.arange(degree + 1), np.clip(np.floor(t * degree), 0, degree - 1)[:, None]
    return degree * ((i == piece + 1) * 1.0 - (i == piece))
