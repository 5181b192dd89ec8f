"""The adaptive schedule: evaluate only as many points of a grid as needed, here or on a cluster, with a journal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from lossatlas._progress import Bar
from lossatlas.evaluation import refinement
from lossatlas.evaluation.journal import Journal
from lossatlas.evaluation.schedule import Outcome, work_off

CHUNK_POINTS = 32  # of a chunk that a journal keeps or a worker computes


def mean_values(sums: np.ndarray) -> np.ndarray:
    """Return the values (q, n) of sums (2q, n): numerators over weights."""
    numerators, weights = np.split(sums, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return numerators / weights


def run_adaptively(executor, shape: Sequence[int], journal: Journal | None, bar: Bar) -> Outcome:
    """Evaluate as few points of a grid as :func:`lossatlas.evaluation.refinement.fill` needs.

    It takes the arguments of :func:`lossatlas.evaluation.schedule.run`. The next points depend only on the values
    found so far, so a resumed evaluation asks for the chunks of its journal in the same order.
    """
    points = math.prod(shape)
    number = 0
    bar.total = None  # nobody knows yet how many points will be enough
    with executor:
        if journal and journal.strategy:
            strategy, provenance = journal.strategy, journal.provenance
        else:
            (strategy, _), provenance = executor.tune(), executor.provenance
            if journal:
                journal.begin(strategy, [], provenance)

        def evaluate(indices: np.ndarray) -> np.ndarray:
            """Return the sums (2q, m) at some points."""
            nonlocal number
            count = math.ceil(len(indices) / CHUNK_POINTS) if executor.in_chunks or journal else 1
            parts = dict(enumerate(map(torch.from_numpy, np.array_split(indices, count)), start=number))
            number += count
            found = dict(work_off(executor, strategy, parts, journal, bar))
            return np.concatenate([found[n] for n in parts], axis=1)

        origin = evaluate(np.array([points]))
        count = len(origin) // 2
        axes = [np.linspace(0, 1, size) for size in shape]
        filled = refinement.fill(lambda indices: mean_values(evaluate(indices)), axes)
    sums = np.ones((2 * count, points + 1))
    sums[:count, :-1] = filled.values
    names = executor.work.names
    if "accuracy" in names:
        sums[names.index("accuracy")] = np.clip(sums[names.index("accuracy")], 0, 1)
    sums[:, -1:] = origin
    said = ["estimated_error", *(f"estimated_{name}_error" for name in names[1:])]
    errors = dict(zip(said, filled.errors.tolist(), strict=True))
    return Outcome(sums, strategy, provenance, np.append(filled.evaluated, True), errors)
