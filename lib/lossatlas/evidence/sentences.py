"""The outcomes of claims and trends, in sentences for a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from lossatlas._text import interval_text, listed, number
from lossatlas.evidence import checks
from lossatlas.evidence.claims import Verdict, verdicts_of
from lossatlas.evidence.correlation import Trend
from lossatlas.evidence.statistics import LEVEL, holm, variance_components
from lossatlas.geometry import spoken


def changes_in_words(verdicts: Sequence[Verdict]) -> str:
    """Return the measures behind decided claims, and how they change: "the roughness rises from 0.04 to 0.05".

    Inconclusive verdicts are left out.

    Raises
    ------
    ValueError
        If `verdicts` is not a list of verdicts.

    Examples
    --------
    >>> changes_in_words([])
    ''
    """
    said = []
    for verdict in verdicts_of(verdicts):
        claim, effect = verdict.claim, verdict.claim.effect
        if verdict.outcome == "supported" and claim.margin is not None:
            said.append(f"the {spoken(claim.measure)} stays within ±{number(claim.margin)}")
        elif verdict.outcome != "inconclusive":
            verb = "rises" if effect.difference > 0 else "falls"
            ends = f"from {number(effect.mean_a)} to {number(effect.mean_b)}"
            said.append(f"the {spoken(claim.measure)} {verb} {ends}")
    return listed(said)


def in_words(verdicts: Sequence[Verdict]) -> str:
    """Return the outcomes of claims: a sentence for each that was decided, and one for all that stay open.

    Claims with the same text are one claim, on several measures. The text must be a clause ("deeper is rougher"):
    "Deeper is rougher: the roughness rises from 0.04 to 0.05."

    Raises
    ------
    ValueError
        If `verdicts` is not a list of verdicts.

    Examples
    --------
    >>> from lossatlas.evidence import Claim, difference, judge
    >>> effect = difference([1, 2, 3, 2, 1], [7, 8, 9, 8, 7])
    >>> in_words(judge([Claim("deeper is rougher", "figure 4", "roughness", "greater", effect)]))
    'Deeper is rougher: the roughness rises from 1.8 to 7.8.'
    """
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts_of(verdicts):
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
    """Return which measures rise or fall, "the roughness rises (ρ = 0.6 [0.4, 0.8])", and which do neither.

    A trend counts if its p-value, corrected by Holm for all that are given, is below 0.05 and its interval excludes
    zero.

    Parameters
    ----------
    trends
        Trends by the name of the measure, see :func:`lossatlas.evidence.trend`.

    Raises
    ------
    ValueError
        If `trends` is not a mapping of trends.

    Examples
    --------
    >>> from lossatlas.evidence import trend
    >>> trends_in_words({"roughness": trend([1, 2, 3, 4], [1, 3, 2, 4])})
    'for the roughness no trend is beyond chance'
    """
    if not isinstance(trends, Mapping) or not all(isinstance(one, Trend) for one in trends.values()):
        raise ValueError(f"trends={trends!r:.60}: expected trends by the name of the measure, see evidence.trend")
    clear, unclear = [], []
    for (measure, trend), p in zip(trends.items(), holm([t.p for t in trends.values()]), strict=True):
        correlation = f"(ρ\u00a0=\u00a0{interval_text(trend.rho, trend.low, trend.high)})"
        if p < LEVEL and (trend.low > 0 or trend.high < 0):
            clear.append(f"the {spoken(measure)} {'rises' if trend.rho > 0 else 'falls'} {correlation}")
        else:
            unclear.append(f"the {spoken(measure)}")
    nothing = f"for {listed(unclear)} no trend is beyond chance" if unclear else ""
    return "; ".join(part for part in (listed(clear), nothing) if part)


def spread_in_words(values: xr.DataArray | Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Return the share of a measure's variance that lies between seeds: "3 layers: 40 %; 16 layers: 75 %".

    Parameters
    ----------
    values
        A measure over `condition`, `seed` and one more dimension, such as the plane; or tables (seeds, planes) by
        condition. With one seed or one plane the text says that nothing was measured.

    Raises
    ------
    ValueError
        If `values` is neither.

    References
    ----------
    See :func:`lossatlas.evidence.variance_components`.

    Examples
    --------
    >>> spread_in_words({"3 layers": [[1, 1], [2, 2]], "16 layers": [[1, 2], [1, 2]]})
    '3 layers: 100 %; 16 layers: 0 %'
    """
    tables: Mapping[str, Sequence[Sequence[float]] | xr.DataArray]
    if isinstance(values, xr.DataArray):
        checks.labelled("values", values, ("condition", "seed"))
        tables = {str(label): values.sel(condition=label) for label in values["condition"].to_numpy()}
    elif isinstance(values, Mapping):
        tables = values
    else:
        raise ValueError(f"values={values!r:.60}: expected tables (seeds, planes) by condition")
    if any(min(np.shape(table)) < 2 for table in tables.values()):
        return "not measured with one plane or one seed"
    shares = {label: variance_components(table).share_seeds for label, table in tables.items()}
    return "; ".join(
        f"{label}: {'nothing varies' if math.isnan(share) else f'{100 * share:.0f} %'}"
        for label, share in shares.items()
    )
