"""A grid worked off adaptively: here, on a cluster, with a journal, as the engine works off a whole one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from lossatlas._progress import Bar
from lossatlas.evaluation import refinement
from lossatlas.evaluation.journal import Journal
from lossatlas.evaluation.schedule import Outcome, work_off

CHUNK_POINTS = 32  # in a chunk, where chunks are kept or sent away


def run_adaptively(executor, shape: Sequence[int], journal: Journal | None, bar: Bar) -> Outcome:
    """As :func:`lossatlas.evaluation.schedule.run`, with as few points evaluated as
    :func:`lossatlas.evaluation.refinement.fill` needs.

    What is asked next depends on nothing but what came out before, so that a journal's chunks come in the same
    order again.
    """
    points = math.prod(shape)
    number = 0
    bar.total = None  # how many points will be enough is not known
    with executor:
        if journal and journal.strategy:
            strategy, provenance = journal.strategy, journal.provenance
        else:
            (strategy, _), provenance = executor.tune(), executor.provenance
            if journal:
                journal.begin(strategy, [], provenance)

        def evaluate(indices: np.ndarray) -> np.ndarray:
            """Sums (2, m) at some points."""
            nonlocal number
            count = math.ceil(len(indices) / CHUNK_POINTS) if executor.in_chunks or journal else 1
            parts = dict(enumerate(map(torch.from_numpy, np.array_split(indices, count)), start=number))
            number += count
            found = dict(work_off(executor, strategy, parts, journal, bar))
            return np.concatenate([found[n] for n in parts], axis=1)

        origin = evaluate(np.array([points]))
        right = not np.isnan(origin[1]).all()
        axes = [np.linspace(0, 1, size) for size in shape]
        filled = refinement.fill(lambda indices: evaluate(indices)[: 1 + right], axes)
    sums = np.full((2, points + 1), np.nan)
    sums[: 1 + right, :-1] = filled.values
    if right:
        sums[1] = np.clip(sums[1], 0, executor.work.samples)
    sums[:, -1:] = origin
    errors = dict(zip(("estimated_error", "estimated_accuracy_error"), filled.errors.tolist(), strict=False))
    return Outcome(sums, strategy, provenance, np.append(filled.evaluated, True), errors)
