"""How a 3-D scene gets onto a page: its data for VTK.js, and the HTML that carries it."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lossatlas._text import number
from lossatlas.figures.attachments import offer
from lossatlas.figures.provenance import facts
from lossatlas.scenes import path, renderer
from lossatlas.scenes.renderer import BOX_HEIGHT, CLIPPED, COLOURS, SIZE, Label, Part

if TYPE_CHECKING:
    from lossatlas.scenes.compose import Scene

CONTROLS = '<div class="la-controls"></div>\n'  # filled by the page's script


def vtksz(parts: Sequence[Part]) -> bytes:
    """The scene as a .vtksz file (a zip with one JSON text), which VTK.js viewers open; no OpenGL is needed.

    The same parts give the same bytes. Object ids are made from the content: a viewer keeps the objects of
    all scenes on a page in one register, where ids from memory addresses could meet.
    """
    from trame_vtk.modules.vtk.serializers import (
        SynchronizationContext,
        extract_array_hash,
        initialize_serializers,
        serialize,
    )
    from vtkmodules.vtkRenderingCore import vtkRenderer
    from vtkmodules.vtkRenderingOpenGL2 import vtkGenericOpenGLRenderWindow

    initialize_serializers()
    context = SynchronizationContext()
    context.set_ignore_last_dependencies(True)
    window, contents = vtkGenericOpenGLRenderWindow(), vtkRenderer()
    window.AddRenderer(contents)
    renderer.add_parts(contents, parts)
    scene = serialize(None, window, "window", context, 1)
    scene["mtime"] = 1
    arrays = {
        entry["hash"]: {**entry, "content": context.get_cached_data_array(entry["hash"], False)}
        for entry in extract_array_hash(scene)
    }
    for cells in _cell_arrays(scene):  # numbers of points: halved; equal arrays are stored once for all who use them
        packed = arrays[cells["hash"]]
        if packed["type"] == "Int32Array":
            numbers = np.frombuffer(base64.b64decode(packed["content"]), np.int32)
            if numbers.max(initial=0) < 2**16:
                packed["content"] = base64.b64encode(numbers.astype("<u2").tobytes()).decode()
                packed["type"] = "Uint16Array"
        cells["dataType"] = packed["type"]
    text = json.dumps({"scene": scene, "hashes": arrays})
    short: dict[str, str] = {}
    text = re.sub(r'(?<=["{])[0-9a-f]{16}(?=["}-])', lambda match: short.setdefault(match[0], f"@{len(short)}@"), text)
    text = text.replace('"window"', '"@window@"')
    text = text.replace("@", hashlib.sha256(text.encode()).hexdigest()[:12])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr(zipfile.ZipInfo("index.json"), text, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def _cell_arrays(node: Any) -> Iterator[dict[str, Any]]:
    """The descriptions of all cell arrays of a scene."""
    if isinstance(node, dict) and node.get("vtkClass") == "vtkCellArray":
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _cell_arrays(child)


def row(scenes: Sequence[Scene]) -> str:
    """Scenes beside each other; on a page they share one set of controls."""
    figures = "".join(figure(scene, controls="") for scene in scenes)
    return f'{CONTROLS}<div class="la-scenes">\n{figures}</div>\n'


def figure(scene: Scene, *, controls: str = CONTROLS) -> str:
    """The scene as HTML that carries everything: the still picture, the 3-D data, the labels, the caption.

    The styles inside are the least that shows the picture rightly where the site's style sheet is not.
    """
    data = base64.b64encode(vtksz(scene.parts)).decode()
    about, readings = _about(scene), _readings(scene)
    words = repr((scene.title, scene.alt, scene.caption, scene.labels, scene.other_ticks, scene.clipped))
    identity = hashlib.sha256((data + words + about + readings).encode()).hexdigest()[:12]
    picture = base64.b64encode(renderer.picture(scene.parts, media="WEBP")).decode()
    width, height = SIZE
    title = f"<strong>{html.escape(scene.title)}.</strong> " if scene.title else ""
    return (
        f'<figure class="la-scene" data-scene="{identity}" data-about="{html.escape(about)}" '
        f'style="max-width:{width}px">\n'
        f'<div class="la-view" style="position:relative">\n'
        f'<img class="la-still" src="data:image/webp;base64,{picture}" width="{width}" height="{height}" '
        f'loading="lazy" style="display:block;width:100%;height:auto" alt="{html.escape(scene.alt)}">\n'
        f'<div class="la-labels" aria-hidden="true">{_spans(scene)}</div>\n</div>\n'
        f"{controls}{_bar(scene)}"
        f'<script type="application/octet-stream;base64" class="la-data">{data}</script>\n'
        f'<script type="application/json" class="la-readings">{readings}</script>\n'
        f'<figcaption>{title}<span class="la-words">{html.escape(scene.caption)}</span>\n'
        f"{offer(scene.downloads(), facts(scene.data.values()))}</figcaption>\n</figure>\n"
    )


def _about(scene: Scene) -> str:
    """What the page must know to change a scene: its camera, box and contours, and which actor is what; as JSON."""
    frame, roles = scene.frame, {part.role for part in scene.parts if part.role}
    data: dict[str, Any] = {
        "view": [renderer.AZIMUTH, renderer.ELEVATION, renderer.DISTANCE, *renderer.TARGET],
        "height": frame.scale,
        "switch": bool(scene.other_ticks),
        "low": frame.low,
        "high": frame.high,
        "tall": BOX_HEIGHT,
        "alpha": frame.alpha,
        "beta": frame.beta,
        "levels": [round(float(BOX_HEIGHT * level), 5) for level in scene.levels],
        "parts": {role: [n for n, part in enumerate(scene.parts) if part.role == role] for role in sorted(roles)},
        "path": {"rings": path.BETWEEN, "sides": path.SIDES, "lift": path.LIFT},
    }
    if scene.track is not None:
        data["walk"] = {
            "name": scene.track.name,
            "at": scene.track.at,
            "says": [number(value) for value in scene.track.at],
            "points": [[round(float(x), 4) for x in point] for point in scene.track.points],
        }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _readings(scene: Scene) -> str:
    """The values at the points of the surface's own grid, to be read out; as JSON, the values as bytes of float32."""
    axes = zip(("alpha", "beta"), scene.axes, strict=True)
    data: dict[str, Any] = {name: [float(f"{value:.6g}") for value in axis] for name, axis in axes}
    data["values"] = {
        name: base64.b64encode(values.astype("<f4").tobytes()).decode() for name, values in scene.readings.items()
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _spans(scene: Scene) -> str:
    """The labels of the axes, each where the start camera sees its place; those of the other height are hidden."""
    return _labels(scene.labels, scene.frame.scale) + _labels(scene.other_ticks, scene.frame.other_scale, hidden=True)


def _labels(labels: Sequence[Label], height: str, *, hidden: bool = False) -> str:
    if not labels:
        return ""
    spots = renderer.project(np.array([renderer.anchor(label) for label in labels]))
    return "".join(
        f'<span class="la-{"name" if label.name else "tick"}" data-axis="{label.axis}" '
        f'data-at="{label.at:.4f}"{_height(label, height, hidden)} '
        f'style="position:absolute;left:{100 * left:.2f}%;top:{100 * top:.2f}%;'
        f'transform:translate({"-100%" if label.right_aligned else "-50%"},-50%)">'
        f"{html.escape(label.text)}</span>"
        for label, (left, top) in zip(labels, spots, strict=True)
    )


def _height(label: Label, height: str, hidden: bool) -> str:
    """Attributes of a tick that belongs to the logarithmic or the linear height only."""
    if label.axis != "z" or label.name:
        return ""
    return f' data-height="{height}"{" hidden" if hidden else ""}'


def _bar(scene: Scene) -> str:
    """The colour bar under the picture with the ticks of the height, and the grey of what is clipped."""
    from matplotlib import colormaps, colors

    stops = ",".join(colors.to_hex(colormaps[COLOURS](share)) for share in np.linspace(0, 1, 33))
    both = ((scene.labels, scene.frame.scale, False), (scene.other_ticks, scene.frame.other_scale, True))
    ticks = "".join(
        f'<span{_height(label, height, hidden)} style="position:absolute;left:{100 * label.at / BOX_HEIGHT:.2f}%;'
        f'transform:translateX(-50%)">{html.escape(label.text)}</span>'
        for labels, height, hidden in both
        for label in labels
        if label.axis == "z" and not label.name
    )
    name = next(label.text for label in scene.labels if label.axis == "z" and label.name)
    grey = f'<span class="la-clip"><i style="background:{CLIPPED}"></i>clipped</span>' if scene.clipped else ""
    return (
        f'<div class="la-bar" aria-hidden="true"><span>{html.escape(name)}</span>'
        f'<div class="la-scale" data-stops="{stops}" style="position:relative;padding-top:10px;'
        f'background:linear-gradient(to right,{stops}) top/100% 10px no-repeat">{ticks}&nbsp;</div>{grey}</div>\n'
    )
