"""Pictures one after another, as GIF and MP4."""

from __future__ import annotations

import io
from fractions import Fraction
from math import ceil

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw

from lossatlas.figures.colour_scale import BEYOND, ColourScale
from lossatlas.figures.theme import HOLE, INK, MAP

SHADES = 252  # of the scale; four more colours are those of EXTRA
EXTRA = (BEYOND, HOLE, "white", INK)
SIDE = 320  # pixels, about
BELOW = 24  # pixels of the line of text under a picture
LAST = 2  # seconds for which the last picture stays


def pictures(frames: list[np.ndarray], names: list[str], scale: ColourScale) -> list[Image.Image]:
    """Return heights (rows, columns) as coloured squares, with a line of text under each frame.

    Their sides have an even number of pixels, as video needs.
    """
    colours = [*mpl.colormaps[MAP](np.linspace(0, 1, SHADES))[:, :3], *map(to_rgb, EXTRA)]
    palette = (255 * np.array(colours)).round().astype(int).ravel().tolist()
    times = 2 * max(1, SIDE // max(frames[0].shape) // 2)
    drawn = []
    for heights, name in zip(frames, names, strict=True):
        shares = (heights - scale.low) / (scale.high - scale.low)
        index = (np.nan_to_num(shares).clip(0, 1) * (SHADES - 1)).round()
        index[shares > 1 + 1e-9] = SHADES
        index[~np.isfinite(shares)] = SHADES + 1
        pixels = np.kron(index.astype(np.uint8), np.ones((times, times), np.uint8))
        picture = Image.fromarray(np.pad(pixels, ((0, BELOW), (0, 0)), constant_values=SHADES + 2), "P")
        picture.putpalette(palette)
        pen = ImageDraw.Draw(picture)
        pen.fontmode = "1"
        pen.text((4, pixels.shape[0] + 4), name, fill=SHADES + 3, font_size=15)
        drawn.append(picture)
    return drawn


def gif(drawn: list[Image.Image], seconds: float) -> bytes:
    """Return pictures as an endless GIF; `seconds` for all, and `LAST` for the last."""
    lasting = [round(1000 * seconds / len(drawn))] * (len(drawn) - 1) + [1000 * LAST]
    buffer = io.BytesIO()
    drawn[0].save(buffer, "GIF", save_all=True, append_images=drawn[1:], duration=lasting, loop=0, optimize=False)
    return buffer.getvalue()


def mp4(drawn: list[Image.Image], seconds: float) -> bytes | None:
    """Return pictures as an H.264 video of the same length; None if `av` is not installed."""
    try:
        import av
    except ImportError:
        return None
    rate = Fraction(len(drawn) / seconds).limit_denominator(1000)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=rate, options={"crf": "16", "tune": "animation", "threads": "1"})
        stream.width, stream.height = drawn[0].size
        stream.pix_fmt = "yuv420p"
        for picture in [*drawn, *drawn[-1:] * ceil(LAST * rate)]:
            file.mux(stream.encode(av.VideoFrame.from_image(picture.convert("RGB"))))
        file.mux(stream.encode())
    return buffer.getvalue()
