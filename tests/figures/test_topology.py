"""Figures of topology: what is drawn is where the numbers say, and the words say it too."""

import matplotlib.colors
import numpy as np
import pytest
import xarray as xr

from lossatlas import figures, geometry
from shapes import double_well, surface_of


def wells(points=61):
    return surface_of(lambda a, b: 1 + double_well(a, b), extent=1.6, points=points)


def drawn(ax, marks):
    """The points drawn with marks of some kinds."""
    lines = [line for line in ax.lines if line.get_marker() in marks]
    return sorted((float(x), float(y)) for line in lines for x, y in zip(*line.get_data(), strict=True))


def test_a_merge_tree_marks_each_minimum_and_saddle_on_the_contours_and_at_its_height():
    tree = geometry.merge_tree(wells())
    figure = figures.merge_tree(wells())
    contours, branches = figure.axes[0], figure.axes[1]
    assert drawn(contours, "oX") == sorted((about["alpha"], about["beta"]) for about in tree.nodes.values())
    assert sorted(y for _, y in drawn(branches, "oX")) == sorted(about["value"] for about in tree.nodes.values())
    assert [text.get_text() for text in branches.texts if text.get_text()] == ["1", "2"]
    assert "2 minima, 1 saddle" in figure.alt and "joins at 2.1" in figure.alt


def test_most_minima_are_the_most_persistent_ones():
    rough = wells().assign(loss=lambda s: s.loss + 0.05 * np.random.default_rng(0).normal(size=s.loss.shape))
    figure = figures.merge_tree(rough, most=3)
    assert figure.alt.split("Merge tree: ")[1].startswith("3 minima, ")


def test_a_surface_with_one_basin_has_a_tree_of_one_minimum():
    bowl = surface_of(lambda a, b: 1 + a**2 + b**2)
    assert "1 minimum, 0 saddles" in figures.merge_tree(bowl).alt


def test_a_persistence_diagram_shows_every_feature_and_fills_only_what_is_significant():
    one = xr.Dataset({"birth": ("component", [0.0, 1.0, 2.0]), "death": ("component", [np.inf, 3.0, 2.1])})
    one = one.assign(significant=("component", [True, True, False]), threshold=0.5)
    figure = figures.persistence_diagram({"a": one})
    ax = figure.axes[0]
    assert drawn(ax, "o") == [(1.0, 3.0), (2.0, 2.1)] and [x for x, _ in drawn(ax, "^")] == [0.0]
    faces = {line.get_xdata()[0]: line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"}
    assert matplotlib.colors.to_hex(faces[2.0]) == "#ffffff" != matplotlib.colors.to_hex(faces[1.0])
    (band,) = [patch for patch in ax.collections if patch.get_label() == "random phases"]
    corners = band.get_paths()[0].vertices
    assert (corners[:, 1] - corners[:, 0]).max() == pytest.approx(0.5)
    assert "3 components, 1 of which never ends; the longest other lasts from 1 to 3; 2 significant" in figure.alt


def test_a_diagram_of_loops_says_so():
    ring = surface_of(lambda a, b: (a**2 + b**2 - 0.36) ** 2)
    assert (
        ": 1 loop; the longest lasts from" in figures.persistence_diagram(geometry.persistence(ring, dimension=1)).alt
    )


def test_counts_are_drawn_as_steps_with_the_interval_over_seeds():
    counts = xr.Dataset(
        {"components": (("seed", "level"), [[1, 3, 1], [1, 1, 1], [2, 2, 1]])}, {"level": [0.0, 1.0, 3.0]}
    )
    figure = figures.component_counts({"a": counts})
    ax = figure.axes[0]
    x, y = ax.lines[0].get_data()
    assert x.tolist() == [0, 1, 1, 3, 3] and y == pytest.approx([4 / 3, 4 / 3, 2, 2, 1])
    assert len(ax.collections) == 1 and "3 seeds" in ax.get_legend().get_title().get_text()
    assert "at most 2, first at λ = 1; 1 at λ = 3" in figure.alt
