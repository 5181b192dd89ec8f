"""Tables that show themselves on a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Real
from typing import Any

from lossatlas._text import interval_text, number
from lossatlas.evidence import Trend, Verdict, by_condition, holm, mean_interval, plain, to_records
from lossatlas.figures.page import Bundle, mimebundle, render
from lossatlas.geometry import quantity, spoken

SIGNS = {"supported": "✓", "contradicted": "✗", "inconclusive": "–"}
LARGEST_G = 10  # beyond it Hedges' g tells of a spread next to nothing, and its digits tell nothing


@dataclass(frozen=True)
class Table:
    """A table with a row a line; a cell is a text, or several: the first in full size, the others small.

    `classes` are CSS classes of the rows, `records` the same content as plain values (see `to_records`).
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str | tuple[str, ...], ...], ...]
    records: Sequence[Mapping] = field(default=(), repr=False)
    name: str = "la-table"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headers):
                raise ValueError(f"rows: {row!r} has {len(row)} cells; expected {len(self.headers)}, one a header")

    def to_records(self) -> list[dict]:
        """The content as plain dicts that JSON can hold."""
        return [dict(record) for record in self.records]

    @property
    def bundle(self) -> Bundle:
        """The table as plain data (see :mod:`lossatlas.figures.page`)."""
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


def _size(g: float) -> str:
    """Hedges' g for people, its digits left out where they tell nothing."""
    return number(g, 2) if abs(g) <= LARGEST_G else f"{'>' if g > 0 else '<'} {number(math.copysign(LARGEST_G, g))}"


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    """The claims with our estimates and the verdicts, a row each; `.to_records()` gives plain dicts."""
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
    """Rank correlations by what was compared, a row each, p corrected by Holm for all that are given."""
    adjusted = holm([found.p for found in trends.values()])
    rows, records = [], []
    for (name, found), p in zip(trends.items(), adjusted.tolist(), strict=True):
        left_out = [f"{found.left_out} left out, not finite"] if found.left_out else []
        correlation = interval_text(found.rho, found.low, found.high)
        rows.append((name, correlation, (number(p, 2), f"uncorrected {number(found.p, 2)}"), (str(found.n), *left_out)))
        records.append(plain({"compared": name, **asdict(found), "p_adjusted": p}))
    headers = ("Compared", "Rank correlation [95% interval]", "p (Holm)", "Pairs")
    return Table(headers, tuple(rows), records, "la-table")


def seeds_table(records: Sequence[Mapping], *, measures: Sequence[str] | None = None) -> Table:
    """Every condition with the mean over its seeds and the 95% interval of each measure.

    `records` as in :func:`by_condition`; `measures`: all numbers of the first record but its seed, unless
    given. Values that are not finite are left out, and the cell says how many. An interval ends where the
    measure does (see :func:`lossatlas.geometry.quantity`).
    """
    if measures is None:
        first = records[0] if records else {}
        measures = [key for key, value in first.items() if isinstance(value, Real) and key != "seed"]
    rows: dict[str, list] = {}
    content = []
    for measure in measures:
        for condition, values in by_condition(records, measure).items():
            mean = mean_interval(values, bounds=quantity(measure).bounds)
            row = rows.setdefault(condition, [condition, str(len(values))])
            left_out = [f"{len(values) - mean.n} left out, not finite"] if mean.n < len(values) else []
            row.append((interval_text(mean.mean, mean.low, mean.high), *left_out))
            content.append({"condition": condition, "measure": measure, **plain(asdict(mean))})
    headers = ("Condition", "Seeds", *map(spoken, measures))
    return Table(headers, tuple(map(tuple, rows.values())), content, "la-seeds")
