"""Slices: where a surface is taken. A plane, a grid on it and the samples behind every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from lossatlas._checks import instance_of, one_of, real_number, set_fields, whole_number
from lossatlas.study.conditions import jsonable
from lossatlas.study.planes import SPECIFICATIONS, PlaneSpecification, RandomPlane, plane_from_request

SPLITS = ("train", "test")
PRECISIONS = (None, "float32", "float64", "bfloat16")


@dataclass(frozen=True)
class Slice:
    """Describe where a surface is taken: a plane, a grid on it and the samples.

    Parameters
    ----------
    plane
        A plane specification, for example ``RandomPlane(seed=1)``.
    alpha, beta
        (lowest, highest) coordinate, or r for (−r, r). ``beta`` is ``alpha`` by default.
    points
        Points along each side of the grid, at least two.
    split
        ``"train"`` or ``"test"``.
    samples
        Size of the fixed sample of the split; None takes every sample.
    precision
        As in :func:`lossatlas.evaluate`.
    tolerance
        None evaluates every point. A number makes :func:`lossatlas.evaluate` adaptive with this tolerance, on the
        logarithmic scale of pictures.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> Slice(RandomPlane(1), alpha=0.5, points=3).alphas
    array([-0.5,  0. ,  0.5])
    """

    plane: PlaneSpecification = RandomPlane()  # noqa: RUF009  (frozen)
    _: KW_ONLY
    alpha: float | tuple[float, float] = 1.0
    beta: float | tuple[float, float] | None = None
    points: int = 51
    split: str = "test"
    samples: int | None = None
    precision: str | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        """Check the values and turn them into plain ones."""
        instance_of(self.plane, "plane", tuple(SPECIFICATIONS.values()), "a plane specification such as RandomPlane()")
        one_of(self.split, "split", SPLITS)
        one_of(self.precision, "precision", PRECISIONS)
        set_fields(self, alpha=_span(self.alpha, "alpha"), points=whole_number(self.points, "points", least=2))
        set_fields(self, beta=self.alpha if self.beta is None else _span(self.beta, "beta"))
        if self.samples is not None:
            set_fields(self, samples=whole_number(self.samples, "samples", least=1))
        if self.tolerance is not None:
            set_fields(self, tolerance=real_number(self.tolerance, "tolerance", above=0, below=1))

    @property
    def alphas(self) -> np.ndarray:
        """The coordinates along α, (points,)."""
        return np.linspace(*_span(self.alpha, "alpha"), self.points)

    @property
    def betas(self) -> np.ndarray:
        """The coordinates along β, (points,)."""
        return np.linspace(*_span(self.beta, "beta"), self.points)

    def request(self) -> dict:
        """Return the plain JSON document that names it in a stored key."""
        names = ["alpha", "beta", "points", "split", "samples", "precision"]
        names += ["tolerance"] * (self.tolerance is not None)
        return jsonable({"plane": self.plane.request(), **{name: getattr(self, name) for name in names}})

    @classmethod
    def from_request(cls, request: Mapping) -> Slice:
        """Return the slice that a stored key names."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in request.items()
        }
        return cls(plane_from_request(values.pop("plane")), **values)


def _span(value: object, name: str) -> tuple[float, float]:
    """Return (lowest, highest) for a pair, or for r the pair (−r, r)."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) and len(value) == 2:
        low, high = (real_number(end, name) for end in value)
        if low < high:
            return low, high
    elif not isinstance(value, Sequence | np.ndarray):
        half = real_number(value, name, above=0)
        return -half, half
    raise ValueError(f"{name}={value!r}: expected a positive number, or (lowest, highest)")
