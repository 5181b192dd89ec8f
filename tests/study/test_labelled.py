"""Datasets over named dimensions hold the numbers of the single runs and surfaces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from lossatlas import evidence, figures, geometry
from lossatlas.networks import Recipe
from lossatlas.study import Condition, RandomPlane, Slice, Study, UnexpectedVerdict, published

SHORT = Condition("short", "digits", "feedforward", Recipe(learning_rate=0.1, epochs=2), {"depth": 2, "width": 8})
LONG = replace(SHORT, label="long", recipe=replace(SHORT.recipe, epochs=3))
GRID = {"points": 5, "samples": 40}
SLICES = [Slice(RandomPlane(0), **GRID), Slice(RandomPlane(1), **GRID), Slice(RandomPlane(0), split="train", **GRID)]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study("test", results=tmp_path_factory.mktemp("labelled"), device="cpu", progress=False)


def test_histories_are_those_of_the_runs(study):
    found = study.histories([SHORT, LONG], [0, 1])
    assert dict(found.sizes) == {"condition": 2, "seed": 2, "epoch": 3}
    for condition in (SHORT, LONG):
        for seed in (0, 1):
            own = study.history(condition, seed)
            row = found.sel(condition=condition.label, seed=seed)
            assert float(row.seconds) == own.attrs["seconds"]
            for name in own.data_vars:
                assert row[name].dims == ("epoch",)
                np.testing.assert_array_equal(row[name][: own.sizes["epoch"]], own[name])
    assert np.isnan(found.train_loss.sel(condition="short", epoch=3)).all()


def test_measures_are_those_of_the_surfaces(study):
    found = study.measure([SHORT, LONG], range(2), SLICES, ["roughness", "sharpness"], radius=0.5)
    assert found.roughness.dims == ("condition", "seed", "plane", "split")
    assert found.plane.values.tolist() == ["plane 0", "plane 1"] and found.split.values.tolist() == ["test", "train"]
    for condition in (SHORT, LONG):
        for seed in (0, 1):
            for slice in SLICES:
                surface = study.surface(condition, seed, slice=slice)
                where = {"condition": condition.label, "seed": seed, "plane": slice.plane.label, "split": slice.split}
                assert float(found.roughness.sel(where)) == float(geometry.roughness(surface))
                assert float(found.sharpness.sel(where)) == float(geometry.sharpness(surface, 0.5))
    assert np.isnan(found.roughness.sel(plane="plane 1", split="train")).all()
    assert found.roughness.attrs["long_name"] == "roughness"


def test_collected_results_are_those_of_the_runs(study):
    computed = []

    def losses(condition, seed):
        computed.append((condition.label, seed))
        ends = study.history(condition, seed).train_loss.isel(epoch=[0, -1]).to_numpy()
        return xr.Dataset({"loss": ("end", ends)}, {"end": ["first", "last"]}, {"unit": "nats", "of": seed})

    for _ in range(2):
        found = study.collect("ends", [SHORT, LONG], [0, 1], compute=losses, epochs="all")
    assert computed == [(label, seed) for label in ("short", "long") for seed in (0, 1)]  # once: then they are stored
    assert found.loss.dims == ("condition", "seed", "end") and found.seed.values.tolist() == [0, 1]
    for condition in (SHORT, LONG):
        for seed in (0, 1):
            own = study.result("ends", condition, seed, compute=pytest.fail, epochs="all")
            np.testing.assert_array_equal(found.loss.sel(condition=condition.label, seed=seed), own.loss)
    assert found.attrs["unit"] == "nats" and "of" not in found.attrs and "key" not in found.attrs


def test_train_less_test_is_the_difference_of_two_surfaces_of_one_plane(study):
    found = study.measure([SHORT, LONG], range(2), SLICES, ["roughness"])
    gained = evidence.paired_difference(found, split=("train", "test"))
    assert gained.plane.values.tolist() == ["plane 0"]  # the other was not seen with the training samples
    row = gained["roughness, train − test"].sel(plane="plane 0", condition="long", seed=1)
    test, train = (geometry.roughness(study.surface(LONG, 1, slice=slice)) for slice in (SLICES[0], SLICES[2]))
    assert float(row) == float(train - test) and "valid_min" not in row.attrs
    table = figures.seeds_table(gained)
    assert table.headers[2:] == ("roughness, train − test",) and len(table.rows) == 2


def test_a_mapping_names_slices_that_differ_in_nothing_but_the_grid(study):
    wide = {"near": Slice(alpha=0.5, **GRID), "far": Slice(alpha=2.0, **GRID)}
    with pytest.raises(ValueError, match=r"two different ones are called \('plane 0', 'test'\)"):
        study.measure([SHORT], [0], list(wide.values()), ["roughness"])
    found = study.measure([SHORT], [0], wide, ["roughness"])
    assert found.plane.values.tolist() == ["near", "far"]


def claims(values: xr.DataArray) -> list[evidence.Claim]:
    pair = {"a": "deep", "b": "flat", "figure": "figure 1"}
    return [
        evidence.claim("flat is smoother", values, expected="less", **pair),
        evidence.claim("flat is rougher", values, expected="greater", **pair),
        evidence.claim("nothing differs", 0 * values.rename("sharpness"), expected="different", **pair),
    ]


def values(seeds: int) -> xr.DataArray:
    rows = np.array([[2.0], [1.0]]) + 0.01 * np.arange(seeds)
    coords = {"condition": ["deep", "flat"], "seed": range(seeds)}
    return xr.DataArray(rows, coords, ("condition", "seed"), name="roughness")


RIGHT = {"supported": ["flat is smoother"], "contradicted": ["flat is rougher (roughness)"]}


@pytest.mark.parametrize(
    ("expects", "words"),
    [
        (
            {"supported": ["flat is smoother"]},
            "flat is rougher .roughness. is contradicted, the prose says inconclusive",
        ),
        ({**RIGHT, "supported": []}, "flat is smoother .roughness. is supported"),
        (
            {**RIGHT, "supported": ["flat is smoother", "nothing differs"]},
            "nothing differs .sharpness. is inconclusive",
        ),
        ({"supported": ["flat is blue"]}, "no claim 'flat is blue'"),
        ({"proved": ["flat is smoother"]}, "'proved' is no outcome"),
    ],
)
def test_a_conclusion_fails_where_the_data_say_otherwise(tmp_path, expects, words):
    study = Study("test", results=tmp_path)
    given = claims(values(6))
    found = study.conclude(given, expects=RIGHT, answer="Flat is smoother.")
    records = evidence.to_records(evidence.judge(given))
    assert evidence.to_records(list(found.verdicts)) == evidence.to_records(published(tmp_path)["test"]) == records
    assert (tmp_path / "test" / "answer.txt").read_text() == "Flat is smoother.\n"
    assert "flat is smoother" in found._repr_mimebundle_()["text/html"]
    with pytest.raises(ValueError, match=words) as caught:
        study.conclude(given, expects=expects)
    assert isinstance(caught.value, UnexpectedVerdict) == ("no " not in words)


def test_too_few_seeds_for_verdicts_are_no_failure(tmp_path):
    study = Study("test", results=tmp_path)
    assert {v.outcome for v in study.conclude(claims(values(3)), expects=RIGHT).verdicts} == {"inconclusive"}
