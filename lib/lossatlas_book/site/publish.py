"""From executed notebooks to the site: every scene becomes two files, and the viewer is there once.

In an executed notebook a scene carries its still picture and its 3-D data inside its own HTML (see
`lossatlas.scenes.web`). On the site both become files, so that a page is small and loads a scene only when it
is scrolled near. The data file is a script, because a page that is opened from disk may load scripts but may
not fetch anything else.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from nbformat import NotebookNode

from .viewer import VIEWER, publish_viewer  # noqa: F401

SCENES = PurePosixPath("_static/scenes")
FIGURE = re.compile(r'<figure class="la-scene" data-scene="(?P<id>[0-9a-f]{12})".*?</figure>', re.DOTALL)
STILL = re.compile(r'(?<=src=")data:image/webp;base64,(?P<still>[A-Za-z0-9+/=\s]+)(?=")')
DATA = re.compile(r'<script\b[^>]*class="la-data"[^>]*>(?P<data>[A-Za-z0-9+/=\s]*)</script>\s*')


def publish_scenes(notebook: NotebookNode, source: Path | str, *, page: str) -> list[str]:
    """Move the scenes of an executed notebook into files of the staged site, and refer to them instead.

    `notebook` is changed in place; write it to the staged sources afterwards. `source` is the folder whose
    `_static` becomes the site's: pictures go to `_static/scenes/ID.webp`, data to `_static/scenes/ID.js`.
    `page` is the page's place in the site, such as "book/depth.ipynb"; addresses are relative to it.

    Returns the ids of the scenes, in the order of the page. Scenes that were published before are left as
    they are. Raises ValueError for a scene that does not carry both of its parts.
    """
    from lossatlas._files import write_whole  # here, because the library takes seconds to import

    up = "../" * (len(PurePosixPath(page).parts) - 1)
    found: list[str] = []

    def publish(match: re.Match[str]) -> str:
        identity, html = match["id"], match[0]
        still, data = STILL.search(html), DATA.search(html)
        if not still or not data:
            raise ValueError(f"{page}: scene {identity} does not carry a picture and 3-D data inside")
        base = Path(source, SCENES, identity)
        try:
            picture = base64.b64decode(still["still"])
            script = base64.b64decode("".join(data["data"].split()), validate=True)
        except binascii.Error as error:
            raise ValueError(f"{page}: scene {identity} is damaged: {error}") from None
        write_whole(base.with_suffix(".webp"), picture)
        write_whole(base.with_suffix(".js"), script)
        found.append(identity)
        html = STILL.sub(f"{up}{SCENES}/{identity}.webp", html, count=1)
        html = html.replace("<figure ", f'<figure data-src="{up}{SCENES}/{identity}.js" ', 1)
        return DATA.sub("", html, count=1)

    for data, kind, text in html_outputs(notebook):
        data[kind] = FIGURE.sub(publish, text)
    return found


def html_outputs(notebook: NotebookNode) -> Iterator[tuple[dict, str, str]]:
    """Every HTML output: the dict that holds it, its kind there, and the text.

    A glued output carries the same HTML under a longer name of its kind.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in [kind for kind in data if kind.endswith("text/html")]:
                yield data, kind, data[kind] if isinstance(data[kind], str) else "".join(data[kind])
