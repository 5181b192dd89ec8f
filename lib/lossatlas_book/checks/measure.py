"""How heavy the pages of the built site are, and how soon they are there, in a browser on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

from ..console import Failure, columns, step
from ..site import serve
from . import browser

VISITS = 3  # of a page; the best time counts: what the page needs, not what else the machine does
SHARED = ("/mathjax/", "vtk-viewer")  # loaded once for the whole site
FIRST_TEXT = """() => new Promise((done) => new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") done(entry.startTime);
}).observe({ type: "paint", buffered: true }))"""
IDLE = "() => new Promise((done) => requestIdleCallback(() => done(performance.now())))"
SOURCES = """() => [...document.querySelectorAll(".la-scene[data-src]")].map(
  (one) => new URL(one.dataset.src, document.baseURI).href)"""


@dataclass(frozen=True)
class Measured:
    """One page: bytes that it loads before anybody scrolls, its scenes, and seconds until it shows and until it rests.

    The bytes leave out what is loaded once for the whole site, and the data of scenes; `largest` is that of the
    largest scene, 0 where there is none.
    """

    page: str
    before: int
    scenes: int
    largest: int
    first_text: float
    idle: float


def pages(html: Path) -> list[str]:
    """Every page of a built site, as paths under it; raises Failure where there is none.

    The site's own index is left out: it only leads on to the first page.
    """
    found = [path.relative_to(html).as_posix() for path in sorted(html.rglob("*.html"))]
    found = [name for name in found if not name.startswith("_static/") and name != "index.html"]
    if not found:
        raise Failure(f"there is no site in {html}; build it first: make book")
    return found


def page(running: Any, html: Path, base: str, name: str, *, visits: int = VISITS) -> Measured:
    """Visit a page so often, each time as for the first time.

    `running` is Playwright's browser, and `base` the address at which the folder `html` is served, ending in a slash.
    """
    times = []
    for _ in range(visits):
        context = running.new_context(viewport={"width": 1280, "height": 900})
        visited, asked = context.new_page(), []
        visited.on("request", lambda request, asked=asked: asked.append(request.url))
        visited.goto(base + name, wait_until="load")
        times.append((visited.evaluate(FIRST_TEXT), visited.evaluate(IDLE)))
        visited.wait_for_load_state("networkidle")
        scenes = [_file(html, base, address) for address in visited.evaluate(SOURCES)]
        context.close()
    own = {_file(html, base, address) for address in asked if address.startswith(base)}
    own = {file for file in own if not any(part in file.as_posix() for part in SHARED)} - set(scenes)
    text, idle = (min(one) / 1000 for one in zip(*times, strict=True))
    before, largest = (_size(file) for file in own), (_size(file) for file in scenes)
    return Measured(name, sum(before), len(scenes), max(largest, default=0), text, idle)


def report(root: Path) -> list[Measured]:
    """Measure every page of the built site and print them as a table."""
    from playwright.sync_api import sync_playwright

    html = root / "_build" / "html"
    names = pages(html)
    with step("measure") as current, sync_playwright() as playwright, serve.server(html, port=0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        running, found = browser.launch(playwright), []
        for number, name in enumerate(names, start=1):
            current.update(f"page {number} of {len(names)}")
            found.append(page(running, html, f"http://127.0.0.1:{server.server_port}/", name))
        running.close()
        server.shutdown()
        current.result = f"{len(found)} pages, the best of {VISITS} visits each"
    rows = [("page", "kB before scrolling", "scenes", "largest scene, kB", "first text, s", "idle, s")]
    for one in found:
        sizes = (f"{one.before / 1000:.0f}", str(one.scenes), f"{one.largest / 1000:.0f}" if one.scenes else "–")
        rows.append((one.page, *sizes, f"{one.first_text:.2f}", f"{one.idle:.2f}"))
    print(*columns(rows), sep="\n")
    return found


def _file(html: Path, base: str, address: str) -> Path:
    return html / unquote(address.removeprefix(base).partition("?")[0].partition("#")[0])


def _size(file: Path) -> int:
    return file.stat().st_size
