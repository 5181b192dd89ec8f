"""Boxes take the keyboard's focus while they scroll sideways, from the moment that the page is there."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from browser import STATIC, visit, wait_until

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Boxes</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="tables.css"><script src="overflow.js" defer></script>
<style>pre {{ overflow: auto }} pre.hidden {{ overflow: hidden }} .wide {{ width: 700px }}</style></head>
<body><article class="bd-article">
<pre id="code">{text}</pre><pre id="short">short</pre><pre id="own" tabindex="0">short</pre>
<pre class="hidden" id="hidden">{text}</pre>
<section hidden><pre id="folded">{text}</pre></section>
<div class="la-scroll" id="table"><div class="wide">A table.</div></div></article></body></html>"""
STATES = """() => Object.fromEntries([...document.querySelectorAll("[id]")].map(
  (one) => [one.id, [one.tabIndex, one.dataset.more ?? null]]))"""


def test_boxes_take_the_focus_while_they_scroll(browser: Browser, tmp_path):
    for name in ("tables.css", "overflow.js"):
        (tmp_path / name).write_bytes((STATIC / name).read_bytes())
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(text="a long line of code " * 20), encoding="utf-8")
    with visit(browser, page.as_uri(), width=390) as seen:
        focusable, fixed = [0, None], [-1, None]
        expected = {"code": focusable, "short": fixed, "own": focusable, "hidden": fixed, "folded": fixed}
        assert seen.page.evaluate(STATES) == expected | {"table": [0, "right"]}  # at once, without waiting
        seen.page.locator("section").evaluate("one => { one.hidden = false; }")
        wait_until(seen.page, "document.getElementById('folded').tabIndex === 0")
        table = seen.page.locator("#table")
        table.focus()
        table.evaluate("one => one.scrollTo(one.scrollWidth, 0)")
        wait_until(seen.page, "document.getElementById('table').dataset.more === 'left'")
        seen.page.set_viewport_size({"width": 8000, "height": 800})
        wait_until(seen.page, "['code', 'folded', 'table'].every(id => document.getElementById(id).tabIndex < 0)")
        assert seen.page.evaluate(STATES) == {name: fixed for name in ("code", "short", "hidden", "folded")} | {
            "own": focusable,
            "table": [-1, ""],
        }
        assert seen.problems == []
