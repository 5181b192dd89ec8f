"""Maps of extreme eigenvalues of the Hessian around trained networks, kept in the store and checked again."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import xarray as xr

from lossatlas._checks import instance_of, real_number
from lossatlas.datasets.cache import DatasetUnavailable
from lossatlas.datasets.load import fixed_sample
from lossatlas.evaluation.surface import COMPUTING_VERSION
from lossatlas.study.conditions import Condition, run_request
from lossatlas.study.reevaluation import AGREES, DIFFERS, Check, Missing, Stored
from lossatlas.study.slices import Slice
from lossatlas.study.study import Study

NAME = "eigenvalues"
TOLERANCE = 0.01  # error of the ratio, as in `extremes`
CHECKED = 3  # points of a map that are computed again


def eigenvalue_map(
    study: Study, condition: Condition, seed: int, *, slice: Slice, tolerance: float = TOLERANCE
) -> xr.Dataset:
    """Return λmin and λmax of the full Hessian on a slice through one trained network, as stored or computed now.

    Parameters
    ----------
    study
        Where the map is kept.
    condition, seed
        The training run.
    slice
        Plane, grid, split and samples.
    tolerance
        Largest error of the ratio ``|λmin/λmax|``; see :func:`lossatlas.curvature.extremes`.

    Returns
    -------
    Dataset
        That of :func:`lossatlas.curvature.extremes`. A computation that was killed resumes at its last row.
    """
    instance_of(slice, "slice", Slice, "a lossatlas.study.Slice")
    tolerance = real_number(tolerance, "tolerance", above=0, below=1)
    request = {
        "run": run_request(condition, seed),
        "slice": slice.request(),
        "tolerance": tolerance,
        "computing_version": COMPUTING_VERSION,
    }
    name = f"{NAME}-{condition.name}"

    def compute() -> xr.Dataset:
        rows = study.store.path(name, request, ".rows")
        rows.parent.mkdir(parents=True, exist_ok=True)
        found = compute_map(study, condition, seed, slice=slice, tolerance=tolerance, resume=rows)
        rows.unlink()
        return found

    found = study.store.result(name, request, compute)
    return found.assign_attrs(condition=condition.label)  # labels are no part of the request


def compute_map(
    study: Study,
    condition: Condition,
    seed: int,
    *,
    slice: Slice,
    tolerance: float,
    alphas: np.ndarray | None = None,
    betas: np.ndarray | None = None,
    resume: Path | None = None,
) -> xr.Dataset:
    """Compute the map now, whatever is stored; ``alphas`` and ``betas`` replace the coordinates of the slice."""
    from lossatlas.curvature import extremes  # an extra of the package, which other studies do not need

    data = condition.data
    found = extremes(
        study.model(condition, seed),
        slice.plane.draw(study, condition, seed),
        fixed_sample(getattr(data, slice.split), slice.samples),
        alphas=list(slice.alphas if alphas is None else alphas),
        betas=list(slice.betas if betas is None else betas),
        loss=data.loss,
        tolerance=tolerance,
        device=study.device,
        progress=study.progress,
        resume=resume,
    )
    return found.assign_attrs(
        dataset=condition.dataset, split=slice.split, training_seed=seed, condition=condition.label
    )


def check_map(kept: Study, stored: Stored, *, seed: int = 0, points: int = CHECKED) -> Check:
    """Compute the eigenvalues at a few points of a stored map again, from random starts, and compare.

    The map is one of ``stored_surfaces(study, kind=NAME)``.
    Both λmin and λmax must agree to twice the tolerance of the map, in units of the larger of the two.
    """
    start = time.perf_counter()
    draw = np.random.default_rng([seed, int(stored.path.stem[-12:], 16)])
    found, worst, agrees = stored.surface, 0.0, True
    tolerance = float(found.attrs["tolerance"])
    at = draw.permutation(found.loss.size)[: min(points, found.loss.size)]
    name = f"{NAME} of {stored.name}"
    try:
        for i, j in zip(*np.unravel_index(at, found.loss.shape), strict=True):
            here = found.isel(alpha=[i], beta=[j])
            fresh = compute_map(
                kept,
                stored.condition,
                stored.seed,
                slice=stored.slice,
                tolerance=tolerance,
                alphas=here.alpha.values,
                betas=here.beta.values,
            )
            size = float(np.maximum(abs(here.smallest), abs(here.largest)).max())
            difference = max(float(abs(fresh[key] - here[key]).max()) for key in ("smallest", "largest")) / size
            worst, agrees = max(worst, difference), agrees and bool(difference <= 2 * tolerance)
    except (DatasetUnavailable, Missing, RuntimeError) as error:
        return Check(name, 0, found.loss.size, np.nan, time.perf_counter() - start, str(error).splitlines()[0])
    verdict = AGREES if agrees else DIFFERS
    return Check(name, len(at), found.loss.size, worst, time.perf_counter() - start, verdict)
