"""What is known of every quantity by its name: how it is measured, between which bounds it lies, what it means.

Tables, figures and verdicts read names, bounds and words here, or from the attributes that :func:`measures` gives to
its results. To add a measure, write a function that reduces a surface (see :func:`lossatlas.geometry.reduce`), add a
line to `MEASURES`, and test it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import xarray as xr

from lossatlas.geometry.convexity import nonconvex_share
from lossatlas.geometry.grid import DIMENSIONS, axis_names
from lossatlas.geometry.radial import steepest_share
from lossatlas.geometry.records import ANY, OF_VARIABLE, Measure, plane, plane_around_origin, symmetric
from lossatlas.geometry.shape import anisotropy, asymmetry, basin_area, roughness, sharpness
from lossatlas.geometry.topology import barrier, minima

SHARE = (0.0, 1.0)
NOT_NEGATIVE = (0.0, np.inf)

# One line for each measure, in the order in which tables show them.
MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "sharpness", sharpness, "mean rise of the loss on a circle around θ*; larger = sharper", ANY, OF_VARIABLE
        ),
        Measure("basin_area", basin_area, "share of the grid at most δ above L(θ*); larger = wider basin", SHARE),
        Measure(
            "nonconvex_share",
            nonconvex_share,
            "share of the grid that curves down in some direction; larger = less convex",
            SHARE,
            label="non-convex share",
        ),
        Measure(
            "roughness",
            roughness,
            "deviation from the best quadratic, relative to the range; larger = less like a bowl",
            NOT_NEGATIVE,
        ),
        Measure(
            "anisotropy",
            anisotropy,
            "1 − |λ|min/|λ|max of the best quadratic; larger = more elongated, 0 = round",
            SHARE,
            applies=plane,
        ),
        Measure(
            "asymmetry",
            asymmetry,
            "odd part of the surface, relative to its range; larger = less symmetric",
            SHARE,
            applies=symmetric,
        ),
        Measure(
            "step",
            steepest_share,
            "share of a ray's rise in its steepest stretch; larger = more sudden",
            SHARE,
            applies=plane_around_origin,
        ),
        Measure("minima", minima, "separate minima, deeper than rounding errors; larger = more basins", NOT_NEGATIVE),
        Measure(
            "barrier",
            barrier,
            "highest rise between a basin and a lower one; larger = basins further apart, 0 = one basin",
            NOT_NEGATIVE,
            OF_VARIABLE,
        ),
    )
}

# Quantities of networks and training paths that stand beside the measures of a surface.
QUANTITIES: dict[str, Measure] = {
    quantity.name: quantity
    for quantity in (
        Measure("loss", bounds=NOT_NEGATIVE),
        Measure("train_loss", label="training loss", bounds=NOT_NEGATIVE),
        Measure("test_loss", bounds=NOT_NEGATIVE),
        Measure("accuracy", words="share of samples classified correctly; larger = better", bounds=SHARE),
        Measure("balanced_accuracy", words="mean over classes of the share classified correctly", bounds=SHARE),
        Measure("auc", words="area under the receiver operating characteristic", bounds=SHARE),
        Measure("two_components", words="share of a path's variance on two PCA directions", bounds=SHARE),
        Measure("straightness", words="distance between a path's ends over its length", bounds=SHARE),
        Measure(
            "spectral_radius", words="largest modulus of an eigenvalue of the recurrent weights", bounds=NOT_NEGATIVE
        ),
    )
}


def quantity(of: str | xr.DataArray) -> Measure:
    """Return what is known of a quantity: its label, words, bounds and unit.

    Parameters
    ----------
    of
        The name of a quantity, or a DataArray: what its attributes say (`long_name`, `description`, `units`,
        `valid_min`, `valid_max`) goes before what is registered under its name.

    Returns
    -------
    Measure
        The registered record, or one without words and bounds for a name that is not registered.

    Raises
    ------
    ValueError
        If `of` is neither a name nor a DataArray with one.

    Examples
    --------
    >>> quantity("nonconvex_share").label, quantity("nonconvex_share").bounds
    ('non-convex share', (0.0, 1.0))
    >>> quantity("train_loss").label
    'training loss'
    """
    if isinstance(of, xr.DataArray):
        if of.name is None:
            raise ValueError("quantity: a DataArray without a name; expected one, see DataArray.rename")
        known, attrs = quantity(str(of.name)), of.attrs
        bounds = float(attrs.get("valid_min", known.bounds[0])), float(attrs.get("valid_max", known.bounds[1]))
        words, unit = str(attrs.get("description", known.words)), str(attrs.get("units", known.unit))
        return Measure(
            known.name, known.function, words, bounds, unit, str(attrs.get("long_name", known.label)), known.applies
        )
    if not isinstance(of, str) or not of:
        raise ValueError(f"quantity {of!r}: expected a name or a DataArray")
    return MEASURES.get(of) or QUANTITIES.get(of) or Measure(of, label=_label(of))


def _label(name: str) -> str:
    """Return the label of an unregistered name; "nonconvex_share, train − test" speaks of a registered quantity."""
    first, *rest = re.split(r"\b", name.lstrip(), maxsplit=2)[1:] or [""]
    known = MEASURES.get(first) or QUANTITIES.get(first)
    return (known.label + "".join(rest) if known else name).replace("_", " ")


def spoken(of: str | xr.DataArray) -> str:
    """Return the name of a quantity in prose: "non-convex share" for "nonconvex_share".

    Examples
    --------
    >>> spoken("nonconvex_share")
    'non-convex share'
    """
    return quantity(of).label


def measures(
    surface: xr.Dataset,
    which: Iterable[str | Measure] | None = None,
    *,
    variable: str = "loss",
    **options: float,
) -> xr.Dataset:
    """Return measures of a surface, or of every surface in a stack, as variables of one Dataset.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, and any other dimensions, such as condition and seed.
    which
        Names of registered measures (`geometry.MEASURES`), or :class:`Measure` records of your own. Unless given:
        every registered measure that applies to the grid and whose options are given.
    variable
        The variable to measure.
    **options
        Options of the measures by name: `radius` of the sharpness, `delta` of the basin area, `width` of the step.

    Returns
    -------
    xarray.Dataset
        A variable for each measure over the dimensions that are not axes; its attributes hold what
        :func:`quantity` reads.

    Raises
    ------
    ValueError
        If a measure is not known, an option is missing or belongs to none of the measures, or the surface cannot be
        measured.

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 21)
    >>> bowl = np.add.outer(2 * axis**2, axis**2)
    >>> surface = xr.Dataset({"loss": (("alpha", "beta"), bowl)}, {"alpha": axis, "beta": axis})
    >>> found = measures(surface, ["sharpness", "minima"], radius=0.5)
    >>> found.sharpness.round(6).item(), found.minima.item()
    (0.375, 1.0)
    """
    axes = tuple(surface[name].to_numpy() for name in axis_names(surface, variable))
    chosen = _applicable(axes, options) if which is None else _chosen(which)
    taken = {name for measure in chosen for name in measure.options}
    if unknown := sorted(set(options) - taken):
        raise ValueError(
            f"{unknown[0]}={options[unknown[0]]!r}: an option of none of the measures; expected some of {sorted(taken)}"
        )
    found = {}
    for measure in chosen:
        if missing := [name for name in measure.required if name not in options]:
            raise ValueError(f"{missing[0]}: not given; expected a number, which {measure.name!r} needs")
        found[measure.name] = _measured(measure, surface, variable, options)
    return xr.Dataset(found)


def _chosen(which: Iterable[str | Measure]) -> list[Measure]:
    if isinstance(which, str | Measure) or not isinstance(which, Iterable):
        raise ValueError(f"which={which!r}: expected a list of names or Measures")
    chosen = []
    for one in which:
        known = MEASURES.get(one) if isinstance(one, str) else one
        if not isinstance(known, Measure):
            raise ValueError(f"which: {one!r} is no measure; expected a Measure, or some of {list(MEASURES)}")
        if known.function is None:
            raise ValueError(f"which: {known.name!r} has no function; expected a measure of a surface")
        chosen.append(known)
    if len({measure.name for measure in chosen}) < len(chosen):
        raise ValueError(f"which={[measure.name for measure in chosen]}: expected every name once")
    return chosen


def _applicable(axes: tuple[np.ndarray, ...], options: dict[str, float]) -> list[Measure]:
    return [m for m in MEASURES.values() if m.applies(axes) and set(m.required) <= set(options)]


def _measured(measure: Measure, surface: xr.Dataset, variable: str, options: dict[str, float]) -> xr.DataArray:
    assert measure.function is not None
    given = {name: value for name, value in options.items() if name in measure.options}
    found = measure.function(surface, variable=variable, **given)
    left = [name for name in surface[variable].dims if name not in DIMENSIONS]
    made = found if isinstance(found, xr.DataArray) else xr.DataArray(found)
    if set(made.dims) != set(left):
        raise ValueError(f"{measure.name!r} returned dimensions {made.dims}; expected {tuple(left)}")
    unit = surface[variable].attrs.get("units", "") if measure.unit == OF_VARIABLE else measure.unit
    attrs = {"long_name": measure.label, "description": measure.words, "units": unit, **given}
    ends = {"valid_min": measure.bounds[0], "valid_max": measure.bounds[1]}
    attrs |= {name: end for name, end in ends.items() if np.isfinite(end)}
    return made.astype(float).rename(measure.name).assign_attrs({k: v for k, v in attrs.items() if v != ""})
