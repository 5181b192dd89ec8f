"""The note of a number opens for the mouse, the keyboard and a finger, and stays inside the window."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from browser import styled, visit, wait_until
from lossatlas import figures

pytestmark = pytest.mark.browser

BESIDE = '<p style="text-align: {}">At the edge {} and <a href="#">a link</a>.</p>'


def page_with_a_number(folder, side: str) -> str:
    number = figures.amount([4.0, 5.0, 6.0, 7.0, 7.2], "nats")
    return styled(BESIDE.format(side, number._repr_mimebundle_()["text/html"]), folder).as_uri()


def test_the_note_opens_over_the_number_and_closes(browser: Browser, tmp_path):
    page = page_with_a_number(tmp_path, "left")  # so that the mouse reaches the note without scrolling
    with visit(browser, page) as seen:
        number, note = seen.page.locator(".la-quantity"), seen.page.locator(".la-note")
        assert number.inner_text() == "5.8\N{NO-BREAK SPACE}nats" and not note.is_visible()
        number.hover()
        assert note.inner_text().startswith("Mean of 5 seeds, 95")  # without the brackets
        note.hover()
        assert note.is_visible()  # it can be read, and copied from
        seen.page.keyboard.press("Escape")
        assert not note.is_visible()
        seen.page.mouse.move(0, 0)
        wait_until(seen.page, "!document.querySelector('.la-quantity').matches(':hover')")
        seen.page.keyboard.press("Tab")
        assert note.is_visible()
        seen.page.keyboard.press("Escape")
        assert not note.is_visible()
        seen.page.keyboard.press("Tab")
        seen.page.keyboard.press("Shift+Tab")
        assert note.is_visible()
        seen.page.emulate_media(media="print")
        assert not note.is_visible() and number.is_visible()


@pytest.mark.parametrize("width", [390, 800, 1198])
def test_a_finger_opens_the_note_inside_the_window(browser: Browser, tmp_path, width):
    page = page_with_a_number(tmp_path, "right")
    with visit(browser, page, width=width, has_touch=True) as seen:
        seen.page.locator(".la-quantity").tap()
        box = seen.page.locator(".la-note").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] > 0 and box["y"] + box["height"] <= 900
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width
        seen.page.locator("a").tap()
        assert not seen.page.locator(".la-note").is_visible()
