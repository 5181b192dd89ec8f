"""A path on a surface, walked on a page in a real browser: slider, button, sleep, failure."""

from __future__ import annotations

import json

import html5lib
import numpy as np
import pytest
import xarray as xr
from playwright.sync_api import Browser

from browser import NO_WEBGL, difference, page_of, surface, visit, wait_until
from lossatlas import scenes
from lossatlas.scenes.renderer import SIZE, project

pytestmark = pytest.mark.browser

STEPS = 8
YELLOW = np.array([0xFF, 0xD2, 0x1F])


def path() -> xr.Dataset:
    t = np.linspace(0, 1, STEPS)
    at = {"alpha": ("step", -0.8 + 1.6 * t), "beta": ("step", -0.85 + 0.3 * np.sin(np.pi * t))}  # along the front
    return xr.Dataset(at, {"step": 10 * np.arange(STEPS), "epoch": ("step", np.arange(STEPS) / 2)})


@pytest.fixture(scope="module")
def walked() -> scenes.Scene:
    return scenes.scene(surface(2), height="linear", path=path(), title="Walked", resolution=31)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, walked: scenes.Scene) -> str:
    """A page with one scene that has a path, and one that has none."""
    shown = [walked, scenes.scene(surface(3), title="Bare", resolution=31)]
    return page_of(shown, tmp_path_factory.mktemp("walk")).as_uri()


def yellow(shot: np.ndarray) -> np.ndarray:
    """Where the path and its ball are to be seen: (points, 2), shares of the picture from its left and top."""
    share = shot / np.maximum(shot.max(axis=2, keepdims=True), 1)
    like = (np.abs(share - YELLOW / 255).max(axis=2) < 0.12) & (shot.max(axis=2) > 120)
    return np.argwhere(like)[:, ::-1] / [shot.shape[1], shot.shape[0]]


def test_the_page_carries_where_each_step_is(walked: scenes.Scene):
    about = json.loads(html5lib.parseFragment(walked._repr_html_(), namespaceHTMLElements=False)[0].get("data-about"))
    assert about == walked.bundle()["about"]
    data = about["path"]
    assert data["unit"] == "epoch" and data["texts"] == ["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5"]
    found = np.array(data["points"])
    np.testing.assert_allclose(found[:, 0], path().alpha / 2, atol=1e-3)  # the box is half as wide as the grid
    np.testing.assert_allclose(found[:, 1], path().beta / 2, atol=1e-3)
    ((at_ball,), (at_tube,)) = about["parts"]["end of the path"], about["parts"]["path"]
    ball = walked.parts[at_ball].mesh
    np.testing.assert_allclose(ball.center, found[-1], atol=2e-3)
    tube = walked.parts[at_tube].mesh
    rings = tube.points.reshape(-1, 8, 3).mean(axis=1)  # the middle of each ring is a point of the path
    np.testing.assert_allclose(rings[:: about["tube"]["rings"]], found, atol=1e-3)


def test_the_slider_moves_the_ball_and_the_path_ends_there(browser: Browser, address: str, walked: scenes.Scene):
    with visit(browser, address) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first)
        slider = figure.get_by_role("slider", name="Walk the path: epoch")
        assert slider.input_value() == str(STEPS - 1)
        whole = seen.shot(figure)
        assert difference(whole, seen.shot(figure, still=True)) < 4
        lengths = []
        for step in (0, 3, 5):
            slider.fill(str(step))
            assert figure.get_by_role("status").text_content() == f"epoch {path().epoch.values[step]:g}"
            assert slider.get_attribute("aria-valuetext") == f"epoch {path().epoch.values[step]:g}"
            shot = seen.shot(figure)
            spots = yellow(shot)
            lengths.append(len(spots))
            # The ball is where the picture's own projection puts the step, and nothing yellow lies at the end.
            at, end = project(walked.path.points[[step, -1]])
            apart = np.linalg.norm((spots - at) * np.array(SIZE), axis=1)
            assert (apart < 9).sum() > 30, step
            assert np.linalg.norm((spots - end) * np.array(SIZE), axis=1).min() > 9, step
        assert lengths[0] < lengths[1] < lengths[2]
        slider.fill(str(STEPS - 1))
        assert difference(seen.shot(figure), whole) < 0.1
        slider.focus()
        seen.page.keyboard.press("ArrowLeft")
        assert slider.input_value() == str(STEPS - 2)
        assert difference(seen.shot(figure), whole) > 0.05
        assert seen.problems == []


def test_the_button_plays_the_path_once_and_pauses(browser: Browser, address: str):
    with visit(browser, address) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first)
        slider = figure.get_by_role("slider", name="Walk the path")
        whole = seen.shot(figure)
        figure.get_by_role("button", name="Play").click()
        # Pressed within the page, because on a slow machine the path may be at its end before a click arrives.
        pressed = """() => {
          const [button, slider] = document.querySelector(".la-walk").children;
          if (slider.value !== "2" || button.textContent !== "Pause") return false;
          button.click();
          return true;
        }"""
        wait_until(seen.page, pressed)
        seen.page.wait_for_timeout(700)
        assert (stopped := slider.input_value()) == "2"
        figure.get_by_role("button", name="Play").click()  # goes on from there
        assert int(slider.input_value()) >= int(stopped)
        wait_until(seen.page, f"document.querySelector('.la-walk input').value === '{STEPS - 1}'")
        figure.get_by_role("button", name="Play").wait_for()
        assert difference(seen.shot(figure), whole) < 0.1
        assert seen.problems == []


def test_only_a_scene_with_a_path_has_controls_and_none_without_webgl(
    browser: Browser, address: str, walked: scenes.Scene
):
    with visit(browser, address) as seen:
        bare = seen.scene(seen.page.locator(".la-scene").nth(1))
        assert bare.locator(".la-walk").count() == 0 and bare.get_by_role("slider").count() == 1
        assert seen.problems == []
    with visit(browser, address, script=NO_WEBGL) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first, state="failed")
        assert not figure.locator(".la-walk").is_visible()
        reach = np.ptp(yellow(seen.shot(figure)), axis=0)  # the picture shows the whole path
        np.testing.assert_allclose(reach, np.ptp(project(walked.path.points), axis=0), atol=0.06)
        assert seen.problems == []


def test_a_printed_page_has_no_controls(browser: Browser, address: str):
    with visit(browser, address) as seen:
        figure = seen.scene(seen.page.locator(".la-scene").first)
        assert figure.locator(".la-walk").is_visible()
        seen.page.emulate_media(media="print")
        assert not figure.locator(".la-walk").is_visible()
