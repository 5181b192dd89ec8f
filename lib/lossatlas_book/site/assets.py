"""From what executed notebooks show to the files of a site.

In an executed notebook, a figure stands as HTML and beside it as a bundle of plain data with its pictures and files
inside (see `lossatlas.figures.page`). On the site the pictures and files lie beside the page, so that a page is small
and loads a scene only when a reader scrolls near. The HTML is rendered again, from the same template.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nbformat import NotebookNode
from PIL import Image

from lossatlas._files import write_whole
from lossatlas.figures import page

from .dark import on_dark

FILES = PurePosixPath("_static/files")
RESULTS = "results-of-this-page"  # id of the table of the results that the page's measures were taken on
SUFFIXES = {"image/png": ".png", "image/webp": ".webp", "text/javascript": ".js"}
HIDDEN = {"remove-cell", "remove-output", "hide-output"}  # tags of cells whose outputs a page does not show


@dataclass(frozen=True)
class Shown:
    """A bundle in an executed notebook, and the output that holds it.

    A glued output holds the same kinds as a displayed one under longer names, which begin with `prefix`.
    """

    bundle: dict[str, Any]
    output: dict[str, Any]
    prefix: str
    visible: bool  # where it stands, and not only where it is glued

    def render(self) -> None:
        """Replace the output's HTML and bundle by the HTML of the bundle as it is now."""
        self.output.pop(self.prefix + page.MEDIA_TYPE, None)
        self.output[f"{self.prefix}text/html"] = page.render(self.bundle)


def shown(notebook: NotebookNode) -> list[Shown]:
    """Return every bundle of an executed notebook, in the order of the page."""
    found = []
    for cell in notebook.cells:
        hidden = HIDDEN & set(cell.metadata.get("tags", []))
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in [kind for kind in data if kind.endswith(page.MEDIA_TYPE)]:
                prefix = kind.removesuffix(page.MEDIA_TYPE)
                found.append(Shown(data[kind], data, prefix, visible=not prefix and not hidden))
    return found


def publish(notebook: NotebookNode, source: Path | str, *, address: str) -> list[Shown]:
    """Move the pictures and files of an executed notebook to files of the staged site, and refer to them.

    Every picture is offered as PNG. A picture whose numbers do not say how they were made (they were measured on many
    results) refers to the page's table of results. A scene gets an id at its first place, so that links lead to it.

    Parameters
    ----------
    notebook : NotebookNode
        Changed in place.
    source : path
        The folder whose `_static` becomes the site's; files go to `_static/files`.
    address : str
        The page's place in the site, such as "book/depth.ipynb"; the addresses of files are relative to it.

    Returns
    -------
    list of Shown
        What the page shows, its assets with their addresses.

    Raises
    ------
    ValueError
        If an asset is damaged.
    """
    up = "../" * (len(PurePosixPath(address).parts) - 1)
    found = shown(notebook)
    tables = [one.bundle for one in found if one.bundle.get("name") == "la-provenance"]
    for table in tables[:1]:
        table["place"] = RESULTS
    places: set[str] = set()
    for one in found:
        if one.visible:
            _add_places(one.bundle, places)
        for picture in _pictures(one.bundle):
            _complete(picture, measured=bool(tables))
        if one.bundle.get("ink") == "scale" and (dark := on_dark(page.content(one.bundle["picture"]))):
            one.bundle["dark"] = page.asset(dark, "image/webp")
        write_assets(one.bundle, source, up)
        if one.bundle["kind"] == "figure":
            _offer_picture(one.bundle)
        one.render()
    return found


def write_assets(bundle: Mapping[str, Any], source: Path | str, up: str) -> None:
    """Write every asset of a bundle to a file, and replace its data by the file's address."""
    for asset in page.assets(bundle):
        content = page.content(asset)
        name = Path(asset.get("name") or page.digest(content) + SUFFIXES[asset["media"]]).name
        write_whole(Path(source, FILES, name), content)
        del asset["data"]
        asset["src"] = f"{up}{FILES}/{name}"


def preview(found: Iterable[Shown]) -> dict[str, str]:
    """Return address and description of the first picture that a published page shows; nothing if it shows none."""
    for one in found:
        for picture in _pictures(one.bundle) if one.visible else ():
            files = [file for file in picture["files"] if file["media"] == "image/png"]
            about = picture.get("picture", picture)
            if files:
                return {"image": files[-1]["src"], "alt": about["alt"]}
    return {}


def light(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of an executed notebook with its pictures, and without what only the site shows or offers."""
    copy = deepcopy(notebook)
    for one in shown(copy):
        for picture in _pictures(one.bundle):
            picture["files"] = []
            if "script" in picture:
                picture["script"] = {}
        one.render()
    return copy


def _pictures(bundle: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield everything in a bundle that has a picture, a caption and files."""
    if bundle["kind"] == "figure":
        yield bundle  # type: ignore[misc]
    elif bundle["kind"] == "scenes":
        yield from bundle["scenes"]


def _add_places(bundle: Mapping[str, Any], places: set[str]) -> None:
    """Give every scene of a bundle an id that links lead to, unless the page has it already."""
    for scene in bundle.get("scenes", []):
        if scene["id"] not in places:
            scene["place"] = f"scene-{scene['id']}"
            places.add(scene["id"])


def _complete(picture: dict[str, Any], *, measured: bool) -> None:
    """Add a scene's picture as PNG, and where the numbers were measured if nothing else says that."""
    if picture["files"] and measured and not {"Stored as", "Computed"} & set(picture["made"]):
        picture["made"]["Measured on"] = {"text": "results listed below", "href": f"#{RESULTS}"}
    if "still" in picture:
        content = as_png(page.content(picture["still"]))
        stem = Path(picture["files"][0]["name"]).stem if picture["files"] else picture["id"]
        picture["files"].append(page.asset(content, "image/png", name=f"{stem}.png", text="Picture (PNG)"))


def _offer_picture(figure: dict[str, Any]) -> None:
    """Offer a figure's picture, a PNG that is written already, below it."""
    picture = figure["picture"]
    stem = Path(figure["files"][0]["name"] if figure["files"] else picture["src"]).stem
    figure["files"].append({**picture, "name": f"{stem}.png", "text": "Picture (PNG)"})


def as_png(picture: bytes) -> bytes:
    """Return a picture on white, in all its colours."""
    with Image.open(io.BytesIO(picture)) as opened:
        shown = opened.convert("RGBA")
    white = Image.new("RGBA", shown.size, "white")
    white.alpha_composite(shown)
    buffer = io.BytesIO()
    white.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
