"""Numbers as people write them, and tables that show themselves on a page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, for people: 0.05, −1.2, 2·10⁻⁶; 12,345 whole; – for NaN."""
    if value != value:
        return "–"
    if abs(value) == float("inf"):
        return "∞" if value > 0 else "−∞"
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0:
        return "0"
    if 1e-3 <= abs(rounded) < 1e5:
        text = f"{value:.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:.{digits}g}"
        text = f"{value:,.0f}" if abs(value) >= 9999.5 else text
        return text.replace("-", "−")
    factor, power = f"{rounded:.{digits - 1}e}".split("e")
    power = "10" + str(int(power)).translate(SUPERSCRIPT)
    factor = f"{float(factor):g}"
    return (f"{factor}·{power}" if factor not in ("1", "-1") else factor[:-1] + power).replace("-", "−")


def spoken(name: str) -> str:
    """A measure's name as a page says it: "non-convex share" for "nonconvex_share"."""
    return name.replace("_", " ").replace("nonconvex", "non-convex")


def listed(items: Sequence[str]) -> str:
    """The items as a sentence lists them: "a, b and c"."""
    *first, last = items or [""]
    return f"{', '.join(first)} and {last}" if first else last


def interval_text(mean: float, low: float, high: float) -> str:
    """A mean with its interval: 0.31 [0.2, 0.42]; without the brackets where there is no interval."""
    return number(mean) if low != low else f"{number(mean)} [{number(low)}, {number(high)}]"


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

    def to_records(self) -> list[dict]:
        """The content as plain dicts that JSON can hold."""
        return [dict(record) for record in self.records]

    def _repr_html_(self) -> str:
        lines = ['<div class="la-scroll" style="overflow-x: auto" tabindex="0">', f'<table class="{self.name}">']
        heads = "".join(f'<th scope="col">{html.escape(header)}</th>' for header in self.headers)
        lines += [f"<thead><tr>{heads}</tr></thead>", "<tbody>"]
        for row, css in zip(self.rows, self.classes or [""] * len(self.rows), strict=True):
            cells = []
            for i, (header, cell) in enumerate(zip(self.headers, row, strict=True)):
                tag, scope = ("th", ' scope="row"') if i == 0 else ("td", "")
                main, *small = [cell] if isinstance(cell, str) else cell
                inside = html.escape(main) + "".join(f"<br><small>{html.escape(text)}</small>" for text in small)
                cells.append(f'<{tag}{scope} data-label="{html.escape(header)}">{inside}</{tag}>')
            start = f'<tr class="{css}">' if css else "<tr>"
            lines.append(f"{start}{''.join(cells)}</tr>")
        return "\n".join([*lines, "</tbody>", "</table>", "</div>"]) + "\n"

    def _repr_markdown_(self) -> str:
        def line(cells) -> str:
            texts = (cell if isinstance(cell, str) else "; ".join(cell) for cell in cells)
            return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"

        return "\n".join([line(self.headers), line(["---"] * len(self.headers)), *map(line, self.rows)]) + "\n"
