"""Tables that show themselves on a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Real
from typing import Any

import xarray as xr

from lossatlas._text import interval_text, number
from lossatlas.evidence import Trend, Verdict, by_condition, holm, mean_interval, plain, to_records
from lossatlas.figures.labelled import check_names, records
from lossatlas.figures.page import Bundle, mimebundle, render
from lossatlas.geometry import quantity, spoken

SIGNS = {"supported": "✓", "contradicted": "✗", "inconclusive": "–"}
LARGEST_G = 10  # beyond it, Hedges' g says that the spread is next to nothing, and its digits say nothing


@dataclass(frozen=True)
class Table:
    """A table; a cell is a text, or several: the first in full size, the others small.

    `classes` are CSS classes of the rows, `records` the same content as plain values (see `to_records`).
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str | tuple[str, ...], ...], ...]
    records: Sequence[Mapping] = field(default=(), repr=False)
    name: str = "la-table"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that every row has a cell for each header."""
        for row in self.rows:
            if len(row) != len(self.headers):
                raise ValueError(f"rows: {row!r} has {len(row)} cells; expected {len(self.headers)}, one a header")

    def to_records(self) -> list[dict]:
        """Return the content as plain dicts."""
        return [dict(record) for record in self.records]

    @property
    def bundle(self) -> Bundle:
        """The table as plain data (see `lossatlas.figures.page`)."""
        classes = self.classes or ("",) * len(self.rows)
        rows = [
            {"class": css, "cells": [[cell] if isinstance(cell, str) else list(cell) for cell in row]}
            for row, css in zip(self.rows, classes, strict=True)
        ]
        records = json.loads(json.dumps(plain(self.to_records()), default=lambda value: value.item()))
        return {"kind": "table", "name": self.name, "headers": list(self.headers), "rows": rows, "records": records}

    def _repr_html_(self) -> str:
        return render(self.bundle)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return mimebundle(self.bundle)

    def _repr_markdown_(self) -> str:
        def line(cells) -> str:
            texts = (cell if isinstance(cell, str) else "; ".join(cell) for cell in cells)
            return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"

        return "\n".join([line(self.headers), line(["---"] * len(self.headers)), *map(line, self.rows)]) + "\n"


def _all(name: str, values: object, kind: type) -> list:
    """Return a list. Raises ValueError if `values` is no list, or not all of its entries are of a kind."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ValueError(f"{name} is a {type(values).__name__}; expected a list of {kind.__name__}s")
    if wrong := [value for value in values if not isinstance(value, kind)]:
        raise ValueError(f"{name} holds a {type(wrong[0]).__name__}; expected {kind.__name__}s")
    return list(values)


def _plain(record: Mapping[str, object]) -> dict[str, Any]:
    """Return a record as plain values."""
    return {name: plain(value) for name, value in record.items()}


def _size(g: float) -> str:
    """Return Hedges' g for people, without digits if they say nothing."""
    return number(g, 2) if abs(g) <= LARGEST_G else f"{'>' if g > 0 else '<'} {number(math.copysign(LARGEST_G, g))}"


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    """Return claims with estimates and verdicts, a row each.

    Parameters
    ----------
    verdicts : sequence of Verdict
        As :func:`lossatlas.evidence.judge` returns them.

    Returns
    -------
    Table
        `.to_records()` gives plain dicts.

    Raises
    ------
    ValueError
        If anything else is given.

    Examples
    --------
    >>> claims_table([]).headers[:2]
    ('Claim', 'Verdict')
    """
    verdicts = _all("verdicts", verdicts, Verdict)
    rows = []
    for verdict in verdicts:
        claim, effect = verdict.claim, verdict.claim.effect
        size = [] if math.isnan(effect.hedges_g) else [f"Hedges g {_size(effect.hedges_g)}"]
        outcome = f"{SIGNS[verdict.outcome]} {verdict.outcome}"
        rows.append(
            (
                (claim.text, claim.figure),
                (outcome, verdict.note) if verdict.note else outcome,
                (spoken(claim.measure), claim.compared, f"expected: {claim.expected}"),
                (interval_text(effect.difference, effect.low, effect.high), *size),
                (number(verdict.p_adjusted, 2), f"uncorrected {number(effect.p, 2)}"),
                f"{effect.n_a}\u00a0+\u00a0{effect.n_b}",
            )
        )
    headers = ("Claim", "Verdict", "Measure", "Difference [95% interval]", "p (Holm)", "Seeds")
    classes = tuple(f"la-{verdict.outcome}" for verdict in verdicts)
    return Table(headers, tuple(rows), to_records(verdicts), "la-claims", classes)


def trends_table(trends: Mapping[str, Trend]) -> Table:
    """Return rank correlations, a row each, with p corrected by Holm for all that are given.

    Parameters
    ----------
    trends : mapping of str to Trend
        By what was compared, such as the name of a measure; see :func:`lossatlas.evidence.trend`.

    Returns
    -------
    Table
        `.to_records()` gives plain dicts.

    Raises
    ------
    ValueError
        If anything else is given.

    Examples
    --------
    >>> from lossatlas.evidence import trend
    >>> trends_table({"a and b": trend([1, 2, 3, 4, 5], [2, 3, 5, 7, 11])}).rows[0][0]
    'a and b'
    """
    if not isinstance(trends, Mapping):
        raise ValueError(f"trends is a {type(trends).__name__}; expected a mapping of names to Trends")
    _all("trends", list(trends.values()), Trend)
    adjusted = holm([found.p for found in trends.values()])
    rows, content = [], []
    for (name, found), p in zip(trends.items(), adjusted.tolist(), strict=True):
        left_out = [f"{found.left_out} left out, not finite"] if found.left_out else []
        correlation = interval_text(found.rho, found.low, found.high)
        rows.append(
            (spoken(name), correlation, (number(p, 2), f"uncorrected {number(found.p, 2)}"), (str(found.n), *left_out))
        )
        content.append(_plain({"compared": name, **asdict(found), "p_adjusted": p}))
    headers = ("Compared", "Rank correlation [95% interval]", "p (Holm)", "Pairs")
    return Table(headers, tuple(rows), content, "la-table")


def seeds_table(measured: xr.Dataset | Sequence[Mapping], *, measures: Sequence[str] | None = None) -> Table:
    """Return every condition with the mean over its seeds and the 95% interval of each measure.

    Values that are not finite are left out, and the cell says how many. An interval ends at the least and the largest
    value that the measure can have (see :func:`lossatlas.geometry.quantity`).

    Parameters
    ----------
    measured : Dataset over condition and seed, or sequence of mappings
        Measures as variables; or records (see :func:`lossatlas.evidence.by_condition`).
    measures : sequence of str, optional
        Which of them; all by default.

    Returns
    -------
    Table
        `.to_records()` gives plain dicts.

    Raises
    ------
    ValueError
        If a record lacks one of the measures.

    Examples
    --------
    >>> seeds_table([{"condition": "SGD", "seed": seed, "auc": 0.5} for seed in range(3)]).rows
    (('SGD', '3', ('0.5 [0.5, 0.5]',)),)
    """
    found = records("measured", measured)
    if measures is None:
        measures = [key for key, value in found[0].items() if isinstance(value, Real) and key != "seed"]
    else:
        measures = check_names("measures", measures)
    known = {name: quantity(measured[name] if isinstance(measured, xr.Dataset) else name) for name in measures}
    rows: dict[str, list] = {}
    content = []
    for measure in measures:
        for condition, values in by_condition(found, measure).items():
            mean = mean_interval(values, bounds=known[measure].bounds)
            row = rows.setdefault(condition, [condition, str(len(values))])
            left_out = [f"{len(values) - mean.n} left out, not finite"] if mean.n < len(values) else []
            row.append((interval_text(mean.mean, mean.low, mean.high), *left_out))
            content.append({"condition": condition, "measure": measure, **_plain(asdict(mean))})
    headers = ("Condition", "Seeds", *(one.label for one in known.values()))
    return Table(headers, tuple(map(tuple, rows.values())), content, "la-seeds")
