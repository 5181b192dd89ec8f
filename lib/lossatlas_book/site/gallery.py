"""The gallery: every scene that a chapter shows, as a thumbnail that leads to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossatlas.figures import page
from lossatlas.scenes.gallery import thumbnail

from .assets import Shown, write_assets

FILTERS = {"Chapter": "chapter", "Dataset": "dataset", "Model": "model"}  # label and key of each menu
UP = "../"  # from the gallery's page to the folder of the site


@dataclass(frozen=True)
class Scene:
    """A scene on a page of the site: the chapter that shows it, its address, and what the page knows about it."""

    chapter: str  # its title
    address: str
    about: Mapping[str, Any]  # the scene in its bundle
    picture: Path

    def value(self, label: str) -> str:
        """Return what a menu chooses the scene by."""
        return self.chapter if label == "Chapter" else self.about["made"].get(label, "")


def find(shown: Iterable[Shown], name: str, *, chapter: str, source: Path) -> list[Scene]:
    """Return the scenes that a published page shows, each at its first place.

    Parameters
    ----------
    shown : iterable of Shown
        What `assets.publish` returned for the page.
    name : str
        The name of the page; it lies beside the gallery.
    chapter : str
        The title of the page.
    source : path
        The folder whose `_static` becomes the site's.
    """
    return [
        Scene(chapter, f"{name}.html#{scene['place']}", scene, source / scene["still"]["src"].removeprefix(UP))
        for one in shown
        for scene in one.bundle.get("scenes", [])
        if "place" in scene
    ]


def render(scenes: Iterable[Scene], *, source: Path) -> str:
    """Return the gallery as a piece of a page, and write its thumbnails into the folder of the staged site."""
    scenes = list(scenes)
    if not scenes:
        return "<p>No chapter shows a scene yet.</p>\n"
    filters = [
        {"label": label, "key": key, "values": [*filter(None, dict.fromkeys(scene.value(label) for scene in scenes))]}
        for label, key in FILTERS.items()
    ]
    return of_cards([_card(scene) for scene in scenes], source=source, filters=filters)


def of_cards(cards: Iterable[Mapping[str, Any]], *, source: Path, filters: Iterable[Mapping[str, Any]] = ()) -> str:
    """Return cards as a piece of a page, and write their thumbnails into the folder of the staged site."""
    bundle = {"kind": "gallery", "filters": list(filters), "cards": list(cards)}
    if bundle["filters"]:
        bundle["script"] = f"{UP}_static/gallery.js"
    write_assets(bundle, source, UP)
    return page.render(bundle)


def cover(scene: Scene, href: str, title: str, text: str) -> dict[str, Any]:
    """Return a card with the picture of a scene that stands for something else, such as its chapter."""
    picture = thumbnail(scene.picture.read_bytes(), alt=scene.about["alt"])
    return {"title": title, "href": href, "lines": [text], "filters": {}, "thumbnail": picture}


def _card(scene: Scene) -> dict[str, Any]:
    made = scene.about["made"]
    lines = ((made.get("Dataset"), made.get("Model")), (scene.chapter, made.get("Evaluated on")))
    return {
        "title": scene.about["title"] or made.get("Condition") or scene.chapter,
        "href": scene.address,
        "lines": [text for line in lines if (text := ", ".join(filter(None, line)))],
        "filters": {key: scene.value(label) for label, key in FILTERS.items()},
        "thumbnail": thumbnail(scene.picture.read_bytes(), alt=scene.about["alt"]),
    }
