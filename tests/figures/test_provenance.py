import json

import xarray as xr

from lossatlas.figures.provenance import provenance_table


def surface(condition, seed, seconds, day, **more):
    attrs = {
        "condition": condition,
        "training_seed": seed,
        "seconds": seconds,
        "created": f"2026-11-{day}T10:00:00+00:00",
        "device": "cpu",
        "n_samples": 1000,
        "split": "test",
        "versions": json.dumps({"torch": "2.15.0"}),
        **more,
    }
    return xr.Dataset(attrs=attrs)


def test_a_row_a_condition_with_sums_and_spans():
    table = provenance_table(
        [
            surface("deep", 0, 10.4, "21", key="surface-deep-0"),
            surface("deep", 1, 20.2, "22"),
            surface("flat", 0, 1.0, "21"),
        ]
    )
    deep, flat = table.to_records()
    assert deep["Condition"] == ("deep", "cpu", "torch 2.15.0", "surface-deep-0")
    assert deep["Surfaces"] == "2" and deep["Seeds"] == "2" and deep["Samples"] == "1000 (test)"
    assert deep["Seconds"] == "31" and deep["Computed"] == "2026-11-21 to 2026-11-22"
    assert flat["Condition"][-1] == "not stored" and flat["Computed"] == "2026-11-21"
    assert "surface-deep-0" in table._repr_html_()
