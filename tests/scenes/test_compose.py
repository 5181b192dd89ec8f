"""Scenes against formulas, VTK's own projection, and files read back by PyVista."""

from __future__ import annotations

import base64
import ctypes.util
import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile

import html5lib
import nbformat
import numpy as np
import pytest
import pyvista as pv
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lossatlas import scenes
from lossatlas.figures import page
from lossatlas.scenes import renderer
from lossatlas.scenes.gallery import Card, gallery
from lossatlas.scenes.parts import LINES
from lossatlas.scenes.renderer import BOX_HEIGHT, CLIPPED
from lossatlas_book.site import assets

FINE = 2.0**-11  # positions are rounded to multiples of 2^-12


def surface(formula, points=21, reach=1.0, **variables) -> xr.Dataset:
    """A surface with the values of a formula of alpha and beta."""
    axis = np.linspace(-reach, reach, points)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    named = {"loss": formula(a, b)} | {name: values(a, b) for name, values in variables.items()}
    return xr.Dataset(
        {name: (("alpha", "beta"), values) for name, values in named.items()},
        coords={"alpha": axis, "beta": axis},
    )


def bowl(a, b):
    return 0.1 + 3 * a**2 + 2 * b**2


def wavy(a, b):
    return bowl(a, b) + np.sin(7 * a) * np.cos(5 * b) + 2


def parts(scene, kind):
    """Meshes of a scene: "surface", "plateau", "lines", "path" or "walls"."""
    tests = {
        "surface": lambda part: part.coloured,
        "plateau": lambda part: part.style.get("color") == CLIPPED,
        "lines": lambda part: part.style.get("color") == "#1f1f1f",
        "path": lambda part: part.style.get("color") == "#ffd21f",
        "walls": lambda part: "culling" in part.style,
    }
    return [part.mesh for part in scene.parts if tests[kind](part)]


def area_from_above(mesh) -> float:
    triangles = mesh.triangulate().faces.reshape(-1, 4)[:, 1:]
    a, b, c = (np.asarray(mesh.points, dtype=float)[triangles[:, i], :2] for i in range(3))
    (x1, y1), (x2, y2) = (b - a).T, (c - a).T
    return float(np.abs(x1 * y2 - x2 * y1).sum() / 2)


def picture(data: bytes, ground="white") -> np.ndarray:
    """A picture on a ground of one colour, as floats (height, width, 3)."""
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    under = Image.new("RGBA", image.size, ground)
    under.alpha_composite(image)
    return np.asarray(under.convert("RGB"), dtype=float)


def index(data: bytes) -> dict:
    return json.loads(zipfile.ZipFile(io.BytesIO(data)).read("index.json"))


# ---- the surface


def test_a_cubic_surface_is_drawn_exactly_between_its_points():
    def cubic(a, b):  # it rises everywhere along both axes, so that no value leaves the range of its cell's corners
        return 4 + a**3 + 2 * a + b**3 / 2 + b + a * b / 2

    scene = scenes.scene(surface(cubic, points=9), height="linear")
    (mesh,) = parts(scene, "surface")
    assert mesh.n_points == 97**2  # 8 cells, each divided by 12
    x, y, z = np.asarray(mesh.points, dtype=float).T
    values = cubic(2 * x, 2 * y)
    low, high = cubic(-1, -1), cubic(1, 1)
    assert (scene.frame.low, scene.frame.high) == pytest.approx((low, high))
    np.testing.assert_allclose(z, BOX_HEIGHT * (values - low) / (high - low), atol=4 * FINE)


@pytest.mark.parametrize("height", ["log", "linear"])
def test_every_point_of_the_grid_is_on_the_mesh_at_its_height(height):
    given_surface = surface(wavy, points=13)
    scene = scenes.scene(given_surface, height=height, clip=1e9)
    (mesh,) = parts(scene, "surface")
    values = given_surface.loss.to_numpy()
    heights = np.log10(values) if height == "log" else values
    expected = BOX_HEIGHT * (heights - heights.min()) / (heights.max() - heights.min())
    for i, x in enumerate(np.linspace(-0.5, 0.5, 13)):
        for j, y in enumerate(np.linspace(-0.5, 0.5, 13)):
            away = np.abs(np.asarray(mesh.points[:, :2]) - [x, y]).max(axis=1)
            nearest = np.argmin(away)
            assert away[nearest] < FINE
            assert mesh.points[nearest, 2] == pytest.approx(expected[i, j], abs=FINE)


def test_the_dimensions_may_come_in_either_order_and_the_axes_are_not_exchanged():
    tilted = surface(lambda a, b: 1 + a + 0 * b, points=7)
    scene = scenes.scene(tilted.transpose("beta", "alpha"), height="linear")
    (mesh,) = parts(scene, "surface")
    np.testing.assert_allclose(mesh.points[:, 2], BOX_HEIGHT * (mesh.points[:, 0] + 0.5), atol=FINE)


def test_normals_are_those_of_the_surface():
    scene = scenes.scene(surface(lambda a, b: a + 2 * b, points=5), height="linear")
    (mesh,) = parts(scene, "surface")
    # In the box: z = BOX_HEIGHT * (2x + 4y + 3) / 6.
    normal = np.array([-BOX_HEIGHT / 3, -2 * BOX_HEIGHT / 3, 1.0])
    expected = np.tile(normal / np.linalg.norm(normal), (mesh.n_points, 1))
    np.testing.assert_allclose(mesh.point_data.active_normals, expected, atol=2**-6)


def test_a_clipped_paraboloid_has_a_flat_plateau_outside_the_circle():
    def parabola(a, b):
        return a**2 + b**2

    scene = scenes.scene(surface(parabola, points=41), height="linear", clip=1.0)
    (plateau,), (rest,) = parts(scene, "plateau"), parts(scene, "surface")
    assert np.allclose(plateau.points[:, 2], BOX_HEIGHT, atol=FINE)
    assert np.linalg.norm(2 * plateau.points[:, :2], axis=1).min() == pytest.approx(1, abs=0.01)
    assert np.linalg.norm(2 * rest.points[:, :2], axis=1).max() == pytest.approx(1, abs=0.01)
    assert area_from_above(plateau) == pytest.approx(1 - np.pi / 4, abs=0.002)
    assert area_from_above(rest) == pytest.approx(np.pi / 4, abs=0.002)
    axis = np.linspace(-1, 1, 41)
    share = np.mean([[a**2 + b**2 > 1 for a in axis] for b in axis])
    assert scene.clipped == pytest.approx(share)
    assert f"clipped at 1 ({100 * share:.0f}\u00a0% of the grid)" in scene.caption


def test_the_default_clip_leaves_a_paraboloid_whole_and_cuts_walls_where_it_says():
    assert scenes.scene(surface(lambda a, b: a**2 + b**2), height="linear").frame.clip is None
    walls = surface(lambda a, b: 0.5 + a**8 + 50 * b**8)
    scene = scenes.scene(walls, height="linear")
    assert scene.frame.clip == pytest.approx(0.5 + 4 * (np.median(walls.loss) - 0.5))
    assert scene.clipped == pytest.approx(float((walls.loss > scene.frame.clip).mean()))


def test_cells_around_points_that_are_not_finite_are_holes():
    broken = surface(bowl, points=21)
    broken.loss[5, 7] = np.nan  # four cells
    broken.loss[0, 0] = np.inf  # one
    broken.loss[10, 20] = -np.inf  # two
    scene = scenes.scene(broken, height="linear")
    (mesh,) = parts(scene, "surface")
    assert area_from_above(mesh) == pytest.approx(1 - 7 / 400, abs=1e-3)
    centre = np.array([5 / 20, 7 / 20]) - 0.5
    used = np.unique(mesh.triangulate().faces.reshape(-1, 4)[:, 1:])
    assert np.abs(mesh.points[used, :2] - centre).max(axis=1).min() == pytest.approx(1 / 20, abs=FINE)
    assert "3 points of the grid without a finite value" in scene.caption


def test_a_surface_at_or_below_zero_is_drawn_whole_and_says_on_which_scale():
    """Energies that fall to -3, and the symmetric logarithm by its formula on a surface over many decades."""
    low = surface(lambda a, b: -3 + 5 * a**2 + 4 * b**2, points=21)
    scene = scenes.scene(low)
    assert (
        scene.frame.scale == "linear"
        and scene.frame.low == -3
        and scene.bundle()["bar"]["name"] == ("loss (linear scale)")
    )
    assert "are at or below 0 and have no logarithm, so the scale is linear" in scene.caption
    assert scene.frame.switched() is None and len(scene.bundle()["about"]["scales"]) == 1

    steep = surface(lambda a, b: -0.4 + 1000 * a**4 + b**2, points=21)
    scene = scenes.scene(steep, clip=1e9)
    (mesh,) = parts(scene, "surface")
    threshold = scene.frame.transform.threshold
    formula = np.sign(steep.loss) * np.log10(1 + abs(steep.loss) / threshold)
    expected = (BOX_HEIGHT * (formula - formula.min()) / (formula.max() - formula.min())).to_numpy()
    for i, j in np.ndindex(21, 21):
        away = np.abs(np.asarray(mesh.points[:, :2]) - [i / 20 - 0.5, j / 20 - 0.5]).max(axis=1)
        assert mesh.points[np.argmin(away), 2] == pytest.approx(expected[i, j], abs=FINE)
    assert scene.frame.scale == "symlog" and scene.clipped == 0
    assert "symmetric logarithm" in scene.caption and "symmetric logarithmic scale" in scene.alt
    bundle = scene.bundle()
    assert bundle["bar"]["name"] == "loss (symmetric log scale)" and bundle["about"]["scales"] == ["symlog", "linear"]
    other = scene.frame.switched()
    assert (other.low, other.high) == pytest.approx((-0.4, 1000.6))
    both = scenes.compare({"steep": steep, "positive": surface(bowl)})
    assert {one.frame.scale for one in both} == {"symlog"}  # one scale for all


def test_contour_lines_lie_at_equal_steps_of_the_height():
    scene = scenes.scene(surface(bowl), height="linear", contours=4, clip=100)
    (lines,) = parts(scene, "lines")
    share = np.asarray(lines.points[:, 2]) / BOX_HEIGHT * 5
    assert np.abs(share - np.round(share)).max() < 0.03  # the tube's radius
    assert set(np.round(share)) == {1, 2, 3, 4}
    assert not parts(scenes.scene(surface(bowl), contours=0, clip=100), "lines")


def test_a_flat_surface_and_a_grid_of_four_points_are_drawn():
    flat = scenes.scene(surface(lambda a, b: 0 * a + 2, points=2))
    (mesh,) = parts(flat, "surface")
    assert np.allclose(mesh.points[:, 2], 0)
    assert not parts(flat, "lines")


def test_a_large_grid_is_thinned_to_the_resolution():
    (mesh,) = parts(scenes.scene(surface(bowl, points=301), clip=100), "surface")
    assert mesh.n_points == 101**2


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(2, 6),
    columns=st.integers(2, 6),
    height=st.sampled_from(["log", "linear"]),
    data=st.data(),
)
def test_whatever_the_values_the_scene_stays_in_its_box(rows, columns, height, data):
    number = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e300]))
    values = data.draw(st.lists(number, min_size=rows * columns, max_size=rows * columns))
    grid = xr.Dataset(
        {"loss": (("alpha", "beta"), np.reshape(values, (rows, columns)))},
        coords={"alpha": np.cumsum(np.arange(1.0, rows + 1)), "beta": np.arange(float(columns))},
    )
    try:
        scene = scenes.scene(grid, height=height, resolution=9)
    except ValueError as error:
        assert "nothing to draw" in str(error)
        return
    for kind in ("surface", "plateau"):
        for mesh in parts(scene, kind):
            assert np.isfinite(mesh.points).all()
            assert (np.abs(mesh.points[:, :2]) <= 0.5).all()
            assert (mesh.points[:, 2] >= 0).all()
            assert (mesh.points[:, 2] <= BOX_HEIGHT + FINE).all()
    known = np.array(values)[np.isfinite(values)]
    highest = scene.frame.level(scene.frame.high)
    close = np.isclose(known, highest, rtol=1e-9, atol=0).sum() / len(values)  # rounding decides about these
    assert (known > highest).sum() / len(values) == pytest.approx(scene.clipped, abs=close + 1e-12)
    assert not (known < scene.frame.level(scene.frame.low) - 1e-9 * np.abs(known).max()).any()


# ---- the path


def test_a_path_lies_just_above_the_surface_from_its_first_to_its_last_step():
    t = np.linspace(0, 1, 12)
    path = xr.Dataset({"alpha": ("step", 0.9 - 0.9 * t), "beta": ("step", 0.8 * (1 - t) ** 2)})
    data = surface(bowl)
    scene = scenes.scene(data, height="linear", clip=100, path=path)
    tube, ball = parts(scene, "path")
    assert ball.center == pytest.approx((0, 0, 0.006), abs=0.002)
    x, y, z = np.asarray(tube.points, dtype=float).T
    on_surface = BOX_HEIGHT * (bowl(2 * x, 2 * y) - 0.1) / 5
    assert np.abs(z - on_surface - 0.006).max() < 0.02
    assert np.abs(2 * x - 0.9).min() < 0.02
    assert "the path, 12 points;" in scene.caption


def test_steps_off_the_grid_are_left_out_and_counted():
    path = xr.Dataset(
        {
            "alpha": ("step", [-0.5, -0.5, 0.0, 3.0, 0.5, np.nan, 2.0]),
            "beta": ("step", [0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0]),
        }
    )
    scene = scenes.scene(surface(bowl), path=path)
    drawn = parts(scene, "path")
    assert len(drawn) == 2  # out, and back in again; no ball, because the end is not on the grid
    assert all(np.abs(mesh.points[:, :2]).max() < 0.52 for mesh in drawn)
    assert "3 of them off the grid" in scene.caption
    with pytest.raises(ValueError, match="no beta"):
        scenes.scene(surface(bowl), path=path.drop_vars("beta"))


def test_a_path_that_stands_still_is_a_ball():
    still = xr.Dataset({"alpha": ("step", [0.2] * 3), "beta": ("step", [0.1] * 3)})
    (ball,) = parts(scenes.scene(surface(bowl), path=still), "path")
    assert ball.center[:2] == pytest.approx((0.1, 0.05), abs=0.002)


# ---- scenes to be compared


def test_compared_scenes_share_box_colours_and_camera():
    low, high = surface(bowl), surface(lambda a, b: 10 * bowl(a, b))
    row = scenes.compare({"low": low, "high": high}, height="linear", clip=40.0)
    assert [scene.title for scene in row] == ["low", "high"]
    assert row[0].frame == row[1].frame
    assert row[0].frame.low == pytest.approx(0.1)
    assert row[0].frame.high == pytest.approx(40)
    (first,), (second,) = parts(row[0], "surface"), parts(row[1], "surface")
    # One height scale: the second surface is ten times as high wherever it is not cut.
    assert first.points[:, 2].max() == pytest.approx(BOX_HEIGHT * 5 / 39.9, abs=FINE)
    assert parts(row[1], "plateau")
    assert not parts(row[0], "plateau")
    # One colour scale: the same height has the same colour.
    colours = {}
    for mesh in (first, second):
        for height, colour in zip(np.round(mesh.points[:, 2], 3), mesh["colour"].astype(int), strict=True):
            assert np.abs(colours.setdefault(height, colour) - colour).max() <= 8
    cameras = [find(index(scene.vtksz())["scene"], "vtkOpenGLCamera") for scene in row]
    assert cameras[0]["properties"] == cameras[1]["properties"]
    assert row._repr_html_().startswith('<div class="la-controls"></div>\n<div class="la-scenes">')
    assert [one["title"] for one in row._repr_mimebundle_()[page.MEDIA_TYPE]["scenes"]] == ["low", "high"]
    assert row._repr_html_().count("la-controls") == 1
    assert row._repr_html_().count("<figure") == 2


def find(instance: dict, kind: str) -> dict | None:
    if instance["type"] == kind:
        return instance
    return next(filter(None, (find(child, kind) for child in instance.get("dependencies", []))), None)


def test_clim_sets_the_box():
    scene = scenes.scene(surface(bowl), clim=(0.2, 2.0), height="log")
    assert (scene.frame.low, scene.frame.high) == pytest.approx((np.log10(0.2), np.log10(2)))
    assert scene.frame.clip == pytest.approx(np.log10(2))
    assert "Lower values drawn at 0.2" in scene.caption
    roomy = scenes.scene(surface(bowl), clim=(0.01, 100))
    assert roomy.frame.clip is None
    assert parts(roomy, "surface")[0].points[:, 2].max() < BOX_HEIGHT * 0.7


WRONG = {  # of every public function: what is said, and the call
    "scene": [
        ("surface is a NoneType; expected an xarray.Dataset", lambda data: scenes.scene(None)),
        ("surface is a DataArray; expected an xarray.Dataset", lambda data: scenes.scene(data.loss)),
        ("variable='acc'.*'loss'", lambda data: scenes.scene(data, variable="acc")),
        ("variable=None", lambda data: scenes.scene(data, variable=None)),
        ("height='cubic'.*'log', 'linear'", lambda data: scenes.scene(data, height="cubic")),
        (r"height=\['log'\]", lambda data: scenes.scene(data, height=["log"])),
        (r"dimensions \('alpha',\)", lambda data: scenes.scene(data.isel(beta=0, drop=True))),
        ("alpha.*increasing", lambda data: scenes.scene(data.assign_coords(alpha=data.alpha[::-1]))),
        ("no finite value", lambda data: scenes.scene(data * np.nan)),
        ("clip=0.01.*0.1", lambda data: scenes.scene(data, clip=0.01)),
        ("clip=-1.*positive", lambda data: scenes.scene(data, clip=-1)),
        ("clip=nan", lambda data: scenes.scene(data, clip=np.nan)),
        ("clip='high'", lambda data: scenes.scene(data, clip="high")),
        (r"clim=\(3, 1\)", lambda data: scenes.scene(data, clim=(3, 1))),
        (r"clim=3:", lambda data: scenes.scene(data, clim=3)),
        ("clip=1 beside clim", lambda data: scenes.scene(data, clip=1, clim=(0.1, 3))),
        ("contours=-1", lambda data: scenes.scene(data, contours=-1)),
        (r"contours=\[1, 2\]", lambda data: scenes.scene(data, contours=[1, 2])),
        ("contours=2.5", lambda data: scenes.scene(data, contours=2.5)),
        ("resolution=1", lambda data: scenes.scene(data, resolution=1)),
        ("resolution=None", lambda data: scenes.scene(data, resolution=None)),
        ("path is a str", lambda data: scenes.scene(data, path="path.nc")),
        ("path is a list", lambda data: scenes.scene(data, path=[[0, 0], [1, 1]])),
        ("path: alpha has dimensions .*expected a trajectory", lambda data: scenes.scene(data, path=data)),
        ("path has no beta", lambda data: scenes.scene(data, path=data.drop_vars("beta"))),
        ("minima=-1", lambda data: scenes.scene(data, minima=-1)),
        ("minima=1.5", lambda data: scenes.scene(data, minima=1.5)),
        ("title=3", lambda data: scenes.scene(data, title=3)),
        ("alt=3", lambda data: scenes.scene(data, alt=3)),
    ],
    "compare": [
        ("surfaces is empty", lambda data: scenes.compare({})),
        ("surfaces is a list; expected a mapping", lambda data: scenes.compare([data])),
        ("surfaces is a Dataset; expected a mapping", lambda data: scenes.compare(data)),
        ("surfaces is a NoneType", lambda data: scenes.compare(None)),
        ("title 0", lambda data: scenes.compare({0: data})),
        ("surface is a NoneType", lambda data: scenes.compare({"a": None})),
        ("titles \\['b'\\]", lambda data: scenes.compare({"a": data}, paths={"b": data})),
        (r"paths\['a'\]: alpha", lambda data: scenes.compare({"a": data}, paths={"a": data})),
        ("paths is a list", lambda data: scenes.compare({"a": data}, paths=[data])),
        ("contours=True", lambda data: scenes.compare({"a": data}, contours=True)),
        ("resolution=0", lambda data: scenes.compare({"a": data}, resolution=0)),
    ],
    "export": [
        ("'x.vtu'.*.vtp, .vts", lambda data: scenes.export(data, "x.vtu")),
        ("path=None", lambda data: scenes.export(data, None)),
        ("path=3", lambda data: scenes.export(data, 3)),
        ("surface is a NoneType", lambda data: scenes.export(None, "x.vts")),
        ("variable='acc'", lambda data: scenes.export(data, "x.vts", variable="acc")),
        ("clip=-1", lambda data: scenes.export(data, "x.vts", clip=-1)),
    ],
    "volume": [
        ("surface is a NoneType", lambda data: scenes.volume(None)),
        (r"dimensions .*a volume needs alpha, beta and gamma", lambda data: scenes.volume(data)),
        ("variable='acc'", lambda data: scenes.volume(over_three(data), variable="acc")),
        ("scale='cubic'.*'log', 'linear'", lambda data: scenes.volume(over_three(data), scale="cubic")),
        ("levels=-1", lambda data: scenes.volume(over_three(data), levels=-1)),
        ("levels=0 without slices", lambda data: scenes.volume(over_three(data), levels=0, slices=False)),
        ("slices='yes'", lambda data: scenes.volume(over_three(data), slices="yes")),
        ("clip=-1", lambda data: scenes.volume(over_three(data), clip=-1)),
        (r"clim=\(3, 1\)", lambda data: scenes.volume(over_three(data), clim=(3, 1))),
        ("no finite value", lambda data: scenes.volume(over_three(data * np.nan))),
        ("title=3", lambda data: scenes.volume(over_three(data), title=3)),
        ("alt=3", lambda data: scenes.volume(over_three(data), alt=3)),
    ],
}


def over_three(data):
    return data.expand_dims(gamma=[0.0, 1.0])


@pytest.mark.parametrize(
    ("message", "call"), [pytest.param(*case, id=f"{name}-{n}") for name in WRONG for n, case in enumerate(WRONG[name])]
)
def test_wrong_arguments_are_named(message, call):
    with pytest.raises(ValueError, match=message):
        call(surface(bowl))


def test_every_public_function_has_wrong_calls():
    public = {name for name in scenes.__all__ if not isinstance(getattr(scenes, name), type)}
    assert set(WRONG) == public and all(len(cases) >= 5 for cases in WRONG.values())


# ---- the picture


def test_red_is_high_and_blue_is_low():
    scene = scenes.scene(surface(lambda a, b: 5 + a, points=5), height="linear", contours=0)
    shot = picture(renderer.still(scene.parts))
    places = np.array([[0.45, 0, BOX_HEIGHT * 0.95], [-0.45, 0, BOX_HEIGHT * 0.05]])
    (high_x, high_y), (low_x, low_y) = (renderer.project(places) * shot.shape[1::-1]).astype(int)
    red, _, blue = shot[high_y, high_x]
    assert red > 1.5 * blue
    red, _, blue = shot[low_y, low_x]
    assert blue > 1.5 * red


def test_the_picture_is_transparent_around_the_scene():
    scene = scenes.scene(surface(bowl))
    shot = np.asarray(Image.open(io.BytesIO(renderer.still(scene.parts))))
    assert (shot[[0, 0, -1, -1], [0, -1, 0, -1], 3] == 0).all()
    assert (shot[..., 3] == 255).mean() > 0.15
    on_black, on_white = picture(renderer.still(scene.parts), "black"), picture(renderer.still(scene.parts))
    inside = shot[..., 3] == 255
    np.testing.assert_array_equal(on_black[inside], on_white[inside])


def test_labels_are_put_where_vtk_sees_their_places():
    scene = scenes.scene(surface(bowl))
    drawn = scene.plotter()
    drawn.render()
    for label in scene.labels:
        place = renderer.anchor(label)
        drawn.renderer.SetWorldPoint(*place, 1.0)
        drawn.renderer.WorldToDisplay()
        x, y, _ = drawn.renderer.GetDisplayPoint()
        expected = [x / renderer.SIZE[0], 1 - y / renderer.SIZE[1]]
        np.testing.assert_allclose(renderer.project(place)[0], expected, atol=1e-6)
        assert 0 < renderer.project(place)[0, 0] < 1
        assert 0 < renderer.project(place)[0, 1] < 1
    drawn.close()


def test_the_plotter_is_a_pyvista_plotter_with_the_texts():
    scene = scenes.scene(surface(bowl), title="Bowl")
    drawn = scene.plotter()
    assert isinstance(drawn, pv.Plotter)
    texts = [prop.GetInput() for prop in drawn.renderer.GetViewProps() if hasattr(prop, "GetInput")]
    assert {"α", "β", "loss", "−1", "0", "1"} <= set(texts)
    drawn.close()
    shot = picture(scene.screenshot())
    bare = picture(renderer.still(scene.parts))
    assert shot.shape == bare.shape
    assert np.abs(shot - bare).max() > 100


# ---- export


@pytest.mark.parametrize("suffix", [".vts", ".vtp"])
def test_an_exported_surface_is_read_back_with_its_numbers(tmp_path, suffix):
    data = surface(bowl, points=11, accuracy=lambda a, b: 1 / (1 + a**2 + b**2))
    data.loss[3, 4] = np.nan
    path = scenes.export(data, tmp_path / "new" / f"bowl{suffix}", height="linear", clip=3.0)
    mesh = pv.read(path)
    assert mesh.n_points == 121
    for point in (0, 17, 60, 120):
        x, y, z = mesh.points[point]
        value = float(data.loss.sel(alpha=x, beta=y, method="nearest"))
        assert mesh["loss"][point] == value
        assert mesh["height"][point] == value
        assert mesh["accuracy"][point] == float(data.accuracy.sel(alpha=x, beta=y, method="nearest"))
        assert z == pytest.approx(min(value, 3.0), rel=1e-6)
        assert mesh["clipped"][point] == (value > 3.0)
    assert int(mesh["clipped"].sum()) == int((data.loss > 3).sum())
    assert np.isnan(mesh["loss"]).sum() == 1
    cells = mesh.n_cells if suffix == ".vtp" else mesh.threshold(1e-9).n_cells
    assert cells == 96
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_failed_export_leaves_the_old_file(tmp_path, monkeypatch):
    path = scenes.export(surface(bowl), tmp_path / "a.vtp")
    before = path.read_bytes()

    def fail(self, name, *args, **kwargs):
        with open(name, "w") as file:
            file.write("half")
        raise OSError("no space left on device")

    monkeypatch.setattr(pv.PolyData, "save", fail)
    with pytest.raises(OSError, match="no space"):
        scenes.export(surface(wavy), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.vtp"]


# ---- the page


def test_the_scene_for_the_page_is_small_and_always_the_same():
    scene = scenes.scene(surface(wavy, points=101), height="linear", clip=6)
    data = scene.vtksz()
    assert len(data) <= 350_000
    assert scenes.scene(surface(wavy, points=101), height="linear", clip=6).vtksz() == data
    content = index(data)
    (mesh,) = parts(scene, "surface")
    arrays = [entry for entry in content["hashes"].values() if entry["vtk"] == "vtkPoints"]
    points = [np.frombuffer(base64.b64decode(entry["content"]), np.float32) for entry in arrays]
    assert any(np.array_equal(found, np.ravel(mesh.points)) for found in points)


def test_even_a_rough_surface_with_its_readings_is_a_small_file():
    rough = surface(lambda a, b: np.random.default_rng(0).random(a.shape), points=51)
    bundle = scenes.scene(rough.assign(accuracy=rough.loss), height="linear", resolution=101).bundle()
    assert len(page.content(bundle["script"])) < 400_000  # noise; the roughest surface of the book takes 330 thousand


@pytest.mark.parametrize("waves", [0.5, 4])
def test_contour_lines_are_as_many_as_a_surface_can_carry(waves):
    """The lines' length, measured on the mesh, against the bound; a smooth surface has all that were asked for."""
    wavy = surface(lambda a, b: 2 + np.sin(waves * np.pi * a) * np.cos(waves * np.pi * b), points=101)
    scene = scenes.scene(wavy, height="linear", contours=12)
    sheet = pv.StructuredGrid(*np.meshgrid(wavy.alpha, wavy.beta, indexing="ij"), np.zeros((101, 101)))
    sheet["height"] = wavy.loss.to_numpy().ravel(order="F")
    low, high = sheet["height"].min(), sheet["height"].max()

    def length(levels):
        lines = sheet.contour(np.linspace(low, high, levels + 2)[1:-1], scalars="height")
        return lines.compute_cell_sizes()["Length"].sum() / 2  # the box's side is 1, the grid's 2

    drawn = len(scene.levels)
    assert f"with {drawn} contour lines" in scene.caption
    if waves < 1:
        assert drawn == 12
    else:
        assert drawn < 12
        assert length(drawn) < LINES * 1.05
        assert length(drawn + 2) > LINES * 0.95
    beside = scenes.compare({"smooth": surface(bowl), "wavy": wavy}, height="linear")
    assert len({len(scene.levels) for scene in beside}) == 1


def test_the_other_height_bounds_the_same_values():
    frame = scenes.scene(surface(bowl, points=5), clip=2).frame
    other = frame.switched()
    assert (other.low, other.high) == pytest.approx((0.1, 2))
    assert other.clip == other.high
    assert (other.switched().low, other.switched().high) == pytest.approx((frame.low, frame.high))
    assert scenes.scene(surface(lambda a, b: a, points=5), height="linear").frame.switched() is None


def test_object_ids_of_different_scenes_never_meet():
    def ids(scene):
        return set(re.findall(r'"id": "([^"]+)"', json.dumps(index(scene.vtksz())["scene"])))

    first, second = (ids(scenes.scene(surface(formula))) for formula in (bowl, wavy))
    assert len(first) > 10
    assert not first & second


def script_of(bundle: dict) -> tuple[str, str, dict]:
    """What the script of a scene hands to the page: the id, the 3-D data in base64, the readings."""
    text = page.content(bundle["script"]).decode()
    found = re.fullmatch(r'\(window\.laScenes \?\?= \{\}\)\["([0-9a-f]+)"\] = (\[.*\]);\n', text)
    return found[1], *json.loads(found[2])


def test_the_bundle_carries_picture_data_labels_and_words():
    scene = scenes.scene(surface(bowl, points=11), title='a < b & "c"', height="linear", clip=2.0)
    outputs = scene._repr_mimebundle_()
    whole = json.loads(json.dumps(outputs[page.MEDIA_TYPE]))
    assert set(outputs) == {"text/html", page.MEDIA_TYPE} and (whole["kind"], whole["row"]) == ("scenes", False)
    assert outputs["text/html"] == page.render(whole) == scene._repr_html_()
    (bundle,) = whole["scenes"]
    still = Image.open(io.BytesIO(page.content(bundle["still"])))
    assert still.format == "WEBP" and still.size == tuple(round(side * renderer.PIXEL_RATIO) for side in renderer.SIZE)
    identity, data, readings = script_of(bundle)
    assert identity == bundle["id"] and base64.b64decode(data) == scene.vtksz()
    found = np.frombuffer(base64.b64decode(readings["values"]["loss"]), np.float32).reshape(11, 11)
    np.testing.assert_allclose(found, surface(bowl, points=11).loss, rtol=1e-6)
    assert readings["alpha"] == pytest.approx(np.linspace(-1, 1, 11))
    root = html5lib.parseFragment(outputs["text/html"], namespaceHTMLElements=False)
    figure = root.find("figure")
    assert figure.find("figcaption/strong").text == 'a < b & "c".'
    alt = figure.find("div/img").get("alt")
    assert "lowest 0.1 at α = 0, β = 0" in alt
    assert "highest 5.1 at α = −1, β = −1" in alt
    assert "Cut flat at 2" in alt
    spans = figure.findall("div/div[@class='la-labels']/span")
    assert sum(one.get("data-axis") == "x" for one in spans) == 6  # five ticks and the name
    assert {one.get("data-scale") for one in spans if one.get("hidden") is not None} == {"log"}
    assert json.loads(figure.get("data-about")) == bundle["about"]
    assert bundle["bar"]["clipped"] == CLIPPED and figure.find("div/span[@class='la-clip']") is not None
    assert scenes.scene(surface(bowl)).bundle()["bar"]["clipped"] is None
    other = scenes.scene(surface(bowl, points=11), title="other", height="linear", clip=2.0).bundle()
    assert other["id"] != bundle["id"] and other["script"] != bundle["script"]


def test_published_scenes_are_files_and_the_page_refers_to_them(tmp_path):
    scene = scenes.scene(surface(bowl, points=11), title="Bowl")
    row = scenes.compare({"a": surface(bowl, points=11), "b": surface(wavy, points=11)})
    glued = {f"application/papermill.record/{kind}": data for kind, data in scene._repr_mimebundle_().items()}
    shown = [glued, *(one._repr_mimebundle_() for one in (scene, row, scene))]
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in shown]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    assets.publish(notebook, tmp_path, address="book/bowl.ipynb")
    htmls = [html for output in outputs for html in output.data.values()]
    assert len(htmls) == 4 and not any("base64" in html for html in htmls)
    figures = [
        figure for html in htmls for figure in html5lib.parseFragment(html, namespaceHTMLElements=False).iter("figure")
    ]
    ids = [figure.get("data-scene") for figure in figures]
    assert len(ids) == 5 and ids[0] == ids[1] == ids[4] and len(set(ids)) == 3
    assert [figure.get("id") for figure in figures] == [None, *(f"scene-{name}" for name in ids[1:4]), None]
    for figure, one in zip(figures, [scene, scene, *row, scene], strict=True):
        script = (tmp_path / figure.get("data-src").removeprefix("../")).read_bytes()
        assert script == page.content(one.bundle()["script"])
        assert Image.open(tmp_path / figure.find("div/img").get("src").removeprefix("../")).format == "WEBP"
    light = assets.light(
        nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_code_cell(
                    "", outputs=[nbformat.v4.new_output("display_data", data=scene._repr_mimebundle_())]
                )
            ]
        )
    )
    (taken,) = light.cells[0].outputs
    assert list(taken.data) == ["text/html"] and "data:image/webp" in taken.data["text/html"]


def test_rows_of_three_reach_into_the_margin():
    two, three = ({name: surface(bowl, points=5) for name in names} for names in ("ab", "abc"))
    assert [
        '<div class="la-scenes full-width">' in scenes.compare(some, resolution=9)._repr_html_()
        for some in (two, three)
    ] == [False, True]


def test_a_scene_takes_less_than_a_second_and_a_thumbnail_a_third_of_one():
    """Processor time of the best of three, once everything is imported: the book has dozens of scenes."""
    rough = surface(lambda a, b: bowl(a, b) + 0.2 * np.random.default_rng(0).random(a.shape), points=51)

    def seconds(make):
        times = []
        for _ in range(4):  # the first one imports and compiles
            start = time.process_time()
            make()
            times.append(time.process_time() - start)
        return min(times[1:])

    assert seconds(lambda: scenes.scene(rough)._repr_mimebundle_()) < 1
    assert seconds(gallery([Card("Rough", "rough.html", rough)])._repr_mimebundle_) < 0.3


# ---- fresh processes


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DISPLAY", "VTK_"))}
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=False
    )


DRAW = """
import numpy as np, xarray as xr
from lossatlas import scenes
from lossatlas.figures import page
axis = np.linspace(-1, 1, 5)
data = xr.Dataset({"loss": (("alpha", "beta"), 1 + axis[:, None] ** 2 + axis**2)}, {"alpha": axis, "beta": axis})
scene = scenes.scene(data, resolution=9)
print(len(scene._repr_html_()), len(scene.screenshot()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="X11 and EGL are Linux's")
def test_a_fresh_process_without_a_display_draws_and_says_nothing():
    done = run(DRAW)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert all(int(size) > 10_000 for size in done.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="X11 and EGL are Linux's")
def test_without_opengl_one_error_names_the_packages_to_install(tmp_path):
    """EGL finds no driver in an empty folder; a machine with OSMesa draws all the same."""
    done = run(DRAW, __EGL_VENDOR_LIBRARY_DIRS=str(tmp_path))
    if ctypes.util.find_library("OSMesa"):
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1
        assert re.search(r"RuntimeError: .*no OSMesa\. .*libegl1 .*libosmesa6\.$", done.stderr.strip())


def test_pyvista_is_imported_only_to_draw():
    done = run("import sys, lossatlas.scenes; print(sorted({'pyvista', 'vtk', 'trame_vtk'} & set(sys.modules)))")
    assert done.stdout == "[]\n", done.stderr


def test_pytorch_can_be_used_after_a_scene_was_drawn():
    """Its compiler's LLVM and that of Mesa do not share a process when Mesa's comes first."""
    code = (
        "import numpy as np, xarray as xr\n"
        "from lossatlas import scenes\n"
        "axis = np.linspace(-1, 1, 5)\n"
        "bowl = axis[:, None] ** 2 + axis**2 + 0.1\n"
        "scenes.scene(xr.Dataset({'loss': (('alpha', 'beta'), bowl)}, {'alpha': axis, 'beta': axis})).screenshot()\n"
        "import torch\n"
        "torch.optim.SGD([torch.zeros(1, requires_grad=True)])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_arrays_that_are_stored_once_are_described_alike_wherever_they_are_used():
    """Walls with equally many lines have equal cells: what one says of them holds for the other."""

    def descriptions(node):
        if isinstance(node, dict):
            if "hash" in node and "dataType" in node:
                yield node["hash"], node["dataType"]
            for value in node.values():
                yield from descriptions(value)
        elif isinstance(node, list):
            for value in node:
                yield from descriptions(value)

    shared = 0
    for top in (1.0, 2.0, 3.0, 4.0, 5.0, 8.0):
        packed = index(scenes.scene(surface(lambda a, b: a**2 + b**2), clim=(0.01, top), height="linear").vtksz())
        used = list(descriptions(packed["scene"]))
        for name, kind in used:
            assert packed["hashes"][name]["type"] == kind
        shared += len(used) - len(dict(used))
    assert shared > 0
