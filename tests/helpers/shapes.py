"""Surfaces made from functions and arrays, for the tests of their shape."""

from __future__ import annotations

import numpy as np
import xarray as xr
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


def surface_of(function, *, extent=1.0, points=41, betas=None, **attrs):
    alphas = np.linspace(-extent, extent, points) if np.ndim(points) == 0 else np.asarray(points)
    betas = alphas if betas is None else np.asarray(betas)
    alpha, beta = np.meshgrid(alphas, betas, indexing="ij")
    values = np.asarray(function(alpha, beta), dtype=float)
    return xr.Dataset(
        {"loss": (("alpha", "beta"), values)},
        {"alpha": alphas, "beta": betas},
        {"precision": "float64", **attrs},
    )


def line_of(function, *, extent=1.0, points=41, **attrs):
    alphas = np.linspace(-extent, extent, points)
    return xr.Dataset({"loss": ("alpha", function(alphas))}, {"alpha": alphas}, {"precision": "float64", **attrs})


def surface_from(values):
    axes = [np.arange(size, dtype=float) - size // 2 for size in values.shape]
    return xr.Dataset({"loss": (("alpha", "beta"), values)}, dict(zip(("alpha", "beta"), axes, strict=True)))


def bowl(a, b):
    return 0.7 + 0.5 * (4 * a**2 + b**2)


def double_well(a, b):
    """Minima 0 at α = −1 and 0.2 at α = 1 (to within 0.01), a pass near α = 0."""
    return (a**2 - 1) ** 2 + 0.1 * (a + 1) + b**2


# Whole numbers bring many ties; a few values are not finite.
grids = arrays(
    float,
    st.tuples(st.integers(3, 7), st.integers(3, 7)),
    elements=st.one_of(st.integers(0, 6).map(float), st.integers(0, 6).map(float), st.sampled_from([np.nan, np.inf])),
)
