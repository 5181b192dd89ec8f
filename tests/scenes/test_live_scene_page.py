"""Scenes beside each other in a real browser: linked cameras, the scale of the height, readings, the keyboard."""

from __future__ import annotations

import re

import matplotlib
import numpy as np
import pytest
import xarray as xr
from playwright.sync_api import Browser, Locator

import browser as pages
from browser import Visit, difference, page_of
from lossatlas import scenes
from lossatlas.scenes.renderer import BOX_HEIGHT, COLOURS, SIZE, project

pytestmark = pytest.mark.browser

# The viewer puts the window of each scene that it loads into `window.renderWindow`: all are kept for the tests.
WINDOWS = """
let last; window.opened = [];
Object.defineProperty(window, "renderWindow", { get: () => last, set: (one) => { last = one; opened.push(one); } });
window.rendererOf = (one) => one.getRenderers().find((found) => found.getActors().length);
"""
CAMERAS = """() => opened.map(one => rendererOf(one).getActiveCamera())
  .map(one => [...one.getPosition(), ...one.getFocalPoint(), ...one.getViewUp()])"""
SURFACE = """number => {
  const actors = rendererOf(opened[number]).getActors();
  const mesh = actor => actor.getMapper().getInputData();
  const has = actor => mesh(actor).getPointData().getNormals() && mesh(actor).getPointData().getScalars();
  const surface = mesh(actors.find(has));
  const lines = actors.find(actor => Math.abs(actor.getProperty().getColor()[0] - 31 / 255) < 1e-3);
  return {
    points: [...surface.getPoints().getData()], colours: [...surface.getPointData().getScalars().getData()],
    normals: [...surface.getPointData().getNormals().getData()],
    lines: lines ? [...mesh(lines).getPoints().getData()] : [],
    scales: actors.map(actor => actor.getScale()[2]),
  };
}"""


def visit(browser: Browser, address: str, *, width: int = 700, height: int = 700, **options: object):
    """A visit in a small window, where software draws fast."""
    return pages.visit(browser, address, width=width, height=height, **options)


def bowl(a, b):
    return 0.05 + 3 * a**2 + 2 * b**2 + 0.3 * a


def wall(a, b):
    return 0.02 + 6 * (a - 0.2) ** 2 + 3 * b**2


def surface(formula, points: int = 21) -> xr.Dataset:
    axis = np.linspace(-1, 1, points)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    values = {"loss": formula(a, b), "accuracy": 1 / (1 + formula(a, b))}
    return xr.Dataset(
        {name: (("alpha", "beta"), found) for name, found in values.items()}, {"alpha": axis, "beta": axis}
    )


def path(steps: int, start: float, epochs: float) -> xr.Dataset:
    t = np.linspace(0, 1, steps)
    at = {"alpha": ("step", start * (1 - t)), "beta": ("step", -0.8 * (1 - t) ** 2)}
    return xr.Dataset(at | {"epoch": ("step", epochs * t)})


@pytest.fixture(scope="module")
def row() -> scenes.SceneRow:
    """Two landscapes, of the same loss scale, the second with a shorter path."""
    return scenes.compare(
        {"Bowl": surface(bowl), "Wall": surface(wall)},
        clim=(0.02, 8),
        paths={"Bowl": path(9, 0.8, 8), "Wall": path(3, -0.7, 4)},
        resolution=41,
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, row: scenes.SceneRow) -> str:
    return page_of([row], tmp_path_factory.mktemp("row")).as_uri()


def opened(seen: Visit) -> list[Locator]:
    return [seen.scene(figure) for figure in seen.page.locator(".la-scene").all()]


def settle(seen: Visit) -> None:
    seen.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_cameras_are_linked_exactly_until_they_are_not(browser: Browser, address: str):
    with visit(browser, address, script=WINDOWS) as seen:
        first, second = opened(seen)

        def cameras() -> list[list[float]]:
            settle(seen)
            return seen.page.evaluate(CAMERAS)

        start = cameras()
        assert start[0] == start[1]
        seen.drag(first, 70, 20)
        turned = cameras()
        assert turned[0] == turned[1] != start[0]
        second.locator(".la-live").focus()
        seen.page.keyboard.press("+")
        assert (near := cameras())[0] == near[1] != turned[1]
        link = seen.page.get_by_role("checkbox", name="Turn together")
        link.uncheck()
        seen.drag(second, -40, 10)
        apart = cameras()
        assert apart[0] == near[0] != apart[1]
        link.check()  # both take the view that was changed last
        assert (again := cameras())[0] == again[1] == apart[1]
        first.locator(".la-reset").click()
        assert cameras() == start
        assert seen.problems == []


def test_the_height_switches_to_what_the_surface_is_there(browser: Browser, address: str, row: scenes.SceneRow):
    low, high = 0.02, 8
    with visit(browser, address, script=WINDOWS) as seen:
        first, _ = opened(seen)
        start = seen.shot(first)
        seen.page.get_by_role("radio", name="linear").check()
        settle(seen)
        for number, formula in enumerate((bowl, wall)):
            found = {name: np.array(values) for name, values in seen.page.evaluate(SURFACE, number).items()}
            x, y, z = found["points"].reshape(-1, 3).T
            inside = formula(2 * x, 2 * y) < high
            np.testing.assert_allclose(
                z[inside], (BOX_HEIGHT * (formula(2 * x, 2 * y) - low) / (high - low))[inside], atol=0.004
            )
            expected = matplotlib.colormaps[COLOURS](np.clip(z / BOX_HEIGHT, 0, 1), bytes=True)[:, :3]
            assert np.abs(found["colours"].reshape(-1, 3) - expected.astype(float)).max() <= 6
            step = 1e-4
            slope = [
                BOX_HEIGHT / (high - low) * (formula(2 * x + dx, 2 * y + dy) - formula(2 * x - dx, 2 * y - dy)) / step
                for dx, dy in ((step, 0), (0, step))
            ]
            normal = np.stack([-slope[0], -slope[1], np.ones_like(x)], axis=1)
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            middle = inside & (np.abs(x) < 0.4) & (np.abs(y) < 0.4)
            assert (found["normals"].reshape(-1, 3) * normal).sum(axis=1)[middle].min() > 0.97
            u, v, w = found["lines"].reshape(-1, 3).T
            assert np.abs(w - BOX_HEIGHT * (np.minimum(formula(2 * u, 2 * v), high) - low) / (high - low)).max() < 0.02
        ticks = seen.page.locator(".la-scene").first.locator('.la-labels [data-axis="z"].la-tick:not([hidden])')
        linear = scenes.scene(surface(bowl), height="linear", clim=(low, high), resolution=11)
        assert ticks.all_text_contents() == [x.text for x in linear.labels if x.axis == "z" and not x.name]
        bar = first.locator(".la-scale span:not([hidden])")
        assert bar.all_text_contents() == ticks.all_text_contents()
        assert "linear" in first.locator(".la-caption").evaluate("one => getComputedStyle(one, '::after').content")
        changed = seen.shot(first)
        assert difference(changed, start) > 4
        seen.page.get_by_role("radio", name="log").check()
        assert difference(seen.shot(first), start) < 0.1
        assert seen.problems == []


def test_a_linear_scene_becomes_the_logarithmic_one(browser: Browser, tmp_path):
    shown = [
        scenes.scene(surface(bowl), height=height, clip=100, contours=0, resolution=41) for height in ("linear", "log")
    ]
    with visit(browser, page_of(shown, tmp_path).as_uri(), script=WINDOWS) as seen:
        first, second = (seen.page.locator(".la-scene").nth(number) for number in (0, 1))
        before = seen.shot(seen.scene(first))
        first.get_by_role("radio", name="log").check()
        one = seen.shot(first)
        other = seen.shot(seen.scene(second))
        assert difference(one, other) < min(3, difference(before, other) / 3)
        x, y, z = np.array(seen.page.evaluate(SURFACE, 0)["points"]).reshape(-1, 3).T
        low, high = np.log([float(surface(bowl).loss.min()), float(surface(bowl).loss.max())])
        expected = BOX_HEIGHT * np.clip((np.log(bowl(2 * x, 2 * y)) - low) / (high - low), 0, 1)
        np.testing.assert_allclose(z, expected, atol=0.01)
        assert seen.problems == []


def test_no_logarithm_is_offered_where_there_is_none(browser: Browser, tmp_path):
    html = scenes.scene(surface(lambda a, b: bowl(a, b) - 1), height="linear", resolution=11)
    with visit(browser, page_of([html], tmp_path).as_uri()) as seen:
        figure = seen.scene(seen.page.locator(".la-scene"))
        assert figure.get_by_role("radio").count() == 0
        assert figure.get_by_role("slider", name="Vertical scale").is_visible()


def test_the_vertical_scale_stretches_all_scenes_and_their_labels(browser: Browser, address: str):
    with visit(browser, address, script=WINDOWS) as seen:
        first, second = opened(seen)
        tops = """one => [...one.querySelectorAll('.la-labels [data-axis=z]:not([hidden])')]
            .map(x => parseFloat(x.style.top))"""
        before = first.evaluate(tops)
        slider = seen.page.get_by_role("slider", name="Vertical scale")
        slider.fill("-1")
        assert slider.get_attribute("aria-valuetext") == "×0.5"
        settle(seen)
        scales = [seen.page.evaluate(SURFACE, number)["scales"] for number in (0, 1)]
        assert [sorted(set(found)) for found in scales] == [[0.5, 1], [0.5, 1]]  # the ball stays round
        assert np.ptp(first.evaluate(tops)) == pytest.approx(np.ptp(before) / 2, rel=0.15)
        assert first.evaluate(tops) == second.evaluate(tops)
        slider.focus()
        seen.page.keyboard.press("ArrowRight")
        assert slider.get_attribute("aria-valuetext") == "×0.59"
        assert seen.problems == []


def test_one_slider_walks_all_paths_by_their_epochs(browser: Browser, address: str, row: scenes.SceneRow):
    balls = """() => opened.map(one => rendererOf(one).getActors().find(actor => actor.getScale()[2] === 1
        && actor.getMapper().getInputData().getNumberOfPoints() > 500 && actor.getProperty().getColor()[2] < 0.2))
        .map(ball => ball.getBounds()).map(([a, b, c, d]) => [(a + b) / 2, (c + d) / 2])"""
    with visit(browser, address, script=WINDOWS) as seen:
        opened(seen)
        seen.page.get_by_role("slider", name="Vertical scale").fill("-1")  # so that only the balls have the scale 1
        slider = seen.page.get_by_role("slider", name="Walk the path: epoch")
        assert slider.get_attribute("max") == "8"
        for value, (one, other) in {"3": (3, 1), "0": (0, 0), "6": (6, 2)}.items():
            slider.fill(value)
            settle(seen)
            assert seen.page.locator(".la-walk output").text_content() == f"epoch {value}"
            expected = [row[0].path.points[one, :2], row[1].path.points[other, :2]]
            np.testing.assert_allclose(seen.page.evaluate(balls), expected, atol=1e-3)


def test_what_is_under_the_pointer_is_read_out_in_every_scene(browser: Browser, address: str, row: scenes.SceneRow):
    with visit(browser, address) as seen:
        first, second = opened(seen)
        box = first.locator(".la-live").bounding_box()
        loss = surface(bowl).loss
        for i, j in ((10, 4), (15, 2), (4, 6)):  # on the side of the viewer
            z = BOX_HEIGHT * np.log(float(loss[i, j]) / 0.02) / np.log(8 / 0.02)
            left, top = project(np.array([[i / 20 - 0.5, j / 20 - 0.5, z]]))[0]
            seen.page.mouse.move(box["x"] + left * box["width"], box["y"] + top * box["height"])
            settle(seen)
            for figure, data in ((first, surface(bowl)), (second, surface(wall))):
                point = data.isel(alpha=i, beta=j)
                said = re.fullmatch(
                    r"α (\S+), β (\S+): loss (\S+), accuracy (\S+)", figure.locator(".la-reading").text_content()
                )
                found = [float(text.replace("−", "-")) for text in said.groups()]
                assert found == pytest.approx(
                    [float(point[x]) for x in ("alpha", "beta", "loss", "accuracy")], rel=0.01
                )
            at = first.locator(".la-cursor").bounding_box()
            assert at["x"] + at["width"] / 2 - box["x"] == pytest.approx(left * box["width"], abs=2)
            assert at["y"] + at["height"] / 2 - box["y"] == pytest.approx(top * box["height"], abs=2)
        seen.page.mouse.move(5, 5)
        assert first.locator(".la-reading").text_content() == ""
        assert not first.locator(".la-cursor").is_visible()


def test_keys_move_a_point_over_the_surface_and_it_is_announced(browser: Browser, address: str):
    with visit(browser, address, script=WINDOWS) as seen:
        first, _ = opened(seen)
        before = seen.page.evaluate(CAMERAS)
        read = first.locator('[aria-live="polite"]')
        first.locator(".la-live").focus()
        for key, expected in (
            ("ArrowRight", (0, 0)),
            ("ArrowRight", (0.1, 0)),
            ("ArrowUp", (0.1, 0.1)),
            ("ArrowDown", (0.1, 0)),
        ):
            seen.page.keyboard.press(f"Shift+{key}")
            settle(seen)
            loss = bowl(*expected)
            assert read.text_content().startswith(f"α {expected[0]:g}, β {expected[1]:g}: loss {loss:.3g}")
        assert seen.page.evaluate(CAMERAS) == before
        seen.page.keyboard.press("Escape")
        settle(seen)
        assert read.text_content() == ""
        assert seen.problems == []


def test_every_control_is_reached_by_tab_and_shows_it(browser: Browser, address: str):
    with visit(browser, address) as seen:
        opened(seen)
        found = []
        for _ in range(16):
            seen.page.keyboard.press("Tab")
            found.append(
                seen.page.evaluate(
                    """() => { const one = document.activeElement; if (one === document.body) return null;
                    const style = getComputedStyle(one);
                    const named = one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent;
                    return [named, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0]; }"""
                )
            )
        found = [one for one in found if one]
        assert all(shown for _, shown in found), found
        names = " | ".join(name for name, _ in found)
        for name in ("log", "Vertical scale", "Turn together", "Play", "Walk the path", "Bowl, 3-D view", "Reset"):
            assert name in names, name


def test_who_wants_little_motion_walks_step_by_step(browser: Browser, address: str):
    with visit(browser, address, reduced_motion="reduce") as seen:
        opened(seen)
        slider = seen.page.get_by_role("slider", name="Walk the path")
        button = seen.page.get_by_role("button", name="Next")
        for expected in ("0", "1", "2"):
            button.click()
            seen.page.wait_for_timeout(300)
            assert slider.input_value() == expected
        assert seen.problems == []


def test_sixty_interactions_leave_the_console_empty_and_the_cameras_equal(browser: Browser, address: str):
    with visit(browser, address, script=WINDOWS) as seen:
        figures = opened(seen)
        page = seen.page
        boxes = [figure.locator(".la-live").bounding_box() for figure in figures]

        def wheel(n: int) -> None:
            page.mouse.move(boxes[n % 2]["x"] + 80, boxes[n % 2]["y"] + 90)
            page.mouse.wheel(0, (-1) ** n * 120)

        acts = [
            lambda n: seen.drag(figures[n % 2], 30 - n, n - 20),
            lambda n: page.keyboard.press("+-0"[n % 3]),
            wheel,
            lambda n: page.get_by_role("radio", name=("linear", "log")[n // 6 % 2]).check(),
            lambda n: page.get_by_role("slider", name="Vertical scale").fill(str(n % 7 / 4 - 1)),
            lambda n: page.locator(".la-walk button").click(),
        ]
        for number in range(60):
            acts[number % 6](number)
        settle(seen)
        one, other = page.evaluate(CAMERAS)
        assert one == other
        assert page.locator('.la-scene[data-state="live"]').count() == 2
        assert seen.problems == []


def test_a_scene_that_slept_wakes_as_the_others_are(browser: Browser, tmp_path, row: scenes.SceneRow):
    many = [scenes.scene(surface(bowl), title=str(n), resolution=11) for n in range(9)]
    with visit(browser, page_of([row, *many], tmp_path).as_uri(), script=WINDOWS) as seen:
        figures = seen.page.locator(".la-scene")
        first, second = (seen.scene(figures.nth(number)) for number in (0, 1))
        seen.drag(first, 50, 10)
        seen.page.get_by_role("radio", name="linear").first.check()
        before = [seen.shot(figure) for figure in (first, second)]
        for number in range(2, 11):
            seen.scene(figures.nth(number))
        assert first.get_attribute("data-state") == second.get_attribute("data-state") == "still"
        assert not seen.page.get_by_role("checkbox", name="Turn together").is_visible()
        for figure, shot in zip((first, second), before, strict=True):
            seen.scene(figure)
            assert difference(seen.shot(figure), shot) < 0.1
        cameras = seen.page.evaluate(CAMERAS)
        assert cameras[0] == cameras[1]
        assert seen.problems == []


def test_without_scripts_there_are_pictures_and_no_controls(browser: Browser, address: str):
    with visit(browser, address, java_script_enabled=False) as seen:
        for picture in seen.page.locator(".la-still").all():
            assert picture.is_visible()
        assert not seen.page.locator(".la-controls").is_visible()
        assert seen.page.get_by_role("slider").count() == seen.page.get_by_role("button").count() == 0
        assert seen.problems == []


def test_landscapes_stand_beside_each_other_and_below_on_a_phone(browser: Browser, address: str):
    for width, beside in ((1280, True), (390, False)):
        with visit(browser, address, width=width, height=900) as seen:
            boxes = [figure.bounding_box() for figure in opened(seen)]
            assert (boxes[0]["y"] == boxes[1]["y"]) == beside
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
            assert boxes[0]["width"] <= SIZE[0]
