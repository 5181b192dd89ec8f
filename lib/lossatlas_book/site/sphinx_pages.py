"""A Sphinx extension: what every finished page gets beside its text.

A policy that lets it ask no other host for anything and run no script but those it came with; words and a picture for
those who link to it; roles and landmarks that screen readers understand; and its executed notebook, complete, behind
the button that offers it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

NOTEBOOKS = "complete"  # folder of the sources with the notebooks as they were executed
PREVIEW = "_static/landscape.png"
DESCRIPTION = 200  # characters of a page's description, about what search engines show
SCRIPT = re.compile(r"<script\b(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.DOTALL)
HANDLER = re.compile(r'\son[a-z]+="(?P<text>[^"]*)"')
LOGO = re.compile(r'<a class="navbar-brand logo".*?</a>', re.DOTALL)
HOME = '<nav aria-label="Front page">'


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", describe)
    app.connect("build-finished", finish, priority=950)  # after everything that writes pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def describe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Add the title, the first sentences and a picture, for previews of links."""
    words = re.search(r"<p>(.*?)</p>", context.get("body") or "", re.DOTALL)
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", words[1])).split()) if words else app.config.project
    if len(text) > DESCRIPTION:
        text = text[:DESCRIPTION].rpartition(" ")[0] + " …"
    title = html.unescape(re.sub(r"<[^>]+>", "", context.get("title") or app.config.project))
    base = app.config.html_baseurl
    facts = {
        "og:title": title,
        "og:site_name": app.config.project,
        "og:type": "website" if pagename == app.config.root_doc else "article",
        "og:description": text,
        "og:image": f"{base.rstrip('/')}/{PREVIEW}" if base else context["pathto"](PREVIEW, resource=True),
        "og:image:alt": "A loss surface in 3-D, from blue valleys to red ridges",
    }
    tags = [f'<meta name="description" content="{html.escape(text)}"/>']
    tags += [f'<meta property="{name}" content="{html.escape(value)}"/>' for name, value in facts.items()]
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags])


def finish(app: Sphinx, error: Exception | None) -> None:
    """Complete the pages that were written, and put the complete notebooks in place."""
    out = Path(app.outdir)
    if error is not None:
        return
    for path in out.rglob("*.html"):
        if "_static" not in path.relative_to(out).parts:
            path.write_text(completed(path.read_text(encoding="utf-8")), encoding="utf-8")
    for notebook in Path(app.srcdir, NOTEBOOKS).glob("*.ipynb"):
        place = out / "_sources" / "book" / notebook.name
        if place.exists():
            shutil.copyfile(notebook, place)


def completed(page: str) -> str:
    """A page with its policy, its landmarks and the roles of today."""
    page = page.replace('role="doc-biblioentry"', 'role="listitem"')  # the old one may not be on a list's entry
    page = LOGO.sub(lambda found: f"{HOME}{found[0]}</nav>", page)
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy(page)}"/>'
    return page.replace("<head>", f"<head>\n    {meta}", 1)


def policy(page: str) -> str:
    """The Content Security Policy of a page: its own files, and the scripts inside it by their hashes.

    `file:` is for a page that is opened from disk. The styles inside pages are many (scenes, formulas, code); they can
    ask nobody for anything, because pictures and fonts come from here too.
    """
    inside = [found["text"] for found in SCRIPT.finditer(page) if "src=" not in found["attributes"]]
    handlers = [html.unescape(found["text"]) for found in HANDLER.finditer(SCRIPT.sub("", page))]
    hashes = sorted({_hash(text) for text in inside if text.strip()} | {_hash(text) for text in handlers})
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


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
