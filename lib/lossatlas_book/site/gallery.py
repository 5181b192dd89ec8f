"""The gallery: every scene that a chapter shows, as a thumbnail that leads to it."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat

WIDTH = 360  # pixels of a thumbnail
THUMBNAILS = "_static/thumbnails"
FILTERS = {"Chapter": "chapter", "Dataset": "dataset", "Model": "model"}  # label and attribute
HIDDEN = {"remove-cell", "remove-output", "hide-output"}
SCENE = re.compile(r'<figure [^>]*class="la-scene".*?</figure>', re.DOTALL)
FACT = re.compile(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>")


@dataclass(frozen=True)
class Scene:
    """A scene on a page of the site: where it is, what it is called, its picture, and what is known about it."""

    chapter: str  # its title
    address: str
    title: str
    alt: str
    picture: Path
    facts: Mapping[str, str]


def find(notebook: nbformat.NotebookNode, name: str, *, book: Path) -> list[Scene]:
    """Name the places of the scenes that a published notebook shows, and return the scenes.

    `notebook` is changed in place, as by `publish.publish_scenes`, which goes first; `book` is the folder of pages.
    """
    heading = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    chapter = re.match(r"#\s+(.+)", heading)
    found: dict[str, Scene] = {}

    def place(match: re.Match[str]) -> str:
        figure = match[0]
        identity = re.search(r'data-scene="(\w+)"', figure)[1]
        if identity in found:
            return figure
        picture = re.search(r'<img [^>]*src="\.\./([^"]+)"', figure)[1]
        title = re.search(r"<figcaption><strong>(.*?)\.?</strong>", figure)
        found[identity] = Scene(
            chapter=chapter[1] if chapter else name,
            address=f"{name}.html#scene-{identity}",
            title=html.unescape(title[1]) if title else "",
            alt=html.unescape(re.search(r'alt="([^"]*)"', figure)[1]),
            picture=book / picture,
            facts={html.unescape(key): html.unescape(text) for key, text in FACT.findall(figure)},
        )
        return figure.replace("<figure ", f'<figure id="scene-{identity}" ', 1)

    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}) and not HIDDEN & set(cell.metadata.get("tags", [])):
                output.data["text/html"] = SCENE.sub(place, "".join(output.data["text/html"]))
    return list(found.values())


def page(scenes: Iterable[Scene], *, book: Path) -> str:
    """The gallery as a piece of a page in `book`; its thumbnails are written below the folder's `_static`."""
    scenes = list(scenes)
    if not scenes:
        return "<p>No chapter shows a scene yet.</p>\n"
    menus = []
    for label, key in FILTERS.items():
        values = dict.fromkeys(_value(scene, label) for scene in scenes)
        options = "".join(f'<option value="{html.escape(v)}">{html.escape(v)}</option>' for v in values if v)
        menus.append(
            f'<label>{label} <select data-filter="{key}"><option value="">all</option>{options}</select></label>'
        )
    items = "\n".join(_item(scene, book) for scene in scenes)
    return (
        f'<div class="la-filters" hidden>{"".join(menus)}<output role="status"></output></div>\n'
        f'<ul class="la-gallery">\n{items}\n</ul>\n<script src="../_static/gallery.js" defer></script>\n'
    )


def _value(scene: Scene, label: str) -> str:
    return scene.chapter if label == "Chapter" else scene.facts.get(label, "")


def _item(scene: Scene, book: Path) -> str:
    width, height, address = _thumbnail(scene.picture, book)
    values = {key: _value(scene, label) for label, key in FILTERS.items()}
    data = "".join(f' data-{key}="{html.escape(value)}"' for key, value in values.items())
    title = scene.title or scene.facts.get("Condition") or scene.chapter
    lines = ((values["dataset"], values["model"]), (values["chapter"], scene.facts.get("Evaluated on", "")))
    said = (html.escape(", ".join(part for part in line if part)) for line in lines)
    text = "".join(f"<span>{line}</span>" for line in said if line)
    return (
        f'<li{data}><a href="{html.escape(scene.address)}"><img alt="{html.escape(scene.alt)}" width="{width}" '
        f'height="{height}" loading="lazy" src="../{address}"><strong>{html.escape(title)}</strong>'
        f"{text}</a></li>"
    )


def _thumbnail(picture: Path, book: Path) -> tuple[int, int, str]:
    """A small copy of a picture: its size, and its address in the site."""
    from PIL import Image

    from lossatlas._files import write_whole

    with Image.open(picture) as opened:
        small = opened.resize((WIDTH, round(WIDTH * opened.height / opened.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80)
    address = f"{THUMBNAILS}/{picture.stem}.webp"
    write_whole(book / address, buffer.getvalue())
    return *small.size, address
