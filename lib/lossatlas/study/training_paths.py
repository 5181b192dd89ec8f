"""Measures of a training path, taken once, while its checkpoints exist, and kept in the store.

The checkpoints themselves are not kept. What is kept: the path in an orthonormal basis of the space that it spans
(its whole geometry, in a few numbers), its coordinates on planes, and the directions of its PCA plane.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import xarray as xr
from torch import nn

from lossatlas import vectors
from lossatlas._checks import one_of
from lossatlas.datasets.load import fixed_sample
from lossatlas.directions import dot_products, effective_dimensions, normalize_direction, project
from lossatlas.evaluation.surface import pick_device, provenance
from lossatlas.networks.losses import make_score
from lossatlas.networks.models import build_model
from lossatlas.networks.training import mean_scores
from lossatlas.study.conditions import Condition, check_labels
from lossatlas.study.labelled import checked_seeds, stack_runs
from lossatlas.study.path_directions import cpu_checkpoints, main_directions, random_units
from lossatlas.study.planes import PATH_PLANES, PathPlane
from lossatlas.study.slices import Slice
from lossatlas.study.study import Study
from lossatlas.vectors import Params


def slice_around(path: xr.Dataset, directions: str, *, margin: float = 0.25, **options) -> Slice:
    """Return the slice under a path of :func:`measure`, with a ``margin`` around it, a share of its extent.

    ``directions`` is one of ``PATH_PLANES``; ``options`` are those of :class:`~lossatlas.study.Slice`.
    """
    one_of(directions, "directions", PATH_PLANES)
    seen = path.sel(plane=directions)
    alpha, beta = (_wider(seen[name].to_numpy(), margin) for name in ("alpha", "beta"))
    return Slice(PathPlane(directions, int(path.attrs["plane_seed"])), alpha=alpha, beta=beta, **options)


def _wider(values: np.ndarray, margin: float) -> tuple[float, float]:
    """Round numbers around the values."""
    low, high = float(values.min()), float(values.max())
    step = 10.0 ** np.floor(np.log10((high - low) or 1.0) - 1)
    first, last = np.floor((low - margin * (high - low)) / step), np.ceil((high + margin * (high - low)) / step)
    return float(f"{first * step:.6g}"), float(f"{last * step:.6g}")


def losses_at(model: nn.Module, points: Iterable[Params], split, loss: str) -> np.ndarray:
    """Return the mean loss on a split with each of these weights."""
    private, score, found = copy.deepcopy(model), make_score(loss), []
    for point in points:
        private.load_state_dict(point, strict=False)
        found.append(mean_scores(private, split, score)[0])
    return np.array(found)


def measure(
    study: Study, condition: Condition, seed: int, *, draws: int = 100, plane_seed: int = 0, samples: int | None = 1000
) -> xr.Dataset:
    """Return the path of one training run from θ(0) to θ(n) = θ* in numbers; its recipe must keep checkpoints.

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
            "plane": list(PATH_PLANES),
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
    """Return the variables of :func:`measure` over plane and step."""
    weights = [{**points[-1], **{n: t for n, t in point.items() if t.dim() >= 2}} for point in points]
    columns: dict[str, list] = {}
    for kind in PATH_PLANES:
        plane = PathPlane(kind, plane_seed).draw(study, condition, seed)
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
    """Return the variables of :func:`measure` over random directions."""
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


def measure_runs(study: Study, conditions: Sequence[Condition], seeds: Sequence[int], **options) -> xr.Dataset:
    """Return the paths of several runs as one Dataset over ``condition`` and ``seed``.

    Parameters
    ----------
    study
        Where they are kept.
    conditions, seeds
        The training runs. Their recipes must keep checkpoints, at the same epochs.
    options
        Those of :func:`measure`.

    Returns
    -------
    Dataset
        The variables of :func:`measure`, and ``n_weights`` and ``n_effective`` over condition and seed. ``step``
        counts the checkpoints.

    Raises
    ------
    ValueError
        If two conditions have the same label, there are no seeds, or the epochs differ.
    """
    check_labels(conditions)
    seeds = checked_seeds(seeds)
    rows = []
    for condition in conditions:
        found = [measure(study, condition, seed, **options) for seed in seeds]
        sizes = [{name: path.attrs[name] for name in ("n_weights", "n_effective")} for path in found]
        rows.append([path.drop_vars("step").assign(size) for path, size in zip(found, sizes, strict=True)])
        if not np.array_equal(found[0].epoch, rows[0][0].epoch):
            raise ValueError(f"conditions: the checkpoints of {condition.label!r} are at other epochs than the first's")
    return stack_runs(rows, [condition.label for condition in conditions], seeds)


def on_plane(path: xr.Dataset, plane: str) -> xr.Dataset:
    """Return a path of :func:`measure` on one plane, for drawing: alpha and beta over step, with epochs.

    The attributes ``explained_variance_alpha`` and ``_beta`` are the shares of the path's variance along δ and
    along η, each by itself.
    """
    seen = path.sel(plane=plane)
    total = float((seen.distance**2).sum())
    shares = {f"explained_variance_{n}": float((seen[f"{n}_dot"] ** 2).sum()) / total for n in ("alpha", "beta")}
    return seen[["alpha", "beta"]].assign_attrs(shares)
