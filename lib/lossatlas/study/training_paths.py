"""What a chapter asks for about a training path: measured once, while the checkpoints are there; kept in the store.

The checkpoints themselves are not kept. What is: the path in an orthonormal basis of the space that it spans
(its whole geometry, in a few numbers), its coordinates on planes, and the directions of its PCA plane.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
import xarray as xr
from torch import nn

from lossatlas import vectors
from lossatlas.datasets.load import fixed_sample
from lossatlas.directions.gaussian import normalize_direction, random_direction
from lossatlas.directions.subspaces import DISTANCE, Plane
from lossatlas.directions.trajectory import dot_products, effective_dimensions, pca_plane, project
from lossatlas.evaluation.surface import COMPUTING_VERSION, pick_device, provenance
from lossatlas.networks.losses import make_score
from lossatlas.networks.models import build_model
from lossatlas.networks.training import mean_scores
from lossatlas.study.study import Condition, Study
from lossatlas.vectors import Params

RANDOM, MAIN = "random", "PCA"
PLANES = (f"{RANDOM} + {RANDOM}", f"{MAIN} + {RANDOM}", f"{MAIN} + {MAIN}")  # δ + η


@dataclass(frozen=True)
class PathSlice:
    """Where a surface under a path is taken: one of ``PLANES``, and the grid ``alpha`` × ``beta`` on it.

    ``alpha`` and ``beta`` are (lowest, highest), in distance in weights, with ``points`` along each; ``samples``
    of ``split`` (a fixed sample, None for all); ``plane_seed`` draws the random directions.
    """

    plane: str
    alpha: tuple[float, float]
    beta: tuple[float, float]
    points: int = 51
    split: str = "train"
    samples: int | None = 1000
    plane_seed: int = 0

    @classmethod
    def around(cls, path: xr.Dataset, plane: str, *, margin: float = 0.25, **options) -> PathSlice:
        """The slice that holds a path of :func:`measure` and a ``margin`` around it, a share of its extent."""
        seen = path.sel(plane=plane)
        spans = [_wider(seen[name].to_numpy(), margin) for name in ("alpha", "beta")]
        return cls(plane, *spans, plane_seed=int(path.attrs["plane_seed"]), **options)


def _wider(values: np.ndarray, margin: float) -> tuple[float, float]:
    """Round numbers around the values."""
    low, high = float(values.min()), float(values.max())
    step = 10.0 ** np.floor(np.log10((high - low) or 1.0) - 1)
    ends = np.floor((low - margin * (high - low)) / step), np.ceil((high + margin * (high - low)) / step)
    return tuple(float(f"{end * step:.6g}") for end in ends)


def random_units(origin: Params, seed: int) -> Iterable[Params]:
    """One Gaussian direction over the weights after the other, each of length 1; the biases stay put."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        drawn = random_direction(origin, generator=generator, normalize=None)
        yield vectors.scale(1 / vectors.norm(drawn), drawn)


def main_directions(study: Study, condition: Condition, seed: int, checkpoints: Sequence[Params] = ()) -> list[Params]:
    """The two directions of a path's PCA plane, as stored; trained for once more where they are not.

    They are kept, and used, in half precision, which tilts them by less than a thousandth.
    """

    def compute() -> Params:
        plane = pca_plane(checkpoints or cpu_checkpoints(study.train(condition, seed).checkpoints))
        pairs = zip(("delta", "eta"), plane.directions, strict=True)
        return {f"{role}.{name}": t.half() for role, d in pairs for name, t in d.items() if t.dim() >= 2}

    kept = study.tensors("pca-plane", condition, seed, compute=compute)
    zero = vectors.zeros_like(study.params(condition, seed))
    return [
        {
            name: kept[f"{role}.{name}"].to(tensor) if f"{role}.{name}" in kept else tensor
            for name, tensor in zero.items()
        }
        for role in ("delta", "eta")
    ]


def cpu_checkpoints(checkpoints: Sequence[Params]) -> list[Params]:
    return [{name: tensor.cpu() for name, tensor in point.items()} for point in checkpoints]


def plane_under(study: Study, condition: Condition, seed: int, *, plane: str, plane_seed: int = 0) -> Plane:
    """One of ``PLANES`` through the trained weights, from what is stored; δ and η of length 1, to rounding."""
    if plane not in PLANES:
        raise ValueError(f"plane={plane!r}: expected one of {PLANES}")
    origin = vectors.parameters_of(study.model(condition, seed))  # in the model's order, in which directions are drawn
    sources = {RANDOM: iter(random_units(origin, plane_seed))}
    if MAIN in plane:
        sources[MAIN] = iter(main_directions(study, condition, seed))
    delta, eta = (next(sources[kind]) for kind in plane.split(" + "))
    description = {"kind": f"path plane: {plane}", "normalize": None, "seed": plane_seed}
    return Plane(origin, delta, eta, description, units=DISTANCE)


def losses_at(model: nn.Module, points: Iterable[Params], split, loss: str) -> np.ndarray:
    """The mean loss on a split with each of these weights."""
    private, score, found = copy.deepcopy(model), make_score(loss), []
    for point in points:
        private.load_state_dict(point, strict=False)
        found.append(mean_scores(private, split, score)[0])
    return np.array(found)


def measure(
    study: Study, condition: Condition, seed: int, *, draws: int = 100, plane_seed: int = 0, samples: int | None = 1000
) -> xr.Dataset:
    """The path of one training run, from θ(0) to θ(n) = θ*, in numbers; its recipe must keep checkpoints.

    Over ``step`` (with ``epoch``): ``distance``, the norm of ``θ(i) − θ*``, biases left out as everywhere
    here; ``train_loss`` on a fixed sample; ``differences``, the rows ``θ(i) − θ*`` in an orthonormal ``basis``
    of the space that they span. Over ``component``: ``singular``, the singular values of the differences. Over
    ``plane`` and step: ``alpha`` and ``beta`` by least squares, ``alpha_dot`` and ``beta_dot`` by dot
    products, ``captured`` as in :func:`~lossatlas.project`, ``plane_loss`` at the point of the plane. Over
    ``draw``, random directions of length 1 whose first two are those of the planes: ``cosine`` with the
    displacement ``θ(0) − θ*``, ``cosine_filter`` after filter normalization, and (step) ``shadow``, the dot
    products of the path with them. Attributes: ``n_weights``, and ``n_effective`` for filter normalization.
    """

    def compute() -> xr.Dataset:
        run, data = study.train(condition, seed), condition.data
        points = cpu_checkpoints(run.checkpoints)
        main_directions(study, condition, seed, points)
        model = build_model(condition.model, data, seed=seed, **condition.options)
        split = fixed_sample(data.train, samples)
        moves = [{n: p[n] - points[-1][n] for n in p if p[n].dim() >= 2} for p in points]
        matrix = torch.stack([vectors.flatten(move) for move in moves]).double()
        reduced = torch.linalg.qr(matrix[:-1].T, mode="r").R.T  # Aᵀ = QR, so that A = RᵀQᵀ: turned, nothing lost
        found = {
            "distance": ("step", matrix.norm(dim=1).numpy()),
            "train_loss": ("step", losses_at(model, points, split, data.loss)),
            "differences": (("step", "basis"), np.vstack([reduced.numpy(), np.zeros((1, len(reduced)))])),
            "singular": ("component", torch.linalg.svdvals(matrix).numpy()[: len(reduced)]),
            **_on_planes(study, condition, seed, points, model, split, plane_seed),
            **_on_draws(points[-1], moves[0], matrix, draws, plane_seed),
        }
        per_epoch = -(-len(data.train[0]) // condition.recipe.batch_size)
        coords = {
            "step": list(run.steps),
            "epoch": ("step", np.array(run.steps) / per_epoch),
            "plane": list(PLANES),
            "component": np.arange(1, len(reduced) + 1),
        }
        attrs = {
            "n_weights": matrix.shape[1],
            "n_effective": effective_dimensions(points[-1], {**vectors.zeros_like(points[-1]), **moves[0]}),
            "plane_seed": plane_seed,
            "samples": len(split[0]),
            **provenance(model, pick_device(study.device)),
        }
        return xr.Dataset(found, coords, attrs)

    return study.result("path", condition, seed, compute=compute, draws=draws, plane_seed=plane_seed, samples=samples)


def _on_planes(study, condition, seed, points, model, split, plane_seed) -> dict:
    """The variables of :func:`measure` over plane and step."""
    weights = [{**points[-1], **{n: t for n, t in point.items() if t.dim() >= 2}} for point in points]
    columns: dict[str, list] = {}
    for kind in PLANES:
        plane = plane_under(study, condition, seed, plane=kind, plane_seed=plane_seed)
        seen = project(weights, plane)
        dots = dot_products(weights, plane)
        below = [plane.at(float(a), float(b)) for a, b in zip(seen.alpha, seen.beta, strict=True)]
        row = {name: seen[name].to_numpy() for name in ("alpha", "beta", "captured")}
        row |= {"alpha_dot": dots[:, 0], "beta_dot": dots[:, 1]}
        row["plane_loss"] = losses_at(model, below, split, condition.data.loss)
        for name, values in row.items():
            columns.setdefault(name, []).append(values)
    return {name: (("plane", "step"), np.array(values)) for name, values in columns.items()}


def _on_draws(origin: Params, displacement: Params, matrix: torch.Tensor, draws: int, plane_seed: int) -> dict:
    """The variables of :func:`measure` over random directions."""
    shadows, cosines, normalized = [], [], []
    for _, direction in zip(range(draws), random_units(origin, plane_seed), strict=False):
        weights = {name: direction[name] for name in displacement}
        shadows.append((matrix @ vectors.flatten(weights).double()).numpy())
        cosines.append(vectors.cosine(weights, displacement))
        sized = normalize_direction(weights, {name: origin[name] for name in weights}, "filter")
        normalized.append(vectors.cosine(sized, displacement))
    return {
        "shadow": (("step", "draw"), np.array(shadows).T.astype(np.float32)),
        "cosine": ("draw", cosines),
        "cosine_filter": ("draw", normalized),
    }


def surface_under(study: Study, condition: Condition, seed: int, *, slice: PathSlice) -> xr.Dataset:
    """The surface under a path."""

    def compute() -> xr.Dataset:
        return compute_surface_under(study, condition, seed, slice=slice)

    asked = {**asdict(slice), "computing_version": COMPUTING_VERSION}
    return study.result("surface", condition, seed, compute=compute, **asked)


def compute_surface_under(
    study: Study,
    condition: Condition,
    seed: int,
    *,
    slice: PathSlice,
    alphas: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
) -> xr.Dataset:
    """The same, evaluated now from the stored weights and directions, whatever surface is stored.

    ``alphas`` and ``betas`` are other coordinates than the slice's own, some of its points perhaps.
    """
    model = study.model(condition, seed)
    plane = plane_under(study, condition, seed, plane=slice.plane, plane_seed=slice.plane_seed)
    alphas = np.linspace(*slice.alpha, slice.points) if alphas is None else alphas
    betas = np.linspace(*slice.beta, slice.points) if betas is None else betas
    surface = study.evaluate_on(model, plane, condition, seed, slice=slice, alphas=alphas, betas=betas)
    return surface.assign_attrs(condition=f"{condition.label}, {slice.plane.replace(' + ', ' and ')}")


def on_plane(path: xr.Dataset, plane: str) -> xr.Dataset:
    """A path of :func:`measure` on one plane, for drawing: alpha and beta over step, with epochs.

    The attributes ``explained_variance_alpha`` and ``_beta`` are the shares of the path's variance along δ and
    along η, each by itself.
    """
    seen = path.sel(plane=plane)
    total = float((seen.distance**2).sum())
    shares = {f"explained_variance_{n}": float((seen[f"{n}_dot"] ** 2).sum()) / total for n in ("alpha", "beta")}
    return seen[["alpha", "beta"]].assign_attrs(shares)


def variance_held(path: xr.Dataset, plane: str) -> float:
    """The share of a path's variance, the sum of the squared distances from θ*, that lies in a plane."""
    squares = path.distance**2
    return float((path.captured.sel(plane=plane) ** 2 * squares).sum() / squares.sum())
