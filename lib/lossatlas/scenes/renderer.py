"""How a 3-D scene is lit, looked at and drawn: the box, the camera, the labels, the picture.

A scene stands in a box: alpha and beta run from -1/2 to 1/2, the height from 0 to `TALL`. Every scene has the
same box, camera and lights, so that scenes beside each other compare.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyvista as pv

COLOURS = "coolwarm"  # of Matplotlib: blue is low, red is high
CLIPPED = "#8d8d8d"  # what was cut to a plateau
TALL = 0.6  # height of the box; its sides are 1
SIZE = (700, 520)  # of the picture, in CSS pixels
SHARP = 1.75  # pixels of the still picture for one CSS pixel
TARGET = (0.0, 0.0, 0.2)  # the camera looks here
AZIMUTH, ELEVATION, DISTANCE = -58.0, 36.0, 2.8  # and stands there: degrees, degrees, box sides
VIEW_ANGLE = 30.0  # degrees; the only one that the viewer on the page knows
# Direction in the camera's own frame (right, up, towards the viewer) and intensity of each light.
LIGHTS = (((0.0, 0.1, 1.0), 0.55), ((-0.8, 0.9, 0.5), 0.5), ((0.9, 0.3, 0.4), 0.25))


@dataclass(frozen=True)
class Part:
    """One thing to draw: a mesh in box coordinates and the keywords of its `pyvista.Property`.

    A mesh with point data `colour` (three bytes a point) has its colours from there. `role` tells apart what a
    viewer is to find again.
    """

    mesh: pv.PolyData
    style: dict[str, Any]
    role: str = ""

    @property
    def coloured(self) -> bool:
        return "colour" in self.mesh.point_data


@dataclass(frozen=True)
class Label:
    """A text at an axis ("x", "y" or "z") of the box: a tick at `at`, or the axis' name (`name=True`)."""

    text: str
    axis: str
    at: float
    name: bool = False

    @property
    def leftwards(self) -> bool:
        """Whether the text ends at its place, instead of being centred on it."""
        return self.axis == "z" and not self.name


@functools.cache
def prepare_opengl() -> bool:
    """Choose how VTK gets its OpenGL context before its first window; False where there is none to get.

    Without a display VTK would try X11 first, warn, and crash when nothing else is there either.
    """
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401  (PyTorch's; it brings an LLVM that crashes when it is loaded after Mesa's)
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or "VTK_DEFAULT_OPENGL_WINDOW" in os.environ:
        return True
    if _egl_devices():
        os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkEGLRenderWindow"
    elif ctypes.util.find_library("OSMesa"):
        os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkOSOpenGLRenderWindow"
    else:
        return False
    return True


def _egl_devices() -> int:
    """How many devices (a GPU, or Mesa's software one) the EGL library offers; 0 without the library."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
        egl.eglGetProcAddress.restype = ctypes.c_void_p
        address = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    except (OSError, AttributeError):
        return 0
    if not address:
        return 0
    count = ctypes.c_int(0)
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(address)
    return count.value if query(0, None, ctypes.byref(count)) else 0


def camera_axes() -> tuple[np.ndarray, np.ndarray]:
    """The start camera: its position, and its three unit vectors (right, up, forward) as rows."""
    azimuth, elevation = np.radians([AZIMUTH, ELEVATION])
    back = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.array(TARGET) + DISTANCE * back, np.array([right, np.cross(back, right), -back])


def project(points: np.ndarray) -> np.ndarray:
    """Where the start camera sees points (n, 3): (n, 2) shares of the picture from its left and top."""
    position, axes = camera_axes()
    seen = (np.atleast_2d(points) - position) @ axes.T
    half = np.tan(np.radians(VIEW_ANGLE / 2)) * seen[:, 2]
    return np.stack([0.5 + seen[:, 0] / half * SIZE[1] / SIZE[0] / 2, 0.5 - seen[:, 1] / half / 2], axis=1)


def anchor(label: Label) -> np.ndarray:
    """The point at which a label stands: outside the box's nearest edge (x, y) or leftmost edge (z)."""
    eye = np.sign(camera_axes()[0])
    out = 0.66 if label.name else 0.56
    if label.axis == "x":
        return np.array([label.at, eye[1] * out, 0.0])
    if label.axis == "y":
        return np.array([eye[0] * out, label.at, 0.0])
    corners = np.array([[x, y, label.at] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    left = corners[np.argmin(project(corners)[:, 0])]
    return left * [1.05, 1.05, 1.0]


def plotter(
    parts: Sequence[Part], labels: Sequence[Label], *, scale: float = 1.0, off_screen: bool = True
) -> pv.Plotter:
    """A PyVista plotter with the parts, the lights, the start camera, and the labels as texts in space.

    Raises RuntimeError where no OpenGL context can be had (VTK itself would end the process).
    """
    if not prepare_opengl():
        raise RuntimeError(
            "no OpenGL to draw with: neither a display, nor an EGL device, nor OSMesa; install one, "
            "on Debian and Ubuntu with `apt-get install libegl1 libgl1-mesa-dri`"
        )
    import pyvista as pv
    from matplotlib import get_data_path
    from vtkmodules.vtkCommonCore import VTK_FONT_FILE
    from vtkmodules.vtkRenderingCore import vtkBillboardTextActor3D

    size = [round(side * scale) for side in SIZE]
    drawn = pv.Plotter(off_screen=off_screen, notebook=False, window_size=size, lighting="none")
    drawn.set_background("white")
    fill(drawn.renderer, parts)
    font = os.path.join(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")  # VTK's own fonts have no Greek
    for label in labels:
        text = vtkBillboardTextActor3D()
        text.SetInput(label.text)
        text.SetPosition(anchor(label))
        look = text.GetTextProperty()
        look.SetColor(0.35, 0.35, 0.35)
        look.SetFontFamily(VTK_FONT_FILE)
        look.SetFontFile(font)
        look.SetFontSize(round((15 if label.name else 12) * scale))
        look.SetJustificationToRight() if label.leftwards else look.SetJustificationToCentered()
        look.SetVerticalJustificationToCentered()
        drawn.renderer.AddViewProp(text)
    drawn.camera_position = (camera_axes()[0], TARGET, (0.0, 0.0, 1.0))
    drawn.reset_camera_clipping_range()
    return drawn


def fill(renderer: Any, parts: Sequence[Part]) -> None:
    """Put the parts, the lights and the start camera into a VTK renderer; this needs no OpenGL."""
    import pyvista as pv

    for part in parts:
        mapper = pv.DataSetMapper(dataset=part.mesh)
        mapper.SetScalarVisibility(part.coloured)
        mapper.SetScalarModeToUsePointData()
        mapper.SetColorModeToDirectScalars()
        prop = pv.Property(interpolation="Phong", **part.style)
        renderer.AddActor(pv.Actor(mapper=mapper, prop=prop))
    for direction, intensity in LIGHTS:
        renderer.AddLight(pv.Light(position=direction, light_type="camera light", intensity=intensity))
    camera = renderer.GetActiveCamera()
    camera.SetPosition(camera_axes()[0])
    camera.SetFocalPoint(TARGET)
    camera.SetViewUp(0.0, 0.0, 1.0)
    camera.SetViewAngle(VIEW_ANGLE)
    renderer.ResetCameraClippingRange()


def still(parts: Sequence[Part], labels: Sequence[Label] = (), *, kind: str = "PNG") -> bytes:
    """The picture as "PNG" or "WEBP" (a fifth of the size, as good to the eye), its background transparent.

    Where there is no OpenGL, Matplotlib paints it, from the same camera.
    """
    from PIL import Image

    rgba = _render(parts, labels) if prepare_opengl() else paint(parts, labels)
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, kind, optimize=True, quality=85, method=6)
    return buffer.getvalue()


def _render(parts: Sequence[Part], labels: Sequence[Label]) -> np.ndarray:
    """The picture by VTK, as (height, width, 4) bytes."""
    drawn = plotter(parts, labels, scale=SHARP)
    drawn.enable_anti_aliasing("ssaa")
    shots = []
    for background in ("black", "white"):
        drawn.set_background(background)
        drawn.render()
        shots.append(drawn.screenshot(None, return_img=True).astype(float))
    drawn.close()
    # What is the same on black and on white is opaque; this gives exact alpha and colour at every edge.
    black, white = shots
    alpha = 1 - (white - black).mean(axis=2, keepdims=True) / 255
    colour = np.divide(black, alpha, out=np.zeros_like(black), where=alpha > 0)
    return np.concatenate([colour, 255 * alpha], axis=2).round().clip(0, 255).astype(np.uint8)


def paint(parts: Sequence[Part], labels: Sequence[Label]) -> np.ndarray:
    """The picture by Matplotlib, as (height, width, 4) bytes: triangles from the farthest to the nearest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    position, axes = camera_axes()
    lights = [(np.array(direction) / np.linalg.norm(direction), strength) for direction, strength in LIGHTS]
    corners, colours, depths = [], [], []
    for part in parts:
        mesh, style = part.mesh.triangulate(), part.style
        triangles = mesh.faces.reshape(-1, 4)[:, 1:]
        places = mesh.points[triangles].astype(float)
        seen = (places - position) @ (axes * [[1], [1], [-1]]).T  # right, up, towards the viewer, as lights are
        normals = np.cross(seen[:, 1] - seen[:, 0], seen[:, 2] - seen[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        front = -(normals * seen.mean(axis=1)).sum(axis=1) > 0
        normals *= np.where(front, 1, -1)[:, None]  # surfaces are lit on both sides
        rgb = np.tile(to_rgb(style.get("color", "white")), (len(triangles), 1))
        if part.coloured:
            rgb = mesh["colour"][triangles].mean(axis=1) / 255
        if style.get("lighting", True):
            bright = sum(strength * np.clip(normals @ direction, 0, None) for direction, strength in lights)
            rgb = rgb * (style["ambient"] + style["diffuse"] * bright)[:, None]
        shown = ~front if style.get("culling") == "front" else np.full(len(triangles), True)
        alpha = np.full((len(triangles), 1), style.get("opacity", 1.0))
        corners.append(places[shown])
        colours.append(np.hstack([rgb.clip(0, 1), alpha])[shown])
        # Lines lie on the surface: they come a little after it. The walls come before everything.
        nearer = -9.0 if "culling" in style else 0.0 if style.get("lighting", True) else 0.01
        depths.append(seen[shown, :, 2].mean(axis=1) + nearer)
    order = np.argsort(np.concatenate(depths))
    flat = project(np.concatenate(corners)[order].reshape(-1, 3)).reshape(-1, 3, 2)
    size = np.array(SIZE) * SHARP
    figure = Figure(figsize=size / 100, dpi=100)
    area = figure.add_axes((0, 0, 1, 1), xlim=(0, 1), ylim=(1, 0))
    area.axis("off")
    colour = np.concatenate(colours)[order]
    area.add_collection(PolyCollection(flat, facecolors=colour, edgecolors=colour, linewidths=0.3))
    for label in labels:
        area.text(
            *project(anchor(label))[0],
            label.text,
            ha="right" if label.leftwards else "center",
            va="center",
            color="#595959",
            size=0.72 * SHARP * (15 if label.name else 12),
        )
    figure.patch.set_alpha(0)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()
