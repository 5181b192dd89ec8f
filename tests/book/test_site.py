"""The built site in a real browser: what a visitor sees, turns, presses and loads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser

from browser import LABELS, chapters, clashes, difference, pages, path_of, served, settle, visit, wait_until

WEIGHT = 4_000_000  # bytes of a page with all its scenes, without the viewer and MathJax

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session", params=["file", "http"])
def base(site: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The site's address, ending in a slash: from disk, and from localhost."""
    if request.param == "file":
        yield site.as_uri() + "/"
    else:
        with served(site) as address:
            yield address


def test_every_scene_of_the_book_comes_alive_turns_and_resets(browser: Browser, site: Path, base: str):
    alive = 0
    for name in chapters(site):
        with visit(browser, base + name) as seen:
            figures = seen.page.locator(".la-scene")
            for number in range(figures.count()):
                figure = seen.scene(figures.nth(number))
                start = seen.shot(figure)
                where = f"{name}, scene {number + 1}"
                assert len(np.unique(start.reshape(-1, 3), axis=0)) > 150, where  # a flat landscape has one hue
                assert difference(start, seen.shot(figure, still=True)) < 5, where
                seen.drag(figure, 80, 25)
                assert difference(seen.shot(figure), start) > 2, where
                figure.locator(".la-reset").click()
                assert difference(seen.shot(figure), start) < 0.2, where
                alive += 1
            viewers = [url for url in seen.requests if url.endswith("vtk-viewer.js")]
            assert len(viewers) == bool(figures.count()), name
            assert seen.problems == [], name
    assert alive >= 3


def test_a_page_is_not_too_heavy(browser: Browser, site: Path):
    base = site.as_uri() + "/"
    for name in chapters(site):
        with visit(browser, base + name) as seen:
            figures = seen.page.locator(".la-scene")
            for number in range(figures.count()):
                seen.scene(figures.nth(number))
            seen.page.evaluate("scrollTo(0, document.body.scrollHeight)")
            seen.page.wait_for_load_state("networkidle")
            shared = ("vtk-viewer.js", "/mathjax/")  # loaded once for the whole site
            files = {path_of(url, site, base) for url in seen.requests if not any(part in url for part in shared)}
            weight = sum(file.stat().st_size for file in files)
            assert weight <= WEIGHT, f"{name}: {weight} bytes"


def test_formulas_are_typeset(browser: Browser, site: Path, base: str):
    raw = re.compile(r"\\[(\[]|\\[a-zA-Z]+|\$\$")  # brackets or a command of TeX
    formulas = 0
    for name in chapters(site):
        with visit(browser, base + name) as seen:
            expected = len(re.findall(r'class="math', (site / name).read_text(encoding="utf-8")))
            if expected:
                wait_until(
                    seen.page, "count => document.querySelectorAll('mjx-container').length >= count", arg=expected
                )
            shown = seen.page.evaluate(
                """() => {
                  const copy = document.querySelector("main").cloneNode(true);
                  copy.querySelectorAll("pre, code, script, mjx-container").forEach(one => one.remove());
                  return copy.textContent;
                }"""
            )
            assert not raw.search(shown), f"{name}: {raw.search(shown)}"
            assert seen.page.locator("mjx-merror, [data-mjx-error]").count() == 0, name
            formulas += expected
    assert formulas > 0


@pytest.mark.parametrize("width", [360, 390, 768, 1199, 1200, 1280, 1920])
def test_no_page_scrolls_sideways(browser: Browser, site: Path, width: int):
    for name in pages(site):
        if name == "index.html":  # leads on at once
            continue
        with visit(browser, f"{site.as_uri()}/{name}", width=width, height=800) as seen:
            settle(seen.page)
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= width, name


@pytest.mark.parametrize("width", [390, 1280])
def test_labels_of_pictures_are_whole_and_apart(browser: Browser, site: Path, width: int):
    wrong, labels = [], 0
    for name in chapters(site):
        with visit(browser, f"{site.as_uri()}/{name}", width=width) as seen:
            settle(seen.page)
            for figure in seen.page.locator(".la-scene").all():
                found = figure.evaluate(LABELS)
                wrong += [f"{name}: {one}" for one in clashes(found)]
                labels += len(found["labels"])
    assert wrong == [] and labels > 100


def test_three_scenes_share_a_row_or_none(browser: Browser, site: Path):
    rows = 0
    for name in (name for name in chapters(site) if 'class="la-scenes' in (site / name).read_text(encoding="utf-8")):
        with visit(browser, f"{site.as_uri()}/{name}") as seen:
            for width, columns in ((1920, 3), (1200, 3), (1199, 1), (390, 1)):
                seen.page.set_viewport_size({"width": width, "height": 900})
                for row in seen.page.locator(".la-scenes").all():
                    boxes = [one.bounding_box() for one in row.locator(".la-scene").all()]
                    if len(boxes) == 3:
                        assert len({round(box["x"]) for box in boxes}) == columns, (name, width)
                        assert len({round(box["y"]) for box in boxes}) == 3 // columns, (name, width)
                        rows += 1
    assert rows >= 8


def test_what_is_too_wide_scrolls_in_its_box_says_so_and_takes_the_keys(browser: Browser, site: Path):
    boxes = 0
    for name in chapters(site):
        with visit(browser, f"{site.as_uri()}/{name}", width=390) as seen:
            settle(seen.page)
            for box in seen.page.locator(".la-scroll, .pst-scrollable-table-container, .bd-article div.math").all():
                if not box.evaluate("one => one.checkVisibility()"):  # in a closed solution
                    continue
                if box.evaluate("one => one.scrollWidth <= one.clientWidth + 1"):
                    assert box.get_attribute("data-more") == ""
                    continue
                assert box.get_attribute("data-more") == "right"
                assert "gradient" in box.evaluate("one => getComputedStyle(one).maskImage")
                box.focus()
                assert box.evaluate("one => one === document.activeElement"), name
                boxes += 1
            if not (box := seen.page.locator('.la-scroll[data-more="right"]:visible').first).count():
                continue
            handle = box.element_handle()
            handle.focus()
            seen.page.keyboard.press("ArrowRight")
            wait_until(seen.page, "one => one.scrollLeft > 0", arg=handle)
            assert seen.page.url.endswith(name)
            handle.evaluate("one => one.scrollTo(one.scrollWidth, 0)")
            wait_until(seen.page, "one => one.dataset.more === 'left'", arg=handle)
    assert boxes > 20


def test_figures_are_legible_on_a_phone_and_whole_on_a_screen(browser: Browser, site: Path):
    wide = 0
    for name in chapters(site):
        with visit(browser, f"{site.as_uri()}/{name}") as seen:
            for width, least in ((1280, 0.7), (390, 0.6)):
                seen.page.set_viewport_size({"width": width, "height": 900})
                for picture in seen.page.locator(".la-figure img:visible").all():
                    shown = picture.bounding_box()["width"] / int(picture.get_attribute("width"))
                    lead = picture.locator("xpath=ancestor::div[contains(@class, 'tag_lead')]").count()
                    assert least < shown <= (1.4 if lead else 1.001), (name, width)  # a lead fills the column
                    box = picture.locator("xpath=ancestor::div[@class='la-scroll']")
                    wide += box.count()
                    if width == 1280 and box.count():
                        assert box.evaluate("one => one.scrollWidth <= one.clientWidth + 1"), name
    assert wide > 20


def test_without_scripts_the_pictures_are_there(browser: Browser, site: Path):
    seen_pictures = 0
    for name in chapters(site):
        with visit(browser, f"{site.as_uri()}/{name}", java_script_enabled=False) as seen:
            for picture in seen.page.locator(".la-still").all():
                picture.scroll_into_view_if_needed()
                assert picture.is_visible()
                assert len(picture.get_attribute("alt")) > 40
                box = picture.bounding_box()
                assert box["width"] > 250
                assert box["height"] == pytest.approx(box["width"] * 520 / 700, abs=2)
                source = urljoin(f"{site.as_uri()}/{name}", picture.get_attribute("src"))
                assert path_of(source, site, site.as_uri() + "/").stat().st_size > 5_000
                seen_pictures += 1
    assert seen_pictures >= 3


class Links(HTMLParser):
    """Everything that a page refers to, and every place in it that can be referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        for name in ("href", "src", "data-src"):
            if values.get(name) and not (tag == "link" and values.get("rel") == "canonical"):
                self.targets.append(values[name])
        self.places |= {values[name] for name in ("id", "name") if values.get(name)}


def test_links_lead_somewhere(site: Path):
    read: dict[Path, Links] = {}

    def parse(path: Path) -> Links:
        if path not in read:
            read[path] = Links()
            read[path].feed(path.read_text(encoding="utf-8"))
        return read[path]

    broken = []
    for name in pages(site):
        page = site / name
        for target in parse(page).targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            file = file / "index.html" if file.is_dir() else file
            place = unquote(parts.fragment)
            if not file.is_file():
                broken.append(f"{name}: {target}")
            elif place and file.suffix == ".html" and place not in parse(file).places:
                broken.append(f"{name}: {target} (no such place)")
    assert broken == []


def test_the_site_follows_a_dark_theme(browser: Browser, site: Path):
    name = next(name for name in chapters(site) if "la-scene" in (site / name).read_text(encoding="utf-8"))
    with visit(browser, f"{site.as_uri()}/{name}", color_scheme="dark") as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first)
        ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert np.array_equal(seen.shot(figure)[2, 2], [float(x) for x in re.findall(r"\d+", ground)[:3]])
        behind = figure.evaluate(
            "one => { const all = []; for (; one !== document.body; one = one.parentElement) "
            "all.push(getComputedStyle(one).backgroundColor); return all; }"
        )
        assert set(behind) <= {"rgba(0, 0, 0, 0)", ground}
