"""A 3-D scene as plain data for a page: its meshes for VTK.js, its labels, its colour bar, its readings."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lossatlas._text import number
from lossatlas.figures.page import Bundle
from lossatlas.scenes import renderer, trajectories
from lossatlas.scenes.frame import Frame
from lossatlas.scenes.renderer import BOX_HEIGHT, CLIPPED, COLOURS, Label, Part
from lossatlas.scenes.trajectories import PathOnSurface

APART = 0.06  # of the colour bar's length, between two of its ticks


def vtksz(parts: Sequence[Part]) -> bytes:
    """Return the scene as a .vtksz file (a zip with one JSON text), which VTK.js viewers open; no OpenGL is needed.

    The same parts give the same bytes. Object ids are made from the content: a viewer keeps the objects of
    all scenes on a page in one register, in which ids from memory addresses could collide.
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
    described = serialize(None, window, "window", context, 1)
    described["mtime"] = 1
    arrays = {
        entry["hash"]: {**entry, "content": context.get_cached_data_array(entry["hash"], False)}
        for entry in extract_array_hash(described)
    }
    for cells in _cell_arrays(described):  # point numbers in half the bytes; equal arrays are stored once
        packed = arrays[cells["hash"]]
        if packed["type"] == "Int32Array":
            numbers = np.frombuffer(base64.b64decode(packed["content"]), np.int32)
            if numbers.max(initial=0) < 2**16:
                packed["content"] = base64.b64encode(numbers.astype("<u2").tobytes()).decode()
                packed["type"] = "Uint16Array"
        cells["dataType"] = packed["type"]
    text = json.dumps({"scene": described, "hashes": arrays})
    short: dict[str, str] = {}
    text = re.sub(r'(?<=["{])[0-9a-f]{16}(?=["}-])', lambda match: short.setdefault(match[0], f"@{len(short)}@"), text)
    text = text.replace('"window"', '"@window@"')
    text = text.replace("@", hashlib.sha256(text.encode()).hexdigest()[:12])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr(zipfile.ZipInfo("index.json"), text, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def _cell_arrays(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the descriptions of all cell arrays of a scene."""
    if isinstance(node, dict) and node.get("vtkClass") == "vtkCellArray":
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _cell_arrays(child)


def data_script(identity: str, data: bytes, readings: Bundle) -> bytes:
    """Return a script that hands the 3-D data and the readings of a scene to the page.

    A page opened from disk may load scripts but no other files.
    """
    content = [base64.b64encode(data).decode(), readings]
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return f'(window.laScenes ??= {{}})["{identity}"] = {text};\n'.encode()


def about(
    frame: Frame,
    parts: Sequence[Part],
    *,
    scales: Sequence[str],
    levels: Sequence[float],
    path: PathOnSurface | None,
) -> Bundle:
    """Return what a page must know to change a scene: camera, box, contour lines, and the role of each part.

    `levels` are the heights of the contour lines as shares of the box. `scales` are those on which the height can be
    shown, first the one that is drawn: "log", "linear" or "symlog".
    """
    roles = sorted({part.role for part in parts if part.role})
    found: Bundle = {
        "camera": {
            "azimuth": renderer.AZIMUTH,
            "elevation": renderer.ELEVATION,
            "distance": renderer.DISTANCE,
            "target": list(renderer.TARGET),
            "view_angle": renderer.VIEW_ANGLE,
        },
        "anchors": {"tick": renderer.TICK_ANCHOR, "name": renderer.NAME_ANCHOR, "height": renderer.HEIGHT_ANCHOR},
        "scales": list(scales),
        "threshold": frame.transform.threshold,
        "low": frame.low,
        "high": frame.high,
        "box_height": BOX_HEIGHT,
        "alpha": list(frame.alpha),
        "beta": list(frame.beta),
        "levels": [round(float(BOX_HEIGHT * level), 5) for level in levels],
        "parts": {role: [n for n, part in enumerate(parts) if part.role == role] for role in roles},
        "tube": {"rings": trajectories.RINGS, "sides": trajectories.SIDES, "lift": trajectories.LIFT},
        "path": None,
    }
    if path is not None:
        found["path"] = {
            "unit": path.unit,
            "values": list(path.values),
            "texts": [number(value) for value in path.values],
            "points": [[round(float(x), 4) for x in point] for point in path.points],
        }
    return found


def readings(alphas: np.ndarray, betas: np.ndarray, values: Mapping[str, np.ndarray]) -> Bundle:
    """Return the values (n_alpha, n_beta) at the points of the grid, to be read out; packed as float32 in base64."""
    found: Bundle = {
        axis: [float(f"{value:.6g}") for value in points] for axis, points in (("alpha", alphas), ("beta", betas))
    }
    found["values"] = {name: base64.b64encode(one.astype("<f4").tobytes()).decode() for name, one in values.items()}
    return found


def placed_labels(labels: Sequence[Sequence[Label]], scales: Sequence[str]) -> list[Bundle]:
    """Return the labels with their places in the picture, as the start camera sees them, in percent.

    The ticks of the height belong to one of its scales; `labels` are those to show on each. Only those of the first
    scale are visible before a script shows others.
    """
    found = []
    for n, (group, scale) in enumerate(zip(labels, scales, strict=True)):
        for label in group:
            left, top = renderer.project(renderer.anchor(label))[0]
            found.append(
                {
                    "text": label.text,
                    "axis": label.axis,
                    "at": round(float(label.at), 4),
                    "name": label.name,
                    "left": round(100 * float(left), 2),
                    "top": round(100 * float(top), 2),
                    "right_aligned": label.right_aligned,
                    "scale": scale if label.axis == "z" and not label.name else None,
                    "hidden": n > 0,
                }
            )
    return found


def colour_bar(labels: Sequence[Bundle], *, name: str, clipped: bool) -> Bundle:
    """Return the colour bar below the picture: its colours, the ticks of the height, the grey of what is clipped."""
    from matplotlib import colormaps, colors

    ticks = _apart([one for one in labels if one["axis"] == "z" and not one["name"]])
    return {
        "name": name,
        "stops": [colors.to_hex(colormaps[COLOURS](share)) for share in np.linspace(0, 1, 33)],
        "ticks": [
            {
                "text": one["text"],
                "left": round(100 * one["at"] / BOX_HEIGHT, 2),
                "scale": one["scale"],
                "hidden": one["hidden"],
            }
            for one in ticks
        ],
        "clipped": CLIPPED if clipped else None,
    }


def _apart(ticks: Sequence[Bundle]) -> list[Bundle]:
    """Return the ticks without those that would stand too near to the one before, on the same scale."""
    kept: list[Bundle] = []
    for tick in sorted(ticks, key=lambda one: (one["hidden"], one["at"])):
        if not kept or kept[-1]["scale"] != tick["scale"] or tick["at"] - kept[-1]["at"] >= APART * BOX_HEIGHT:
            kept.append(tick)
    return kept
