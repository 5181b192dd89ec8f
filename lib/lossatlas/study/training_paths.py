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
from lossatlas.directions import dot_products, effective_dimensions, normalize_direction, project, random_walk
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


def random_walks(paths: xr.Dataset) -> xr.Dataset:
    """Return random walks with the step lengths of paths, in as many dimensions, in the same form.

    Parameters
    ----------
    paths
        As :func:`measure_runs` returns them. The walk beside a run has the run's seed.

    Returns
    -------
    Dataset
        ``distance``, ``differences`` and ``shadow`` as in :func:`measure`; their basis are the main directions of
        the walk. ``alpha``, ``beta``, ``alpha_dot``, ``beta_dot`` and ``captured`` on its plane of two PCA
        directions.

    See Also
    --------
    lossatlas.directions.random_walk : Draws one walk.

    Raises
    ------
    ValueError
        If the paths have no conditions and seeds.

    Examples
    --------
    >>> straight = xr.DataArray([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]], dims=("step", "basis"))
    >>> path = xr.Dataset({"differences": straight, "shadow": straight.rename(basis="draw"), "n_weights": 10**5})
    >>> walks = random_walks(path.expand_dims(condition=["SGD"], seed=[0]))
    >>> walks.distance.values.round(1)
    array([[[1.4, 1. , 0. ]]])
    """
    _check_paths(paths, "condition", "seed", "differences", "shadow", "n_weights")
    labels, seeds = (paths[name].to_numpy().tolist() for name in ("condition", "seed"))
    rows = [[_walk(paths.sel(condition=label, seed=seed), int(seed)) for seed in seeds] for label in labels]
    return stack_runs(rows, labels, seeds)


def _walk(path: xr.Dataset, seed: int) -> xr.Dataset:
    lengths = np.linalg.norm(np.diff(path.differences, axis=0), axis=1)
    walk = random_walk(lengths, dimensions=int(path.n_weights), seed=seed)
    squares, left = np.linalg.eigh(walk[:-1] @ walk[:-1].T)  # not of the other side, which is n × n
    main = np.vstack([left[:, ::-1] * np.sqrt(np.maximum(squares[::-1], 0)), np.zeros(len(squares))])
    distance = np.linalg.norm(main, axis=1)
    captured = np.divide(np.hypot(main[:, 0], main[:, 1]), distance, out=np.ones_like(distance), where=distance > 0)
    seen = {"alpha": main[:, 0], "beta": main[:, 1], "alpha_dot": main[:, 0], "beta_dot": main[:, 1]}
    variables = {name: (("plane", "step"), values[None]) for name, values in (seen | {"captured": captured}).items()}
    # No direction is special to a walk, so that the axes of its space are as random as any others.
    shadow = walk[:, : path.sizes["draw"]].copy()  # not a view, which would keep the whole walk
    variables |= {"differences": (("step", "basis"), main), "shadow": (("step", "draw"), shadow)}
    coords = {"plane": [PATH_PLANES[2]], "epoch": path.coords.get("epoch", ("step", np.arange(len(main))))}
    return xr.Dataset({"distance": ("step", distance), **variables}, coords)


def on_plane(path: xr.Dataset, plane: str) -> xr.Dataset:
    """Return a path of :func:`measure` on one plane, for drawing: alpha and beta over step, with epochs.

    The attributes ``explained_variance_alpha`` and ``_beta`` are the shares of the path's variance along δ and
    along η, each by itself.
    """
    seen = path.sel(plane=plane)
    total = float((seen.distance**2).sum())
    shares = {f"explained_variance_{n}": float((seen[f"{n}_dot"] ** 2).sum()) / total for n in ("alpha", "beta")}
    return seen[["alpha", "beta"]].assign_attrs(shares)


def variance_held(paths: xr.Dataset) -> xr.DataArray:
    """Return the share of a path's variance, the sum of the squared distances from θ*, that lies in each plane.

    Parameters
    ----------
    paths
        As :func:`measure`, :func:`measure_runs` or :func:`random_walks` returns them.

    Returns
    -------
    DataArray
        Over ``plane``, and ``condition`` and ``seed`` if the paths have them.

    Raises
    ------
    ValueError
        If the paths were not measured on planes.

    Examples
    --------
    >>> captured = ("plane", "step"), [[0.6, 1.0, 1.0]]
    >>> path = xr.Dataset({"captured": captured, "distance": ("step", [1.0, 0.5, 0.0])}, {"plane": ["PCA + PCA"]})
    >>> variance_held(path).item()
    0.488
    """
    _check_paths(paths, "plane", "distance", "captured")
    squares = paths.distance**2
    return ((paths.captured**2 * squares).sum("step") / squares.sum("step")).rename("variance held")


def _check_paths(paths: object, *names: str) -> None:
    if not isinstance(paths, xr.Dataset):
        raise ValueError(f"paths={paths!r:.60}: expected a Dataset of training_paths.measure_runs")
    if missing := [name for name in names if name not in paths.variables]:
        raise ValueError(f"paths: no {missing[0]!r}; expected a Dataset of training_paths.measure_runs")
