"""Maps cell by cell: the colours are those of the cells, and an animation holds every frame."""

import io
import sys

import av
import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.image import AxesImage
from PIL import Image

from lossatlas import figures
from lossatlas.figures.page import content
from lossatlas_book.site.dark import on_dark

BLACK = np.array([[True, False, False], [False, False, True]])
LOSSES = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 9.0]])  # alpha by beta: two rows, three columns
AXES = {"alpha": [-1.0, 0.0, 1.0], "beta": [-0.5, 0.5]}
SURFACE = xr.Dataset({"loss": (("alpha", "beta"), LOSSES)}, AXES)
FRAMES = xr.concat([SURFACE, SURFACE + 1, SURFACE * np.nan], "update").assign_coords(update=[0, 50, 100])


def shown(ax):
    (image,) = (child for child in ax.get_children() if isinstance(child, AxesImage))
    return image.get_array()


def test_cells_lie_as_in_the_picture():
    figure = figures.cell_maps({"asked for": BLACK, "found": SURFACE}, clim=(0, 4))
    asked, found = figure.axes[:2]
    assert (shown(asked) == ~BLACK).all()
    np.testing.assert_array_equal(shown(found), [[1, 3, 9], [0, 2, 4]])  # the largest beta on top
    assert "3 of them black" not in figure.alt and "2×3 cells, 2 of them black" in figure.alt
    assert "from 0 to 9, median 2.5" in figure.alt


def test_an_animation_has_a_frame_a_step_in_the_colours_of_its_cells():
    made = figures.animation(FRAMES, "update", clim=(0, 4), caption="Two steps")
    gif = Image.open(io.BytesIO(content(made.bundle["moving"])))
    assert gif.n_frames == 3
    colours, side = matplotlib.colormaps["viridis"], gif.size[0] // 3
    gif.seek(1)
    pixels = np.asarray(gif.convert("RGB")) / 255
    np.testing.assert_allclose(pixels[side // 2, side // 2], colours(2 / 4)[:3], atol=0.02)  # α = −1, β = 1/2
    np.testing.assert_allclose(pixels[side // 2, -side // 2], matplotlib.colors.to_rgb("#a3a3a3"), atol=0.01)
    page = made._repr_html_()
    assert "<summary>Play</summary>" in page and 'download="two-steps-' in page
    assert "3 frames, update 0 to update 100." in page


def test_a_video_shows_what_the_animation_shows():
    (file,) = (
        f for f in figures.animation(FRAMES, "update", clim=(0, 4), seconds=1.5).bundle["files"] if "MP4" in f["text"]
    )
    with av.open(io.BytesIO(content(file))) as video:
        frames = [frame.to_ndarray(format="rgb24") / 255 for frame in video.decode(video=0)]
        assert float(video.streams.video[0].average_rate) == 2
    assert len(frames) == 3 + 4  # three in 1.5 s, and the last one for two more seconds
    side = frames[0].shape[1] // 3
    np.testing.assert_allclose(frames[1][side // 2, side // 2], matplotlib.colormaps["viridis"](0.5)[:3], atol=0.03)
    np.testing.assert_allclose(
        frames[-1][side // 2, side // 2], matplotlib.colors.to_rgb(figures.theme.HOLE), atol=0.03
    )


def test_without_av_there_is_a_gif_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    made = figures.animation(FRAMES, "update")
    assert [f["name"].rpartition(".")[2] for f in made.bundle["files"]] == ["nc", "gif"]


def test_pictures_must_be_booleans():
    with pytest.raises(ValueError, match=r"maps\['b'\]: expected an xarray.Dataset, or an array"):
        figures.cell_maps({"a": SURFACE, "b": np.ones((2, 2))})


def test_black_cells_stay_dark_on_a_dark_page():
    picture = figures.theme.png(figures.cell_maps({"asked for": np.tile(BLACK, (4, 4)), "found": SURFACE}))
    dark = Image.open(io.BytesIO(on_dark(picture))).convert("RGBA")
    before = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    cell = (np.abs(before - [10, 10, 42]) < 4).all(axis=2)
    assert cell.sum() > 1000
    pixels = np.asarray(dark)[cell]
    assert (pixels[:, 3] == 255).mean() > 0.95 and np.median(pixels[:, :3].max(axis=1)) < 60
