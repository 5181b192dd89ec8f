"""`make reproduce`: chapters computed from nothing, apart from what is published, and their verdicts beside it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..console import Failure, duration
from ..notebooks import chapters, execute, parameters

if TYPE_CHECKING:
    from lossatlas.evidence import Verdict

STEADY = 30.0  # seconds of published computing after which our own pace counts


class Remaining:
    """How long the results of a chapter still take, by what the published ones took and our pace so far."""

    def __init__(self, published: Path, reproduced: Path) -> None:
        self.seconds, self.place = published_seconds(published), reproduced
        self.began: tuple[float, float] | None = None  # seconds missing at the first call, and when that was

    def missing(self) -> float:
        """Seconds that the published results took which are not there yet."""
        return sum(seconds for name, seconds in self.seconds.items() if not (self.place / name).exists())

    def __call__(self) -> float | None:
        """Seconds left; None where nothing is published."""
        if not self.seconds:
            return None
        missing, now = self.missing(), time.monotonic()
        self.began = self.began or (missing, now)
        done = self.began[0] - missing
        return missing * ((now - self.began[1]) / done if done > STEADY else 1.0)


def published_seconds(folder: Path) -> dict[str, float]:
    """File name and computing time of every stored result that has one."""
    import h5py

    found = {}
    for path in sorted(folder.glob("[!.]*.nc")):
        with h5py.File(path) as file:
            if "seconds" in file.attrs:
                found[path.name] = float(file.attrs["seconds"].item())
    return found


def reproduce(root: Path, name: str, *, params: str) -> None:
    """Execute chapters (the one named, or all) on results of their own and compare the verdicts.

    What `_build/reproduced/` holds from a call before, even from one that was killed, is not computed again.
    Raises Failure where a chapter fails; another verdict than the published one is said, and is no failure.
    """
    if params and not name:
        raise Failure("parameters belong to one chapter: name it, as in CHAPTER=depth")
    given = parameters.validate(chapters.find(root, name), parameters.split(params)) if name else {}
    if "results" in given:
        raise Failure("reproduced results have a folder of their own; leave out the parameter results")
    names = [name] if name else list(chapters.chapters(root))
    place, published = root / "_build" / "reproduced", root / "data" / "results"
    results = place / "results"
    values = parameters.with_results(root, {chapter: given for chapter in names}, results)
    left = {chapter: Remaining(published / chapter, results / chapter) for chapter in names if not params}
    for chapter in names:
        (results / chapter / "claims.json").unlink(missing_ok=True)  # of a call before
    if whole := sum(sum(one.seconds.values()) for one in left.values()):
        now = sum(one.missing() for one in left.values())
        print(f"The published results took {duration(whole)} of computing; {duration(now)} of it is still to do.")
    failed = None
    try:
        execute.execute_all(root, place, names=names, values=values, always=True, left=left)
    except Failure as failure:
        failed = failure
    print("\n".join(compared(published, results, names=names)))
    print(f"\nExecuted notebooks and their results: {place}")
    if failed:
        raise failed


def compared(published: Path, reproduced: Path, *, names: Sequence[str]) -> list[str]:
    """Return the verdicts of chapters as published and as reproduced, claim by claim, and how many differ.

    Where there are too few seeds for a verdict, the differences are compared instead.
    """
    from lossatlas import study

    before, now = study.published(published), study.published(reproduced)
    lines, counts = [], Counter()
    for name in names:
        pairs = paired(before.get(name, []), now.get(name, []))
        lines += ["", name] if pairs else []
        for old, new in pairs:
            claim = (old or new).claim
            lines += ["", f"    {claim.text} ({claim.measure.replace('_', ' ')}, {claim.figure}; {claim.compared})"]
            lines += [f"        published   {_verdict(old)}", f"        reproduced  {_verdict(new)}"]
            if old and new:
                found, remark = beside(old, new)
                counts[found] += 1
                lines[-1] += remark
    if not counts:
        return [*lines, "", "No claim was judged both in what is published and here."]
    lines.append("")
    if judged := counts["same"] + counts["other"]:
        other = f"{counts['other']} of {judged} verdicts DIFFER from the published ones."
        lines.append(other if counts["other"] else f"All {judged} verdicts are the published ones.")
    if few := counts["near"] + counts["far"]:
        said = f"Too few seeds for a verdict on {few} of {counts.total()} claims"
        lines.append(f"{said}; the intervals of {counts['near']} hold the published difference.")
    return lines


def beside(old: Verdict, new: Verdict) -> tuple[str, str]:
    """How a reproduced verdict stands to the published one, and what is said behind it.

    "same" or "other"; where it has too few seeds to be decided, "near" if its interval holds the published
    difference, "far" if not.
    """
    from lossatlas.evidence.claims import SEEDS

    effect = new.claim.effect
    if min(effect.n_a, effect.n_b) < SEEDS:
        if effect.low <= old.claim.effect.difference <= effect.high:
            return "near", "   (too few seeds; holds the published difference)"
        return "far", "   <- too few seeds; does NOT hold the published difference"
    return ("same", "") if old.outcome == new.outcome else ("other", "   <- ANOTHER VERDICT")


def paired(before: Sequence[Verdict], now: Sequence[Verdict]) -> list[tuple[Verdict | None, Verdict | None]]:
    """Verdicts on the same claim side by side; None where one side has none."""

    def by_claim(verdicts: Sequence[Verdict]) -> dict[tuple, Verdict]:
        return {(v.claim.text, v.claim.measure, v.claim.compared): v for v in verdicts}

    old, new = by_claim(before), by_claim(now)
    return [(old.get(claim), new.get(claim)) for claim in {**old, **new}]


def _verdict(verdict: Verdict | None) -> str:
    from lossatlas._text import interval_text

    if verdict is None:
        return "not judged"
    effect = verdict.claim.effect
    estimate = interval_text(effect.difference, effect.low, effect.high)
    return f"{verdict.outcome:<13} {estimate:<28} {effect.n_a} + {effect.n_b} seeds"
