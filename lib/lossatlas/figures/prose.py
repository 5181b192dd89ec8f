"""Numbers inside sentences: short in the text, their interval in a note that opens over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from lossatlas._text import number
from lossatlas.evidence import Effect, Mean, mean_interval
from lossatlas.figures import page

NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Quantity:
    """Hold a number as a sentence shows it, and the note that opens over it.

    Attributes
    ----------
    text
        The number with its unit.
    note
        How it was made: over how many seeds, and with what interval. Empty for a number without either.
    """

    text: str
    note: str = ""

    def __str__(self) -> str:
        """Return the number with its unit."""
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        bundle = page.mimebundle({"kind": "quantity", "text": self.text, "note": self.note}) if self.note else {}
        return {"text/plain": self.text, **bundle}


def percent(values: object, digits: int = 2) -> Quantity:
    """Return a share as a percentage for a sentence.

    Parameters
    ----------
    values
        A share between 0 and 1, one share a seed (their mean is shown), or a mean or difference of `evidence`.
    digits
        Significant digits.

    Raises
    ------
    ValueError
        If `values` is not a number, a list of numbers, a Mean or an Effect.

    Examples
    --------
    >>> str(percent(0.314)).split()
    ['31', '%']
    >>> percent([0.96, 0.97, 0.98], digits=3).note.replace("\N{NO-BREAK SPACE}", " ")
    'Mean of 3 seeds, 95 % interval 94.5 % to 99.5 %'
    """
    return _quantity(values, digits, lambda value: f"{number(100 * value, digits)}{NO_BREAK}%", bounds=(0.0, 1.0))


def amount(values: object, unit: str = "", digits: int = 2) -> Quantity:
    """Return a number for a sentence.

    Parameters
    ----------
    values
        A number, one number a seed (their mean is shown), or a mean or difference of `evidence`.
    unit
        Written behind the number, such as "nats".
    digits
        Significant digits.

    Raises
    ------
    ValueError
        If `values` is not a number, a list of numbers, a Mean or an Effect.

    Examples
    --------
    >>> str(amount(0.0512, "nats")).replace("\N{NO-BREAK SPACE}", " ")
    '0.051 nats'
    """
    if not isinstance(unit, str):
        raise ValueError(f"unit={unit!r}: expected a text such as 'nats'")
    after = f"{NO_BREAK}{unit}" if unit else ""
    return _quantity(values, digits, lambda value: number(value, digits) + after, bounds=(-np.inf, np.inf))


def say(**values: object) -> None:
    """Make values available to the text of a page, each under its name: `{glue:}` followed by the name shows it.

    Parameters
    ----------
    **values
        Texts and numbers as they are to be shown, quantities of :func:`percent` and :func:`amount`, or anything
        else that a notebook can show. Nothing appears where `say` is called.

    Raises
    ------
    ModuleNotFoundError
        If `myst-nb` is not installed; it comes with the extra `book`.

    Examples
    --------
    >>> say(accuracy=percent(0.97))
    """
    from myst_nb import glue

    for name, value in values.items():
        glue(name, Quantity(value) if isinstance(value, str) else value, display=False)


def _quantity(values: object, digits: int, text: Callable[[float], str], *, bounds: tuple[float, float]) -> Quantity:
    if isinstance(digits, bool) or not isinstance(digits, int) or digits < 1:
        raise ValueError(f"digits={digits!r}: expected a whole number of at least 1")
    mean: Effect | Mean = values if isinstance(values, Effect | Mean) else _mean(values, bounds)
    interval = f"95{NO_BREAK}% interval {text(mean.low)} to {text(mean.high)}"
    if isinstance(mean, Effect):
        seeds = f"{mean.n_a} and {mean.n_b} seeds"
        return Quantity(text(mean.difference), f"Difference of the means of {seeds}, {interval}")
    return Quantity(text(mean.mean), f"Mean of {mean.n} seeds, {interval}" if mean.n > 1 else "")


def _mean(values: object, bounds: tuple[float, float]) -> Mean:
    if isinstance(values, Real) and not isinstance(values, bool):
        return Mean(float(values), float("nan"), float("nan"), 1)
    try:
        array = np.asarray(values, dtype=float).ravel()
    except (TypeError, ValueError):
        array = np.array([])
    if isinstance(values, str | bool | None) or not array.size:
        raise ValueError(f"values={values!r:.80}: expected a number, a list of numbers, a Mean or an Effect")
    return mean_interval(array.tolist(), bounds=bounds)
