"""How a 3-D scene gets onto a page: its data for VTK.js, and the HTML that carries it."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lossatlas import stage, track
from lossatlas.downloads import offer
from lossatlas.provenance import facts
from lossatlas.stage import CLIPPED, COLOURS, SIZE, TALL, Label, Part
from lossatlas.tables import number

if TYPE_CHECKING:
    from lossatlas.scenes import Scene


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
    window, renderer = vtkGenericOpenGLRenderWindow(), vtkRenderer()
    window.AddRenderer(renderer)
    stage.fill(renderer, parts)
    scene = serialize(None, window, "window", context, 1)
    scene["mtime"] = 1
    arrays = {
        entry["hash"]: {**entry, "content": context.get_cached_data_array(entry["hash"], False)}
        for entry in extract_array_hash(scene)
    }
    text = json.dumps({"scene": scene, "hashes": arrays})
    short: dict[str, str] = {}
    text = re.sub(r'(?<=["{])[0-9a-f]{16}(?=["}-])', lambda match: short.setdefault(match[0], f"@{len(short)}@"), text)
    text = text.replace('"window"', '"@window@"')
    text = text.replace("@", hashlib.sha256(text.encode()).hexdigest()[:12])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr(zipfile.ZipInfo("index.json"), text, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def figure(scene: Scene) -> str:
    """The scene as HTML that carries everything: the still picture, the 3-D data, the labels, the caption.

    The styles inside are the least that shows the picture rightly where the site's style sheet is not.
    """
    data = base64.b64encode(vtksz(scene.parts)).decode()
    walk = _walk(scene)
    words = repr((scene.title, scene.alt, scene.caption, scene.labels, scene.clipped, walk))
    identity = hashlib.sha256((data + words).encode()).hexdigest()[:12]
    picture = base64.b64encode(stage.still(scene.parts, kind="WEBP")).decode()
    width, height = SIZE
    view = " ".join(map(str, (stage.AZIMUTH, stage.ELEVATION, stage.DISTANCE, *stage.TARGET)))
    title = f"<strong>{html.escape(scene.title)}.</strong> " if scene.title else ""
    return (
        f'<figure class="la-scene" data-scene="{identity}" data-view="{view}" style="max-width:{width}px">\n'
        f'<div class="la-view" style="position:relative">\n'
        f'<img class="la-still" src="data:image/webp;base64,{picture}" width="{width}" height="{height}" '
        f'loading="lazy" style="display:block;width:100%;height:auto" alt="{html.escape(scene.alt)}">\n'
        f'<div class="la-labels" aria-hidden="true">{_spans(scene.labels)}</div>\n</div>\n'
        f"{walk}{_bar(scene)}"
        f'<script type="application/octet-stream;base64" class="la-data">{data}</script>\n'
        f"<figcaption>{title}{html.escape(scene.caption)}\n"
        f"{offer(scene.downloads(), facts(scene.data.values()))}</figcaption>\n</figure>\n"
    )


def _walk(scene: Scene) -> str:
    """Where the page puts the controls of a path; its data say which actor is what, and where each step is."""
    if scene.track is None:
        return ""
    place = {part.role: number for number, part in enumerate(scene.parts) if part.role}
    data = {
        "name": scene.track.name,
        "at": [number(value) for value in scene.track.at],
        "points": [[round(float(x), 4) for x in point] for point in scene.track.points],
        "rings": track.BETWEEN,
        "tube": place[track.TUBE],
        "ball": place[track.END],
    }
    text = html.escape(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    return f'<div class="la-walk" data-walk="{text}"></div>\n'


def _spans(labels: Sequence[Label]) -> str:
    """The labels of the axes, each where the start camera sees its place."""
    spots = stage.project(np.array([stage.anchor(label) for label in labels]))
    return "".join(
        f'<span class="la-{"name" if label.name else "tick"}" data-axis="{label.axis}" '
        f'data-at="{label.at:.4f}" style="position:absolute;left:{100 * left:.2f}%;top:{100 * top:.2f}%;'
        f'transform:translate({"-100%" if label.leftwards else "-50%"},-50%)">'
        f"{html.escape(label.text)}</span>"
        for label, (left, top) in zip(labels, spots, strict=True)
    )


def _bar(scene: Scene) -> str:
    """The colour bar under the picture with the ticks of the height, and the grey of what is clipped."""
    from matplotlib import colormaps, colors

    stops = ",".join(colors.to_hex(colormaps[COLOURS](share)) for share in np.linspace(0, 1, 17))
    ticks = "".join(
        f'<span style="position:absolute;left:{100 * label.at / TALL:.2f}%;transform:translateX(-50%)">'
        f"{html.escape(label.text)}</span>"
        for label in scene.labels
        if label.axis == "z" and not label.name
    )
    name = next(label.text for label in scene.labels if label.axis == "z" and label.name)
    grey = f'<span class="la-clip"><i style="background:{CLIPPED}"></i>clipped</span>' if scene.clipped else ""
    return (
        f'<div class="la-bar" aria-hidden="true"><span>{html.escape(name)}</span>'
        f'<div class="la-scale" style="position:relative;padding-top:10px;background:linear-gradient('
        f'to right,{stops}) top/100% 10px no-repeat">{ticks}&nbsp;</div>{grey}</div>\n'
    )
