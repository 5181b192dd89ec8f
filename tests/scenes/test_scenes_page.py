"""Scenes on a hand-made page in a real browser: turning, zooming, scrolling, sleeping, failing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from playwright.sync_api import Browser

from browser import LABELS, NO_WEBGL, clashes, difference, page_of, served, surface, visit, wait_until
from lossatlas import scenes

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def page_of_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with twenty scenes far from each other, some of them the same, as the site would hold them."""
    folder = tmp_path_factory.mktemp("page")
    made = [scenes.scene(surface(2 + n), title=f"Scene {n}", resolution=31) for n in range(8)]
    row = scenes.compare({"Left": surface(3), "Right": surface(30)}, resolution=31)
    page_of([*made, made[0], row, *made, made[1]], folder)
    return folder


@pytest.fixture
def address(page_of_scenes: Path) -> str:
    return (page_of_scenes / "page.html").as_uri()


# The places of the labels of a scene, and of its picture, as they are to be seen.
def test_labels_are_whole_and_apart_at_every_width_and_from_every_side(browser: Browser, tmp_path):
    high = surface(3).assign(loss=lambda found: 10 ** (4 * found.loss))
    address = page_of([scenes.scene(high, title="High", height="log", resolution=31)], tmp_path).as_uri()
    as_projected, counts = [], {}
    for width in (230, 300, 430, 720):
        with visit(browser, address, width=width, height=700) as seen:
            figure = seen.page.locator(".la-scene")
            seen.scene(figure)
            found = figure.evaluate(LABELS)
            assert clashes(found) == [] and found["names"] == 3, width
            counts[width] = len(found["labels"])
            for _ in range(8):
                seen.drag(figure, 60, 4)
                seen.shot(figure)  # it is drawn
                turned = figure.evaluate(LABELS)
                assert clashes(turned) == [] and turned["names"] >= 2, width
            figure.locator(".la-reset").click()
            seen.shot(figure)
            assert figure.evaluate(LABELS)["labels"] == found["labels"]
            figure.evaluate(
                "one => one.querySelectorAll('.la-labels span').forEach((label) => {"
                " label.style.visibility = label.style.translate = ''; })"
            )
            as_projected += clashes(figure.evaluate(LABELS))
            assert seen.problems == []
    assert counts[720] > counts[230] >= 6
    assert any("cut off" in one for one in as_projected) and any("meets" in one for one in as_projected)


def test_a_volume_opens_and_can_be_turned_and_reset(browser: Browser, tmp_path: Path):
    axis, names = np.linspace(-2, 2, 21), ("alpha", "beta", "gamma")
    product = axis[:, None, None] * axis[:, None] * axis
    volume = xr.Dataset({"loss": (names, np.minimum((product - 1) ** 2, 4))}, dict.fromkeys(names, axis))
    address = page_of([scenes.volume(volume, scale="linear")], tmp_path).as_uri()
    for width in (390, 720):
        with visit(browser, address, width=width) as seen:
            figure = seen.page.locator(".la-scene")
            seen.scene(figure)
            start = seen.shot(figure)
            assert len(np.unique(start.reshape(-1, 3), axis=0)) > 300
            assert clashes(figure.evaluate(LABELS)) == []
            seen.drag(figure, 120, 30)
            assert difference(seen.shot(figure), start) > 1
            figure.locator(".la-reset").click()
            assert difference(seen.shot(figure), start) < 0.1
            assert seen.problems == []


def test_a_live_scene_is_the_picture_and_can_be_turned_zoomed_and_reset(browser: Browser, address: str):
    with visit(browser, address) as seen:
        figure = seen.page.locator(".la-scene").first
        places = "[...document.querySelector('.la-labels').children].map(one => [one.style.left, one.style.top])"
        drawn = seen.page.evaluate(places)
        seen.scene(figure)
        start = seen.shot(figure)
        assert len(np.unique(start.reshape(-1, 3), axis=0)) > 300
        assert difference(start, seen.shot(figure, still=True)) < 4
        live = seen.page.evaluate(places)
        numbers = [np.array([[float(x[:-1]) for x in pair] for pair in found]) for found in (drawn, live)]
        np.testing.assert_allclose(*numbers, atol=0.05)  # both projections agree, in percent

        def reset() -> None:
            figure.locator(".la-reset").click()
            assert difference(seen.shot(figure), start) < 0.1

        seen.drag(figure, 120, 30)
        assert difference(seen.shot(figure), start) > 4
        assert seen.page.evaluate(places) != live
        reset()
        assert seen.page.evaluate(places) == live
        live = figure.locator(".la-live")
        live.focus()
        for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "+", "-"):
            seen.page.keyboard.press(key)
            assert difference(seen.shot(figure), start) > 1, key
            seen.page.keyboard.press("0" if key != "-" else "r")
            assert difference(seen.shot(figure), start) < 0.1, key
        box = live.bounding_box()
        seen.page.mouse.move(box["x"] + 100, box["y"] + 100)
        seen.page.mouse.wheel(0, -300)
        seen.page.wait_for_timeout(300)
        assert difference(seen.shot(figure), start) > 1
        reset()
        seen.page.keyboard.down("Shift")
        seen.drag(figure, 60, 40)
        seen.page.keyboard.up("Shift")
        moved = seen.shot(figure)
        # Moved sideways, not turned: the middle of what is drawn is so many pixels further.
        middles = [np.argwhere(one.min(axis=2) < 250).mean(axis=0) for one in (start, moved)]
        np.testing.assert_allclose(middles[1] - middles[0], [40, 60], atol=12)  # perspective
        reset()
        assert seen.problems == []


def test_the_wheel_scrolls_the_page_until_a_scene_is_chosen(browser: Browser, address: str):
    with visit(browser, address) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first)
        start = seen.shot(figure)
        box = figure.locator(".la-live").bounding_box()
        seen.page.mouse.move(box["x"] + 100, box["y"] + 100)
        seen.page.mouse.wheel(0, 100)
        wait_until(seen.page, "scrollY > 50")
        seen.page.evaluate("scrollTo(0, 0)")
        assert difference(seen.shot(figure), start) < 0.1
        figure.locator(".la-live").focus()
        seen.page.keyboard.press("Escape")
        assert seen.page.evaluate("document.activeElement === document.body")


def test_a_finger_scrolls_the_page_and_turns_a_chosen_scene(browser: Browser, address: str):
    with visit(browser, address, width=390, height=800, has_touch=True, is_mobile=True) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first)
        start = seen.shot(figure)
        box = figure.locator(".la-live").bounding_box()
        client = seen.page.context.new_cdp_session(seen.page)
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

        def swipe(x: float, y: float) -> None:
            for step in range(6):
                point = {"x": middle[0] + x * step / 5, "y": middle[1] + y * step / 5}
                kind = "touchMove" if step else "touchStart"
                client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
            client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

        for _ in range(2):
            seen.page.evaluate("scrollTo(0, 0)")
            swipe(0, -60)
            wait_until(seen.page, "scrollY > 20")
        seen.page.evaluate("scrollTo(0, 0)")
        assert difference(seen.shot(figure), start) < 0.1
        seen.page.touchscreen.tap(*middle)
        wait_until(seen.page, "document.activeElement.className === 'la-live'")
        seen.page.wait_for_timeout(200)
        before = seen.page.evaluate("scrollY")
        swipe(0, -60)
        seen.page.wait_for_timeout(200)
        assert seen.page.evaluate("scrollY") == before
        assert difference(seen.shot(figure), start) > 2
        assert seen.problems == []


def test_many_scenes_share_few_contexts_and_keep_their_views(browser: Browser, address: str):
    with visit(browser, address) as seen:
        figures = seen.page.locator(".la-scene")
        count = figures.count()
        assert count == 20
        seen.scene(figures.first)
        seen.drag(figures.first, 90, 20)
        turned = seen.shot(figures.first)
        for number in [*range(count), *range(count)]:  # twice through the page
            seen.scene(figures.nth(number))
            assert seen.page.locator('.la-scene[data-state="live"]').count() <= 8
        assert figures.first.get_attribute("data-state") == "still"
        seen.page.set_viewport_size({"width": 1270, "height": 880})  # the sleeping must not draw
        seen.page.set_viewport_size({"width": 1280, "height": 900})
        seen.scene(figures.first)
        assert difference(seen.shot(figures.first), turned) < 0.1
        # The ninth scene is the same as the first, but has a view of its own.
        again = seen.scene(figures.nth(8))
        assert difference(seen.shot(again), seen.shot(again, still=True)) < 4
        viewers = [url for url in seen.requests if url.endswith("vtk-viewer.js")]
        assert len(viewers) == 1
        assert seen.problems == []


def test_nothing_is_loaded_before_a_scene_is_near(browser: Browser, address: str):
    with visit(browser, address) as seen:
        seen.scene(seen.page.locator(".la-scene").first)
        data = {url.rsplit("/", 1)[1] for url in seen.requests if "/files/" in url and url.endswith(".js")}
        assert len(data) == 1
        states = seen.page.locator(".la-scene").evaluate_all("all => all.map(one => one.dataset.state)")
        assert states[2:] == ["still"] * 18


def test_a_scene_follows_the_theme_and_the_size_of_the_window(browser: Browser, address: str):
    with visit(browser, address) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first)
        assert (seen.shot(figure)[2, 2] == [255, 255, 255]).all()
        seen.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        dark = seen.shot(figure)
        assert (dark[2, 2] == [0x10, 0x20, 0x30]).all()
        assert difference(dark, seen.shot(figure, still=True)) < 4
        seen.page.set_viewport_size({"width": 420, "height": 800})
        seen.page.wait_for_timeout(300)
        small = seen.shot(figure)
        assert small.shape[1] <= 420
        assert difference(small, seen.shot(figure, still=True)) < 5
        assert seen.problems == []


def test_without_webgl_the_pictures_stay_and_nothing_is_loaded(browser: Browser, address: str):
    with visit(browser, address, script=NO_WEBGL) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first, state="failed")
        assert seen.shot(figure).std() > 20
        assert not [url for url in seen.requests if url.endswith("vtk-viewer.js")]
        assert figure.locator(".la-live, .la-reset").count() == 0
        assert seen.problems == []


def test_a_scene_whose_data_is_missing_or_broken_stays_a_picture(browser: Browser, page_of_scenes: Path, address: str):
    name = re.search(r'data-src="([^"]+)"', (page_of_scenes / "page.html").read_text())[1]
    data = page_of_scenes / name
    whole = data.read_text()
    try:
        data.write_text(whole.replace(' = ["', ' = ["AAAA'))
        with visit(browser, address) as seen:
            seen.scene(seen.page.locator(".la-scene").first, state="failed", patience=60)
            figure = seen.page.locator(".la-scene").first
            assert seen.shot(figure).std() > 20
            seen.scene(seen.page.locator(".la-scene").nth(1))  # the next one is not held up
        data.unlink()
        with visit(browser, address) as seen:
            seen.scene(seen.page.locator(".la-scene").first, state="failed")
            seen.scene(seen.page.locator(".la-scene").nth(1))
            assert all(name.rsplit("/")[-1] in said or "ERR_FILE_NOT_FOUND" in said for said in seen.problems)
    finally:
        data.write_text(whole)


def test_an_address_cannot_make_the_viewer_open_something_else(browser: Browser, page_of_scenes: Path):
    with served(page_of_scenes) as base, visit(browser, f"{base}page.html?fileURL={base}x.vtksz") as seen:
        seen.scene(seen.page.locator(".la-scene").first, state="failed")
        assert not [url for url in seen.requests if url.endswith((".vtksz", "vtk-viewer.js"))][1:]
        assert seen.page.locator("p").count() > 5


def test_keys_in_a_page_do_not_reach_scenes(browser: Browser, address: str):
    with visit(browser, address) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first)
        start = seen.shot(figure)
        seen.page.evaluate("document.activeElement.blur()")
        for key in "wsvr3":
            seen.page.keyboard.press(key)
        assert difference(seen.shot(figure), start) < 0.1


def test_a_printed_page_shows_the_pictures(browser: Browser, address: str):
    with visit(browser, address) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first)
        seen.drag(figure, 90, 0)
        seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        seen.page.emulate_media(media="print")
        assert not figure.locator(".la-live").is_visible()
        assert not figure.locator(".la-reset").is_visible()
        assert figure.locator(".la-still").evaluate("one => getComputedStyle(one).opacity") == "1"
