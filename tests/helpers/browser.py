"""What the tests of pages share: a way to make and to visit a page, and to see everything that went wrong on it."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import xarray as xr
import yaml
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, TimeoutError

from lossatlas_book.checks.browser import wait_until
from lossatlas_book.site import assets, serve, viewer

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
OWN_HOSTS = ("127.0.0.1", "localhost")
# The browser's advice when pixels are read back from a picture drawn without a graphics card.
ADVICE = "GPU stall due to ReadPixels"


@dataclass
class Visit:
    """A page in the browser. `problems` fills itself: console errors and warnings, exceptions, other hosts."""

    page: Page
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self._heard(said.type, said.text))
        self.page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        self.page.on("requestfailed", lambda request: self.problems.append(f"not loaded: {request.url[:200]}"))
        self.page.on("request", self._asked)

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and ADVICE not in text:
            self.problems.append(f"console {kind}: {text[:300]}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("data", "blob"):
            return
        self.requests.append(request.url)
        if address.scheme != "file" and address.hostname not in OWN_HOSTS:
            self.problems.append(f"request to another host: {request.url}")

    def scene(self, figure: Locator, *, state: str = "live", patience: float = 30) -> Locator:
        """Scroll to a scene and wait until it is in a state."""
        figure.scroll_into_view_if_needed()
        wait_until(
            self.page,
            "([figure, state]) => figure.dataset.state === state",
            arg=[figure.element_handle(), state],
            timeout=1000 * patience,
        )
        return figure

    def shot(self, figure: Locator, *, still: bool = False) -> np.ndarray:
        """A scene as it is to be seen, live or its still picture, as floats (height, width, 3); no labels."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        style = ".la-labels, .la-reset, .la-cursor, .la-reading { visibility: hidden !important }"
        if still:
            style += ".la-live { visibility: hidden !important } .la-still { opacity: 1 !important }"
        data = figure.locator(".la-view").screenshot(style=style, animations="disabled")
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float)

    def drag(self, figure: Locator, x: float, y: float) -> None:
        """Drag a live scene by so many pixels."""
        box = figure.locator(".la-live").bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.page.mouse.move(*middle)
        self.page.mouse.down()
        self.page.mouse.move(middle[0] + x, middle[1] + y, steps=4)
        self.page.mouse.up()


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of two pictures, in 256ths."""
    assert one.shape == other.shape
    return float(np.abs(one - other).mean())


def page_of(shown: Sequence[object], folder: Path) -> Path:
    """Write a page with these scenes far from each other into a folder, as the site would hold them."""
    outputs = [nbformat.v4.new_output("display_data", data=one._repr_mimebundle_()) for one in shown]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    assets.publish(notebook, folder, address="page.ipynb")
    viewer.publish_viewer(folder / "_static")
    return styled("\n<p style='height:1500px'>Text.</p>\n".join(one.data["text/html"] for one in outputs), folder)


def styled(body: str, folder: Path) -> Path:
    """Write a page with the styles and scripts of the site into a folder."""
    config = yaml.safe_load((STATIC.parent.parent / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
    (folder / "_static").mkdir(exist_ok=True)
    for name in (*config["html_css_files"], *config["html_js_files"]):
        (folder / "_static" / name).write_bytes((STATIC / name).read_bytes())
    links = [f'<link rel="stylesheet" href="_static/{name}">' for name in config["html_css_files"]]
    links += [f'<script src="_static/{name}" defer></script>' for name in config["html_js_files"]]
    page = folder / "page.html"
    page.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Scenes</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>html[data-theme=dark] { --pst-color-background: #102030 }</style>"
        f'<link rel="icon" href="data:,">{"".join(links)}</head><body>{body}</body></html>',
        encoding="utf-8",
    )
    return page


@contextmanager
def visit(
    browser: Browser, address: str, *, width: int = 1280, height: int = 900, script: str = "", **options: object
) -> Iterator[Visit]:
    """Open a page in a fresh window; `script` runs before those of the page."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(30_000)
    if script:
        context.add_init_script(script)
    seen = Visit(context.new_page())
    seen.page.goto(address, wait_until="load")
    try:
        yield seen
    finally:
        context.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder on localhost, ending in a slash."""
    server = serve.server(folder, port=0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


SETTLED = """async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
REACHABLE = """() => [...document.querySelectorAll("body *")].every((one) => {
  const scrolls = one.scrollWidth > one.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(one).overflowX);
  return !scrolls || !one.checkVisibility() || one.tabIndex >= 0 || one.querySelector("a[href], button, [tabindex]");
})"""
STILL = "* { transition: none !important; animation: none !important }"


def settle(page: Page) -> None:
    """Wait until formulas and fonts are in place and what depends on them is laid out."""
    page.evaluate(SETTLED)


def wait_until_reachable(page: Page) -> None:
    """Wait until the keyboard reaches everything that scrolls; if that never happens, leave it to the test to say."""
    with suppress(TimeoutError):
        wait_until(page, REACHABLE, timeout=10_000)


def path_of(url: str, folder: Path, base: str) -> Path:
    """The file of a folder that an address under `base` stands for."""
    return folder / unquote(urlsplit(url).path).removeprefix(unquote(urlsplit(base).path))


NO_WEBGL = """
const getContext = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind.startsWith("webgl") ? null : getContext.call(this, kind, ...rest);
};
"""

LABELS = """figure => {
  const seen = (one) => one.checkVisibility({ visibilityProperty: true });
  const place = (one) => { const { left, top, right, bottom } = one.getBoundingClientRect();
    return [left, top, right, bottom]; };
  const all = [...figure.querySelectorAll(".la-labels span")].filter(seen);
  return { box: place(figure.querySelector(".la-view")), names: all.filter((one) => one.className === "la-name").length,
    labels: all.map((one) => [one.textContent, ...place(one)]) };
}"""


def clashes(found: dict) -> list[str]:
    """Labels that overlap, and labels that the edge of the picture cuts off."""
    left, top, right, bottom = found["box"]
    wrong = [
        f"{text} is cut off"
        for text, x0, y0, x1, y1 in found["labels"]
        if x0 < left - 0.5 or y0 < top - 0.5 or x1 > right + 0.5 or y1 > bottom + 0.5
    ]
    for number, (one, a0, b0, a1, b1) in enumerate(found["labels"]):
        for other, x0, y0, x1, y1 in found["labels"][:number]:
            if a0 < x1 and x0 < a1 and b0 < y1 and y0 < b1:
                wrong.append(f"{one} meets {other}")
    return wrong


def surface(depth: float, points: int = 15) -> xr.Dataset:
    axis = np.linspace(-1, 1, points)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    return xr.Dataset(
        {"loss": (("alpha", "beta"), 0.4 + depth * a**2 + b**2 + 0.3 * np.sin(4 * a))},
        coords={"alpha": axis, "beta": axis},
    )


def chapters(site: Path) -> list[str]:
    return [name for name in pages(site) if name.startswith("book/")]


def pages(site: Path) -> list[str]:
    """Every page of the site, as paths under it."""
    found = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html"))]
    return [name for name in found if not name.startswith("_static")]
