"""From measures over seeds to a verdict on a claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from lossatlas._text import number
from lossatlas.evidence.statistics import LEVEL, Effect, holm

EXPECTED = ("greater", "less", "different", "same")
SEEDS = 5  # a condition needs so many for a verdict
SHARES = {"nonconvex_share", "basin_area", "two_components", "straightness", "step"}
SHARES |= {"accuracy", "balanced_accuracy", "auc"}
NOT_NEGATIVE = {"roughness", "asymmetry", "minima", "barrier", "loss", "test_loss", "spectral_radius"}


@dataclass(frozen=True)
class Claim:
    """What the report says, and what we measured on it.

    `text` is the claim in our words, `figure` where it is made ("figures 4–6"), `measure` what was measured,
    and `effect` the difference b − a between two conditions, named in `compared` ("16 layers − 4 layers").
    `expected` says which difference the claim means: "greater", "less", "different" or "same". For "same",
    `margin` is the largest difference that would still count as none; without it sameness cannot be shown.
    """

    text: str
    figure: str
    measure: str
    expected: str
    effect: Effect
    compared: str = "b − a"
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.expected not in EXPECTED:
            raise ValueError(f"expected={self.expected!r}: expected one of {EXPECTED}")
        if self.margin is not None and (self.expected != "same" or not self.margin > 0):
            raise ValueError(f'margin={self.margin!r}: a positive number, and only where expected is "same"')


@dataclass(frozen=True)
class Verdict:
    """A claim and what came of it: `outcome` is "supported", "contradicted" or "inconclusive".

    `p_adjusted` is corrected for all claims that were judged together; NaN where there was no test. `note`
    says what the reader must know beside the numbers.
    """

    claim: Claim
    outcome: str
    p_adjusted: float
    note: str


def judge(claims: Sequence[Claim]) -> list[Verdict]:
    """A verdict on each claim of one chapter.

    - Fewer than five (finite) seeds in a condition: inconclusive, and no part of the correction.
    - A difference is found where its 95% interval excludes zero and its permutation p-value, corrected by
      Holm for all the claims given here, is below 0.05. It supports a claim that expects it, and contradicts
      one that expects the other sign or none. Where none is found the claim is inconclusive, and the note
      says why: what the correction took away, or the smallest difference that the design could have seen in a
      single test.
    - "Same" is supported only where a margin is stated and the whole 95% interval lies within it
      (equivalence; stricter than two one-sided 5% tests). With a margin it is contradicted only by a
      difference whose interval lies beyond the margin.

    Few seeds bound how small p can become: 5 against 5 give at least 2/252 ≈ 0.008, so that correction for
    more than six claims can leave nothing to be found, whatever the data. The note says so where it is the
    case.
    """
    enough = [min(claim.effect.n_a, claim.effect.n_b) >= SEEDS for claim in claims]
    p_values = np.array([c.effect.p if ok else math.nan for c, ok in zip(claims, enough, strict=True)])
    adjusted = holm(p_values)
    verdicts = []
    for i, (claim, ok) in enumerate(zip(claims, enough, strict=True)):
        effect = claim.effect
        notes = [_left_out(effect)] if effect.left_out else []
        if ok:
            at_best = holm(np.where(np.arange(len(claims)) == i, effect.smallest_p, p_values))[i]
            outcome, reasons = _outcome(claim, float(adjusted[i]), float(at_best), sum(enough))
        else:
            n = min(effect.n_a, effect.n_b)
            outcome, reasons = "inconclusive", [f"{n} seed{'s' * (n != 1)}, five needed"]
        verdicts.append(Verdict(claim, outcome, float(adjusted[i]), "; ".join(reasons + notes)))
    return verdicts


def _left_out(effect: Effect) -> str:
    return f"{effect.left_out} seed{'s' * (effect.left_out > 1)} left out, not finite"


def _outcome(claim: Claim, p: float, p_at_best: float, tests: int) -> tuple[str, list[str]]:
    """Outcome and reasons for a claim with enough seeds; `p_at_best`: adjusted p of a perfect separation."""
    effect, margin = claim.effect, claim.margin
    found = effect.excludes_zero and p < LEVEL
    if claim.expected == "same" and margin is not None:
        if -margin < effect.low and effect.high < margin:
            return "supported", [f"the interval lies within ±{number(margin)}"]
        if found and (effect.low > margin or effect.high < -margin):
            return "contradicted", [f"the interval lies beyond ±{number(margin)}"]
    elif found:
        sign = "greater" if effect.difference > 0 else "less"
        return ("supported" if claim.expected in (sign, "different") else "contradicted"), []
    reasons = [_why_not_found(effect, p, tests)]
    if found:
        reasons = [f"the interval reaches {number(margin)}, below which a difference counts as none"]
    if claim.expected == "same" and margin is None:
        reasons.append("no margin stated, so that sameness cannot be shown")
    if p_at_best >= LEVEL:
        reasons.append(
            f"too few seeds for so many claims: p cannot fall below {number(effect.smallest_p, 2)}, "
            f"corrected {number(p_at_best, 2)}"
        )
    return "inconclusive", reasons


def _why_not_found(effect: Effect, p: float, tests: int) -> str:
    """Why an effect with enough seeds is not found, `p` being corrected for so many `tests`."""
    if not effect.excludes_zero:
        if p < LEVEL:
            return f"p is below {LEVEL}, but the interval includes zero"
        seen = effect.smallest_detectable
        return f"could have seen {number(seen)} or more" if seen > 0 else "no seed differs from another"
    alone = f"the interval excludes zero, but p = {number(effect.p, 2)}"
    if effect.p < LEVEL:
        return f"{alone} is that of one test: corrected for {tests} it is {number(p, 2)}"
    return f"{alone} is not below {LEVEL}"


def to_records(verdicts: Sequence[Verdict]) -> list[dict]:
    """Verdicts as plain nested dicts that JSON can hold (NaN as None), for :func:`from_records`."""

    return [plain(asdict(verdict)) for verdict in verdicts]


def plain(value):
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_records(records: Sequence[Mapping]) -> list[Verdict]:
    """Verdicts from what :func:`to_records` made of them. Raises ValueError for anything else."""

    def build(kind, values: Mapping, **parts):
        # A margin that is None means none; every other None stands for NaN.
        named = {k: math.nan if v is None and k != "margin" else v for k, v in values.items()}
        return kind(**{**named, **parts})

    try:
        return [
            build(Verdict, r, claim=build(Claim, r["claim"], effect=build(Effect, r["claim"]["effect"])))
            for r in records
        ]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"records: not what to_records makes of verdicts ({error!r})") from error


def possible(measure: str) -> tuple[float, float]:
    """The least and the largest value that a measure can have, by its name: a share lies in [0, 1]."""
    if measure in SHARES:
        return 0.0, 1.0
    return (0.0, math.inf) if measure in NOT_NEGATIVE else (-math.inf, math.inf)


def by_condition(records: Sequence[Mapping], measure: str) -> dict[str, list[float]]:
    """The values of a measure by condition, in order of appearance.

    Each record is a mapping with "condition", "seed" and measures by name. Raises ValueError for a record
    without the measure or the condition.
    """
    found: dict[str, list[float]] = {}
    for record in records:
        for key in ("condition", measure):
            if key not in record:
                raise ValueError(f"records: no {key!r} in one of them; it has {list(record)}")
        found.setdefault(record["condition"], []).append(float(record[measure]))
    if not found:
        raise ValueError("records: empty; expected at least one")
    return found
