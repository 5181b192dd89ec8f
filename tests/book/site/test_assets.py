"""What pictures carry in a notebook lies beside the page on the site, and the page leads to it."""

import copy
import io
import json
from pathlib import Path
from urllib.parse import unquote

import html5lib
import nbformat
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from lossatlas import figures
from lossatlas.figures import page
from lossatlas.figures.provenance import provenance_table
from lossatlas_book.site import assets, gallery, viewer
from lossatlas_book.site.dark import on_dark


def surface(**attrs):
    axis = np.linspace(-1, 1, 9)
    values = 0.5 + axis[:, None] ** 2 + 2 * axis**2
    return xr.Dataset({"loss": (("alpha", "beta"), values)}, {"alpha": axis, "beta": axis}, attrs)


def notebook_of(*shown: object, prefix: str = "", tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    """A notebook that shows these, as papermill leaves it on disk."""
    outputs = [
        new_output("display_data", {prefix + kind: value for kind, value in one._repr_mimebundle_().items()})
        for one in shown
    ]
    notebook = new_notebook(cells=[new_code_cell("", outputs=outputs, metadata={"tags": list(tags)})])
    return nbformat.reads(nbformat.writes(notebook), as_version=4)


def published(folder: Path, *shown: object) -> str:
    """The HTML of a page that shows these, once its files are in a folder."""
    notebook = notebook_of(*shown)
    assets.publish(notebook, folder, address="book/page.ipynb")
    for output in notebook.cells[0].outputs:
        assert list(output.data) == ["text/html"]
    return "\n".join(output.data["text/html"] for output in notebook.cells[0].outputs)


def tree(text: str):
    return html5lib.parseFragment(text, namespaceHTMLElements=False)


def links(text: str, folder: Path) -> dict[str, Path]:
    """The files that a page leads to, by what the links say; addresses start above the page's folder."""
    found = {}
    for link in tree(text).findall(".//a[@download]"):
        place = folder / unquote(link.get("href")).removeprefix("../")
        assert link.get("href").startswith("../") and place.suffix == Path(link.get("download")).suffix
        found[link.text] = place
    return found


class Scene:
    """A scene's bundle with the parts that the site reads."""

    def __init__(self, identity="0123456789ab", title="A bowl", files=("a-bowl.nc",), **made):
        picture = Image.new("RGBA", (35, 26), (255, 0, 0, 0))
        picture.paste((200, 10, 10, 255), (5, 5, 20, 20))
        still = self.packed(picture)
        bundle = {
            "id": identity,
            "title": title,
            "alt": f"The surface {title}",
            "caption": "Height: the loss.",
            "still": page.asset(still, "image/webp", width=700, height=520),
            "script": page.asset(b"window.laScenes ??= {};", "text/javascript"),
            "about": {"switchable": False},
            "labels": [],
            "bar": {"name": "loss", "stops": ["#000000", "#ffffff"], "ticks": [], "clipped": None},
            "files": [page.asset(b"numbers", "application/x-netcdf", name=name, text="Data") for name in files],
            "made": made,
        }
        self.bundle = {"kind": "scenes", "row": False, "scenes": [bundle]}

    @staticmethod
    def packed(picture):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", lossless=True, exact=True)
        return buffer.getvalue()

    def _repr_mimebundle_(self):
        return {"text/html": "<p>before</p>", page.MEDIA_TYPE: copy.deepcopy(self.bundle)}


needs_scenes = pytest.mark.skipif(
    not (Path(page.__file__).parent / "templates" / "scenes.html").exists(), reason="no template for scenes yet"
)


def test_a_figure_becomes_files(tmp_path):
    text = published(tmp_path, figures.figure_html(figures.contour(surface(key="k")), caption="A bowl"))
    assert "base64" not in text
    files = links(text, tmp_path)
    assert list(files) == ["Data (NetCDF)", "Picture (PNG)"]
    with xr.open_dataset(files["Data (NetCDF)"], engine="h5netcdf") as opened:
        xr.testing.assert_identical(opened.load(), surface(key="k"))
    shown = tmp_path / tree(text).find(".//img").get("src").removeprefix("../")
    assert shown == files["Picture (PNG)"] and Image.open(shown).format == "PNG"
    assert tree(text).find(".//dd").text == "k.nc"


def test_pictures_of_the_same_numbers_stay_apart(tmp_path):
    pair = (figures.figure_html(figures.contour(surface(), log=log), caption="One caption") for log in (True, False))
    sources = [
        picture.get("src") for picture in tree(published(tmp_path, *pair)).findall(".//img[@class='la-on-light']")
    ]
    assert len(set(sources)) == 2
    one, two = (Image.open(tmp_path / source.removeprefix("../")).convert("RGB") for source in sources)
    assert one.tobytes() != two.tobytes()


def test_a_picture_with_a_colour_scale_comes_without_paper_for_a_dark_page(tmp_path):
    root = tree(published(tmp_path, figures.figure_html(figures.contour(surface()), caption="A bowl")))
    light, dark = root.findall(".//img")
    assert [light.get("class"), dark.get("class")] == ["la-on-light", "la-on-dark"]
    assert light.get("alt") == dark.get("alt") and root.find(".//figcaption") is not None
    paths = [tmp_path / one.get("src").removeprefix("../") for one in (light, dark)]
    before, after = (np.asarray(Image.open(path).convert("RGBA"), dtype=float) for path in paths)
    assert before.shape == after.shape
    middle = tuple(size // 2 + 20 for size in before.shape[:2])  # on the surface
    assert np.ptp(before[middle][:3]) > 60 and (before[middle] == after[middle]).all()
    paper, black = (before[..., :3] == 255).all(axis=-1), (before[..., :3] < 60).all(axis=-1)
    row = slice(None, before.shape[0] // 10)  # above the surface, where the title or nothing is
    assert after[row][paper[row]][:, 3].max() == 0
    column = slice(None, before.shape[1] // 12)  # beside it, where the name of the axis is
    text = after[:, column][black[:, column]]
    assert len(text) > 50 and text[:, :3].min() > 180 and text[:, 3].min() > 180


def test_a_scale_that_is_almost_grey_stays_on_its_paper():
    picture = Image.new("RGB", (200, 150), "white")
    picture.paste((200, 20, 20), (20, 20, 100, 130))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    assert on_dark(buffer.getvalue())
    picture.paste((235, 228, 224), (100, 20, 180, 130))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    assert on_dark(buffer.getvalue()) is None


def test_a_figure_without_numbers_is_offered_as_a_picture(tmp_path):
    figure = Figure()
    figure.subplots().plot([1, 2])
    text = published(tmp_path, figures.figure_html(figure, alt="A line", caption="A line"))
    files = links(text, tmp_path)
    assert list(files) == ["Picture (PNG)"] and Image.open(files["Picture (PNG)"]).format == "PNG"
    assert tree(text).find("figure/figcaption/div[@class='la-files']/a") is not None


def test_measures_lead_to_the_table_of_results_where_there_is_one(tmp_path):
    facts = {"condition": "a", "created": "2026-11-21", "device": "cpu", "n_samples": 1, "seconds": 1.0}
    table = provenance_table([surface(versions="{}", **facts)])
    dots = figures.dots([{"condition": "a", "seed": seed, "m": seed} for seed in range(3)], "m")
    root = tree(published(tmp_path, dots, table, table))
    assert [one.get("id") for one in root.iter() if one.get("id")] == [assets.RESULTS]
    assert [one.text for one in root.findall(".//dt")] == ["Training seeds", "Measured on"]
    assert root.find(".//dd/a").get("href") == f"#{assets.RESULTS}"
    assert assets.RESULTS not in published(tmp_path, dots)


def test_glued_outputs_are_published_under_their_own_kinds(tmp_path):
    prefix = "application/papermill.record/"
    notebook = notebook_of(figures.contour(surface()), prefix=prefix)
    assets.publish(notebook, tmp_path, address="book/page.ipynb")
    (output,) = notebook.cells[0].outputs
    assert list(output.data) == [f"{prefix}text/html"] and "base64" not in output.data[f"{prefix}text/html"]


def test_what_has_no_bundle_stays(tmp_path):
    output = new_output("display_data", {"text/html": "<figure class='la-figure'>mine</figure>"})
    notebook = new_notebook(cells=[new_code_cell("", outputs=[output])])
    before = json.dumps(notebook)
    assert assets.publish(notebook, tmp_path, address="book/page.ipynb") == []
    assert json.dumps(notebook) == before and not list(tmp_path.iterdir())


def test_damage_is_told(tmp_path):
    notebook = notebook_of(figures.contour(surface()))
    notebook.cells[0].outputs[0].data[page.MEDIA_TYPE]["picture"]["data"] = "no base64!"
    with pytest.raises(ValueError):
        assets.publish(notebook, tmp_path, address="book/page.ipynb")


def test_a_notebook_to_take_away_keeps_its_pictures_and_nothing_heavy():
    notebook = notebook_of(figures.figure_html(figures.contour(surface()), caption="A bowl"))
    before = copy.deepcopy(notebook)
    light = assets.light(notebook)
    assert notebook == before
    (output,) = light.cells[0].outputs
    assert list(output.data) == ["text/html"]
    root = tree(output.data["text/html"])
    assert root.find(".//img").get("src").startswith("data:image/png") and root.find(".//a") is None
    assert root.find(".//figcaption").text.strip() == "A bowl"


@needs_scenes
def test_a_scene_becomes_files_and_its_picture_a_png_on_white(tmp_path):
    text = published(tmp_path, Scene())
    assert "base64" not in text
    files = links(text, tmp_path)
    assert list(files) == ["Data", "Picture (PNG)"] and files["Data"].read_bytes() == b"numbers"
    assert files["Picture (PNG)"].name == "a-bowl.png"
    figure = tree(text).find(".//figure")
    assert (tmp_path / figure.get("data-src").removeprefix("../")).read_bytes() == b"window.laScenes ??= {};"
    pixels = np.asarray(Image.open(files["Picture (PNG)"]))
    assert (pixels[0, 0] == 255).all() and pixels[10, 10].tolist() == [200, 10, 10]


@needs_scenes
def test_the_gallery_leads_to_every_scene_at_its_first_place(tmp_path):
    one, two = Scene("aaaaaaaaaaaa", "One", Dataset="mnist"), Scene("bbbbbbbbbbbb", "", Condition="deep", Dataset="<b>")
    notebook = notebook_of(one, two, one)
    notebook.cells += notebook_of(Scene("cccccccccccc"), tags=("remove-output",)).cells
    shown = assets.publish(notebook, tmp_path, address="book/page.ipynb")
    ids = [tree(output.data["text/html"]).find(".//figure").get("id") for output in notebook.cells[0].outputs]
    assert ids == ["scene-aaaaaaaaaaaa", "scene-bbbbbbbbbbbb", None]
    found = gallery.find(shown, "page", chapter="A chapter", source=tmp_path)
    root = tree(gallery.render(found, source=tmp_path))
    cards = root.findall(".//li")
    assert [card.find("a").get("href") for card in cards] == [f"page.html#{name}" for name in ids[:2]]
    assert [card.find("a/strong").text for card in cards] == ["One", "deep"]
    assert [card.get("data-dataset") for card in cards] == ["mnist", "<b>"]
    menus = root.findall(".//select")
    assert [[option.get("value") for option in menu] for menu in menus] == [
        ["", "A chapter"],
        ["", "mnist", "<b>"],
        [""],
    ]
    for card in cards:
        thumbnail = Image.open(tmp_path / card.find(".//img").get("src").removeprefix("../"))
        assert str(thumbnail.width) == card.find(".//img").get("width")
    assert "No chapter" in gallery.render([], source=tmp_path)


def test_the_viewer_is_a_plain_script_without_requests_to_other_hosts(tmp_path):
    path = viewer.publish_viewer(tmp_path)
    text = path.read_text()
    assert path.name == "vtk-viewer.js" and "window.OfflineLocalView" in text
    for left in ("<script", "import.meta", "vtk-js/icon", "overflow:hidden}"):
        assert (
            left not in text[:2000] + text.partition("OfflineLocalView")[2] if left == "<script" else left not in text
        )


def test_another_viewer_is_refused_in_one_line(tmp_path):
    other = tmp_path / "viewer.html"
    other.write_bytes(Path(viewer.HTML_VIEWER_PATH).read_bytes() + b"\n")
    with pytest.raises(
        RuntimeError, match=rf"^trame-vtk \S+ holds another VTK\.js viewer.*trame-vtk=={viewer.RELEASE}.*$"
    ):
        viewer.publish_viewer(tmp_path, page=other)
    assert not (tmp_path / viewer.VIEWER).exists()
