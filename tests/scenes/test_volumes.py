"""Volumes against formulas: where isosurfaces and slices lie, their colours, and the size of their files."""

import base64

import numpy as np
import pytest
import xarray as xr
from matplotlib import colormaps
from scipy import ndimage

from lossatlas import scenes
from lossatlas.scenes.renderer import BOX_HEIGHT, COLOURS

NAMES = ("alpha", "beta", "gamma")


def volume_of(formula, points=25, reach=1.0):
    axis = np.linspace(-reach, reach, points)
    return xr.Dataset(
        {"loss": (NAMES, formula(*np.meshgrid(axis, axis, axis, indexing="ij")))}, dict.fromkeys(NAMES, axis)
    )


def bowl(a, b, c):
    return 1 + a**2 + b**2 + c**2


def of_role(volume, role):
    return [part for part in volume.parts if part.role == role]


def unboxed(points):
    """Alpha, beta and gamma of points of the box, for axes from −1 to 1."""
    return 2 * points[:, 0], 2 * points[:, 1], 2 * points[:, 2] / BOX_HEIGHT - 1


def test_isosurfaces_run_where_the_volume_has_their_levels():
    shown = scenes.volume(volume_of(bowl), scale="linear", levels=3, slices=False)
    surfaces = of_role(shown, "isosurface")
    assert len(surfaces) == 3
    for part, level in zip(surfaces, (1.75, 2.5, 3.25), strict=True):
        np.testing.assert_allclose(bowl(*unboxed(part.mesh.points)), level, atol=0.03)
        assert part.style["opacity"] < 1
    assert "Isosurfaces of the loss at 1.75, 2.5 and 3.25." in shown.caption


def test_slices_lie_at_zero_and_have_the_colours_of_their_values():
    shown = scenes.volume(volume_of(bowl), scale="linear", levels=0)
    slices = of_role(shown, "slice")
    assert len(slices) == 3 and not of_role(shown, "isosurface")
    for across, part in enumerate(slices):
        places = unboxed(part.mesh.points)
        np.testing.assert_allclose(places[across], 0, atol=0.002)
        expected = colormaps[COLOURS]((bowl(*places) - 1) / 3, bytes=True)[:, :3].astype(int)
        assert np.abs(expected - part.mesh.point_data["colour"].astype(int)).max() <= 4


def test_a_point_without_a_value_cuts_a_hole():
    holed = volume_of(bowl)
    holed.loss[12, 12, 12] = np.nan
    for part in of_role(scenes.volume(holed, levels=0), "slice"):
        near = np.linalg.norm(np.stack(unboxed(part.mesh.cell_centers().points), axis=1), axis=1)
        assert part.mesh.n_cells and (near > 0.02).all()
    assert "1 points" not in scenes.volume(holed).alt and "1 point is not finite" in scenes.volume(holed).alt


def test_an_axis_without_zero_is_cut_in_its_middle():
    aside = volume_of(bowl).assign_coords(gamma=np.linspace(2, 4, 25))
    assert "γ = 3" in scenes.volume(aside).caption


@pytest.mark.parametrize(("points", "width"), [(31, 0), (61, 0), (41, 2)])
def test_even_noise_takes_at_most_350_kilobytes(points, width):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(points,) * 3), width)
    shown = scenes.volume(volume_of(lambda a, b, c: 5 + 0 * a + noise, points))
    script = base64.b64decode(shown.bundle()["script"]["data"])
    assert 50_000 < len(script) < 350_000
    assert shown.caption.startswith("Isosurface") and "points a side" in shown.caption
    assert len(of_role(shown, "isosurface")) >= (3 if width else 1)
    assert shown.vtksz() == shown.vtksz()


def test_a_page_shows_the_axes_the_bar_and_no_readings():
    bundle = scenes.volume(volume_of(bowl), title="A bowl").bundle()
    assert {label["text"] for label in bundle["labels"] if label["name"]} == {"α", "β", "γ"}
    assert bundle["bar"]["ticks"] and all(
        tick["scale"] is None and not tick["hidden"] for tick in bundle["bar"]["ticks"]
    )
    assert bundle["about"]["parts"].keys() == {"isosurface", "slice", "walls"}
    assert 'class="la-scene"' in scenes.volume(volume_of(bowl))._repr_html_()


def test_red_is_high_and_blue_is_low_on_isosurfaces():
    low, _, high = (part.style["color"] for part in of_role(scenes.volume(volume_of(bowl)), "isosurface"))
    assert int(low[5:], 16) > int(low[1:3], 16) and int(high[1:3], 16) > int(high[5:], 16)
