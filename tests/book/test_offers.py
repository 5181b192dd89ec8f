"""What pictures carry in a notebook lies beside the page on the site, and the page leads to it."""

import re
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
import xarray as xr
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from lossatlas import figures, scenes
from lossatlas.figures.provenance import provenance_table
from lossatlas_book.site import layout, offers, publish


def surface(**attrs):
    axis = np.linspace(-1, 1, 9)
    values = 0.5 + axis[:, None] ** 2 + 2 * axis**2
    return xr.Dataset({"loss": (("alpha", "beta"), values)}, {"alpha": axis, "beta": axis}, attrs)


def published(folder: Path, *shown: object) -> str:
    """The HTML of a page that shows these, once it is laid out in a folder."""
    outputs = [new_output("display_data", {"text/html": one._repr_html_()}) for one in shown]
    notebook = new_notebook(cells=[new_code_cell("", outputs=outputs)])
    for publishing in (publish.publish_scenes, offers.publish_files):
        publishing(notebook, folder, page="book/page.ipynb")
    return "\n".join(output.data["text/html"] for output in notebook.cells[0].outputs)


def links(page: str, folder: Path) -> dict[str, Path]:
    """The files that a page leads to, by what the links say; addresses start above the page's folder."""
    found = re.findall(r'<a download="([^"]+)" href="\.\./([^"]+)">([^<]+)</a>', page)
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name, _, _ in found)
    return {text: folder / address for _, address, text in found}


def test_a_figure_becomes_files(tmp_path):
    page = published(tmp_path, figures.figure_html(figures.contour(surface(key="k")), caption="A bowl"))
    assert "base64" not in page
    files = links(page, tmp_path)
    assert list(files) == ["Data (NetCDF)", "Picture (PNG)"]
    with xr.open_dataset(files["Data (NetCDF)"], engine="h5netcdf") as opened:
        xr.testing.assert_identical(opened.load(), surface(key="k"))
    shown = tmp_path / re.search(r'<img [^>]*src="\.\./([^"]+)"', page)[1]
    assert shown == files["Picture (PNG)"] and Image.open(shown).format == "PNG"
    assert page.index("Picture (PNG)") < page.index("How it was made") < page.index("k.nc")


def test_a_figure_without_numbers_is_offered_as_a_picture(tmp_path):
    figure = Figure()
    figure.subplots().plot([1, 2])
    page = published(tmp_path, figures.figure_html(figure, alt="A line", caption="A line"))
    files = links(page, tmp_path)
    assert list(files) == ["Picture (PNG)"] and Image.open(files["Picture (PNG)"]).format == "PNG"
    assert page.index("<figcaption>") < page.index("la-files") < page.index("</figcaption>")


def test_a_scene_becomes_files_and_its_picture_a_png(tmp_path):
    page = published(tmp_path, scenes.scene(surface(), title="A bowl"))
    files = links(page, tmp_path)
    assert list(files) == ["Data (NetCDF)", "ParaView (VTK)", "Picture (PNG)"]
    assert pv.read(files["ParaView (VTK)"]).n_points == 81
    with Image.open(files["Picture (PNG)"]) as picture, Image.open(next(tmp_path.rglob("*.webp"))) as still:
        assert picture.format == "PNG" and picture.size == still.size
        pixels, clear = np.asarray(picture), np.asarray(still.convert("RGBA"))
        solid = clear[..., 3] == 255
        assert 0.1 < solid.mean() < 0.9
        assert np.array_equal(pixels[solid], clear[solid][:, :3]) and (pixels[clear[..., 3] == 0] == 255).all()


def test_measures_lead_to_the_table_of_results_where_there_is_one(tmp_path):
    facts = {"condition": "a", "created": "2026-11-21", "device": "cpu", "n_samples": 1, "seconds": 1.0}
    table = provenance_table([surface(versions="{}", **facts)])
    dots = figures.dots([{"condition": "a", "seed": seed, "m": seed} for seed in range(3)], "m")
    page = published(tmp_path, dots, table, table)
    assert page.count(f'id="{offers.TABLE}"') == 1 and f'href="#{offers.TABLE}"' in page
    assert "<dt>Training seeds</dt><dd>0, 1, 2</dd><dt>Measured on</dt>" in page
    assert offers.TABLE not in published(tmp_path, dots)


def test_wide_figures_get_a_box_and_rows_of_three_reach_into_the_margin(tmp_path):
    def laid_out(shown: object) -> str:
        output = new_output("display_data", {"text/html": published(tmp_path, shown)})
        notebook = new_notebook(cells=[new_code_cell("", outputs=[output])])
        layout.lay_out(notebook)
        return output.data["text/html"]

    for count, wide in ((1, False), (3, True)):
        plain = figures.figure_html(figures.panels({str(n): surface() for n in range(count)}, columns=count), alt="x")
        page = laid_out(plain)
        width = int(re.search(r'<img [^>]*width="(\d+)"', page)[1])
        assert (width > 600) == wide
        boxed = re.search(r'<div class="la-scroll"[^>]*><img [^>]*min-width: (\d+)px[^>]*></div>\n<figcaption>', page)
        assert bool(boxed) == wide
        assert not wide or int(boxed[1]) == pytest.approx(0.7 * width, abs=1)
    for count in (2, 3, 4):
        page = laid_out(scenes.compare({str(n): surface() for n in range(count)}, resolution=9))
        assert page.count('class="la-scenes full-width"') == (count == 3) and page.count("<figure ") == count


@pytest.mark.parametrize("text", ["<p>data:image/png;base64,AAAA</p>", '<a href="https://example.org">x</a>'])
def test_what_is_no_picture_stays(tmp_path, text):
    class Shown:
        def _repr_html_(self):
            return text

    assert published(tmp_path, Shown()) == text


def test_a_notebook_to_take_away_keeps_its_pictures_and_nothing_heavy():
    scene = scenes.scene(surface(), title="A bowl")
    outputs = [new_output("display_data", {"text/html": one._repr_html_()}) for one in (scene, scene)]
    notebook = new_notebook(cells=[new_code_cell("", outputs=outputs)])
    light = publish.without_data(notebook)
    assert notebook.cells[0].outputs == outputs
    text = light.cells[0].outputs[0].data["text/html"]
    assert "<script" not in text and "x-netcdf" not in text and "How it was made" not in text
    assert text.count("base64,") == 1 and "A bowl.</strong>" in text
    assert len(text) < len(outputs[0].data["text/html"]) / 3
