"""Which features of a surface are real: those that neither rounding nor random phases would make."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import xarray as xr

from lossatlas._checks import whole_number
from lossatlas.geometry.checks import check_number
from lossatlas.geometry.grid import Grid, Stack, axis_names
from lossatlas.geometry.shape import best_quadratic
from lossatlas.geometry.topology import pairs, persistence


def _random_phases(grid: Grid, random: np.random.Generator) -> np.ndarray:
    """Return values with the best quadratic of a surface, and the spectrum of what is left at random phases."""
    residuals = np.zeros(grid.values.shape)
    _, left = best_quadratic(grid)
    known = grid.values[grid.finite]
    residuals[grid.finite] = np.where(np.isfinite(left), left, known - known.mean() if known.size else 0)
    spectrum = np.fft.fftn(residuals)
    phases = np.angle(np.fft.fftn(random.standard_normal(residuals.shape)))  # of a real field: they pair up
    phases.flat[0] = np.angle(spectrum.flat[0])  # the mean stays
    drawn = np.fft.ifftn(abs(spectrum) * np.exp(1j * phases)).real
    return np.where(grid.finite, grid.values - residuals + drawn, np.nan)


def random_phases(surface: xr.Dataset, seed: int, *, variable: str = "loss") -> xr.Dataset:
    """Return a surface with the same spectrum and random phases: a draw from the null model of :func:`significance`.

    The best quadratic of the surface stays. What is left of it keeps the amplitude of each Fourier component; the
    phases are drawn uniformly. So bowl, correlation length and roughness stay, and the places and depths of
    features are left to chance.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    seed
        The seed of the draw.
    variable
        The variable to draw.

    Returns
    -------
    xarray.Dataset
        The variable over the same dimensions. Values that are not finite count as those of the quadratic for the
        spectrum, and are NaN in the result.

    Raises
    ------
    ValueError
        If `seed` is no whole number of at least 0.

    References
    ----------
    Theiler et al., Testing for nonlinearity in time series: the method of surrogate data (1992).

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 5)
    >>> bowl = xr.Dataset({"loss": ("alpha", axis**2)}, {"alpha": axis})
    >>> abs(random_phases(bowl, 0).loss - bowl.loss).max().item() < 1e-12  # nothing is left of a bowl
    True
    """
    names = axis_names(surface, variable)
    seed = whole_number(seed, "seed", least=0)
    stack = Stack.of(surface, variable)
    generators = np.random.default_rng(seed).spawn(len(stack.grids))
    drawn = [_random_phases(grid, random) for grid, random in zip(stack.grids, generators, strict=True)]
    made = stack.array(drawn, {name: surface[name] for name in names}).assign_attrs(surface[variable].attrs)
    return made.transpose(*surface[variable].dims).to_dataset(name=variable).assign_attrs(surface.attrs)


def significance(
    surface: xr.Dataset,
    *,
    dimension: int = 0,
    draws: int = 199,
    level: float = 0.05,
    seed: int = 0,
    variable: str = "loss",
) -> xr.Dataset:
    """Return the features of a surface with p-values: which are real, and which rounding or chance would make.

    A feature is compared with the most persistent one of each draw of :func:`random_phases`. Its p-value is
    (1 + n) / (1 + draws), where n draws have one that lasts as long: the probability, for a surface without
    features of its own, that any of its features lasts as long. Features that rounding may have made have p = 1.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions.
    dimension
        0 for components, 1 for loops, 2 for cavities; less than the number of axes.
    draws
        How many surfaces are drawn.
    level
        The p-value up to which a feature is called significant.
    seed
        The seed of the draws.
    variable
        The variable to read.

    Returns
    -------
    xarray.Dataset
        What :func:`persistence` returns, `p_value` and `significant` over component, and `threshold` over the other
        dimensions: a feature is significant if its persistence is greater than this and than `rounding`. Features
        that never end are not tested: no draw could make or remove them. They count as significant, and their
        p-value is NaN.

    Raises
    ------
    ValueError
        If `draws` are too few for a p-value as small as `level`, or an argument does not fit the surface.

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 201)
    >>> hill = np.exp(-((axis / 0.01) ** 2)) + 0.02 * np.random.default_rng(0).normal(size=201)
    >>> line = xr.Dataset({"loss": ("alpha", hill)}, {"alpha": axis})
    >>> found = significance(line, draws=39)
    >>> found.sizes["component"] > 50, found.significant.sum().item()  # the two sides of the hill
    (True, 2)
    """
    features = persistence(surface, dimension=dimension, variable=variable)
    share = check_number("level", level, least=0, most=1, above=True)
    if isinstance(draws, bool) or not isinstance(draws, Integral) or (1 + draws) * share < 1:
        raise ValueError(f"draws={draws!r}: expected a whole number of at least {int(np.ceil(1 / share)) - 1}")
    seed = whole_number(seed, "seed", least=0)
    stack = Stack.of(surface, variable)
    generators = np.random.default_rng(seed).spawn(len(stack.grids))
    longest = np.array(
        [
            [_longest(Grid(grid.axes, _random_phases(grid, random), grid.precision), dimension) for _ in range(draws)]
            for grid, random in zip(stack.grids, generators, strict=True)
        ]
    )
    allowed = int(share * (1 + draws) * (1 + 1e-12)) - 1  # draws that may last as long as a significant feature
    drawn = stack.array(longest, {"draw": np.arange(draws)})
    as_long = (drawn >= features["persistence"]).sum("draw")
    tested = np.isfinite(features["persistence"])
    beyond = features["persistence"] > features["rounding"]
    p_value = xr.where(beyond, (1 + as_long) / (1 + draws), 1.0).where(tested)
    significant = (p_value <= share) | np.isposinf(features["persistence"])
    order = features["persistence"].dims
    return features.assign(
        p_value=p_value.transpose(*order),
        significant=significant.transpose(*order),
        threshold=stack.array(np.sort(longest, axis=1)[:, ::-1][:, allowed]),
    ).assign_attrs(draws=int(draws), level=share)


def _longest(grid: Grid, dimension: int) -> float:
    """Return the persistence of the most persistent feature that ends; 0 if none does."""
    found = pairs(grid, dimension)
    lasting = found[:, 1] - found[:, 0]
    return float(lasting[np.isfinite(lasting)].max(initial=0.0))
