"""Numbers from a surface: how sharp, how wide, how convex, how rough, how many basins.

Every function takes a surface, a Dataset over (alpha, beta) or over alpha alone, and reads one variable of
it. Values that are not finite are never filled in: each docstring says what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import ndimage

from lossatlas.geometry.grid import DIMENSIONS, grid_values, interpolator

ANGLES = 360  # points on the circle of `sharpness`
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}

MEASURES = {
    "sharpness": "mean rise of the loss on a circle around θ*; larger = sharper",
    "basin_area": "share of the grid at most δ above L(θ*); larger = wider basin",
    "nonconvex_share": "share of the grid that curves down in some direction; larger = less convex",
    "roughness": "deviation from the best quadratic, relative to the range; larger = less like a bowl",
    "anisotropy": "1 − |λ|min/|λ|max of the best quadratic; larger = more elongated, 0 = round",
    "minima": "separate minima, deeper than rounding errors; larger = more basins",
    "barrier": "highest rise between a basin and a lower one; larger = basins further apart, 0 = one basin",
}


def origin_value(surface: xr.Dataset, *, variable: str = "loss") -> float:
    """The value at θ*: `attrs["origin_loss"]` for the loss, where it is there, else interpolated at 0.

    Raises ValueError where neither can be had.
    """
    if variable == "loss" and "origin_loss" in surface.attrs:
        return float(surface.attrs["origin_loss"])
    axes, values = grid_values(surface, variable)
    if any(axis[0] > 0 or axis[-1] < 0 for axis in axes):
        raise ValueError("surface: the grid does not hold the origin and attrs has no 'origin_loss'")
    return float(interpolator(axes, values)(*[np.zeros(1)] * len(axes))[0])


def sharpness(surface: xr.Dataset, radius: float, *, variable: str = "loss") -> float:
    """Mean of `L − L(θ*)` over the circle α² + β² = radius²; on a line, over its two points ±radius.

    Between grid points the surface is a cubic spline (exact for quadratics; see
    :func:`lossatlas.geometry.grid.interpolator`). NaN where the circle crosses a cell with a value that is not
    finite. Raises ValueError for a radius that is not positive or a circle that leaves the grid.
    """
    axes, values = grid_values(surface, variable)
    reach = min(min(-axis[0], axis[-1]) for axis in axes)
    if not 0 < radius <= reach * (1 + 1e-9):
        raise ValueError(f"radius={radius!r}: expected more than 0 and at most {reach:g}, where the grid ends")
    if len(axes) == 1:
        points = [np.array([-radius, radius])]
    else:
        angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
        points = [radius * np.cos(angles), radius * np.sin(angles)]
    points = [np.clip(point, axis[0], axis[-1]) for point, axis in zip(points, axes, strict=True)]
    return float(interpolator(axes, values)(*points).mean() - origin_value(surface, variable=variable))


def basin_area(surface: xr.Dataset, delta: float, *, variable: str = "loss") -> float:
    """Share of the grid points with `L ≤ L(θ*) + delta`, connected to θ* or not.

    A point whose value is not finite lies outside the basin; NaN where L(θ*) itself is not finite. The share
    depends on how far the grid reaches: compare only equal grids. Raises ValueError for a negative delta.
    """
    if not (delta >= 0 and np.isfinite(delta)):
        raise ValueError(f"delta={delta!r}: expected a finite rise of the loss, zero or more")
    _, values = grid_values(surface, variable)
    origin = origin_value(surface, variable=variable)
    return float((np.isfinite(values) & (values <= origin + delta)).mean()) if np.isfinite(origin) else float("nan")


def _second_difference(axis: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Second derivative along the first dimension at interior points, for uneven steps too."""
    before, after = (step.reshape(-1, *[1] * (values.ndim - 1)) for step in (np.diff(axis)[:-1], np.diff(axis)[1:]))
    slopes = (values[1:-1] - values[:-2]) / before, (values[2:] - values[1:-1]) / after
    return 2 * (slopes[1] - slopes[0]) / (before + after)


def rounding(surface: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """How far rounding may move each value: `4·ε·max(1, |L|)`.

    ε is that of `attrs["precision"]` in which the network was run, float32 where it is not said. A mean loss
    below 1 comes from logits of order one or larger, which carry an absolute error of a few ε however small
    the loss made of them; hence the 1. Against float64, float32 losses of ReLU networks with 1 to 14 hidden
    layers were off by at most 3·ε·max(1, |L|), near θ* and on walls of 7000; hence the 4.
    """
    precision = surface.attrs.get("precision", "float32")
    if precision not in EPSILON:
        raise ValueError(f"surface.attrs['precision']={precision!r}: expected one of {list(EPSILON)}")
    return 4 * EPSILON[precision] * np.maximum(1, np.abs(values))


def nonconvex_share(surface: xr.Dataset, tolerance: float | None = None, *, variable: str = "loss") -> float:
    """Share of interior grid points whose discrete Hessian has an eigenvalue below −tolerance.

    The Hessian is made of central differences; on a line it is the second difference. Points whose stencil
    (3 by 3) touches a value that is not finite are left out, and the share is of the rest; NaN where none is
    left. Raises ValueError for fewer than three points along an axis.

    Without `tolerance` (in loss per squared step) each point has its own τ, from `e`, the most that rounding
    moves a loss of its stencil (see `rounding`). The weights 1, −2, 1 over h² turn e into 4e/h², the
    four corners over 4hk into e/(hk), and so no eigenvalue moves by more than
    `τ = e·(4·max(1/h², 1/k²) + 1/(hk))`; on a line `τ = 4e/h²`.
    """
    axes, values = grid_values(surface, variable)
    if min(values.shape) < 3:
        raise ValueError(f"surface of {values.shape} points: expected at least 3 along each axis for curvature")
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance={tolerance!r}: expected zero or more")
    inner = (slice(1, -1),) * values.ndim
    usable = ndimage.minimum_filter(np.isfinite(values).astype(np.uint8), 3)[inner] == 1
    if not usable.any():
        return float("nan")
    safe = np.where(np.isfinite(values), values, 0.0)
    steps = [np.minimum(np.diff(axis)[:-1], np.diff(axis)[1:]) for axis in axes]
    if values.ndim == 1:
        lowest = _second_difference(axes[0], safe)
        amplification = 4 / steps[0] ** 2
    else:
        aa = _second_difference(axes[0], safe)[:, 1:-1]
        bb = _second_difference(axes[1], safe.T)[:, 1:-1].T
        spans = [axis[2:] - axis[:-2] for axis in axes]
        ab = (safe[2:, 2:] - safe[2:, :-2] - safe[:-2, 2:] + safe[:-2, :-2]) / np.outer(*spans)
        lowest = (aa + bb) / 2 - np.hypot((aa - bb) / 2, ab)
        h, k = steps[0][:, None], steps[1][None, :]
        amplification = 4 / np.minimum(h, k) ** 2 + 1 / (h * k)
    if tolerance is None:
        errors = ndimage.maximum_filter(rounding(surface, safe), 3)[inner]
        tolerance = errors * amplification
    return float((lowest < -tolerance)[usable].mean())


def _best_quadratic(axes: Sequence[np.ndarray], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Hessian of the least-squares quadratic over the finite values, and the residuals there.

    Both NaN where the finite values are fewer than the coefficients.
    """
    finite = np.isfinite(values)
    size = [max(abs(axis[0]), abs(axis[-1])) for axis in axes]  # for a well-conditioned fit
    points = [p[finite] / s for p, s in zip(np.meshgrid(*axes, indexing="ij"), size, strict=True)]
    rows, columns = np.triu_indices(len(axes))
    terms = [
        np.ones(finite.sum()),
        *points,
        *(points[i] * points[j] for i, j in zip(rows, columns, strict=True)),
    ]
    design = np.stack(terms, axis=1)
    if len(design) < design.shape[1]:
        return np.full((len(axes), len(axes)), np.nan), np.full(len(design), np.nan)
    coefficients, *_ = np.linalg.lstsq(design, values[finite], rcond=None)
    hessian = np.zeros((len(axes), len(axes)))
    hessian[rows, columns] = coefficients[1 + len(axes) :]
    return (hessian + hessian.T) / np.outer(size, size), values[finite] - design @ coefficients


def roughness(surface: xr.Dataset, *, variable: str = "loss") -> float:
    """Root mean square of the surface minus its best quadratic (least squares), over the surface's range.

    Over the finite values; 0 for a surface that is flat, NaN where fewer values than coefficients are finite.
    """
    axes, values = grid_values(surface, variable)
    _, residuals = _best_quadratic(axes, values)
    if residuals.size == 0 or np.isnan(residuals).any():
        return float("nan")
    extent = np.ptp(values[np.isfinite(values)])
    return float(np.sqrt(np.mean(residuals**2)) / extent) if extent > 0 else 0.0


def anisotropy(surface: xr.Dataset, *, variable: str = "loss") -> float:
    """`1 − |λ|min/|λ|max` for the eigenvalues λ of the best quadratic: 0 is round, 1 a valley or ridge.

    Over the finite values; NaN for a surface without curvature. Raises ValueError for a line.
    """
    axes, values = grid_values(surface, variable)
    if len(axes) != 2:
        raise ValueError("surface is a line; anisotropy needs alpha and beta")
    hessian, _ = _best_quadratic(axes, values)
    if np.isnan(hessian).any():
        return float("nan")
    smallest, largest = np.sort(np.abs(np.linalg.eigvalsh(hessian)))
    return float(1 - smallest / largest) if largest > 0 else float("nan")


def sublevel_components(
    surface: xr.Dataset, levels: int | Sequence[float] = 64, *, variable: str = "loss"
) -> xr.Dataset:
    """N(λ): how many connected pieces the sublevel set {L ≤ λ} has, against λ.

    Pieces are 8-connected (diagonal neighbours touch). `levels` are values of λ, or their number: then they
    are quantiles of the surface, from its lowest value to its highest, so that each adds an equal share of
    the grid. Returns a Dataset over `level` with `components` and `share`, the share of the grid in the set.
    Values that are not finite are in no set. Raises ValueError for a surface without a finite value.
    """
    _, values = grid_values(surface, variable)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        raise ValueError(f"surface: no finite value of {variable!r}")
    if np.ndim(levels) == 0:
        levels = np.quantile(finite, np.linspace(0, 1, int(levels)))
    levels = np.asarray(levels, dtype=np.float64)
    sets = [np.isfinite(values) & (values <= level) for level in levels]
    counts = [ndimage.label(inside, np.ones((3,) * values.ndim))[1] for inside in sets]
    shares = [float(inside.mean()) for inside in sets]
    return xr.Dataset({"components": ("level", counts), "share": ("level", shares)}, {"level": levels})


def persistence(surface: xr.Dataset, *, variable: str = "loss") -> xr.Dataset:
    """Where each component of the sublevel sets is born, and at what level it joins an older one.

    Grid points enter from the lowest up (union-find over 8-connected neighbours); where two components meet,
    the one with the higher minimum ends. Returns a Dataset over `component`, the most persistent first, with
    `birth` (the value at its minimum), `death`, `persistence` (death − birth), and the coordinates of the
    minimum. The component of the lowest minimum never ends: death is inf; parts that values which are not
    finite cut off from it have such a component each. Ties that end where they begin are left out.
    """
    axes, values = grid_values(surface, variable)
    padded = np.pad(values, 1, constant_values=np.nan)  # every inner point then has all its neighbours
    flat = padded.ravel()
    around = np.argwhere(np.ones((3,) * values.ndim)) - 1
    strides = [int(np.prod(padded.shape[i + 1 :])) for i in range(values.ndim)]
    offsets = [int(step @ strides) for step in around if step.any()]
    parent: dict[int, int] = {}

    def root(point: int) -> int:
        while parent[point] != point:
            parent[point] = point = parent[parent[point]]
        return point

    rows = []
    finite = np.flatnonzero(np.isfinite(flat))
    for point in finite[np.argsort(flat[finite], kind="stable")].tolist():
        parent[point] = point
        for offset in offsets:
            if point + offset in parent:
                older, younger = sorted((root(point), root(point + offset)), key=lambda r: (flat[r], r))
                if older != younger:
                    parent[younger] = older
                    if flat[point] > flat[younger]:
                        rows.append((flat[younger], flat[point], younger))
    rows += [(flat[point], np.inf, point) for point in parent if parent[point] == point]
    rows.sort(key=lambda row: (row[0] - row[1], row[0]))
    birth, death, where = (np.array(column) for column in zip(*rows, strict=True)) if rows else np.empty((3, 0))
    places = np.unravel_index(where.astype(int), padded.shape)
    columns = {"birth": birth, "death": death, "persistence": death - birth}
    columns |= {name: axis[place - 1] for name, axis, place in zip(DIMENSIONS, axes, places, strict=False)}
    return xr.Dataset({name: ("component", column) for name, column in columns.items()})


def _basins(surface: xr.Dataset, variable: str) -> np.ndarray:
    """The persistence of each component that rounding cannot have made, the largest first."""
    found = persistence(surface, variable=variable)
    birth, death = found["birth"].to_numpy(), found["death"].to_numpy()
    errors = rounding(surface, birth) + rounding(surface, np.where(np.isfinite(death), death, birth))
    return (death - birth)[death - birth > errors]


def minima(surface: xr.Dataset, *, variable: str = "loss") -> int:
    """How many separate minima there are: components (:func:`persistence`) that rounding cannot have made."""
    return len(_basins(surface, variable))


def barrier(surface: xr.Dataset, *, variable: str = "loss") -> float:
    """The highest rise from a minimum to where its basin meets a lower one; 0 where there is one basin."""
    found = _basins(surface, variable)
    return float(found[np.isfinite(found)].max(initial=0.0))


def measures(surface: xr.Dataset, *, radius: float, delta: float, variable: str = "loss") -> dict[str, float]:
    """Every measure of `MEASURES` by its name (on a line all but `anisotropy`).

    `radius` is that of :func:`sharpness`, `delta` that of :func:`basin_area`.
    """
    found = {
        "sharpness": sharpness(surface, radius, variable=variable),
        "basin_area": basin_area(surface, delta, variable=variable),
        "nonconvex_share": nonconvex_share(surface, variable=variable),
        "roughness": roughness(surface, variable=variable),
        "minima": float(minima(surface, variable=variable)),
        "barrier": barrier(surface, variable=variable),
    }
    if surface[variable].ndim == 2:
        found["anisotropy"] = anisotropy(surface, variable=variable)
    return {name: found[name] for name in MEASURES if name in found}
