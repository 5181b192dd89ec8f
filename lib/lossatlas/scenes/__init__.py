"""Surfaces in 3-D: on a page, in a window, for ParaView."""

from lossatlas.scenes.compose import Scene, SceneRow, compare, export, scene

__all__ = ["Scene", "SceneRow", "compare", "export", "scene"]
