"""How measures change within every seed: differences of labelled Datasets."""

from __future__ import annotations

from collections.abc import Hashable

import xarray as xr

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
