"""The VTK.js viewer, which comes with trame-vtk, as one script for the whole site."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import html5lib
from trame_vtk.tools.vtksz2html import HTML_VIEWER_PATH

from lossatlas._files import write_whole

VIEWER = "vtk-viewer.js"
RELEASE = "2.11.17"  # of trame-vtk
DIGEST = "21db42532bb31c9a5fc550cda8f9c4c56e92c87e3b7130202ef1f19795c08f01"  # of the page in that release

# Its maker meant it for a page of its own: it adds icons from another host, and a style that stops scrolling.
ICONS = (
    'Mc&&[16,32,96,160,196].forEach(t=>{const e=document.createElement("link");e.setAttribute("rel","icon"),'
    'e.setAttribute("href",`https://kitware.github.io/vtk-js/icon/favicon-${t}x${t}.png`),'
    'e.setAttribute("sizes",`${t}x${t}`),e.setAttribute("type","image/png"),Mc.appendChild(e)})'
)
STYLE = '__vtkStyle.textContent = "'


def publish_viewer(static: Path | str, *, page: Path | str = HTML_VIEWER_PATH) -> Path:
    """Write the viewer as a script into a folder, and return its path.

    trame-vtk holds the viewer as a module inside an HTML page. It becomes a plain script, because a page that is
    opened from disk may not load modules. A function around it keeps its names apart from those of the site.

    Parameters
    ----------
    static : path
        The folder to write to.
    page : path
        The page of trame-vtk.

    Raises
    ------
    RuntimeError
        If the page is not that of the release which this module knows.
    """
    content = Path(page).read_bytes()
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise RuntimeError(
            f"trame-vtk {version('trame-vtk')} holds another VTK.js viewer than trame-vtk {RELEASE}; "
            f"install trame-vtk=={RELEASE}, or adapt {Path(__file__).name} to the new viewer and its digest"
        )
    path = Path(static, VIEWER)
    script = f'(() => {{\n"use strict";\nconst global = window;\n{_patched(_module(content))}\n}})();\n'
    write_whole(path, script.encode())
    return path


def _module(page: bytes) -> str:
    """Return the text of the page's one module."""
    root = html5lib.parse(page, namespaceHTMLElements=False, transport_encoding="utf-8")
    (module,) = root.findall(".//script[@type='module']")
    return module.text


def _patched(script: str) -> str:
    """Return the viewer without its icons and without its style."""
    before, _, rest = script.replace(ICONS, "null").partition(STYLE)
    _, _, after = rest.partition('"')
    return before + STYLE + '"' + after
