"""What every drawing in 3-D offers, whatever it shows: a window, a picture, files, and its place on a page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lossatlas.figures import page
from lossatlas.figures.attachments import Attachment, data_file
from lossatlas.figures.page import Bundle
from lossatlas.figures.provenance import how_made
from lossatlas.scenes import renderer, web
from lossatlas.scenes.frame import Frame
from lossatlas.scenes.renderer import Label, Part

if TYPE_CHECKING:
    import pyvista as pv


@dataclass(frozen=True, kw_only=True)
class Drawn(ABC):
    """Hold a drawing in 3-D: on a page as the value of a cell, in a window through `.plotter(off_screen=False)`."""

    title: str
    alt: str
    caption: str
    frame: Frame
    parts: tuple[Part, ...] = field(repr=False)
    labels: tuple[Label, ...] = field(repr=False)
    data: Mapping[str, xr.Dataset] = field(default_factory=dict, repr=False)  # the surface, and the path if any

    @abstractmethod
    def around(self) -> Bundle:
        """Return what stands around the drawing on a page: `about`, `labels` and `bar`."""

    def readings(self) -> Bundle:
        """Return the values that a page reads out at points of the drawing."""
        return web.readings(np.empty(0), np.empty(0), {})

    def plotter(self, *, off_screen: bool = True) -> pv.Plotter:
        """Return a PyVista plotter with everything in it, to be changed, shown and saved.

        With `off_screen=False` its `.show()` opens a window, which needs a display.
        """
        return renderer.plotter(self.parts, self.labels, off_screen=off_screen)

    def screenshot(self) -> bytes:
        """Return the picture with its labels as PNG on a transparent background."""
        return renderer.still(self.parts, self.labels)

    def vtksz(self) -> bytes:
        """Return the drawing for VTK.js viewers. The same drawing gives the same bytes."""
        return web.vtksz(self.parts)

    def files(self) -> list[Attachment]:
        """Return the files offered below the drawing: its numbers as NetCDF."""
        name = self.title or self.caption
        return [data_file({name: [one] for name, one in self.data.items()}, name=name)]

    def bundle(self) -> Bundle:
        """Return everything that a page needs to show the drawing, as plain data (see `lossatlas.figures.page`)."""
        width, height = renderer.SIZE
        shown: Bundle = {"title": self.title, "alt": self.alt, "caption": self.caption, **self.around()}
        data, readings = self.vtksz(), self.readings()
        identity = page.digest([shown, page.digest(data), readings])
        still = renderer.still(self.parts, media="WEBP")
        return {
            "id": identity,
            **shown,
            "still": page.asset(still, "image/webp", width=width, height=height),
            "script": page.asset(web.data_script(identity, data, readings), "text/javascript"),
            "files": [file.asset() for file in self.files()],
            "made": how_made(self.data.values()),
        }

    def _repr_html_(self) -> str:
        return page.render(on_a_page([self]))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return page.mimebundle(on_a_page([self]))


def on_a_page(shown: Sequence[Drawn], *, row: bool = False) -> Bundle:
    """Return drawings as one bundle of a page."""
    return {"kind": "scenes", "row": row, "scenes": [one.bundle() for one in shown]}
