"""Plane specifications: plain values that name a plane and draw it when it is needed.

A specification is part of the stored key of a surface. It must decide the plane together with the training run alone,
so that whoever reads the key can draw the same plane again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch

from lossatlas import vectors
from lossatlas._checks import instance_of, one_of, real_number, set_fields, whole_number
from lossatlas.directions import (
    Plane,
    Subspace,
    line_between,
    plane_from_directions,
    plane_through,
    random_direction,
    random_plane,
)
from lossatlas.directions.subspaces import DISTANCE
from lossatlas.study.conditions import Condition, condition_of, jsonable, run_request
from lossatlas.study.path_directions import main_directions, random_units
from lossatlas.vectors import Params

if TYPE_CHECKING:
    from lossatlas.study.study import Study

NORMALIZE = ("filter", "layer", None)
RANDOM, MAIN = "random", "PCA"
PATH_PLANES = (f"{RANDOM} + {RANDOM}", f"{MAIN} + {RANDOM}", f"{MAIN} + {MAIN}")  # δ + η


class PlaneSpecification(Protocol):
    """What a :class:`Slice` holds: a hashable value that names a plane and draws it."""

    kind: ClassVar[str]  # its name in stored keys

    @property
    def label(self) -> str:
        """A few words that tell it from others of its kind."""
        ...

    def request(self) -> dict:
        """Return the plain JSON document that names it in a stored key."""
        ...

    def draw(self, study: Study, condition: Condition, seed: int) -> Plane:
        """Return the plane through the trained weights of one run."""
        ...


@dataclass(frozen=True)
class RandomPlane:
    """Specify the plane along two Gaussian directions, as :func:`lossatlas.random_plane` draws it.

    Parameters
    ----------
    seed
        Seed of the two directions.
    normalize
        ``"filter"``, ``"layer"`` or None.
    scale
        Multiplies both directions after the normalization.
    layers
        Names of the layers that move; None moves all.

    Examples
    --------
    >>> RandomPlane(1).label
    'plane 1'
    """

    seed: int = 0
    _: KW_ONLY
    normalize: str | None = "filter"
    scale: float = 1.0
    layers: tuple[str, ...] | None = None

    kind: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        """Check the values and turn them into plain ones."""
        layers = self.layers
        one_of(self.normalize, "normalize", NORMALIZE)
        names = isinstance(layers, list | tuple) and all(isinstance(name, str) for name in layers)
        if layers is not None and not names:
            raise ValueError(f"layers={layers!r}: expected a sequence of names, or None for all")
        set_fields(self, seed=whole_number(self.seed, "seed", least=0), scale=real_number(self.scale, "scale", above=0))
        set_fields(self, layers=None if layers is None else tuple(layers))

    @property
    def label(self) -> str:
        """Its seed, the layers that move and a normalization other than that of filters."""
        normalization = [f"{self.normalize} normalization"] * (self.normalize != "filter")
        return ", ".join([f"plane {self.seed}", *(self.layers or ()), *normalization])

    def request(self) -> dict:
        """Return the plain JSON document that names it in a stored key."""
        return jsonable({"kind": self.kind, **asdict(self)})

    def draw(self, study: Study, condition: Condition, seed: int) -> Plane:
        """Return the plane through the trained weights of one run."""
        model = study.model(condition, seed)
        return random_plane(model, seed=self.seed, normalize=self.normalize, scale=self.scale, layers=self.layers)


@dataclass(frozen=True)
class PathPlane:
    """Specify a plane under the training path of the run, with directions of length 1 that move no bias.

    Parameters
    ----------
    directions
        One of ``PATH_PLANES``: what δ and η are. "PCA" stands for a main direction of the path
        (:func:`lossatlas.pca_plane`), "random" for a Gaussian one.
    seed
        Seed of the random directions.

    Examples
    --------
    >>> PathPlane("PCA + random").label
    'PCA and random'
    """

    directions: str = PATH_PLANES[2]
    seed: int = 0

    kind: ClassVar[str] = "path"

    def __post_init__(self) -> None:
        """Check the values and turn them into plain ones."""
        one_of(self.directions, "directions", PATH_PLANES)
        set_fields(self, seed=whole_number(self.seed, "seed", least=0))

    @property
    def label(self) -> str:
        """Its two directions."""
        return self.directions.replace(" + ", " and ")

    def request(self) -> dict:
        """Return the plain JSON document that names it in a stored key."""
        return {"kind": self.kind, **asdict(self)}

    def draw(self, study: Study, condition: Condition, seed: int) -> Plane:
        """Return the plane through the trained weights, from the stored directions of the path."""
        origin = vectors.parameters_of(study.model(condition, seed))  # in the model's order, as directions are drawn
        sources = {RANDOM: iter(random_units(origin, self.seed))}
        if MAIN in self.directions:
            sources[MAIN] = iter(main_directions(study, condition, seed))
        delta, eta = (next(sources[kind]) for kind in self.directions.split(" + "))
        description = {"kind": f"path plane: {self.directions}", "normalize": None, "seed": self.seed}
        return Plane(origin, delta, eta, description, units=DISTANCE)


@dataclass(frozen=True)
class PlaneBetween:
    """Specify the plane in which α runs from the weights of this run (0) to those of another (1).

    β runs to a third run, or along a filter-normalized Gaussian direction if none is given.

    Parameters
    ----------
    other, third
        Training seeds of the other runs.
    condition
        Condition of the other runs; None for that of this run. It must have the same parameters.
    seed
        Seed of the Gaussian direction.

    Examples
    --------
    >>> PlaneBetween(1, third=2).label
    'between runs, to seeds 1 and 2'
    """

    other: int
    _: KW_ONLY
    third: int | None = None
    condition: Condition | None = None
    seed: int = 0

    kind: ClassVar[str] = "between runs"

    def __post_init__(self) -> None:
        """Check the values and turn them into plain ones."""
        set_fields(
            self, other=whole_number(self.other, "other", least=0), seed=whole_number(self.seed, "seed", least=0)
        )
        if self.third is not None:
            set_fields(self, third=whole_number(self.third, "third", least=0))
        if self.condition is not None:
            instance_of(self.condition, "condition", Condition, "a Condition, or None")

    @property
    def label(self) -> str:
        """The runs that it leads to."""
        seeds = f"seed {self.other}" if self.third is None else f"seeds {self.other} and {self.third}"
        return f"between runs, to {seeds}" + (f" of {self.condition.label}" if self.condition else "")

    def request(self) -> dict:
        """Return the plain JSON document that names it in a stored key."""
        condition = None if self.condition is None else run_request(self.condition, 0)
        named = {"other": self.other, "third": self.third, "condition": condition, "seed": self.seed}
        return {"kind": self.kind, **named}

    def draw(self, study: Study, condition: Condition, seed: int) -> Plane:
        """Return the plane through the weights of all named runs."""
        elsewhere = self.condition or condition
        model, other = study.model(condition, seed), study.model(elsewhere, self.other)
        description = {"kind": f"plane {self.kind}", "normalize": None, "seed": self.seed}
        if self.third is not None:
            through: Subspace = plane_through(model, other, study.model(elsewhere, self.third))
            changes, eta = through.buffer_directions, through.directions[1]
        else:
            through = line_between(model, other)
            changes = (*through.buffer_directions, *map(vectors.zeros_like, through.buffer_directions))
            eta = random_direction(model, generator=torch.Generator().manual_seed(self.seed))
        parts = through.origin, through.directions[0], eta, description
        return Plane(*parts, buffers=through.buffers, buffer_directions=changes)


@dataclass(frozen=True)
class GivenPlane:
    """Specify the plane along two given directions; they are kept beside the weights, under their digest.

    Parameters
    ----------
    name
        What people call it.
    digest
        Digest of the directions, as :meth:`of` computes it.

    Examples
    --------
    >>> import torch
    >>> delta, eta = {"weight": torch.ones(1, 2)}, {"weight": torch.tensor([[1.0, -1.0]])}
    >>> GivenPlane.of("sum and difference", delta, eta).request()
    {'kind': 'given', 'name': 'sum and difference', 'digest': '66e2c2980916'}
    """

    name: str
    digest: str
    directions: tuple[Params, Params] | None = field(default=None, compare=False, repr=False)

    kind: ClassVar[str] = "given"

    @classmethod
    def of(cls, name: str, delta: Mapping[str, torch.Tensor], eta: Mapping[str, torch.Tensor]) -> GivenPlane:
        """Return the specification of the plane along ``delta`` and ``eta``."""
        for role, direction in (("delta", delta), ("eta", eta)):
            tensors = isinstance(direction, Mapping) and all(isinstance(t, torch.Tensor) for t in direction.values())
            if not tensors:
                raise ValueError(f"{role}={direction!r:.80}: expected a mapping from names to tensors")
        digest = hashlib.sha256()
        first, second = ({k: t.detach().cpu().contiguous() for k, t in d.items()} for d in (delta, eta))
        for direction in (first, second):
            for key, tensor in sorted(direction.items()):
                digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return cls(name, digest.hexdigest()[:12], (first, second))

    @property
    def label(self) -> str:
        """Its name."""
        return self.name

    def request(self) -> dict:
        """Return the plain JSON document that names it in a stored key."""
        return {"kind": self.kind, "name": self.name, "digest": self.digest}

    def draw(self, study: Study, condition: Condition, seed: int) -> Plane:
        """Return the plane through the trained weights of one run.

        Raises
        ------
        LookupError
            If the directions were not given and are not stored.
        """

        def compute() -> Params:
            if self.directions is None:
                raise LookupError(f"the directions of plane {self.name!r} ({self.digest}) are not stored")
            pairs = zip(("delta", "eta"), self.directions, strict=True)
            return {f"{role}.{name}": tensor for role, direction in pairs for name, tensor in direction.items()}

        kept = study.tensors("directions", condition, seed, compute=compute, digest=self.digest)
        delta, eta = (
            {name.removeprefix(f"{role}."): tensor for name, tensor in kept.items() if name.startswith(f"{role}.")}
            for role in ("delta", "eta")
        )
        return plane_from_directions(study.model(condition, seed), delta, eta)


SPECIFICATIONS: dict[str, type] = {cls.kind: cls for cls in (RandomPlane, PathPlane, PlaneBetween, GivenPlane)}


def plane_from_request(request: Mapping) -> PlaneSpecification:
    """Return the specification that a stored key names.

    Examples
    --------
    >>> plane_from_request(PathPlane("PCA + PCA", seed=3).request())
    PathPlane(directions='PCA + PCA', seed=3)
    """
    one_of(request.get("kind"), "kind", tuple(SPECIFICATIONS))
    values = {key: value for key, value in request.items() if key != "kind"}
    if values.get("condition") is not None:
        values["condition"] = condition_of(values["condition"])[0]
    return SPECIFICATIONS[request["kind"]](**values)
