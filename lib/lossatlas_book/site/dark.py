"""Pictures with a colour scale, for a dark page: what is drawn around the surfaces is light, on no paper."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy import ndimage

COLOURED = 24  # least difference of two channels in a colour of a scale
PALE = 4  # least difference of two channels in a colour that is not grey
LINES = 9  # pixels: lines that cross a surface are thinner
LIGHT = 222.0  # of text and axes


def on_dark(picture: bytes) -> bytes | None:
    """Return a picture on white paper as one for a dark ground, as lossless WebP with transparency.

    The surfaces, which are all regions in colour and what is drawn on them, stay as they are, because their colours
    are values. The paper becomes transparent, and black on it light.

    Parameters
    ----------
    picture : bytes
        A PNG of at most 256 colours, as figures are.

    Returns
    -------
    bytes or None
        None if surface and paper cannot be told apart, because the scale has colours that are almost grey.
    """
    with Image.open(io.BytesIO(picture)) as opened:
        indexed = opened if opened.mode == "P" else opened.convert("RGB").quantize(256)
        place = np.asarray(indexed)
        colours = np.asarray(indexed.getpalette("RGB"), dtype=float).reshape(-1, 3)
    difference = colours.max(axis=1) - colours.min(axis=1)
    surfaces = _regions((difference > COLOURED)[place])
    pale = (difference > PALE) & (difference <= COLOURED)
    if ndimage.grey_opening(pale[place].astype(np.uint8), LINES)[~surfaces].any():
        return None
    opaque = np.full((len(colours), 1), 255.0)
    tables = np.stack([_without_paper(colours), np.hstack([colours, opaque])]).round().clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(tables[surfaces.astype(int), place], "RGBA").save(buffer, "WEBP", lossless=True, method=2)
    return buffer.getvalue()


def _without_paper(colours: np.ndarray) -> np.ndarray:
    """Return colours on white as ink of some opacity, which is light where it was black."""
    opacity = 1 - colours.min(axis=1, keepdims=True) / 255
    covered = np.maximum(opacity, 1 / 255)
    ink = 255 - (255 - colours) / covered
    hue = np.ptp(colours, axis=1, keepdims=True) / 255 / covered  # 0 for black, 1 for a full colour
    return np.hstack([hue * ink + (1 - hue) * LIGHT, 255 * opacity])


def _regions(coloured: np.ndarray) -> np.ndarray:
    """Return the pixels of large coloured regions, with the lines and signs inside them."""
    padded = np.pad(coloured, LINES).astype(np.uint8)  # a margin, so that all of the paper is one region
    paper, _ = ndimage.label(ndimage.grey_closing(padded, LINES) == 0)
    filled = ndimage.grey_opening((paper != paper[0, 0]).astype(np.uint8), LINES)
    return filled[LINES:-LINES, LINES:-LINES].astype(bool)
