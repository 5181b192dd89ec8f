"""`make screenshots`: every page of the built site as a picture, wide and narrow, light and dark, to be looked at."""

from __future__ import annotations

from pathlib import Path

from ..console import step
from . import browser, measure

WIDTHS = (1280, 390)
THEMES = ("light", "dark")
EAGER = "() => document.querySelectorAll('img[loading]').forEach((one) => { one.loading = 'eager'; })"
LOADED = "() => [...document.images].every((one) => one.complete)"


def take(root: Path) -> Path:
    """Write `_build/screenshots/PAGE-WIDTH-THEME.png` for every page; returns the folder.

    Raises Failure where the site is not built.
    """
    from playwright.sync_api import sync_playwright

    html, place = root / "_build" / "html", root / "_build" / "screenshots"
    pages = [html / name for name in measure.pages(html)]
    with step("screenshots") as current, sync_playwright() as playwright:
        running = browser.launch(playwright)
        for number, path in enumerate(pages, start=1):
            current.update(f"page {number} of {len(pages)}")
            for width in WIDTHS:
                for theme in THEMES:
                    page = running.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
                    page.goto(path.as_uri())
                    page.evaluate(EAGER)
                    browser.wait_until(page, LOADED)
                    page.screenshot(path=place / f"{path.stem}-{width}-{theme}.png", full_page=True)
                    page.close()
        running.close()
        current.result = f"{len(pages)} pages in {place}"
    return place
