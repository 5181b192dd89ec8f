"""The adaptive schedule: evaluate only the points and samples that a grid needs, here or on a cluster."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from lossatlas._checks import one_of, real_number, whole_number
from lossatlas._progress import Bar
from lossatlas.evaluation import refinement
from lossatlas.evaluation.journal import Journal
from lossatlas.evaluation.schedule import Outcome, work_off
from lossatlas.evaluation.work import Part, Work

CHUNK_POINTS = 32  # most points of a chunk that a journal keeps or a worker computes, and …
CHUNK_EVALUATIONS = 2**18  # … most samples times points, unless it has one point

EXPECTED_POINTS = 128  # that are evaluated on all samples


@dataclass(frozen=True)
class ErrorLimit:
    """Say how near an adaptive surface must be, and on what scale.

    Parameters
    ----------
    tolerance : float
        The largest accepted error, as a share of the range of the loss.
    error_scale : {"linear", "log"}
        Whether errors and range are those of the loss or of its logarithm.
    seed : int
        For the samples and points that are drawn.
    """

    tolerance: float = 0.01
    error_scale: str = "linear"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        real_number(self.tolerance, "tolerance", above=0, below=1)
        one_of(self.error_scale, "error_scale", refinement.SCALES)
        whole_number(self.seed, "seed", least=0)


def mean_values(sums: np.ndarray) -> np.ndarray:
    """Return the values (q, n) of sums (2q, n): numerators over weights."""
    numerators, weights = np.split(sums, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return numerators / weights


def expected_part(work: Work, points: int) -> Part:
    """Return what takes most of the time: some points, spread over the grid, on all samples."""
    return Part(slice(None, None, max(1, points // EXPECTED_POINTS)), work.levels[-1])


def run_adaptively(executor, shape: Sequence[int], journal: Journal | None, bar: Bar, *, limit: ErrorLimit) -> Outcome:
    """Evaluate as little of a grid as :func:`lossatlas.evaluation.refinement.fill` needs.

    What is evaluated next depends only on the values found so far and on the seed, so a resumed evaluation asks for
    the chunks of its journal in the same order.
    """
    points, work = math.prod(shape), executor.work
    levels = [work.holding(blocks).samples for blocks in work.levels]
    rows, number = 2 * len(work.names), 0
    sums = np.zeros((rows, points + 1))  # at each point over the levels that it was evaluated on, and at θ* last
    bar.total = None  # nobody knows yet how many evaluations will be enough
    with executor:
        if journal and journal.strategy:
            strategy, provenance = journal.strategy, journal.provenance
        else:
            (strategy, _), provenance = executor.tune(expected_part(work, points)), executor.provenance
            if journal:
                journal.begin(strategy, [], provenance)

        def evaluate(level: int, indices: np.ndarray) -> np.ndarray:
            """Return the values (q, m) on a level at points that are evaluated on the level below."""
            nonlocal number
            size = max(1, min(CHUNK_POINTS, CHUNK_EVALUATIONS // levels[level]))
            count = math.ceil(len(indices) / size) if executor.in_chunks or journal else 1
            chunks = np.array_split(indices, count)
            parts = {number + i: Part(torch.from_numpy(some), work.levels[level]) for i, some in enumerate(chunks)}
            number += count
            found = dict(work_off(executor, strategy, parts, journal, bar))
            sums[:, indices] += np.concatenate([found[n] for n in parts], axis=1)
            return mean_values(sums[:, indices])

        for level in range(len(levels)):
            evaluate(level, np.array([points]))
        filled = refinement.fill(evaluate, shape, np.cumsum(levels).tolist(), rows // 2, **asdict(limit))
    values = filled.values
    if "accuracy" in work.names:
        row = work.names.index("accuracy")
        values[row] = np.clip(values[row], 0, 1)
    interpolated = np.flatnonzero(~filled.evaluated)
    sums[: rows // 2, interpolated], sums[rows // 2 :, interpolated] = values[:, interpolated], 1
    return Outcome(sums, strategy, provenance, np.append(filled.evaluated, True), _attrs(filled, work, levels, limit))


def _attrs(filled: refinement.Filled, work: Work, levels: Sequence[int], limit: ErrorLimit) -> dict:
    """Return what the result says of its interpolated points."""
    said = ["estimated_error", *(f"estimated_{name}_error" for name in work.names[1:])]
    why = "; ".join(work.plain.reasons) if work.plain else "normalization by the statistics of batches"
    counts = [{"samples": int(n), "points": k} for n, k in zip(np.cumsum(levels), filled.counts, strict=True)]
    return {
        "tolerance": limit.tolerance,
        "error_scale": limit.error_scale,
        "adaptive_seed": limit.seed,
        **dict(zip(said, filled.estimates.tolist(), strict=True)),
        "checked_error": float(filled.errors[0]),
        "checked_points": filled.checked,
        "share_above": filled.share,
        "levels": json.dumps(counts),
        **({} if work.can_be_divided else {"points_alone": f"the loss does not decompose over samples ({why})"}),
    }
