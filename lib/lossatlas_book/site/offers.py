"""What pictures in an executed notebook carry inside becomes files of the site, for the page and to take away.

A figure carries its picture as text, and figures and scenes the files that they offer
(see `lossatlas.figures.attachments`).
"""

from __future__ import annotations

import base64
import io
import re
from hashlib import sha256
from pathlib import Path, PurePosixPath

from nbformat import NotebookNode

from .publish import html_outputs

FILES = PurePosixPath("_static/files")
TABLE = "results-of-this-page"  # where a page lists the results that its measures were taken on
CARRIED = re.compile(r'(?<= )(?P<where>src|href)="data:(?P<media>[\w.+/-]+);base64,(?P<data>[A-Za-z0-9+/=\s]+)"')
PICTURED = re.compile(r'<figure [^>]*class="la-(?:figure|scene)".*?</figure>', re.DOTALL)
OFFER = re.compile(r'(?P<links><div class="la-files">.*?)(?=<details>|</div>)(?P<rest>.*)', re.DOTALL)


def publish_files(notebook: NotebookNode, source: Path | str, *, page: str) -> None:
    """Move what else the HTML of an executed notebook carries into files, and offer each picture as PNG.

    The arguments are those of `publish_scenes`, which goes first. Pictures and files to take away go to
    `_static/files/NAME`, named as their link says or after their content. A picture whose numbers do not say how
    they were made (they were measured on many results) refers to the page's table of them.
    """
    from lossatlas._files import write_whole  # here, because the library takes seconds to import

    up = "../" * (len(PurePosixPath(page).parts) - 1)
    tables = any('class="la-provenance"' in text for _, _, text in html_outputs(notebook))

    def publish(match: re.Match[str]) -> str:
        content = base64.b64decode(match["data"])
        tag = match.string[match.string.rfind("<", 0, match.start()) : match.start()]
        named = re.search(r'download="([\w.+-]+)"', tag)
        name = named[1] if named else f"{sha256(content).hexdigest()[:12]}.{match['media'].rpartition('/')[2]}"
        write_whole(Path(source, FILES, name), content)
        return f'{match["where"]}="{up}{FILES}/{name}"'

    def offer(match: re.Match[str]) -> str:
        html = match[0]
        stem = re.search(r'download="([\w.+-]+)\.nc"', html)
        picture = re.search(r'<img [^>]*src="([^"]+)"', html)
        if not picture or "Picture (PNG)" in html:
            return html
        still = Path(source, picture[1].removeprefix(up))
        place, name = still, stem[1] if stem else still.stem
        if still.suffix != ".png":
            place = Path(source, FILES, f"{name}.png")
            write_whole(place, _as_png(still))
        address = f"{up}{place.relative_to(source).as_posix()}"
        link = f'<a download="{name}.png" href="{address}">Picture (PNG)</a> '
        if not stem:  # without numbers
            return html.replace("</figcaption>", f'<div class="la-files">{link}</div></figcaption>', 1)
        html = OFFER.sub(lambda found: found["links"] + link + found["rest"], html, count=1)
        if tables and "<dt>Stored as</dt>" not in html and "<dt>Computed</dt>" not in html:
            html = _with_fact(html, "Measured on", f'results <a href="#{TABLE}">listed below</a>')
        return html

    place = f'<span id="{TABLE}"></span>'
    for data, kind, text in html_outputs(notebook):
        text = PICTURED.sub(offer, CARRIED.sub(publish, text))
        if tables and 'class="la-provenance"' in text:
            text, place = place + text, ""
        data[kind] = text


def _with_fact(html: str, name: str, text: str) -> str:
    """The piece of a page with one more fact, which is HTML, of how its picture was made."""
    row = f"<dt>{name}</dt><dd>{text}</dd>"
    if "</dl></details>" in html:
        return html.replace("</dl></details>", f"{row}</dl></details>", 1)
    made = f"<details><summary>How it was made</summary><dl>{row}</dl></details>"
    return OFFER.sub(lambda found: f"{found['links']}{made}{found['rest']}", html, count=1)


def _as_png(picture: Path) -> bytes:
    """A picture on white, in all its colours."""
    from PIL import Image

    with Image.open(picture) as opened:
        shown = opened.convert("RGBA")
    white = Image.new("RGBA", shown.size, "white")
    white.alpha_composite(shown)
    buffer = io.BytesIO()
    white.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
