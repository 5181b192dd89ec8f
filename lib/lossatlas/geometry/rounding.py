"""How far rounding moves a loss, and what is beyond it."""

from __future__ import annotations

import numpy as np

from lossatlas.geometry.checks import real_numbers

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def rounding(values: np.ndarray, precision: str = "float32") -> np.ndarray:
    """Return how far rounding may move each value: `4·ε·max(1, |L|)`.

    ε is that of the precision in which the network was run. A mean loss below 1 comes from logits of order one or
    larger, which carry an absolute error of a few ε however small the loss made of them; hence the 1. Against
    float64, float32 losses of ReLU networks with 1 to 14 hidden layers were off by at most `3·ε·max(1, |L|)`, near
    θ* and on walls of 7000; hence the 4.

    Parameters
    ----------
    values
        Losses.
    precision
        "float64", "float32", "float16" or "bfloat16".

    Raises
    ------
    ValueError
        If `precision` is none of these.

    Examples
    --------
    >>> rounding(np.array([0.1, 10.0]), "float32")
    array([4.76837158e-07, 4.76837158e-06])
    """
    if precision not in EPSILON:
        raise ValueError(f"precision={precision!r}: expected one of {list(EPSILON)}")
    return 4 * EPSILON[precision] * np.maximum(1, np.abs(real_numbers("values", values)))
