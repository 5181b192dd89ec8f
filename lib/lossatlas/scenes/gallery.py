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
from lossatlas.scenes.frame import grids_of

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
    """Return cards as a gallery.

    Raises
    ------
    ValueError
        If there are no cards, or one of them holds no surface that can be drawn.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> axis = np.linspace(-1, 1, 11)
    >>> losses = 0.1 + axis[:, None] ** 2 + axis**2
    >>> bowl = xr.Dataset({"loss": (("alpha", "beta"), losses)}, {"alpha": axis, "beta": axis})
    >>> [card.title for card in gallery([Card("A bowl", "bowl.html", bowl)]).cards]
    ['A bowl']
    """
    if not isinstance(cards, Sequence) or isinstance(cards, str) or not cards:
        raise ValueError(f"cards={cards!r}; expected a list of one or more cards")
    for number, card in enumerate(cards):
        if not isinstance(card, Card):
            raise ValueError(f"cards[{number}] is a {type(card).__name__}; expected a Card")
        grids_of([card.surface], "loss", "log")
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
