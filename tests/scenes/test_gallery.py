"""Thumbnails that lead somewhere."""

import base64
import io
import re

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from lossatlas.scenes.gallery import WIDTH, Card, gallery


def bowl() -> xr.Dataset:
    axis = np.linspace(-1, 1, 11)
    return xr.Dataset({"loss": (("alpha", "beta"), axis[:, None] ** 2 + axis**2)}, {"alpha": axis, "beta": axis})


def test_a_card_shows_its_landscape_and_leads_to_its_page():
    page = gallery([Card("A <bowl>", "depth.html?a=1&b=2", bowl(), "round"), Card("B", "b.html", bowl())])._repr_html_()
    assert re.findall(r'href="([^"]*)"', page) == ["depth.html?a=1&amp;b=2", "b.html"]
    assert "A &lt;bowl&gt;" in page and "<span>round</span>" in page and page.count("<span>") == 1
    alts = re.findall(r'alt="([^"]*)"', page)
    assert len(alts) == 2 and all(len(alt) > 20 for alt in alts)
    picture = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])))
    assert picture.format == "WEBP" and picture.width == WIDTH and len(picture.getcolors(10**6)) > 100


@pytest.mark.parametrize(
    ("message", "cards"),
    [
        (r"cards=\[\]", []),
        ("cards=None", None),
        ("cards='A'", "A"),
        (r"cards\[1\] is a str", [Card("A", "a.html", bowl()), "B"]),
        ("surface is a NoneType", [Card("A", "a.html", None)]),
    ],
)
def test_wrong_cards_are_refused_before_anything_is_drawn(message, cards):
    with pytest.raises(ValueError, match=message):
        gallery(cards)
