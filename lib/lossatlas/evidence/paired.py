"""How measures change within every seed: differences of labelled Datasets, and claims on them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr
from scipy import stats

from lossatlas.evidence import checks
from lossatlas.evidence.claims import Claim
from lossatlas.evidence.statistics import LEVEL, POWER, Effect
from lossatlas.geometry import spoken


def paired_difference(measured: xr.Dataset, **labels: tuple[Hashable, Hashable]) -> xr.Dataset:
    """Return the first less the second of two labels along a dimension, for each measure and within every seed.

    Parameters
    ----------
    measured
        Measures over `condition`, `seed` and the dimension, as :meth:`lossatlas.study.Study.measure` returns them.
    **labels
        One dimension with its two labels: ``split=("train", "test")`` is train less test.

    Returns
    -------
    xarray.Dataset
        Over the other dimensions, without planes that were seen with only one of the two labels. Each variable keeps
        its attributes, but for its bounds; its name and its `long_name` say what was subtracted.

    Raises
    ------
    ValueError
        If `measured` is no Dataset with two such labels.

    Examples
    --------
    >>> coords = {"split": ["test", "train"], "seed": [0, 1]}
    >>> measured = xr.Dataset({"roughness": (("split", "seed"), [[0.2, 0.3], [0.1, 0.1]])}, coords)
    >>> found = paired_difference(measured, split=("train", "test"))
    >>> found["roughness, train − test"].values.round(3).tolist()
    [-0.1, -0.2]
    """
    if not isinstance(measured, xr.Dataset):
        raise ValueError(f"measured is a {type(measured).__name__}; expected an xarray.Dataset")
    if len(labels) != 1:
        raise ValueError(f"labels={labels!r}: expected one dimension with two labels, such as split=('train', 'test')")
    ((dimension, pair),) = labels.items()
    if dimension not in measured.indexes:
        raise ValueError(f"labels: no labelled dimension {dimension!r}; expected one of {list(measured.indexes)}")
    known = measured[dimension].to_numpy().tolist()
    if not isinstance(pair, tuple) or len(pair) != 2 or any(label not in known for label in pair):
        raise ValueError(f"{dimension}={pair!r}: expected two of {known}")
    first, second = (measured.sel({dimension: label}, drop=True) for label in pair)
    found = first - second
    for other in set(found.dims) & set(found.indexes) - {"condition", "seed"}:
        found = found.dropna(other, how="all")
    subtracted = f", {pair[0]} − {pair[1]}"
    for name, values in found.data_vars.items():
        kept = {key: value for key, value in measured[name].attrs.items() if key not in ("valid_min", "valid_max")}
        values.attrs = kept | {"long_name": spoken(measured[name]) + subtracted}
    return found.rename({name: f"{name}{subtracted}" for name in found.data_vars})


def paired_claim(
    text: str,
    values: xr.DataArray,
    *,
    a: Mapping[Hashable, object],
    b: Mapping[Hashable, object] | None = None,
    expected: str,
    figure: str,
    compared: str,
    margin: float | None = None,
) -> Claim:
    """Return a claim on the difference b − a within every seed, or on the value a itself if no b is given.

    The interval and the p-value are those of Student's t for one sample, the differences. They need no independence
    of a and b, unlike those of :func:`lossatlas.evidence.claim`, and a constant may be compared with.

    Parameters
    ----------
    text, expected, figure, compared, margin
        As :func:`lossatlas.evidence.claim` takes them; ``compared`` says in words what is subtracted.
    values
        A named measure over `seed`, or its pseudovalues (see :func:`lossatlas.evidence.pseudovalues`).
    a, b
        Labels by dimension, none if `values` is over `seed` alone. Without b, a is compared with 0.

    Raises
    ------
    ValueError
        If `values` has no such labels, or other dimensions than `seed` are left.

    Examples
    --------
    >>> loss = xr.DataArray([[3.0, 5.0, 4.0], [2.0, 3.5, 3.1]], {"path": ["line", "curve"]}, ("path", "seed"), "loss")
    >>> sides = {"a": {"path": "line"}, "b": {"path": "curve"}}
    >>> made = paired_claim("curves are lower", loss, **sides, expected="less", figure="ours", compared="curve − line")
    >>> round(made.effect.difference, 2), round(made.effect.p, 3)
    (-1.13, 0.026)
    """
    checks.text("text", text)
    checks.text("figure", figure)
    checks.text("compared", compared)
    checks.labelled("values", values, ("seed",))
    for side, labels in (("a", a), ("b", b or {})):
        if not isinstance(labels, Mapping):
            raise ValueError(f"{side}={labels!r}: expected labels by dimension, such as {{'path': 'line'}}")
    in_a = checks.select("a", values, a, leave="seed").to_numpy().astype(float)
    if b is None:
        in_a, in_b = np.zeros_like(in_a), in_a
    else:
        in_b = checks.select("b", values, b, leave="seed").to_numpy().astype(float)
    effect = _within_seeds(in_a, in_b)
    return Claim(text, figure, str(values.name), expected, effect, compared, margin)


def _within_seeds(a: np.ndarray, b: np.ndarray) -> Effect:
    """Return the mean difference b − a of values side by side, with Student's t interval."""
    known = np.isfinite(a) & np.isfinite(b)
    a, b, left_out = a[known], b[known], int((~known).sum())
    n = len(a)
    mean_a, mean_b = (float(side.mean()) if n else math.nan for side in (a, b))
    change, error, t, power, p, smallest_p = (math.nan,) * 6
    if n:
        change = float((b - a).mean())
    if n >= 2:
        error = float((b - a).std(ddof=1)) / math.sqrt(n)
        t, power = (float(stats.t.ppf(level, n - 1)) for level in (1 - LEVEL / 2, POWER))
        p, smallest_p = 2 * float(stats.t.sf(abs(change) / error, n - 1)) if error > 0 else float(change == 0), 0.0
    low, high = change - t * error, change + t * error
    detectable = (t + power) * error
    return Effect(mean_a, mean_b, change, low, high, p, smallest_p, math.nan, detectable, n, n, left_out)
