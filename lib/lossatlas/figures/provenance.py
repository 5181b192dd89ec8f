"""Where the surfaces and the other numbers of a page came from, for people to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from lossatlas._text import number
from lossatlas.figures.labelled import check_kind
from lossatlas.figures.tables import Table

NEEDED = ("created", "device", "versions", "n_samples", "seconds")
HEADERS = ("Condition", "Surfaces", "Seeds", "Samples", "Seconds", "Computed")


def provenance_table(surfaces: Iterable[xr.Dataset]) -> Table:
    """Return where surfaces came from, a row a condition: how many, on what data, how long they took, and when.

    Below the condition stand the devices, the versions, and the key under which the first surface is stored.

    Parameters
    ----------
    surfaces : iterable of xarray.Dataset
        With the attributes that the store and `evaluate` leave on a surface.

    Returns
    -------
    Table
        `.to_records()` gives plain dicts.

    Raises
    ------
    ValueError
        If an entry is no Dataset, or lacks an attribute.

    Examples
    --------
    >>> made = {"created": "2026-11-27T10:00", "device": "cpu", "versions": "{}", "n_samples": 100, "seconds": 2.0}
    >>> provenance_table([xr.Dataset(attrs={"condition": "SGD", **made})]).rows[0][1:]
    ('1', '1', '100 (given)', '2', '2026-11-27')
    """
    if isinstance(surfaces, str | xr.Dataset | Mapping) or not isinstance(surfaces, Iterable):
        raise ValueError(f"surfaces is a {type(surfaces).__name__}; expected a list of xarray.Datasets")
    groups: dict[str, list[dict]] = {}
    for surface in surfaces:
        check_kind("surfaces: an entry", surface, xr.Dataset)
        if missing := [name for name in NEEDED if name not in surface.attrs]:
            raise ValueError(f"surfaces: one has no attribute {missing[0]!r}; expected those of evaluate")
        groups.setdefault(surface.attrs.get("condition", "surface"), []).append(surface.attrs)
    rows = []
    for condition, group in groups.items():
        days = sorted({attrs["created"][:10] for attrs in group})
        devices = ", ".join(sorted({attrs["device"] for attrs in group}))
        versions = sorted({f"{name} {v}" for attrs in group for name, v in json.loads(attrs["versions"]).items()})
        row = (
            (condition, devices, ", ".join(versions), group[0].get("key", "not stored")),
            str(len(group)),
            str(len({attrs.get("training_seed") for attrs in group})),
            ", ".join(sorted({f"{attrs['n_samples']} ({attrs.get('split', 'given')})" for attrs in group})),
            f"{sum(attrs['seconds'] for attrs in group):.0f}",
            " to ".join(dict.fromkeys((days[0], days[-1]))),
        )
        rows.append(row)
    records = [dict(zip(HEADERS, row, strict=True)) for row in rows]
    return Table(HEADERS, tuple(rows), records, "la-provenance")


def how_made(results: Iterable[xr.Dataset]) -> dict[str, str]:
    """Return how results were made, by name, in words; empty if their attributes do not say.

    That is when and on what device they were computed and how long that took, of which training seeds and on which
    planes, with which versions, and the keys under which they are stored.

    Examples
    --------
    >>> how_made([xr.Dataset(attrs={"device": "cpu", "created": "2026-11-27T10:00", "seconds": 2.0})])
    {'Computed': '2026-11-27 on cpu', 'Took': '2 s'}
    """
    results = list(results)
    attrs = list({one.attrs.get("key", str(i)): one.attrs for i, one in enumerate(results)}.values())
    days = sorted({one["created"][:10] for one in attrs if "created" in one})
    devices = _words(one.get("device") for one in attrs)
    seconds = [float(one["seconds"]) for one in attrs if "seconds" in one]
    versions = [f"{name} {v}" for one in attrs for name, v in json.loads(one.get("versions", "{}")).items()]
    found = {
        "Computed": " on ".join(filter(None, [" to ".join(dict.fromkeys(days[:1] + days[-1:])), devices])),
        "Took": f"{number(sum(seconds))} s" + (f" for {len(seconds)} results" if len(seconds) > 1 else "")
        if seconds
        else "",
        "Condition": _words(one.get("condition") for one in attrs),
        "Model": _words(_run(one).get("model", one.get("model")) for one in attrs),
        "Dataset": _words(one.get("dataset", _run(one).get("dataset")) for one in attrs),
        "Evaluated on": _words((_samples(one) for one in attrs), "; "),
        "Training seeds": _words(sorted({seed for one in results for seed in _training_seeds(one)})),
        "Planes": _words((_plane(one) for one in attrs), "; "),
        "Versions": _words(versions),
        "Stored as": _words(f"{one['key']}.nc" if "key" in one else None for one in attrs),
    }
    return {name: text for name, text in found.items() if text}


def _words(values: Iterable[object], between: str = ", ") -> str:
    return between.join(dict.fromkeys(str(value) for value in values if value is not None))


def _run(attrs: Mapping) -> dict:
    """Return the document that says what was trained, as far as the result knows."""
    request = json.loads(attrs.get("request", "{}"))
    return request.get("run", request)


def _training_seeds(result: xr.Dataset) -> list[int]:
    """Return the seeds behind a result: those of its attributes, or the column of seeds of a table."""
    if "record" in result.dims and "seed" in result:
        return [int(seed) for seed in np.unique(result["seed"]) if np.isfinite(seed)]
    seed = result.attrs.get("training_seed", _run(result.attrs).get("seed"))
    return [] if seed is None else [int(seed)]


def _samples(attrs: Mapping) -> str | None:
    parts = [f"{attrs['n_samples']} samples" if "n_samples" in attrs else "", attrs.get("split")]
    return " of ".join(filter(None, parts)) or None


def _plane(attrs: Mapping) -> str | None:
    """Return what kind of plane it is, and the seed of its directions."""
    plane = json.loads(attrs.get("plane", "{}"))
    if "kind" not in plane:
        return None
    parts = [plane["kind"], f"seed {plane['seed']}" if plane.get("seed") is not None else ""]
    return ", ".join(filter(None, [*parts, f"{plane['normalize']}-normalized" if plane.get("normalize") else ""]))
