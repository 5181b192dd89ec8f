"""The merge tree on a surface: a ball at each minimum, a diamond at each saddle, tubes along the paths between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

from lossatlas.geometry import tree_paths
from lossatlas.scenes.frame import FineSurface, Frame
from lossatlas.scenes.meshes import as_strips, rounded
from lossatlas.scenes.parts import SHADED
from lossatlas.scenes.renderer import Part
from lossatlas.scenes.trajectories import BALL_RADIUS, LIFT, tube

if TYPE_CHECKING:
    import pyvista as pv

WAYS, NODES = "tree", "tree nodes"  # roles of the parts
COLOURS = {"minimum": "#ffffff", "saddle": "#1f1f1f"}


def tree_parts(fine: FineSurface, frame: Frame, surface: xr.Dataset, tree: nx.DiGraph, variable: str) -> list[Part]:
    """Return the parts of a merge tree of a surface, just above it."""
    height = RegularGridInterpolator((fine.alphas, fine.betas), fine.heights)

    def places(alphas: np.ndarray, betas: np.ndarray) -> np.ndarray:
        above = height(np.stack([alphas, betas], axis=1))
        return frame.to_box(alphas, betas, above) + np.array([0, 0, LIFT])

    paths = tree_paths(surface, tree, variable=variable).values()
    lines = [places(path["alpha"].to_numpy(), path["beta"].to_numpy()) for path in paths]
    parts = [tube(line, colour=COLOURS["minimum"], role=WAYS) for line in lines]
    for _, about in tree.nodes.items():
        (centre,) = places(np.array([about["alpha"]]), np.array([about["beta"]]))
        parts.append(Part(_node(centre, about["kind"]), {"color": COLOURS[about["kind"]]} | SHADED, NODES))
    return parts


def _node(centre: np.ndarray, kind: str) -> pv.PolyData:
    """Return a ball, or a diamond for a saddle."""
    import pyvista as pv

    shape: dict[str, Any] = {"theta_resolution": 12, "phi_resolution": 12}
    if kind == "saddle":
        shape = {"theta_resolution": 4, "phi_resolution": 3}
    mesh = as_strips(pv.Sphere(radius=1.3 * BALL_RADIUS, center=centre, **shape))
    mesh.points = rounded(mesh.points, 12)
    return mesh


def words(tree: nx.DiGraph) -> str:
    """Return what a caption says of a tree.

    Examples
    --------
    >>> words(nx.DiGraph())
    'Balls: 0 minima. Diamonds: 0 saddles. White lines: paths from each saddle to what lies below, never above it.'
    """
    kinds = [kind for _, kind in tree.nodes("kind")]
    minima, saddles = kinds.count("minimum"), kinds.count("saddle")
    balls = f"{minima} minim{'um' if minima == 1 else 'a'}"
    diamonds = f"{saddles} saddle{'' if saddles == 1 else 's'}"
    ways = "White lines: paths from each saddle to what lies below, never above it."
    return f"Balls: {balls}. Diamonds: {diamonds}. {ways}"
