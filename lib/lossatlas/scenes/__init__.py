"""Surfaces in 3-D: on a page, in a window, for ParaView."""

from lossatlas.scenes.compose import Scene, SceneRow, compare, scene
from lossatlas.scenes.paraview import export
from lossatlas.scenes.volumes import Volume, volume

__all__ = ["Scene", "SceneRow", "Volume", "compare", "export", "scene", "volume"]
