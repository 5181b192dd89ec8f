"""Verdicts and measures as plain values that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from lossatlas.evidence.claims import Claim, Verdict, verdicts_of
from lossatlas.evidence.statistics import Effect


def plain(value: object) -> object:
    """Return nested dicts and lists with every number that is not finite replaced by None.

    Examples
    --------
    >>> plain({"low": float("nan"), "n": 3})
    {'low': None, 'n': 3}
    """
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_records(verdicts: Sequence[Verdict]) -> list[dict]:
    """Return verdicts as plain nested dicts that JSON can hold (NaN as None), for :func:`from_records`.

    Raises
    ------
    ValueError
        If `verdicts` is not a list of verdicts.

    Examples
    --------
    >>> to_records([])
    []
    """
    return [dict(plain(asdict(verdict))) for verdict in verdicts_of(verdicts)]  # type: ignore[call-overload]


def from_records(records: Sequence[Mapping]) -> list[Verdict]:
    """Return the verdicts of which :func:`to_records` made these records.

    Raises
    ------
    ValueError
        If `records` is anything else.

    Examples
    --------
    >>> from_records([])
    []
    """

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
        raise ValueError(f"records: {records!r:.60}; expected what to_records makes of verdicts ({error!r})") from error


def by_condition(records: Sequence[Mapping], measure: str) -> dict[str, list[float]]:
    """Return the values of a measure by condition, in order of appearance.

    Parameters
    ----------
    records
        Mappings with "condition", "seed" and measures by name.
    measure
        The name of the measure.

    Raises
    ------
    ValueError
        If there is no record, or one lacks the measure or the condition.

    Examples
    --------
    >>> by_condition([{"condition": "deep", "seed": 0, "roughness": 0.1}], "roughness")
    {'deep': [0.1]}
    """
    if not isinstance(records, Sequence) or not all(isinstance(record, Mapping) for record in records):
        raise ValueError(f"records: {type(records).__name__} {records!r:.40}; expected a list of mappings")
    found: dict[str, list[float]] = {}
    for record in records:
        for key in ("condition", measure):
            if key not in record:
                raise ValueError(f"records: no {key!r} in one of them; it has {list(record)}")
        try:
            value = float(record[measure])
        except (TypeError, ValueError):
            raise ValueError(f"records: {measure}={record[measure]!r}; expected a number") from None
        found.setdefault(record["condition"], []).append(value)
    if not found:
        raise ValueError("records: empty; expected at least one")
    return found
