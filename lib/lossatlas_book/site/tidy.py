"""A Sphinx extension: what Jupyter Book puts on every page and this book does not use is left out.

Thebe (running cells on a server elsewhere) is never offered, and its script declares its names twice, which
browsers report as an error. Font Awesome comes twice, as a 1.5 MB script and as the font that draws the same
icons; the font stays. Of MathJax's 24 MB the site keeps the parts that `_config.yml` loads. The search page
fetches an excerpt of every page it finds, which a page that was opened from disk may not do: there it shows
titles alone. Buttons for Binder and Colab lead nowhere without a repository.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

NO_EXCERPTS = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false'
UNUSED_MATHJAX = ("sre", "output/svg", "input/mml", "input/asciimath.js", "input/mml.js")


def setup(app: Sphinx) -> dict[str, bool]:
    """Take Thebe's callbacks away, and trim the files when the build is done."""
    for event in ("env-before-read-docs", "doctree-resolved"):
        for listener in list(app.events.listeners[event]):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)
    app.config.mathjax_path = "mathjax/startup.js"  # loads the components that _config.yml lists
    app.add_js_file(None, body=NO_EXCERPTS, priority=500)
    app.connect("config-inited", drop_dead_buttons)
    app.connect("build-finished", trim, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def drop_dead_buttons(app: Sphinx, config: Config) -> None:
    """Leave out launch buttons without a repository, and Colab's with one that it cannot open."""
    url = config.html_theme_options.get("repository_url", "")
    buttons = config.html_theme_options.get("launch_buttons", {})
    if "github.com/" not in url:
        buttons.pop("colab_url", None)
    if not url:
        buttons.pop("binderhub_url", None)


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
