"""What the tests of claims and of their tables share: claims and effects made from numbers."""

from __future__ import annotations

import numpy as np

from lossatlas import evidence


def separated(shift, n=5, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    return random.normal(0, spread, n), random.normal(shift, spread, n)


def claim(expected, effect, **changes):
    return evidence.Claim("deeper is rougher", "figure 4", "roughness", expected, effect, **changes)


def effect_of(shift, n=5, **changes):
    return evidence.difference(*separated(shift, n=n), **changes)
