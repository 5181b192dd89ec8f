"""What a picture gives away opens again, and holds what was drawn."""

import base64
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lossatlas import figures, scenes
from lossatlas.figures import attachments
from lossatlas.figures.provenance import how_made


def surface(seed=0, points=9, **attrs):
    axis = np.linspace(-1, 1, points)
    values = 0.5 + (1 + seed) * axis[:, None] ** 2 + axis**2
    attrs = {"training_seed": seed, "key": f"surface-{seed}", "loss_name": "mse", **attrs}
    return xr.Dataset({"loss": (("alpha", "beta"), values)}, {"alpha": axis, "beta": axis}, attrs)


def history(seed, epochs):
    loss = np.exp(-np.arange(epochs) / (2 + seed))
    request = json.dumps({"dataset": "mnist", "seed": seed})
    columns = {"train_loss": ("epoch", loss), "test_loss": ("epoch", 2 * loss)}
    return xr.Dataset(columns, {"epoch": np.arange(epochs)}, {"request": request, "key": f"history-{seed}"})


def taken(page: str, folder: Path) -> dict[str, Path]:
    """The files inside a piece of a page, by what their link says."""
    found = {}
    for name, data, text in re.findall(r'<a download="([^"]+)" href="data:[^;]+;base64,([^"]+)">([^<]+)</a>', page):
        found[html.unescape(text)] = folder / name
        (folder / name).write_bytes(base64.b64decode(data))
    return found


def test_one_surface_is_at_the_root_of_the_file_as_it_was(tmp_path):
    drawn = surface(3)
    page = figures.figure_html(figures.contour(drawn), caption="A bowl, and more / of it")._repr_html_()
    path = taken(page, tmp_path)["Data (NetCDF)"]
    assert re.fullmatch(r"a-bowl-and-more-of-it-[0-9a-f]{8}\.nc", path.name)
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        xr.testing.assert_identical(opened.load(), drawn)


def test_several_surfaces_are_groups_under_their_titles(tmp_path):
    pair = {"one": surface(0), "two / three": surface(1, points=5)}
    path = taken(figures.panels(pair)._repr_html_(), tmp_path)["Data (NetCDF)"]
    for group, expected in zip(("one", "two three"), pair.values(), strict=True):
        with xr.open_dataset(path, engine="h5netcdf", group=group) as opened:
            xr.testing.assert_identical(opened.load(), expected)


def test_training_runs_of_different_lengths_lie_side_by_side(tmp_path):
    runs = [history(0, 4), history(1, 6)]
    path = taken(figures.loss_curves({"deep": runs})._repr_html_(), tmp_path)["Data (NetCDF)"]
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        assert opened.train_loss.dims == ("run", "epoch")
        for number, run in enumerate(runs):
            np.testing.assert_array_equal(opened.test_loss[number].dropna("epoch"), run.test_loss)
        assert json.loads(opened.attrs["key"]) == ["history-0", "history-1"]


def test_records_and_curves_become_tables(tmp_path):
    records = [{"condition": c, "seed": s, "m": s + 0.5} for c in ("a", "b") for s in range(3)]
    path = taken(figures.dots(records, "m")._repr_html_(), tmp_path)["Data (NetCDF)"]
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        assert opened.to_dataframe().to_dict("records") == records
    measured = xr.Dataset({"loss": (("depth", "seed"), [[1.0, 2.0], [3.0, 4.0]])}, {"depth": [2, 4]})
    curve = figures.against(measured, "depth", "loss")
    with xr.open_dataset(taken(curve._repr_html_(), tmp_path)["Data (NetCDF)"], engine="h5netcdf") as opened:
        xr.testing.assert_equal(opened.load(), measured)


def test_a_scene_gives_its_numbers_and_the_heights_that_it_shows(tmp_path):
    import pyvista as pv

    pair = {"low": surface(0), "high": surface(8)}
    low, high = scenes.compare(pair, clip=4.0)
    for scene, drawn in ((low, pair["low"]), (high, pair["high"])):
        files = {file.text: tmp_path / file.name for file in scene.files()}
        for file in scene.files():
            (tmp_path / file.name).write_bytes(file.content)
        with xr.open_dataset(files["Data (NetCDF)"], engine="h5netcdf") as opened:
            np.testing.assert_array_equal(opened.loss, drawn.loss)
        mesh = pv.read(files["ParaView (VTK)"])
        expected = np.log10(np.minimum(drawn.loss, 4.0)).to_numpy()
        np.testing.assert_allclose(mesh.points[:, 2].reshape(9, 9, order="F"), expected, rtol=1e-6)
        assert scene.files() == scene.files()  # the same scene, the same files


def test_the_facts_of_results_are_told_once_each():
    common = {"device": "cpu", "created": "2026-11-21T10:00:00", "versions": '{"torch": "2.15"}', "n_samples": 10}
    plane = json.dumps({"kind": "random plane", "seed": 4, "normalize": "filter"})
    surfaces = [surface(s, seconds=1.5, plane=plane, dataset="mnist", split="test", **common) for s in (2, 0, 2)]
    assert how_made(surfaces) == {
        "Computed": "2026-11-21 on cpu",
        "Took": "3 s for 2 results",
        "Dataset": "mnist",
        "Evaluated on": "10 samples of test",
        "Training seeds": "0, 2",
        "Planes": "random plane, seed 4, filter-normalized",
        "Versions": "torch 2.15",
        "Stored as": "surface-2.nc, surface-0.nc",
    }
    assert how_made([history(1, 2)]) == {"Dataset": "mnist", "Training seeds": "1", "Stored as": "history-1.nc"}
    assert how_made([xr.Dataset()]) == {}


@pytest.mark.parametrize("given", [{}, {"log": True, "title": "x", "levels": [1, 2], "colours": {"a": "red"}}])
def test_what_holds_no_numbers_is_left_out(given):
    assert attachments.numbers(given) == {}
