"""From measures over seeds to a verdict on a claim."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from lossatlas._text import number
from lossatlas.evidence import checks
from lossatlas.evidence.statistics import LEVEL, Effect, difference, holm

EXPECTED = ("greater", "less", "different", "same")
SEEDS = 5  # the fewest seeds of a condition for a verdict


@dataclass(frozen=True)
class Claim:
    """A claim of a source, and what was measured on it.

    Parameters
    ----------
    text
        The claim in our words, a clause: "deeper is rougher".
    figure
        Where it is made: "figures 4–6".
    measure
        The name of what was measured.
    expected
        The difference b − a that the claim means: "greater", "less", "different" or "same".
    effect
        The difference between two conditions.
    compared
        The two conditions in words: "16 layers − 4 layers".
    margin
        For "same", the largest difference that would still count as none; without it sameness cannot be shown.

    Raises
    ------
    ValueError
        If `expected` is none of these, or `margin` is given for another one or not positive.
    """

    text: str
    figure: str
    measure: str
    expected: str
    effect: Effect
    compared: str = "b − a"
    margin: float | None = None

    def __post_init__(self) -> None:
        """Refuse a claim that cannot be judged."""
        if self.expected not in EXPECTED:
            raise ValueError(f"expected={self.expected!r}: expected one of {EXPECTED}")
        if not isinstance(self.effect, Effect):
            raise ValueError(f"effect={self.effect!r:.60}: expected an Effect, see evidence.difference")
        if self.margin is not None and (self.expected != "same" or not self.margin > 0):
            raise ValueError(f'margin={self.margin!r}: expected a positive number, and only with expected="same"')


@dataclass(frozen=True)
class Verdict:
    """A claim and its outcome.

    Parameters
    ----------
    claim
        The claim.
    outcome
        "supported", "contradicted" or "inconclusive".
    p_adjusted
        The p-value, corrected for all claims that were judged together; NaN if there was no test.
    note
        What the reader must know beside the numbers.
    """

    claim: Claim
    outcome: str
    p_adjusted: float
    note: str


def verdicts_of(verdicts: object) -> list[Verdict]:
    """Return a list of verdicts; raises ValueError for anything else."""
    if not isinstance(verdicts, Sequence) or not all(isinstance(one, Verdict) for one in verdicts):
        raise ValueError(f"verdicts={verdicts!r:.60}: expected a list of verdicts, see evidence.judge")
    return list(verdicts)


def claim(
    text: str,
    values: xr.DataArray,
    *,
    a: Hashable | Mapping[Hashable, object],
    b: Hashable | Mapping[Hashable, object],
    expected: str,
    figure: str,
    compared: str = "",
    margin: float | None = None,
) -> Claim:
    """Return a claim with the effect that was measured on it: the difference b − a over seeds.

    Parameters
    ----------
    text
        The claim in our words, a clause: "deeper is rougher".
    values
        A named measure over `condition` and `seed`, as :func:`lossatlas.geometry.measures` returns it for a stack of
        surfaces; means over other dimensions, such as planes, are taken before. Seeds that are missing or have no
        finite value are left out and counted.
    a, b
        The labels of the two conditions; or labels by dimension, if the dimension is not `condition`.
    expected
        The difference that the claim means: "greater", "less", "different" or "same".
    figure
        Where the claim is made: "figures 4–6".
    compared
        What is compared, in words; the labels unless given.
    margin
        For "same", the largest difference that would still count as none.

    Raises
    ------
    ValueError
        If `values` has no such labels, or other dimensions than `seed` are left.

    Examples
    --------
    >>> values = [[0.1, 0.2, 0.1, 0.3, 0.2], [0.5, 0.6, 0.4, 0.6, 0.5]]
    >>> roughness = xr.DataArray(values, {"condition": ["4", "16"]}, ("condition", "seed"), "roughness")
    >>> made = claim("deeper is rougher", roughness, a="4", b="16", expected="greater", figure="figure 4")
    >>> made.compared, round(made.effect.difference, 2)
    ('16 − 4', 0.34)
    """
    checks.text("text", text)
    checks.text("figure", figure)
    checks.labelled("values", values, ("seed",))
    ends: list[Mapping[Hashable, object]]
    ends = [end if isinstance(end, Mapping) else {"condition": end} for end in (a, b)]
    in_a, in_b = (checks.select(name, values, end, leave="seed") for name, end in zip("ab", ends, strict=True))
    named = [", ".join(str(label) for label in end.values()) for end in ends]
    effect = difference(in_a, in_b)
    return Claim(text, figure, str(values.name), expected, effect, compared or f"{named[1]} − {named[0]}", margin)


def judge(claims: Sequence[Claim]) -> list[Verdict]:
    """Return a verdict on each claim of one chapter.

    - With fewer than five (finite) seeds in a condition a claim is inconclusive, and no part of the correction.
    - A difference is found if its 95% interval excludes zero and its permutation p-value, corrected by Holm for all
      the claims given here, is below 0.05. It supports a claim that expects it, and contradicts one that expects the
      other sign or none. If none is found the claim is inconclusive, and the note says why: what the correction took
      away, or the smallest difference that the design could have seen in a single test.
    - "Same" is supported only if a margin is stated and the whole 95% interval lies within it (equivalence; stricter
      than two one-sided 5% tests). With a margin it is contradicted only by a difference whose interval lies beyond
      the margin.

    Few seeds bound how small p can become: 5 against 5 give at least 2/252 ≈ 0.008, so that after a correction for
    more than six claims no data can reach significance. The note says so if that is the case.

    Parameters
    ----------
    claims
        All claims of the chapter, see :func:`claim`.

    Raises
    ------
    ValueError
        If `claims` is not a list of claims.

    Examples
    --------
    >>> from lossatlas.evidence import difference
    >>> effect = difference([1, 2, 3, 2, 1], [7, 8, 9, 8, 7])
    >>> judge([Claim("deeper is rougher", "figure 4", "roughness", "greater", effect)])[0].outcome
    'supported'
    """
    if not isinstance(claims, Sequence) or not all(isinstance(one, Claim) for one in claims):
        raise ValueError(f"claims={claims!r:.60}: expected a list of claims, see evidence.claim")
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
    return f"{effect.left_out} seed{'s' * (effect.left_out > 1)} left out, missing or not finite"


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
    if found and margin is not None:
        reasons = [f"the interval reaches {number(margin)}, below which a difference counts as none"]
    if claim.expected == "same" and margin is None:
        reasons.append("no margin stated, so that sameness cannot be shown")
    if p_at_best >= LEVEL:
        reasons.append(
            f"too few seeds for that many claims: p cannot fall below {number(effect.smallest_p, 2)}, "
            f"corrected {number(p_at_best, 2)}"
        )
    return "inconclusive", reasons


def _why_not_found(effect: Effect, p: float, tests: int) -> str:
    """Return why an effect with enough seeds is not found; `p` is corrected for this number of `tests`."""
    if not effect.excludes_zero:
        if p < LEVEL:
            return f"p is below {LEVEL}, but the interval includes zero"
        seen = effect.smallest_detectable
        return f"could have seen {number(seen)} or more" if seen > 0 else "no seed differs from another"
    alone = f"the interval excludes zero, but p = {number(effect.p, 2)}"
    if effect.p < LEVEL:
        return f"{alone} is that of one test: corrected for {tests} it is {number(p, 2)}"
    return f"{alone} is not below {LEVEL}"
