"""Numbers and names as people write them."""

from __future__ import annotations

from collections.abc import Sequence

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


def listed(items: Sequence[str]) -> str:
    """The items as a sentence lists them: "a, b and c"."""
    *first, last = items or [""]
    return f"{', '.join(first)} and {last}" if first else last


def interval_text(mean: float, low: float, high: float) -> str:
    """A mean with its interval: 0.31 [0.2, 0.42]; without the brackets where there is no interval."""
    return number(mean) if low != low else f"{number(mean)} [{number(low)}, {number(high)}]"
