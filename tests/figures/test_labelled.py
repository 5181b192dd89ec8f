"""Labelled Datasets draw what the mappings, lists and records of the same numbers draw."""

import numpy as np
import pytest
import xarray as xr

from lossatlas import figures
from lossatlas.figures.labelled import groups, records, titled

CONDITIONS, SEEDS = ["plain", "skip"], [3, 5, 8]
GENERATOR = np.random.default_rng(0)
MEASURED = xr.Dataset(
    {name: (("condition", "seed"), GENERATOR.uniform(1, 2, (2, 3))) for name in ("roughness", "sharpness")},
    {"condition": CONDITIONS, "seed": SEEDS},
)
RECORDS = [
    {"condition": c, "seed": s, **{name: float(MEASURED[name].sel(condition=c, seed=s)) for name in MEASURED}}
    for c in CONDITIONS
    for s in SEEDS
]


def lines(figure):
    return [np.column_stack(line.get_data()).tolist() for ax in figure.axes for line in ax.lines]


def test_measures_over_condition_and_seed_are_the_records():
    assert records("measured", MEASURED) == RECORDS
    assert lines(figures.dots(MEASURED, "roughness")) == lines(figures.dots(RECORDS, "roughness"))
    one, other = (figures.scatter(data, "roughness", "sharpness") for data in (MEASURED, RECORDS))
    assert lines(one) == lines(other) and one.alt == other.alt
    assert figures.seeds_table(MEASURED).rows == figures.seeds_table(RECORDS).rows


def test_what_is_known_of_a_measure_is_shown():
    named = MEASURED.copy()
    named["roughness"].attrs = {"long_name": "bumpiness", "valid_min": 0.0}
    assert figures.dots(named, "roughness").axes[0].get_xlabel().startswith("bumpiness")
    assert figures.seeds_table(named).headers[2:] == ("bumpiness", "sharpness")


def test_histories_over_condition_seed_and_epoch():
    losses = GENERATOR.uniform(1, 2, (2, 3, 6))
    losses[1, 2, 4:] = np.nan  # this run ended after 4 epochs
    dims = ("condition", "seed", "epoch")
    coords = {"condition": CONDITIONS, "seed": SEEDS, "epoch": np.arange(1, 7)}
    whole = xr.Dataset({"train_loss": (dims, losses), "test_loss": (dims, 2 * losses)}, coords)
    apart = {c: [whole.sel(condition=c, seed=s, drop=True).dropna("epoch") for s in SEEDS] for c in CONDITIONS}
    one, other = figures.loss_curves(whole), figures.loss_curves(apart)
    assert lines(one) == lines(other) and one.alt == other.alt
    assert len(one.axes[0].lines[2].get_xdata()) == 4


def test_lines_and_surfaces_over_condition():
    axis = np.linspace(-1, 1, 7)
    losses = GENERATOR.uniform(1, 2, (2, 3, 7))
    whole = xr.Dataset(
        {"loss": (("condition", "seed", "alpha"), losses)}, {"condition": CONDITIONS, "seed": SEEDS, "alpha": axis}
    )
    apart = {c: [whole.sel(condition=c, seed=s, drop=True) for s in SEEDS] for c in CONDITIONS}
    assert lines(figures.profile(whole)) == lines(figures.profile(apart))
    with pytest.raises(ValueError, match=r"surfaces\['plain'\].* holds 3 Datasets; expected one: choose a seed"):
        titled("surfaces", whole)
    surfaces = xr.Dataset(
        {"loss": (("condition", "alpha", "beta"), GENERATOR.uniform(1, 2, (2, 7, 7)))},
        {"condition": CONDITIONS, "alpha": axis, "beta": axis},
    )
    figure = figures.panels(surfaces)
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == CONDITIONS
    assert list(figure.data) == ["surfaces"]  # the numbers below it are this Dataset
    xr.testing.assert_identical(figure.data["surfaces"][0], surfaces)


def test_a_measure_over_a_number_of_the_condition_or_of_a_dimension():
    values = GENERATOR.uniform(1, 2, (2, 4, 3))
    deep = xr.Dataset(
        {"roughness": (("family", "depth", "seed"), values)}, {"family": CONDITIONS, "depth": [2, 4, 8, 16]}
    )
    flat = deep.stack(condition=["family", "depth"]).transpose("condition", "seed")
    flat = flat.reset_index("condition").assign_coords(condition=[f"network {i}" for i in range(8)])
    for data in (deep, flat):
        ax = figures.against(data, "depth", "roughness", by="family").axes[0]
        for i, label in enumerate(CONDITIONS):
            line = ax.lines[2 * i]
            assert line.get_label() == label
            np.testing.assert_allclose(line.get_xydata(), np.column_stack([[2, 4, 8, 16], values[i].mean(axis=1)]))
    one = flat.isel(condition=slice(4))  # depth tells its conditions apart: one line, not four
    assert len(figures.against(one, "depth", "roughness").axes[0].lines) == 2
    with pytest.raises(ValueError, match=r"y='roughness' has two values at x = 2; name what tells lines apart by `by`"):
        figures.against(flat, "depth", "roughness")
    with pytest.raises(ValueError, match=r"y='roughness' is over .*; choose along 'family'"):
        figures.against(deep, "depth", "roughness")
    named = deep.isel(depth=0).rename(family="condition").assign_coords(epochs=("condition", [1, 30]))
    named["loss"] = named.roughness / 10
    line, cloud = figures.against(named, "loss", "roughness").axes[0].lines  # each dot at its own x
    np.testing.assert_allclose(np.sort(cloud.get_xdata()), np.sort(values[:, 0].ravel() / 10))
    np.testing.assert_allclose(np.sort(line.get_xdata()), np.sort(values[:, 0].mean(axis=1) / 10))


def test_several_measures_stand_side_by_side():
    figure = figures.dots(MEASURED, ["roughness", "sharpness"], log=["sharpness"])
    alone = [figures.dots(MEASURED, name, log=name == "sharpness") for name in ("roughness", "sharpness")]
    assert lines(figure) == lines(alone[0]) + lines(alone[1])
    assert figure.alt == f"{alone[0].alt} {alone[1].alt}"
    assert [ax.get_xscale() for ax in figure.axes] == ["linear", "log"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == CONDITIONS
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["", ""]
    figure.draw_without_rendering()
    left, right = (ax.get_tightbbox() for ax in figure.axes)
    assert left.x1 <= right.x0  # no label reaches into the next measure


def test_distributions_over_condition_and_seed():
    shares = xr.DataArray(
        GENERATOR.uniform(0, 1, (2, 3, 5)),
        {"condition": CONDITIONS, "bin": np.arange(5.0)},
        ("condition", "seed", "bin"),
    )
    mapped = {c: [shares.sel(condition=c).isel(seed=i) for i in range(3)] for c in CONDITIONS}
    assert lines(figures.histograms(shares, xlabel="w")) == lines(figures.histograms(mapped, xlabel="w"))


def test_one_condition_takes_its_label_from_the_attributes():
    run = xr.Dataset({"loss": ("epoch", [1.0])}, attrs={"condition": "SGD"})
    assert list(groups("history", run, xr.Dataset)) == ["SGD"]


def test_axes_whose_values_have_no_logarithm_say_so():
    below = xr.Dataset({"train_loss": ("epoch", [3.0, -1.0])}, {"epoch": [1, 2]})
    ax = figures.loss_curves({"nll": below}, variables=["train_loss"], ylabel="nats").axes[0]
    assert ax.get_yscale() == "linear" and "at or below 0" in ax.get_ylabel()
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [3, -1])
    wide = xr.Dataset({"loss": ("alpha", [1e4, 0.0, 1e-3, 0.1, 2.0, 5.0, 1e3])}, {"alpha": np.arange(7.0)})
    ax = figures.profile({"a": wide}, log=True).axes[0]
    assert ax.get_yscale() == "symlog" and "symmetric" in ax.get_ylabel()
    zero = [{"condition": "a", "seed": s, "m": float(s)} for s in range(3)]
    figure = figures.dots(zero, "m", log=True)
    assert figure.axes[0].get_xscale() == "linear" and "at or below 0" in figure.axes[0].get_xlabel().replace("\n", " ")
    figure.draw_without_rendering()
