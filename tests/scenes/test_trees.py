"""Merge trees in scenes: nodes and paths lie just above the surface, where the tree says."""

import numpy as np
import pytest

from lossatlas import geometry, scenes
from lossatlas.scenes.renderer import BOX_HEIGHT
from shapes import double_well, surface_of


def wells():
    return surface_of(lambda a, b: 1 + double_well(a, b), extent=1.6, points=41)


def of_role(scene, role):
    return [part.mesh for part in scene.parts if part.role == role]


def test_nodes_stand_at_the_minima_and_the_saddle_and_paths_join_them():
    scene = scenes.scene(wells(), minima=4, height="linear")
    tree, frame = geometry.merge_tree(wells()), scene.frame
    about = list(tree.nodes.values())
    heights = np.array([one["value"] for one in about])
    expected = frame.to_box(*(np.array([one[name] for one in about]) for name in ("alpha", "beta")), heights)
    found = np.array([mesh.center for mesh in of_role(scene, "tree nodes")])
    np.testing.assert_allclose(sorted(found[:, 0]), sorted(expected[:, 0]), atol=0.002)
    np.testing.assert_allclose(np.sort(found[:, 2]), np.sort(expected[:, 2]) + 0.006, atol=0.004)
    saddle = BOX_HEIGHT * frame.share(heights.max())
    paths = of_role(scene, "tree")
    assert len(paths) == 2 and all(mesh.points[:, 2].max() < saddle + 0.02 for mesh in paths)
    assert "Balls: 2 minima. Diamonds: 1 saddle." in scene.caption
    assert "Merge tree: 2 minima, 1 saddle." in scene.alt


def test_a_scene_without_minima_has_no_tree_and_one_basin_has_a_ball_alone():
    assert not of_role(scenes.scene(wells()), "tree nodes") and "Balls" not in scenes.scene(wells()).caption
    bowl = scenes.scene(surface_of(lambda a, b: 1 + a**2 + b**2), minima=3)
    assert len(of_role(bowl, "tree nodes")) == 1 and not of_role(bowl, "tree")


@pytest.mark.parametrize("seed", range(2))
def test_the_tree_of_a_rough_surface_fits_a_page(seed):
    noise = 0.2 * np.random.default_rng(seed).normal(size=(101, 101))
    scene = scenes.scene(surface_of(lambda a, b: 3 + double_well(a, b) + noise, extent=1.6, points=101), minima=12)
    assert len(of_role(scene, "tree nodes")) >= 12
    assert len(scene.vtksz()) < 500_000
