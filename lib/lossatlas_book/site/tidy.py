"""A Sphinx extension: what Jupyter Book puts on every page and this book does not use is left out.

Thebe (running cells on a server elsewhere) is never offered, and its script declares its names twice, which
browsers report as an error. Font Awesome comes twice, as a 1.5 MB script and as the font that draws the same
icons; the font stays. Of MathJax's 24 MB the site keeps the parts that `_config.yml` loads. The search page
fetches an excerpt of every page it finds, which a page that was opened from disk may not do: there it shows
titles alone. Buttons for Binder and Colab, and those that edit a page or report a problem with it, lead nowhere
without a repository.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

NO_EXCERPTS = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false'
SOURCES = "main"  # the branch that readers edit; the one in _config.yml is that of Binder and Colab
EDITORS = {"github.com": "edit", "gitlab.com": "-/edit"}  # where a host edits a file
WORDS = {"source-edit-button": "Edit this page", "source-issues-button": "Report a problem"}
UNUSED_MATHJAX = ("sre", "output/svg", "input/mml", "input/asciimath.js", "input/mml.js")


def setup(app: Sphinx) -> dict[str, bool]:
    """Take Thebe's callbacks away, and trim the files when the build is done."""
    for event in ("env-before-read-docs", "doctree-resolved"):
        for listener in list(app.events.listeners[event]):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)
    app.config.mathjax_path = "mathjax/startup.js"  # loads the components that _config.yml lists
    app.add_js_file(None, body=NO_EXCERPTS, priority=500)
    app.connect("config-inited", choose_buttons)
    app.connect("html-page-context", name_buttons, priority=900)  # after the theme has made them
    app.connect("build-finished", trim, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def choose_buttons(app: Sphinx, config: Config) -> None:
    """Leave out launch buttons without a repository, and Colab's with one that it cannot open; let readers edit."""
    url = config.html_theme_options.get("repository_url", "").rstrip("/")
    buttons = config.html_theme_options.get("launch_buttons", {})
    if "github.com/" not in url:
        buttons.pop("colab_url", None)
    if not url:
        buttons.pop("binderhub_url", None)
    if place := next((place for host, place in EDITORS.items() if f"{host}/" in url), None):
        config.html_theme_options |= {"use_edit_page_button": True, "use_issues_button": True}
        address = f"{url}/{place}/{SOURCES}/{{{{ file_name }}}}"
        config.html_context |= {"edit_page_url_template": address, "edit_page_provider_name": "the repository"}


def name_buttons(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Say what the buttons of the repository are for."""
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if words := WORDS.get(button.get("label", "")):
                button |= {"text": words, "tooltip": words}


def trim(app: Sphinx, error: Exception | None) -> None:
    """Empty the icon script and remove the unused parts of MathJax from the finished site."""
    static = Path(app.outdir, "_static")
    script = static / "scripts" / "fontawesome.js"
    if error is None and script.exists():
        script.write_text("// The icons come from the font.\n")
    for name in UNUSED_MATHJAX:
        path = static / "mathjax" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for bundle in (static / "mathjax").glob("*-*.js"):
        bundle.unlink()
