"""Numbers and names as people write them."""

from __future__ import annotations

from collections.abc import Sequence

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 3) -> str:
    """Return a number as a person writes it, with at most this many significant digits.

    Large numbers are whole, and NaN is a dash.

    Examples
    --------
    >>> number(0.05), number(-1.234), number(2e-6), number(12345.6), number(float("nan"))
    ('0.05', '−1.23', '2·10⁻⁶', '12,346', '–')
    """
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
    """Return the items as a sentence lists them.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = items or [""]
    return f"{', '.join(first)} and {last}" if first else last


def interval_text(mean: float, low: float, high: float) -> str:
    """Return a mean with its interval, without the brackets if there is none.

    Examples
    --------
    >>> interval_text(0.31, 0.2, 0.42), interval_text(0.31, float("nan"), float("nan"))
    ('0.31 [0.2, 0.42]', '0.31')
    """
    return number(mean) if low != low else f"{number(mean)} [{number(low)}, {number(high)}]"
