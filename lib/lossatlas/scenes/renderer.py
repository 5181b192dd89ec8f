"""Draw a 3-D scene: its box, camera, lights and labels, and its picture.

A scene stands in a box: alpha and beta run from -1/2 to 1/2, the height from 0 to `BOX_HEIGHT`. Every scene has
the same box, camera and lights, so that scenes beside each other can be compared.
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
CLIPPED = "#8d8d8d"  # where the surface is cut to a plateau
BOX_HEIGHT = 0.6  # the sides of the box are 1
SIZE = (700, 520)  # of the picture, in CSS pixels
PIXEL_RATIO = 1.75  # pixels of the picture for one CSS pixel
TARGET = (0.0, 0.0, 0.2)  # the point that the camera looks at
AZIMUTH, ELEVATION, DISTANCE = -58.0, 36.0, 2.8  # of the camera: degrees, degrees, sides of the box
TICK_ANCHOR, NAME_ANCHOR = 0.56, 0.66  # labels of alpha and beta: sides of the box from its middle
HEIGHT_ANCHOR = 1.05  # labels of the height: their distance from the middle, as a multiple of that of the box's edge
VIEW_ANGLE = 30.0  # degrees; the viewer on a page supports no other
# Direction in the camera's own frame (right, up, towards the viewer) and intensity of each light.
LIGHTS = (((0.0, 0.1, 1.0), 0.55), ((-0.8, 0.9, 0.5), 0.5), ((0.9, 0.3, 0.4), 0.25))


@dataclass(frozen=True)
class Part:
    """One object of a scene: a mesh in box coordinates and the keywords of its `pyvista.Property`.

    A mesh with point data `colour` (three bytes a point) is drawn in these colours. A viewer finds a part again
    by its `role`.
    """

    mesh: pv.PolyData
    style: dict[str, Any]
    role: str = ""

    @property
    def coloured(self) -> bool:
        """Whether the points have colours of their own."""
        return "colour" in self.mesh.point_data


@dataclass(frozen=True)
class Label:
    """A text at an axis ("x", "y" or "z") of the box: a tick at `at`, or the name of the axis (`name=True`)."""

    text: str
    axis: str
    at: float
    name: bool = False

    @property
    def right_aligned(self) -> bool:
        """Whether the text ends at its anchor instead of being centred on it."""
        return self.axis == "z" and not self.name


@functools.cache
def choose_opengl() -> None:
    """Choose how VTK gets an OpenGL context; call this before the first window opens.

    Without a display VTK tries X11 first, warns, and ends the process if EGL and OSMesa do not exist either.

    Raises
    ------
    RuntimeError
        If no display, no EGL device and no OSMesa exist.
    """
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401  (PyTorch's compiler: its LLVM crashes if it is loaded after Mesa's)
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or "VTK_DEFAULT_OPENGL_WINDOW" in os.environ:
        return
    if _egl_devices():
        os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkEGLRenderWindow"
    elif ctypes.util.find_library("OSMesa"):
        os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkOSOpenGLRenderWindow"
    else:
        raise RuntimeError(
            "3-D scenes need OpenGL, but this machine has no display, no EGL device and no OSMesa. "
            "Install one of the packages libegl1 (with libgl1-mesa-dri) or libosmesa6."
        )


def _egl_devices() -> int:
    """Return the number of devices (a GPU, or Mesa's software renderer) that EGL offers; 0 without EGL."""
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
    """Return the position of the start camera and its unit vectors (right, up, forward) as rows."""
    azimuth, elevation = np.radians([AZIMUTH, ELEVATION])
    back = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.array(TARGET) + DISTANCE * back, np.array([right, np.cross(back, right), -back])


def project(points: np.ndarray) -> np.ndarray:
    """Project points (n, 3) with the start camera: (n, 2) shares of the picture from its left and top."""
    position, axes = camera_axes()
    seen = (np.atleast_2d(points) - position) @ axes.T
    half = np.tan(np.radians(VIEW_ANGLE / 2)) * seen[:, 2]
    return np.stack([0.5 + seen[:, 0] / half * SIZE[1] / SIZE[0] / 2, 0.5 - seen[:, 1] / half / 2], axis=1)


def anchor(label: Label) -> np.ndarray:
    """Return the point at which a label stands: outside the box's nearest edge (x, y) or leftmost edge (z)."""
    eye = np.sign(camera_axes()[0])
    out = NAME_ANCHOR if label.name else TICK_ANCHOR
    if label.axis == "x":
        return np.array([label.at, eye[1] * out, 0.0])
    if label.axis == "y":
        return np.array([eye[0] * out, label.at, 0.0])
    corners = np.array([[x, y, label.at] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    left = corners[np.argmin(project(corners)[:, 0])]
    return left * [HEIGHT_ANCHOR, HEIGHT_ANCHOR, 1.0]


def plotter(parts: Sequence[Part], labels: Sequence[Label] = (), *, off_screen: bool = True) -> pv.Plotter:
    """Return a PyVista plotter with the parts, the lights, the start camera and the labels."""
    choose_opengl()
    import pyvista as pv

    drawn = pv.Plotter(off_screen=off_screen, notebook=False, window_size=list(SIZE), lighting="none")
    drawn.renderer.SetBackground(1.0, 1.0, 1.0)
    add_parts(drawn.renderer, parts)
    add_labels(drawn.renderer, labels, pixel_ratio=1.0)
    drawn.camera_position = [camera_axes()[0].tolist(), list(TARGET), [0.0, 0.0, 1.0]]
    drawn.renderer.ResetCameraClippingRange()
    return drawn


def add_parts(renderer: Any, parts: Sequence[Part]) -> None:
    """Add the parts, the lights and the start camera to a VTK renderer; this needs no OpenGL."""
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


def add_labels(renderer: Any, labels: Sequence[Label], *, pixel_ratio: float) -> None:
    """Add the labels to a VTK renderer, as texts that face the viewer."""
    from matplotlib import get_data_path
    from vtkmodules.vtkCommonCore import VTK_FONT_FILE
    from vtkmodules.vtkRenderingCore import vtkBillboardTextActor3D

    font = os.path.join(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")  # VTK's own fonts have no Greek
    for label in labels:
        text = vtkBillboardTextActor3D()
        text.SetInput(label.text)
        text.SetPosition(*anchor(label).tolist())
        look = text.GetTextProperty()
        look.SetColor(0.35, 0.35, 0.35)
        look.SetFontFamily(VTK_FONT_FILE)
        look.SetFontFile(font)
        look.SetFontSize(round((15 if label.name else 12) * pixel_ratio))
        look.SetJustificationToRight() if label.right_aligned else look.SetJustificationToCentered()
        look.SetVerticalJustificationToCentered()
        renderer.AddViewProp(text)


def still(
    parts: Sequence[Part], labels: Sequence[Label] = (), *, pixel_ratio: float = PIXEL_RATIO, media: str = "PNG"
) -> bytes:
    """Draw the scene on a transparent background and return the still picture as PNG or WEBP.

    Parameters
    ----------
    parts, labels
        What to draw.
    pixel_ratio
        Pixels of the picture for one CSS pixel of `SIZE`.
    media
        "PNG", without loss, or "WEBP", a fifth of its size.
    """
    from PIL import Image

    buffer = io.BytesIO()
    # Method 6 of WebP takes twenty times as long as method 4 for files that are 4 % smaller.
    Image.fromarray(_render(parts, labels, pixel_ratio)).save(buffer, media, quality=85, method=4)
    return buffer.getvalue()


@functools.cache
def _window() -> Any:
    """Return the window that all pictures are drawn in: a new one would compile its shaders again."""
    choose_opengl()
    import vtkmodules.vtkRenderingFreeType
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (it makes the window below an OpenGL one)
    from vtkmodules.vtkRenderingCore import vtkRenderWindow

    window = vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetAlphaBitPlanes(True)
    window.SetMultiSamples(0)
    return window


def _render(parts: Sequence[Part], labels: Sequence[Label], pixel_ratio: float) -> np.ndarray:
    """Return the picture as bytes (height, width, 4): red, green, blue, opacity."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkWindowToImageFilter
    from vtkmodules.vtkRenderingOpenGL2 import vtkRenderStepsPass, vtkSSAAPass

    window, contents = _window(), vtkRenderer()
    contents.SetBackground(0.0, 0.0, 0.0)
    contents.SetBackgroundAlpha(0.0)
    add_parts(contents, parts)
    add_labels(contents, labels, pixel_ratio=pixel_ratio)
    smoothed, steps = vtkSSAAPass(), vtkRenderStepsPass()
    smoothed.SetDelegatePass(steps)
    contents.SetPass(smoothed)
    window.SetSize(*(round(side * pixel_ratio) for side in SIZE))
    window.AddRenderer(contents)
    try:
        window.Render()
        grab = vtkWindowToImageFilter()
        grab.SetInput(window)
        grab.SetInputBufferTypeToRGBA()
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        drawn = grab.GetOutput()
        width, height, _ = drawn.GetDimensions()
        rgba = vtk_to_numpy(drawn.GetPointData().GetScalars()).reshape(height, width, 4)[::-1].astype(np.float32)
    finally:
        window.RemoveRenderer(contents)
    # On black, every colour comes out multiplied by its opacity.
    opacity = rgba[..., 3:] / 255
    rgba[..., :3] /= np.where(opacity > 0, opacity, 1)
    return rgba.round().clip(0, 255).astype(np.uint8)
