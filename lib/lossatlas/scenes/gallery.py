"""A gallery: surfaces as thumbnails that lead somewhere."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from lossatlas.figures import page
from lossatlas.figures.page import Bundle
from lossatlas.scenes import renderer
from lossatlas.scenes.compose import scene

WIDTH = 360  # pixels of a thumbnail


@dataclass(frozen=True)
class Card:
    """One surface of a gallery: its title, where a click leads, and a line about it."""

    title: str
    href: str
    surface: xr.Dataset
    text: str = ""


@dataclass(frozen=True)
class Gallery:
    """Cards beside and below each other on a page."""

    cards: tuple[Card, ...]

    def bundle(self) -> Bundle:
        """Return the gallery as plain data (see `lossatlas.figures.page`)."""
        return {"kind": "gallery", "filters": [], "cards": [_card(card) for card in self.cards]}

    def _repr_html_(self) -> str:
        return page.render(self.bundle())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return page.mimebundle(self.bundle())


def gallery(cards: Sequence[Card]) -> Gallery:
    """Return cards as a gallery. Raises ValueError if there are none."""
    if not cards:
        raise ValueError("cards: empty; expected at least one")
    return Gallery(tuple(cards))


def _card(card: Card) -> Bundle:
    shown = scene(card.surface, title=card.title)
    return {
        "title": card.title,
        "href": card.href,
        "lines": [card.text] if card.text else [],
        "filters": {},
        "thumbnail": thumbnail(renderer.still(shown.parts, pixel_ratio=1.0), alt=shown.alt),
    }


def thumbnail(picture: bytes, *, alt: str) -> Bundle:
    """Return a small copy of a picture as an asset of a bundle, in WebP."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture))
    small = image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80, method=4)
    return page.asset(buffer.getvalue(), "image/webp", width=small.width, height=small.height, alt=alt)
