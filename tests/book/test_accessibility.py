"""The built site for readers who do not see it, do not use a mouse, or read it in the dark."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser import STILL, pages, settle, visit, wait_until_reachable

PARTS = 6  # of the pages
AXE = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js")
# Contrast is the only thing that depends on the theme, and room to scroll the only one on the width.
IN_THE_DARK = {"runOnly": ["color-contrast"]}
ON_A_PHONE = {"runOnly": ["scrollable-region-focusable", "target-size"]}
FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]"

pytestmark = pytest.mark.browser


def violations(page: Page, options: dict | None = None) -> list[str]:
    """What axe finds wrong on a page, whatever its impact."""
    found = page.evaluate(
        "options => axe.run(document, {resultTypes: ['violations'], ...options}).then(all => all.violations.flatMap("
        "one => one.nodes.map(node => `${one.impact} ${one.id}: ${node.html.slice(0, 120)} ${node.failureSummary}`)))",
        options or {},
    )
    return [f"{page.url.rpartition('/')[2]}: {text}" for text in found]


@pytest.mark.parametrize("part", range(PARTS))  # which may run beside each other
def test_axe_finds_nothing_on_any_page_light_dark_and_narrow(browser: Browser, site: Path, part: int):
    axe, wrong = AXE.read_text(encoding="utf-8"), []
    for name in pages(site)[part::PARTS]:
        if name == "index.html":  # leads on at once
            continue
        with visit(browser, f"{site.as_uri()}/{name}", color_scheme="light") as seen:
            seen.page.evaluate(axe)
            seen.page.add_style_tag(content=STILL)
            settle(seen.page)
            wait_until_reachable(seen.page)
            wrong += violations(seen.page)
            seen.page.evaluate("document.documentElement.dataset.theme = 'dark'")
            wrong += violations(seen.page, IN_THE_DARK)
            seen.page.set_viewport_size({"width": 390, "height": 800})
            settle(seen.page)
            wait_until_reachable(seen.page)
            wrong += violations(seen.page, ON_A_PHONE)
    assert wrong == []


def test_axe_is_awake(browser: Browser):
    page = browser.new_page()
    page.set_content("<html><body><img src='x.png'><p style='color: #888; background: #777'>text</p></body></html>")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = " ".join(violations(page))
    assert "image-alt" in found and "color-contrast" in found and "html-has-lang" in found
    page.close()


@pytest.mark.parametrize("name", ["book/intro.html", "book/skip_connections.html", "search.html"])
def test_the_tab_key_reaches_everything_shows_where_it_is_and_leaves_again(browser: Browser, site: Path, name: str):
    with visit(browser, f"{site.as_uri()}/{name}", height=2000) as seen:
        page = seen.page
        if (figure := page.locator(".la-scene")).count():
            seen.scene(figure.first)
            page.evaluate("scrollTo(0, 0)")
        expected = page.evaluate(
            """selector => {
              const all = [...document.querySelectorAll(selector)].filter((one) => one.tabIndex >= 0 && !one.disabled
                && !(one.type === "radio" && !one.checked)  // the arrow keys lead there
                && one.checkVisibility({ visibilityProperty: true }) && !one.closest("[inert], dialog:not([open])"));
              all.forEach((one, number) => { one.dataset.number = number; });
              return all.length;
            }""",
            FOCUSABLE,
        )
        reached, unseen = set(), []
        page.evaluate("document.activeElement.blur()")
        for _ in range(expected + 20):
            page.keyboard.press("Tab")
            number, shown, what = page.evaluate(
                """() => {
                  const one = document.activeElement;
                  const style = getComputedStyle(one);
                  const shown = style.outlineStyle !== "none" || style.boxShadow !== "none";
                  return [one.dataset.number ?? null, shown, one.outerHTML.slice(0, 150)];
                }"""
            )
            if number in reached:
                break
            if number is not None:
                reached.add(number)
                unseen += [] if shown else [what]
        missing = page.evaluate(
            "reached => [...document.querySelectorAll('[data-number]')].filter(one => !reached.includes("
            "one.dataset.number) && one.checkVisibility()).map(one => one.outerHTML.slice(0, 150))",
            list(reached),
        )
        assert missing == [] and unseen == [] and len(reached) > 10


def test_the_first_press_of_tab_offers_to_skip_the_menus(browser: Browser, site: Path):
    with visit(browser, f"{site.as_uri()}/book/depth.html") as seen:
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.textContent") == "Skip to main content"
        seen.page.keyboard.press("Enter")
        assert seen.page.url.endswith("#main-content")
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.closest('main') !== null")


def test_every_picture_is_described(site: Path):
    described = 0
    for name in pages(site):
        article = (site / name).read_text(encoding="utf-8").partition("<article")[2]
        for picture in re.findall(r"<img\b[^>]*>", article):
            alt = re.search(r'\balt="([^"]*)"', picture)
            assert alt and len(alt[1]) > 40, f"{name}: {picture[:300]}"
            described += 1
    assert described > 80
