"""What came of claims and trends, in sentences for a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lossatlas._text import interval_text, listed, number, spoken
from lossatlas.evidence.statistics import LEVEL, Trend, holm, variance_components

if TYPE_CHECKING:
    from lossatlas.evidence.claims import Verdict


def changes_in_words(verdicts: Sequence[Verdict]) -> str:
    """The measures behind decided claims, and from where to where: "the roughness rises from 0.04 to 0.05".

    Inconclusive verdicts are left out.
    """
    said = []
    for verdict in verdicts:
        claim, effect = verdict.claim, verdict.claim.effect
        if verdict.outcome == "supported" and claim.expected == "same":
            said.append(f"the {spoken(claim.measure)} stays within ±{number(claim.margin)}")
        elif verdict.outcome != "inconclusive":
            verb = "rises" if effect.difference > 0 else "falls"
            ends = f"from {number(effect.mean_a)} to {number(effect.mean_b)}"
            said.append(f"the {spoken(claim.measure)} {verb} {ends}")
    return listed(said)


def in_words(verdicts: Sequence[Verdict]) -> str:
    """What became of the claims: a sentence for each that was decided, and one for all that stay open.

    Claims with the same text are one claim, on several measures. The text must be a clause ("deeper is
    rougher"): "Deeper is rougher: the roughness rises from 0.04 to 0.05."
    """
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.claim.text, []).append(verdict)
    said, undecided = [], []
    for text, group in groups.items():
        by_outcome = {outcome: [v for v in group if v.outcome == outcome] for outcome in ("supported", "contradicted")}
        left = [f"the {spoken(v.claim.measure)}" for v in group if v.outcome == "inconclusive"]
        if len(left) == len(group):
            undecided.append(f"whether {text}")
            continue
        if by_outcome["supported"]:
            sentence = f"{text[0].upper()}{text[1:]}: {changes_in_words(by_outcome['supported'])}"
            if by_outcome["contradicted"]:
                sentence += f"; but {changes_in_words(by_outcome['contradicted'])}"
        else:
            sentence = f"That {text} is contradicted: {changes_in_words(group)}"
        said.append(sentence + (f"; for {listed(left)} that stays open" if left else "") + ".")
    if undecided:
        said.append(f"It stays open {listed(undecided)}.")
    return " ".join(said)


def trends_in_words(trends: Mapping[str, Trend]) -> str:
    """Which measures, by name, rise or fall: "the roughness rises (ρ = 0.6 [0.4, 0.8])", and which do neither.

    A trend is said to be there where its p-value, corrected by Holm for all that are given, is below 0.05 and
    its interval excludes zero.
    """
    clear, unclear = [], []
    for (measure, trend), p in zip(trends.items(), holm([t.p for t in trends.values()]), strict=True):
        correlation = f"(ρ\u00a0=\u00a0{interval_text(trend.rho, trend.low, trend.high)})"
        if p < LEVEL and (trend.low > 0 or trend.high < 0):
            clear.append(f"the {spoken(measure)} {'rises' if trend.rho > 0 else 'falls'} {correlation}")
        else:
            unclear.append(f"the {spoken(measure)}")
    nothing = f"for {listed(unclear)} no trend is beyond chance" if unclear else ""
    return "; ".join(part for part in (listed(clear), nothing) if part)


def spread_in_words(values: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """The share of a measure's variance that lies between training seeds: "3 layers: 40 %; 16 layers: 75 %".

    ``values``: by condition, (seeds, planes), as for :func:`variance_components`. One seed or one plane cannot
    tell, and the text then says so.
    """
    if any(min(np.shape(table)) < 2 for table in values.values()):
        return "not measured with one plane or one seed"
    shares = {label: variance_components(table).share_seeds for label, table in values.items()}
    return "; ".join(
        f"{label}: {'nothing varies' if math.isnan(share) else f'{100 * share:.0f} %'}"
        for label, share in shares.items()
    )
