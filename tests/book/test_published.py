"""What the built site gives to its readers beside text: files to take away, a gallery, safety, print, previews."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import html5lib
import nbformat
import numpy as np
import pytest
import pyvista as pv
import xarray as xr
from PIL import Image
from playwright.sync_api import Browser

from browser import chapters, pages, served, visit, wait_until
from lossatlas_book.checks import measure
from lossatlas_book.notebooks import chapters as notebooks

PAGE = 2_000_000  # bytes of a chapter before a scene is scrolled to, without what all pages share
SCENE = 350_000  # bytes that one scene loads when it is scrolled to
PICTURE = re.compile(r'<figure [^>]*class="la-(?:figure|scene)".*?</figure>', re.DOTALL)
LINK = re.compile(r'<a download="([^"]+)" href="([^"]+)">([^<]+)</a>')
CONTROLS = ".la-live, .la-reset, .la-walk, .la-controls, .la-files, .copybtn"

pytestmark = pytest.mark.browser


def pictures(site: Path) -> list[tuple[str, str]]:
    """Every figure and scene of the site: its page and its HTML."""
    return [(name, found) for name in chapters(site) for found in PICTURE.findall((site / name).read_text("utf-8"))]


def file(site: Path, name: str, address: str) -> Path:
    return (site / name).parent.joinpath(unescape(address)).resolve()


def groups(path: Path) -> list[xr.Dataset]:
    """The datasets of a NetCDF file: the one at its root, or those of its groups."""
    import h5py

    with h5py.File(path) as opened:
        names = [name for name, item in opened.items() if isinstance(item, h5py.Group)]
    return [xr.load_dataset(path, engine="h5netcdf", group=name) for name in names or [None]]


DRAWN_BY_HAND = {  # figures of plain Matplotlib carry no numbers
    "book/directions.html",
    "book/long_runs.html",
    "book/your_network.html",
}


def test_every_picture_can_be_taken_away_and_says_where_it_came_from(site: Path):
    assert len(pictures(site)) > 50
    for name, picture in pictures(site):
        files = {text: file(site, name, address) for _, address, text in LINK.findall(picture)}
        if "Data (NetCDF)" not in files and name in DRAWN_BY_HAND:
            assert set(files) == {"Picture (PNG)"} and files["Picture (PNG)"].read_bytes().startswith(b"\x89PNG")
            continue
        surface = "la-scene" in picture and "Isosurface" not in picture  # volumes are offered as numbers alone
        moving = {"Animation (GIF)", "Animation (MP4)"} if "la-play" in picture else set()
        expected = {"Data (NetCDF)", "Picture (PNG)", *moving} | ({"ParaView (VTK)"} if surface else set())
        assert set(files) == expected, (name, picture[:300])
        assert "<summary>How it was made</summary>" in picture, (name, picture[-600:])
        with Image.open(files["Picture (PNG)"]) as opened:
            assert opened.format == "PNG" and min(opened.size) > 200
        assert all(one.sizes for one in groups(files["Data (NetCDF)"]))


def test_a_scenes_files_hold_the_numbers_that_are_stored(site: Path, root: Path):
    compared = 0
    for name, picture in pictures(site):
        if "la-scene" not in picture or "Isosurface" in picture:
            continue
        files = {text: file(site, name, address) for _, address, text in LINK.findall(picture)}
        surface = next(one for one in groups(files["Data (NetCDF)"]) if {"alpha", "beta"} <= set(one.dims))
        mesh = pv.read(files["ParaView (VTK)"])
        loss = mesh.point_data["loss"].reshape(surface.sizes["alpha"], surface.sizes["beta"], order="F")
        np.testing.assert_array_equal(loss, surface.loss.transpose("alpha", "beta"))
        if found := list((root / "data" / "results").glob(f"*/{surface.attrs.get('key')}.nc")):
            assert found[0].name in picture
            stored = [xr.load_dataset(path, engine="h5netcdf").loss for path in found]  # two chapters may have it
            parts = [part for one in stored for part in (one if one.ndim > 2 else [one])]  # a split each
            assert any(np.array_equal(one, surface.loss, equal_nan=True) for one in parts)
            compared += 1
    assert compared > 10


def test_every_page_offers_its_notebook_and_the_command_that_makes_it_again(site: Path, root: Path):
    for name, source in notebooks.chapters(root).items():
        page = (site / "book" / f"{name}.html").read_text("utf-8")
        links = html5lib.parse(page, namespaceHTMLElements=False).iter("a")
        address = next(link.get("href") for link in links if link.get("download") == f"{name}.ipynb")
        notebook = nbformat.read(file(site, f"book/{name}.html", address), as_version=4)
        nbformat.validate(notebook)
        sources = [cell.source for cell in notebook.cells]
        assert sources == [cell.source for cell in notebooks.read(source).cells]
        shown = "".join(str(output) for cell in notebook.cells for output in cell.get("outputs", []))
        assert "_static/" not in shown  # complete: it needs no file beside it
        assert shown.count("<img ") >= len(PICTURE.findall(page))
        text = re.sub(r"<[^>]+>", "", page)
        assert f"make chapter NAME={name}\n" in text


def test_the_gallery_leads_to_every_scene_of_the_book(browser: Browser, site: Path):
    scenes = {(name, found) for name, picture in pictures(site) for found in re.findall(r' id="(scene-\w+)"', picture)}
    assert len(scenes) > 15
    with visit(browser, f"{site.as_uri()}/book/gallery.html") as seen:
        cards = seen.page.locator(".la-gallery a")
        leads = [card.get_attribute("href").split("#") for card in cards.all()]
        assert {(f"book/{page}", place) for page, place in leads} == scenes and len(leads) == len(scenes)
        for key, label in (("dataset", "Dataset"), ("model", "Model"), ("chapter", "Chapter")):
            menu = seen.page.get_by_label(label)
            values = [option.get_attribute("value") for option in menu.locator("option").all()][1:]
            assert len(values) > 1
            menu.focus()
            seen.page.keyboard.press("ArrowDown")
            assert menu.input_value() == values[0]
            shown = seen.page.locator(f'.la-gallery > li[data-{key}="{values[0]}"]')
            assert shown.count() == seen.page.locator(".la-gallery > li:visible").count() < len(leads)
            assert seen.page.get_by_role("status").text_content() == f"{shown.count()} of {len(leads)} landscapes"
            menu.select_option("")
        assert seen.page.locator(".la-gallery > li:visible").count() == len(leads)
        cards.first.click()
        seen.page.locator(f"#{leads[0][1]}").wait_for()
        assert seen.problems == []
    with visit(browser, f"{site.as_uri()}/book/gallery.html", java_script_enabled=False) as seen:
        assert seen.page.locator(".la-gallery > li:visible").count() == len(leads)
        assert not seen.page.locator(".la-filters").is_visible()


def test_every_page_has_a_strict_policy_and_keeps_to_it(browser: Browser, site: Path):
    for name in pages(site):
        page = (site / name).read_text("utf-8")
        if name == "index.html":  # leads on at once
            assert "<script" not in page
            continue
        policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)"', page)
        assert "<script" not in page[: policy.start()]  # it holds for what comes after it
        assert not re.search(r"https?:|unsafe-eval|script-src[^;]*unsafe-inline|\*", policy[1])
        with visit(browser, f"{site.as_uri()}/{name}") as seen:
            seen.page.wait_for_load_state("networkidle")
            assert seen.problems == [], name


def test_the_policy_stops_scripts_and_requests_that_are_not_the_pages_own(browser: Browser, site: Path):
    with served(site) as base, visit(browser, f"{base}book/depth.html") as seen:
        stopped = seen.page.evaluate(
            """() => new Promise((done) => {
              const found = [];
              addEventListener("securitypolicyviolation", (event) => {
                found.push(event.effectiveDirective);
                if (found.length === 3) done(found);
              });
              const script = document.createElement("script");
              script.textContent = "window.broken = true";
              document.body.append(script);
              const picture = new Image();
              picture.src = "https://example.org/picture.png";
              document.body.append(picture);
              fetch("https://example.org/").catch(() => {});
            })"""
        )
        assert sorted(stopped) == ["connect-src", "img-src", "script-src-elem"]
        assert seen.page.evaluate("window.broken") is None


def test_the_pages_own_buttons_still_work(browser: Browser, site: Path):
    script = "window.print = () => { window.printed = true; }"
    with visit(browser, f"{site.as_uri()}/book/depth.html", script=script) as seen:
        seen.page.locator(".dropdown-download-buttons > button").click()
        seen.page.locator(".btn-download-pdf-button").click()
        assert seen.page.evaluate("window.printed") and seen.problems == []


def test_a_chapter_prints_with_pictures_and_without_controls(browser: Browser, site: Path):
    name = "book/skip_connections.html"
    with visit(browser, f"{site.as_uri()}/{name}") as seen:
        seen.scene(seen.page.locator(".la-scene").first)
        seen.page.evaluate("document.querySelectorAll('img').forEach(one => { one.loading = 'eager'; })")
        wait_until(seen.page, "[...document.images].every(one => one.complete)")
        seen.page.emulate_media(media="print")
        assert (
            seen.page.locator(".la-live, .la-reset, .la-walk, .la-files, .copybtn").locator("visible=true").count() == 0
        )
        for still in seen.page.locator(".la-still").all():
            assert still.evaluate("one => getComputedStyle(one).opacity") == "1"
        pdf = seen.page.pdf()
    count = len(PICTURE.findall((site / name).read_text("utf-8")))
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Subtype /Image") >= count > 5


def test_previews_of_links_have_words_and_a_picture(site: Path):
    described, pictures = {}, {}
    for name in chapters(site):
        page = (site / name).read_text("utf-8")
        head = html5lib.parse(page, namespaceHTMLElements=False).iter("meta")
        facts = {one.get("property", "").removeprefix("og:"): one.get("content") for one in head}
        assert facts["title"] in unescape(page) and len(facts["description"]) > 20
        assert file(site, name, facts["image"]).stat().st_size > 10_000
        described[name] = facts["description"]
        if "la-scene" in page and name != "book/intro.html":  # a chapter is announced by what it shows
            pictures[name] = facts["image"]
            assert facts["image:alt"] in unescape(page)
    assert len(set(described.values())) == len(described)
    assert len(set(pictures.values())) == len(pictures) > 5


def test_words_of_code_lead_to_the_reference(site: Path):
    for name in ("book/intro.html", "book/depth.html"):
        page = (site / name).read_text("utf-8")
        assert re.search(r'href="[./\w]*reference\.html#lossatlas\.\w+', page), name
    reference = (site / "book" / "reference.html").read_text("utf-8")
    assert 'id="lossatlas.evaluate"' in reference


def test_the_search_finds_a_caption(browser: Browser, site: Path):
    found = (
        re.search(r"<figcaption>([^<\n]+)", picture) for name, picture in pictures(site) if name == "book/rnn.html"
    )
    caption = next(one[1] for one in found if one)  # scenes have captions of another kind
    with served(site) as base, visit(browser, f"{base}search.html?q={caption.split(':')[0]}") as seen:
        link = seen.page.locator("#search-results a[href*='book/rnn.html']").first
        link.wait_for(timeout=15_000)
        assert seen.problems == []


def test_pages_and_scenes_are_light(browser: Browser, site: Path):
    scenes = {path.stem: path.stat().st_size for path in (site / "_static" / "files").glob("*.js")}
    assert max(scenes.values()) <= SCENE, sorted(scenes.items(), key=lambda one: -one[1])[:3]
    with served(site) as base:
        found = [measure.page(browser, site, base, name, visits=1) for name in chapters(site)]
    assert [one for one in found if one.before > PAGE or one.largest > SCENE] == []
    assert sum(one.scenes for one in found) >= len(scenes) > 15
    assert min(one.before for one in found) > 100_000  # the theme at least, or nothing was weighed


def test_a_page_is_there_at_once(browser: Browser, site: Path):
    with served(site) as base:
        found = measure.page(browser, site, base, "book/depth.html")
    assert 0 < found.first_text < 1 and found.first_text <= found.idle < 3, found
