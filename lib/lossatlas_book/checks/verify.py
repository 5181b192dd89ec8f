"""`make verify`: stored surfaces and eigenvalues computed again from their weights, one training a chapter repeated."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls

from ..console import Failure, Step, about_left, columns, duration, kept_current, step
from ..notebooks import chapters

if TYPE_CHECKING:
    from lossatlas.study import Study
    from lossatlas.study.reevaluation import Check, Stored
    from lossatlas.study.retraining import Repeat

SURFACE_SECONDS = 80.0  # for the surfaces of one chapter; those that would take longer are evaluated in part
PRIOR = 0.3  # weight of what is believed before a surface is done: OVERHEAD, and what it took when it was stored
OVERHEAD = 0.3  # seconds that a surface takes whatever its number of points
TRAINING_SECONDS = 150.0  # a training that took longer is not repeated


def chosen(root: Path, name: str, *, day: datetime.date) -> list[str]:
    """Return the chapters to verify.

    They are the one named, all that have stored surfaces if none is named, or for "today" the one whose turn it is.
    """
    results = root / "data" / "results"
    stored = [
        chapter
        for chapter in chapters.chapters(root)
        if any(any((results / chapter).glob(f"{kind}-*.nc")) for kind in ("surface", "eigenvalues"))
    ]
    if name in ("", "today") and not stored:
        raise Failure(f"there is nothing to verify: no chapter has surfaces in {results}")
    if name == "today":
        return [stored[day.toordinal() % len(stored)]]
    return stored if name == "" else [chapters.find(root, name).stem]


def verify(root: Path, name: str, *, day: datetime.date, full: bool = False) -> None:
    """Verify chapters and print what was compared; raises Failure where anything disagrees or could not be read.

    `day` chooses the chapter of "today", and which points of an expensive surface are evaluated; `full` evaluates
    all of them and repeats a training whatever it takes.
    """
    wrong = []
    for chapter in chosen(root, name, day=day):
        wrong += [f"{chapter}: {what}" for what in _chapter(root, chapter, seed=day.toordinal(), full=full)]
    if wrong:
        raise Failure("\n".join([f"{len(wrong)} results could not be verified:", *(f"    {what}" for what in wrong)]))
    print("\nEverything that was compared agrees.")


def _chapter(root: Path, name: str, *, seed: int, full: bool) -> list[str]:
    """Verify one chapter; returns what is wrong."""
    from lossatlas.study import Study
    from lossatlas.study.eigenvalues import NAME
    from lossatlas.study.reevaluation import AGREES, kept_tensors, stored_surfaces, to_verify

    study = Study(name, results=root / "data" / "results", progress=False, reads=_reads(root, name))
    with step("verify", name) as current, kept_tensors(study) as kept:
        found, left_out = stored_surfaces(study)
        shown = to_verify(kept, found)
        checks = _surfaces(kept, shown, current=current, budget=math.inf if full else SURFACE_SECONDS, seed=seed)
        maps, maps_left_out = stored_surfaces(study, kind=NAME)
        checks += _eigenvalues(kept, maps, current=current, seed=seed)
        left_out |= maps_left_out
        current.result = f"{len(shown)} surfaces" + (f", {len(maps)} maps of eigenvalues" if maps else "")
    for line in _surface_lines(checks):
        print(line)
    if others := len(found) - len(shown):
        print(f"    not verified: {others} surfaces of other seeds or coarser grids, whose weights are not kept")
    wrong = [f"{file} {reason}" for file, reason in left_out.items()]
    wrong += [f"{check.name}: {check.verdict}" for check in checks if check.verdict != AGREES]
    return wrong + _training(study, found, limit=math.inf if full else TRAINING_SECONDS)


def _reads(root: Path, name: str) -> tuple[str, ...]:
    """Return the chapters whose weights a chapter reads."""
    folders = [folder.name for folder in (root / "data" / "results").glob("*") if folder.is_dir()]
    return tuple(sorted(chapters.reads_from(chapters.find(root, name), folders)))


def _eigenvalues(kept: Study, maps: Sequence[Stored], *, current: Step, seed: int) -> list[Check]:
    """Check maps of eigenvalues at a few points each, of the networks whose weights are kept."""
    from lossatlas._progress import Remaining
    from lossatlas.study.eigenvalues import CHECKED, check_map

    shown = [one for one in maps if one.condition.pretrained or kept.weights_path(one.condition, one.seed).exists()]
    left = Remaining({one.path.stem: CHECKED * one.seconds / one.surface.loss.size for one in shown})
    checks = []
    for number, one in enumerate(shown, 1):
        left.begin(one.path.stem)
        words = f"eigenvalues {number} of {len(shown)}"
        with kept_current(current, lambda words=words: ", ".join(filter(None, [words, about_left(left.seconds())]))):
            checks.append(check_map(kept, one, seed=seed))
        left.finish(one.path.stem)
    return checks


def planned(seconds: Sequence[float], budget: float) -> list[float]:
    """Seconds for each of some surfaces within a budget, of which those that need less leave the rest to the others.

    `seconds` are what they would take in full, the shortest first.
    """
    found: list[float] = []
    for number, full in enumerate(seconds):
        fair = max(0.0, budget - sum(found)) / (len(seconds) - number)
        found.append(min(full + OVERHEAD, max(fair, OVERHEAD)))
    return found


def fitted(works: Sequence[float], durations: Sequence[float]) -> tuple[float, float]:
    """Return the seconds that a surface takes whatever its work, and those for a unit of work, as they were so far."""
    rows = [*((1.0, work) for work in works), (PRIOR, 0.0), (0.0, PRIOR)]
    (constant, pace), _ = nnls(np.array(rows), np.array([*durations, PRIOR * OVERHEAD, PRIOR]))
    return float(constant), float(pace)


def _surfaces(kept: Study, stored: Sequence[Stored], *, current: Step, budget: float, seed: int) -> list[Check]:
    """Check surfaces, the cheapest first, within a budget of seconds.

    Each gets its part of the seconds that are left, and as many points as that is enough for, by what it took when
    it was stored and how long those before took here.
    """
    from lossatlas._progress import MORE
    from lossatlas.study.reevaluation import check_surface

    waiting = sorted(stored, key=lambda one: one.seconds)
    plan = planned([one.seconds for one in waiting], budget)
    checks: list[Check] = []
    works: list[float] = []
    durations: list[float] = []
    deadline, taken, expected = time.monotonic() + budget, 0.0, 0.0
    for i, one in enumerate(waiting):
        pace = taken / expected if checks else 1.0
        began = time.monotonic()
        share = max(0.0, (deadline - began) / (len(waiting) - i) / pace - OVERHEAD) / max(one.seconds, 1e-3)

        def left(began: float = began, i: int = i) -> str:
            """Say the time left: that of the budget, but each surface takes some time whatever it is given."""
            now = time.monotonic()
            passed = now - began
            constant, unit = fitted(works, durations)
            in_full = [constant + unit * (seconds - OVERHEAD) for seconds in plan[i:]]
            whole = sum(in_full[1:]) + max(in_full[0] - passed, MORE * passed)
            least = constant * (len(waiting) - i - 1) + max(constant - passed, MORE * passed)
            return about_left(max(least, min(whole, deadline - now)))

        words = f"surface {i + 1} of {len(waiting)}"
        with kept_current(current, lambda words=words, left=left: ", ".join(filter(None, [words, left()]))):
            checks.append(check_surface(kept, one, share=min(1.0, share), seed=seed))
        works.append(one.seconds * checks[-1].points / checks[-1].of)
        durations.append(time.monotonic() - began)
        taken += checks[-1].seconds
        expected += OVERHEAD + works[-1]
    return sorted(checks, key=lambda check: check.name)


def _surface_lines(checks: Sequence[Check]) -> list[str]:
    rows = [("surface", "points", "relative difference", "seconds", "")]
    for check in checks:
        difference = "–" if math.isnan(check.worst) else f"{check.worst:.0e}"
        but = f", but for {check.rounded} that rounding decides" * (check.rounded > 0)
        points, seconds = f"{check.points} of {check.of}", f"{check.seconds:.1f}"
        rows.append((check.name, points, difference, seconds, check.verdict + but))
    return columns(rows) if checks else []


def _training(study: Study, stored: Sequence[Stored], *, limit: float) -> list[str]:
    """Repeat the cheapest training of a chapter; returns what is wrong."""
    from lossatlas._progress import Remaining
    from lossatlas.study.reevaluation import AGREES
    from lossatlas.study.retraining import cheapest, first_test_surface, repeat, training_seconds

    found = cheapest(study)
    if found is None:
        print("    no training repeated: none has enough stored seeds")
        return []
    condition, histories = found
    surfaces = first_test_surface(condition, stored)
    label = next((surface.condition.label for surface in surfaces.values()), condition.name)
    if (expected := training_seconds(histories)) > limit:
        print(f"    no training repeated: the cheapest, {label}, took {duration(expected)}")
        return []
    left = Remaining({label: expected})
    left.begin(label)
    with (
        step("train again", study.chapter) as current,
        kept_current(current, lambda: ", ".join(filter(None, [label, about_left(left.seconds())]))),
    ):
        repeats = repeat(study, condition, histories, surfaces)
        current.result = label
    for line in _repeat_lines(repeats):
        print(line)
    return [f"{label}, trained again: {row.measure} {row.verdict}" for row in repeats if row.verdict != AGREES]


def _repeat_lines(repeats: Sequence[Repeat]) -> list[str]:
    from lossatlas._text import number

    rows = [("measure", "stored", "again", f"99% interval for one more seed, from {repeats[0].seeds}", "")]
    for row in repeats:
        interval = f"{number(row.low)} to {number(row.high)}"
        rows.append((row.measure, number(row.stored, 4), number(row.repeated, 4), interval, row.verdict))
    return columns(rows)
