"""Surfaces in 3-D: on a page, in a window, for ParaView."""

from lossatlas.scenes.compose import Scene, SceneRow, compare, scene
from lossatlas.scenes.paraview import export

__all__ = ["Scene", "SceneRow", "compare", "export", "scene"]
