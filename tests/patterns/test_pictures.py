import numpy as np
import pytest
from matplotlib.image import imsave
from scipy import ndimage

from lossatlas import patterns
from lossatlas.patterns.pictures import LARGEST


@pytest.mark.parametrize("name", patterns.SHAPES)
@pytest.mark.parametrize("size", [12, 31])
def test_every_shape_has_black_and_white_cells_and_the_ones_that_should_are_symmetric(name, size):
    cells = patterns.picture(name, size=size)
    assert cells.shape == (size, size) and 0.1 < cells.mean() < 0.7
    if name not in ("spiral", "checkerboard"):
        assert (cells == cells[:, ::-1]).mean() > 0.99


def test_text_is_drawn_upright():
    cells = patterns.picture("L", size=20)
    left, bottom = cells[:, : cells.shape[1] // 2], cells[cells.shape[0] // 2 :]
    assert left.sum() > cells.sum() / 2 and bottom.sum() > cells.sum() / 2
    wide = patterns.picture("HI", size=20)
    assert max(wide.shape) == 20
    assert not np.array_equal(patterns.picture("6", size=20), patterns.picture("9", size=20))


@pytest.mark.parametrize(("letter", "holes"), [("I", 0), ("O", 1), ("D", 1), ("B", 2), ("8", 2)])
def test_holes_of_letters_stay_white(letter, holes):
    cells = np.pad(patterns.picture(letter, size=40), 1)
    assert ndimage.label(~cells)[1] == 1 + holes


def test_a_file_is_resized_by_area_and_transparent_pixels_are_white(tmp_path):
    pixels = np.ones((40, 80, 4))
    pixels[:20, :40] = (0, 0, 0, 1)  # the upper left quarter is black
    pixels[20:, 40:] = (0, 0, 0, 0)  # the lower right is transparent
    imsave(tmp_path / "quarter.png", pixels)
    cells = patterns.picture(tmp_path / "quarter.png", size=16)
    expected = np.zeros((8, 16), bool)
    expected[:4, :8] = True
    assert np.array_equal(cells, expected) and np.array_equal(
        patterns.picture(str(tmp_path / "quarter.png"), size=16), expected
    )


def test_a_mask_has_its_share_and_its_seed():
    mask = patterns.random_mask(0.37, size=20, seed=1)
    assert mask.sum() == 148 and np.array_equal(mask, patterns.random_mask(0.37, size=20, seed=1))
    assert not np.array_equal(mask, patterns.random_mask(0.37, size=20, seed=2))
    assert patterns.random_mask(0.001, size=5).sum() == 1  # never of one colour alone


def test_pictures_may_have_the_largest_size():
    assert patterns.picture("heart", size=LARGEST).shape == (LARGEST, LARGEST)


def test_a_file_keeps_its_greys(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 40), (40, 1))
    imsave(tmp_path / "ramp.png", np.dstack([ramp] * 3))
    cells = patterns.picture(tmp_path / "ramp.png", size=8, grey=True)
    np.testing.assert_allclose(cells, np.tile(ramp[0].reshape(8, 5).mean(1), (8, 1)), atol=0.01)
