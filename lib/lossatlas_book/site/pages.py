"""A Sphinx extension: what every finished page gets beside its text.

A policy that lets it ask no other host for anything and run no script but those it came with; words and a picture for
those who link to it; roles and landmarks that screen readers understand; and its executed notebook, complete, behind
the button that offers it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import shutil
from collections.abc import Set
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

NOTEBOOKS = "complete"  # folder of the sources with the notebooks as they were executed
PREVIEWS = "previews.json"  # in the sources: address and description of the picture that stands for a page
PREVIEW = {"image": "../_static/landscape.png", "alt": "A loss surface in 3-D, from blue valleys to red ridges"}
DESCRIPTION = 200  # characters of a page's description, about what search engines show
TEMPLATES = Path(__file__).parent / "templates"  # in place of the theme's of the same names


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("config-inited", add_templates)
    app.connect("html-page-context", describe)
    app.connect("build-finished", finish, priority=950)  # after everything that writes pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_templates(app: Sphinx, config: Config) -> None:
    """Let this extension's templates replace those of the theme."""
    config.templates_path.insert(0, str(TEMPLATES))


def describe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Add the title, the first sentences and a picture, for previews of links."""
    project = app.config.project
    words = next(doctree.findall(nodes.paragraph), None) if doctree is not None else None
    text = " ".join(words.astext().split()) if words is not None else project
    if len(text) > DESCRIPTION:
        text = text[:DESCRIPTION].rpartition(" ")[0] + " …"
    titles = app.env.titles
    title = titles[pagename].astext() if pagename in titles else html.unescape(context.get("title") or project)
    base = app.config.html_baseurl
    previews = json.loads(Path(app.srcdir, PREVIEWS).read_text(encoding="utf-8"))
    picture = previews.get(pagename) or PREVIEW
    address = picture["image"].removeprefix("../")
    properties = {
        "og:title": title,
        "og:site_name": project,
        "og:type": "website" if pagename == app.config.root_doc else "article",
        "og:description": text,
        "og:image": f"{base.rstrip('/')}/{address}" if base else context["pathto"](address, resource=True),
        "og:image:alt": picture["alt"],
    }
    tags = [f'<meta name="description" content="{html.escape(text)}"/>']
    tags += [f'<meta property="{name}" content="{html.escape(value)}"/>' for name, value in properties.items()]
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags])


def finish(app: Sphinx, error: Exception | None) -> None:
    """Complete the pages that were written, and put the complete notebooks in place."""
    out = Path(app.outdir)
    if error is not None:
        return
    pages = {
        path: path.read_text("utf-8") for path in out.rglob("*.html") if "_static" not in path.relative_to(out).parts
    }
    handlers = {text for page in pages.values() for text in scripts(page).handlers}
    for path, page in pages.items():
        path.write_text(completed(page, handlers), encoding="utf-8")
    for notebook in Path(app.srcdir, NOTEBOOKS).glob("*.ipynb"):
        place = out / "_sources" / "book" / notebook.name
        if place.exists():
            shutil.copyfile(notebook, place)


def completed(page: str, handlers: Set[str]) -> str:
    """Return a page with its policy, a role that is allowed on the entries of a list, and folds named as they read."""
    page = page.replace('role="doc-biblioentry"', 'role="listitem"')
    page = page.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy(page, handlers)}"/>'
    return page.replace("<head>", f"<head>\n    {meta}", 1)


def policy(page: str, handlers: Set[str]) -> str:
    """Return the Content Security Policy of a page: its own files, and the scripts inside it by their hashes.

    `handlers` are those of the whole site, because the search page parses the others for its excerpts.

    `file:` is for a page that is opened from disk. The styles inside pages are many (scenes, formulas, code); they can
    ask nobody for anything, because pictures and fonts come from the site too.
    """
    inside = {text for text in scripts(page).texts if text.strip()}
    hashes = sorted(_hash(text) for text in inside | handlers)
    here = "'self' file:"
    rules = {
        "default-src": "'none'",
        "script-src": " ".join([here, *(["'unsafe-hashes'"] if handlers else []), *hashes]),
        "style-src": f"{here} 'unsafe-inline'",
        "img-src": f"{here} data:",
        "font-src": here,
        "connect-src": here,  # the search page fetches excerpts
        "form-action": here,
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


class Scripts(HTMLParser):
    """The scripts inside a page, and the scripts in the attributes of its elements, such as `onclick`."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.handlers: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note a script without an address, and every handler of an event."""
        self.handlers += [value or "" for name, value in attributes if name.startswith("on")]
        if tag == "script" and "src" not in dict(attributes):
            self._inside = True
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        """Collect the text of a script."""
        if self._inside:
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a script."""
        if tag == "script":
            self._inside = False


def scripts(page: str) -> Scripts:
    """Return the scripts of a page."""
    found = Scripts()
    found.feed(page)
    found.close()
    return found


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
