"""Landscapes as thumbnails that lead somewhere."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import xarray as xr

from lossatlas.scenes import renderer
from lossatlas.scenes.compose import scene

WIDTH = 360  # pixels of a thumbnail


@dataclass(frozen=True)
class Card:
    """One landscape: what it is called, where a click leads, and a line about it."""

    title: str
    href: str
    surface: xr.Dataset
    text: str = ""


@dataclass(frozen=True)
class Gallery:
    """Cards beside and below each other on a page."""

    cards: tuple[Card, ...]

    def _repr_html_(self) -> str:
        items = "\n".join(_item(card) for card in self.cards)
        return f'<ul class="la-gallery">\n{items}\n</ul>\n'


def gallery(cards: Sequence[Card]) -> Gallery:
    """Cards as a gallery. Raises ValueError where there are none."""
    if not cards:
        raise ValueError("cards: empty; expected at least one")
    return Gallery(tuple(cards))


def _item(card: Card) -> str:
    shown = scene(card.surface, title=card.title)
    size, picture = thumbnail(renderer.picture(shown.parts, pixel_ratio=1.0))
    data = base64.b64encode(picture).decode()
    text = f"<span>{html.escape(card.text)}</span>" if card.text else ""
    return (
        f'<li><a href="{html.escape(card.href)}"><img alt="{html.escape(shown.alt)}" width="{size[0]}" '
        f'height="{size[1]}" loading="lazy" src="data:image/webp;base64,{data}">'
        f"<strong>{html.escape(card.title)}</strong>{text}</a></li>"
    )


def thumbnail(picture: bytes) -> tuple[tuple[int, int], bytes]:
    """Return the size of a small copy of a picture and the copy, as WebP."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture))
    image = image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=4)
    return image.size, buffer.getvalue()
