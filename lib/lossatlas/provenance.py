"""Where the surfaces of a page came from, for people to read."""

from __future__ import annotations

import json
from collections.abc import Iterable

import xarray as xr

from lossatlas.tables import Table

HEADERS = ("Condition", "Surfaces", "Seeds", "Samples", "Seconds", "Computed")


def provenance_table(surfaces: Iterable[xr.Dataset]) -> Table:
    """A row a condition: how many surfaces of how many training seeds, on what data, how long they took, when.

    Below the condition: the devices, the versions, and the key under which the first surface is stored. Reads
    the attributes that the store and ``evaluate`` leave on a surface.
    """
    groups: dict[str, list[dict]] = {}
    for surface in surfaces:
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
