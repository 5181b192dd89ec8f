import base64
import io
import re

import html5lib
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from PIL import Image
from scipy import stats

from lossatlas import figures
from lossatlas.figures.colour_scale import BEYOND, ColourScale, Transform
from lossatlas.figures.theme import Picture, png

pytestmark = pytest.mark.filterwarnings("error")


def bowl(a, b):
    return 0.1 + a**2 + 3 * b**2


def surface_of(function=bowl, *, points=21, extent=1.0, **attrs):
    grid = np.linspace(-extent, extent, points)
    values = function(*np.meshgrid(grid, grid, indexing="ij")) + np.zeros((points, points))
    unit = {"units": "filter-normalized step"}
    coords = {"alpha": ("alpha", grid, unit), "beta": ("beta", grid, unit)}
    attrs = {"loss_name": "cross_entropy", "origin_loss": 0.1, **attrs}
    return xr.Dataset({"loss": (("alpha", "beta"), values)}, coords, attrs)


def line_of(function=np.square, points=11):
    grid = np.linspace(-1, 1, points)
    return xr.Dataset({"loss": ("alpha", function(grid))}, {"alpha": grid}, {"loss_name": "mse"})


def with_holes():
    surface = surface_of()
    surface.loss[15:, 15:] = np.nan
    surface.loss[:3, :3] = np.inf
    return surface


def path_of(n=12, **attrs):
    at = np.linspace(1, 0, n)
    variables = {"alpha": ("step", -0.9 * at), "beta": ("step", 0.5 * at**2), "epoch": ("step", np.arange(n) * 2)}
    return xr.Dataset(variables, {"step": np.arange(n) * 50}, attrs)


def contour_sets(ax):
    """The filled set (or None) and the set of lines."""
    sets = [artist for artist in ax.collections if isinstance(artist, QuadContourSet)]
    return next((s for s in sets if s.filled), None), next((s for s in sets if not s.filled), None)


def bars(figure):
    return [ax for ax in figure.axes if hasattr(ax, "_colorbar")]


def pixels(figure):
    return np.asarray(Image.open(io.BytesIO(png(figure))).convert("RGB")).astype(int)


# Contours


def test_contour_lines_stand_at_the_levels_asked_for_and_colours_span_the_values():
    surface = surface_of()
    figure = figures.contour(surface, levels=[0.5, 1.0, 2.0])
    filled, lines = contour_sets(figure.axes[0])
    np.testing.assert_allclose(lines.levels, np.log10([0.5, 1, 2]))
    np.testing.assert_allclose(filled.get_clim(), np.log10([0.1, 4.1]))
    np.testing.assert_allclose(filled.levels[[0, -1]], np.log10([0.1, 4.1]))
    # On the line of level 1 the bowl has the value 1.
    points = np.concatenate([segment for segment in lines.allsegs[1]])
    np.testing.assert_allclose(bowl(*points.T), 1, rtol=0.01)


def test_a_linear_contour_has_even_levels_of_the_value_itself():
    filled, lines = contour_sets(figures.contour(surface_of(), log=False).axes[0])
    np.testing.assert_allclose(filled.get_clim(), [0.1, 4.1])
    assert np.ptp(np.diff(lines.levels)) < 1e-9 and 4 <= len(lines.levels) <= 9


def test_axes_and_colour_bar_are_named_with_their_units():
    figure = figures.contour(surface_of(), title="A bowl")
    ax, bar = figure.axes
    assert ax.get_xlabel() == "α (filter-normalized step)" and ax.get_ylabel() == "β (filter-normalized step)"
    assert bar.get_ylabel() == "cross-entropy (nats)\nlog scale"
    assert ax.get_title(loc="left") == "A bowl" and ax.get_aspect() == 1
    figure.draw_without_rendering()
    texts = [label.get_text() for label in bar.get_yticklabels()]
    assert {"0.2", "0.5", "1", "2"} <= set(texts)
    other = figures.contour(surface_of().assign_attrs(loss_name="my_loss"), log=False).axes[1]
    assert other.get_ylabel().strip() == "my loss"


def test_what_is_above_the_clip_is_grey_and_said_to_be():
    figure = figures.contour(surface_of(), clip=1.0)
    filled, _ = contour_sets(figure.axes[0])
    assert filled.get_clim()[1] == pytest.approx(0) and filled.extend == "max"
    assert mpl.colors.to_hex(filled.cmap(2.0)) == BEYOND
    assert "grey: above 1" in bars(figure)[0].get_ylabel()
    unclipped = figures.contour(surface_of(), clip=100)
    assert contour_sets(unclipped.axes[0])[0].extend == "neither" and "grey" not in bars(unclipped)[0].get_ylabel()
    # The corner lies above the clip: it is grey in the picture too.
    ax = figure.axes[0]
    figure.savefig(io.BytesIO(), dpi=200)
    x, y = ax.transData.transform((0.9, 0.9)) * 2
    assert mpl.colors.to_hex(pixels(figure)[-int(y), int(x)] / 255) == BEYOND


def test_a_scale_that_is_given_is_kept_and_two_are_refused():
    filled, _ = contour_sets(figures.contour(surface_of(), clim=(0.01, 100)).axes[0])
    np.testing.assert_allclose(filled.get_clim(), [-2, 2])
    with pytest.raises(ValueError, match="give one of them"):
        figures.contour(surface_of(), clim=(0.01, 100), clip=3)


@pytest.mark.parametrize(
    "options", [{"clim": (2, 1)}, {"clim": (0, 1)}, {"clip": 0.05}, {"clip": np.nan}, {"clim": (1, np.inf)}]
)
def test_scales_that_show_nothing_are_refused(options):
    with pytest.raises(ValueError, match=r"cli[pm]=.*between 0\.1 and 4\.1"):
        figures.contour(surface_of(), **options)


def test_parts_that_are_not_finite_are_hatched_and_left_uncoloured():
    figure = figures.contour(with_holes())
    ax = figure.axes[0]
    assert [patch.get_hatch() for patch in ax.patches] == ["///"]
    assert "hatched: not finite" in bars(figure)[0].get_ylabel()
    filled, _ = contour_sets(ax)

    def coloured(*point):
        return any(path.contains_point(point) for path in filled.get_paths())

    assert not coloured(0.8, 0.8) and not coloured(-0.95, -0.95)
    assert coloured(0.33, 0.87) and coloured(-0.75, 0.71)
    assert not figures.contour(surface_of()).axes[0].patches


def test_lines_alone_and_the_grid_alone():
    filled, lines = contour_sets(figures.contour(surface_of(), filled=False).axes[0])
    assert filled is None and len(lines.levels) >= 4
    # Uninterpolated, a line bends at grid lines only: its vertices lie on them.
    _, coarse = contour_sets(figures.contour(surface_of(), interpolate_to=None, levels=[1.0]).axes[0])
    vertices = np.concatenate([segment[1:-1] for segment in coarse.allsegs[0]])  # without the gap of the label
    off = np.abs(vertices / 0.1 - np.round(vertices / 0.1))
    assert (off.min(axis=1) < 1e-6).all()
    with pytest.raises(ValueError, match="interpolate_to=1"):
        figures.contour(surface_of(), interpolate_to=1)


def test_the_origin_is_marked_where_the_grid_holds_it():
    marks = [line for line in figures.contour(surface_of()).axes[0].lines if line.get_label() == "θ*"]
    assert len(marks) == 1 and marks[0].get_xydata().tolist() == [[0, 0]]
    away = surface_of().assign_coords(alpha=np.linspace(1, 2, 21))
    assert not figures.contour(away).axes[0].lines


def test_flat_and_extreme_surfaces_are_drawn():
    for function in (lambda a, b: 2.0, lambda a, b: 10.0 ** (30 * a), lambda a, b: 1e-9 * bowl(a, b)):
        for log in (True, False):
            assert pixels(figures.contour(surface_of(function), log=log)).std() > 10


def test_a_line_is_no_surface():
    with pytest.raises(ValueError, match="draw it with profile"):
        figures.contour(line_of())
    with pytest.raises(ValueError, match="variable='accuracy'"):
        figures.contour(surface_of(), variable="accuracy")


def test_drawing_into_given_axes_and_transposed_surfaces():
    figure = Figure()
    ax = figure.add_subplot()
    assert figures.contour(surface_of().transpose("beta", "alpha"), ax=ax, levels=[1.0]) is figure
    _, lines = contour_sets(ax)
    points = np.concatenate(lines.allsegs[0])
    np.testing.assert_allclose(bowl(*points.T), 1, rtol=0.01)


@settings(deadline=None, max_examples=60)
@given(st.floats(-30, 30), st.floats(1e-3, 40), st.integers(3, 12), st.sampled_from(["linear", "log"]))
def test_round_heights_lie_within_the_scale_increase_and_are_few(low, span, count, kind):
    assume(abs(low + span) < 30)
    log = kind == "log"
    scale = ColourScale(Transform(kind), low, low + span)
    heights = scale.round_heights(count)
    assert ((heights >= low - 1e-9) & (heights <= low + span + 1e-9)).all()
    assert (np.diff(heights) > 0).all() and len(heights) <= count + 1
    assert len(heights) >= 2 or span < 0.1
    texts = [scale.text(height) for height in heights]
    assert len(set(texts)) == len(texts) or span < 0.1 or not log


def test_a_wall_does_not_ring_into_the_basin():
    surface = surface_of(lambda a, b: np.where(a > 0.5, 1e6, bowl(a, b)))
    scale = ColourScale.over([surface], variable="loss", log=False)
    alphas, _, heights = scale.refine(surface, "loss", 201)
    basin = heights[alphas < 0.35]
    assert basin.min() >= 0.1 - 1e-9 and basin.max() <= 4.1 + 1e-9


# Paths


def test_a_path_shows_its_points_its_ends_its_epochs_and_its_variance():
    path = path_of(explained_variance_alpha=0.914, explained_variance_beta=0.0521)
    figure = figures.path_over_contours(surface_of(), path, marks=4)
    ax = figure.axes[0]
    drawn = [line for line in ax.lines if len(line.get_xdata()) == 12]
    np.testing.assert_allclose(drawn[0].get_xydata(), np.stack([path.alpha, path.beta], 1))
    ends = {line.get_label(): line.get_xydata()[0] for line in ax.lines if len(line.get_xdata()) == 1}
    np.testing.assert_allclose(ends["start"], [-0.9, 0.5])
    np.testing.assert_allclose(ends["end"], [0, 0])
    marks = {text.get_text(): text.xy for text in ax.texts if isinstance(text, Annotation)}
    assert len(marks) == 4 and {"epoch 0", "22"} < set(marks)
    for text, place in marks.items():
        assert place == pytest.approx(drawn[0].get_xydata()[int(text.removeprefix("epoch ")) // 2])
    assert ax.get_xlabel() == "α (91.4% of variance)" and ax.get_ylabel() == "β (5.21% of variance)"
    assert "91.4% along α and 5.21% along β" in figure.alt and "12 points" in figure.alt


def test_a_path_without_epochs_or_variance_counts_steps():
    ax = figures.path_over_contours(surface_of(), path_of().drop_vars("epoch")).axes[0]
    assert "step 0" in [text.get_text() for text in ax.texts]
    assert ax.get_xlabel() == "α (filter-normalized step)"
    plain = figures.contour(surface_of(), path=path_of())
    assert "training path of 12 points" in plain.alt and len(plain.axes[0].lines) >= 4
    assert figures.path_over_contours(surface_of(), path_of(1)).axes


def test_the_epochs_beside_a_path_keep_apart_and_inside():
    out, back = np.linspace(-0.95, 0.5, 20), np.linspace(0.5, -0.6, 20)
    there_and_back = xr.Dataset(
        {"alpha": ("step", np.r_[out, back]), "beta": ("step", np.r_[0 * out, 0.02 + 0 * back])},
        {"step": np.arange(40), "epoch": ("step", np.arange(40))},
    )
    figure = figures.path_over_contours(surface_of(), there_and_back, marks=12)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    texts = [text for text in ax.texts if isinstance(text, Annotation)]
    assert {"epoch 0", "39"} <= {text.get_text() for text in texts} and len(texts) > 3
    boxes = [text.get_window_extent() for text in texts]
    for i, box in enumerate(boxes):
        assert box.x0 > ax.bbox.x0 and box.x1 < ax.bbox.x1
        assert not box.count_overlaps(boxes[:i]), texts[i].get_text()


# Panels


def test_panels_share_one_scale_that_says_so():
    surfaces = {"low": surface_of(), "high": surface_of(lambda a, b: 100 * bowl(a, b)), "third": surface_of()}
    figure = figures.panels(surfaces)
    (bar,) = bars(figure)
    drawn = [ax for ax in figure.axes if ax is not bar]
    assert [ax.get_title(loc="left") for ax in drawn] == ["low", "high", "third"]
    for ax in drawn:
        np.testing.assert_allclose(contour_sets(ax)[0].get_clim(), np.log10([0.1, 410]))
    assert "shared by all panels" in bar.get_ylabel() and "one colour scale" in figure.alt
    # The panel above the empty place keeps its axis, the one above another panel leaves it to that.
    assert [bool(ax.get_xlabel()) for ax in drawn] == [False, True, True]
    assert [bool(ax.get_ylabel()) for ax in drawn] == [True, False, True]


def test_panels_of_separate_scales_and_grids():
    surfaces = {"low": surface_of(), "high": surface_of(lambda a, b: 100 * bowl(a, b), extent=2)}
    figure = figures.panels(surfaces, share_scale=False)
    assert len(bars(figure)) == 2
    limits = [contour_sets(ax)[0].get_clim() for ax in figure.axes if contour_sets(ax)[0]]
    np.testing.assert_allclose(limits, np.log10([[0.1, 4.1], [10, 1610]]))
    assert all(ax.get_ylabel() for ax in figure.axes) and "shared" not in bars(figure)[0].get_ylabel()


def test_panels_keep_their_labels_where_units_differ():
    plain = surface_of()
    plain["alpha"].attrs["units"] = plain["beta"].attrs["units"] = "step"
    figure = figures.panels({"a": surface_of(), "b": surface_of(), "c": plain, "d": plain})
    labels = [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes[:4]]
    assert labels[0] == ("α (filter-normalized step)", "β (filter-normalized step)") == labels[1]
    assert labels[2] == ("α (step)", "β (step)") == labels[3]


def test_no_panels_are_refused():
    with pytest.raises(ValueError, match="surfaces: empty"):
        figures.panels({})


# Curves


def bands(ax):
    return [artist for artist in ax.collections if isinstance(artist, PolyCollection)]


def band_at(band, x):
    points = band.get_paths()[0].vertices
    return points[np.isclose(points[:, 0], x), 1]


def test_a_profile_is_the_line_and_a_gap_where_it_is_not_finite():
    line = line_of()
    line.loss[8:] = np.inf
    figure = figures.profile({"one": line, "slice": surface_of().sel(beta=0)})
    ax = figure.axes[0]
    one, other = ax.lines[0], ax.lines[1]
    np.testing.assert_allclose(one.get_xdata(), line.alpha)
    np.testing.assert_allclose(one.get_ydata()[:8], line.loss[:8])
    assert np.isnan(one.get_ydata()[8:]).all()
    np.testing.assert_allclose(other.get_ydata(), 0.1 + other.get_xdata() ** 2)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "slice"]
    assert ax.get_ylabel() == "mean squared error" and "lowest 0 at α = 0" in figure.alt


def test_panels_of_profiles_have_their_lines_and_one_scale_unless_told_otherwise():
    low, high = line_of(), line_of() * 100
    lines = {"low": low, "both": {"a": low, "b": [high, high]}, "last": high}
    figure = figures.profile_panels(lines, columns=2)
    assert [ax.get_title(loc="left") for ax in figure.axes] == list(lines)
    assert [len(ax.get_lines()) - 1 for ax in figure.axes] == [1, 2, 1]  # and the line at the origin
    assert np.array_equal(figure.axes[2].get_lines()[0].get_ydata(), high.loss)
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert len({ax.get_ylim() for ax in figures.profile_panels(lines, share_scale=False).axes}) > 1


def test_panels_with_the_same_labels_share_one_legend():
    alike = {title: {"train": line_of(), "test": line_of() * factor} for title, factor in (("a", 2), ("b", 3))}
    figure = figures.profile_panels(alike)
    assert [ax.get_legend() for ax in figure.axes] == [None, None]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "test"]
    other = figures.profile_panels({**alike, "c": {"x": line_of(), "y": line_of()}})
    assert all(ax.get_legend() for ax in other.axes) and not other.legends


def test_a_band_of_accuracies_stays_between_zero_and_one():
    seeds = [xr.Dataset({"accuracy": ("alpha", [0.5, value])}, {"alpha": [0, 1]}) for value in (0.1, 0.9)]
    band = figures.profile({"all": seeds}, variable="accuracy").axes[0].collections[0]
    assert band.get_datalim(band.axes.transData).y0 >= 0 and band.get_datalim(band.axes.transData).y1 <= 1


def test_a_profile_over_seeds_has_the_t_interval_as_its_band():
    seeds = [line_of(lambda a, s=s: a**2 + s) for s in (3, 4, 6)]  # high enough that zero does not cut the interval
    ax = figures.profile({"all": seeds}).axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), seeds[0].alpha ** 2 + 13 / 3)
    half = stats.t.ppf(0.975, 2) * np.std([3, 4, 6], ddof=1) / np.sqrt(3)
    (band,) = bands(ax)
    at = band_at(band, 0.2)
    np.testing.assert_allclose([at.min(), at.max()], 0.04 + 13 / 3 + np.array([-half, half]))
    assert "95% interval, 3 seeds" in ax.get_legend().get_title().get_text()


@pytest.mark.parametrize("low, high, shown", [(1.5, 9, {"2", "3", "4", "6"}), (0.02, 300, {"0.1", "1", "10", "100"})])
def test_a_logarithmic_axis_has_plain_numbers_also_where_it_is_short(low, high, shown):
    alphas = np.linspace(-1, 1, 9)
    line = xr.Dataset({"loss": ("alpha", np.geomspace(low, high, 9))}, {"alpha": alphas})
    ax = figures.profile({"one": line}, log=True).axes[0]
    ax.figure.draw_without_rendering()
    bottom, top = ax.get_ylim()
    ticks = zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    ticks = [*ticks, *zip(ax.get_yticks(minor=True), ax.get_yticklabels(minor=True), strict=True)]
    assert {label.get_text() for at, label in ticks if bottom <= at <= top and label.get_text()} == shown


def test_what_is_no_line_is_refused():
    with pytest.raises(ValueError, match=r"lines\['s'\] is a surface"):
        figures.profile({"s": surface_of()})
    with pytest.raises(ValueError, match="different values of alpha"):
        figures.profile({"s": [line_of(), line_of(points=5)]})
    with pytest.raises(ValueError, match="lines: empty"):
        figures.profile({})


def history(scale, epochs=6):
    epoch = np.arange(1, epochs + 1)
    variables = {"train_loss": ("epoch", scale / epoch), "test_loss": ("epoch", 2 * scale / epoch)}
    return xr.Dataset(variables, {"epoch": epoch})


def test_loss_curves_are_means_over_seeds_of_the_epochs_that_all_have():
    figure = figures.loss_curves({"sgd": [history(1), history(3, 4)], "adam": history(5)})
    ax = figure.axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 2 / np.arange(1, 5))
    np.testing.assert_allclose(ax.lines[3].get_ydata(), 10 / np.arange(1, 7))
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--", "-", "--"]
    assert len({line.get_color() for line in ax.lines}) == 2 and ax.get_yscale() == "log"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["sgd, training loss", "sgd, test loss", "adam, training loss", "adam, test loss"]
    assert len(bands(ax)) == 2 and "1–2 seeds" in ax.get_legend().get_title().get_text()
    assert "adam, test loss: 10 after the first epoch, 1.67 after the last" in figure.alt
    # The band reaches below zero, where a logarithm ends: it is cut, not lost.
    assert band_at(bands(ax)[0], 1.0).min() > 0
    with pytest.raises(ValueError, match=r"no 'test_accuracy'.*train_loss"):
        figures.loss_curves({"sgd": history(1)}, variables=["test_accuracy"])


def test_dots_show_every_seed_its_mean_and_its_interval():
    values = {"shallow": [1.0, 2.0, 3.0], "deep": [4.0, 6.0, np.nan]}
    records = [{"condition": c, "seed": s, "sharpness": v} for c, vs in values.items() for s, v in enumerate(vs)]
    figure = figures.dots(records, "sharpness")
    ax = figure.axes[0]
    seeds = [line.get_xdata() for line in ax.lines if line.get_marker() in ("o", "s")]
    np.testing.assert_allclose(np.concatenate(seeds), [1, 2, 3, 4, 6])
    means = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"]
    np.testing.assert_allclose(means, [2, 5])
    spans = [line.get_xdata() for line in ax.lines if line.get_marker() == "None"]
    half = stats.t.ppf(0.975, 2) / np.sqrt(3)
    np.testing.assert_allclose(spans[0], [2 - half, 2 + half])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["shallow", "deep\n(1 not finite)"]
    assert "larger = sharper" in ax.get_xlabel() and "1 not finite" in figure.alt
    low, high = ax.get_ylim()
    assert low > high  # the first condition on top
    with pytest.raises(ValueError, match="no 'roughness'"):
        figures.dots(records, "roughness")


def test_no_interval_leaves_the_values_that_a_measure_can_have():
    values = [0.0, 0.0, 0.3]
    records = [{"condition": "a", "seed": s, "nonconvex_share": v} for s, v in enumerate(values)]
    (span,) = [line.get_xdata() for line in figures.dots(records, "nonconvex_share").axes[0].lines[1:2]]
    assert span[0] == 0 < span[1] < 1
    twice = xr.Dataset({"m": (("depth", "seed"), [values, values])}, {"depth": [1, 2]})
    free, bound = (
        figures.against(twice.rename(m=name), "depth", name).axes[0] for name in ("sharpness", "nonconvex_share")
    )
    assert band_at(bands(free)[0], 1.0).min() < 0 == band_at(bands(bound)[0], 1.0).min()


def test_an_interval_that_reaches_zero_leaves_a_logarithmic_axis():
    values = [0.1, 0.1, 0.9]
    assert np.mean(values) < stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    twice = xr.Dataset({"m": (("depth", "seed"), [values, values])}, {"depth": [1, 2]})
    ax = figures.against(twice, "depth", "m", log_y=True).axes[0]
    low, _ = ax.get_ylim()
    assert 0 < band_at(bands(ax)[0], 1.0).min() < low and 0.02 < low < 0.1
    records = [{"condition": "a", "seed": s, "sharpness": v} for s, v in enumerate(values)]
    ax = figures.dots(records, "sharpness", log=True).axes[0]
    (span,) = [line.get_xdata() for line in ax.lines if line.get_marker() == "None"]
    low, high = ax.get_xlim()
    assert 0 < span[0] < low and 0.02 < low < 0.1 and span[1] < high


def test_a_legend_below_the_axes_covers_nothing():
    lines = xr.Dataset({"m": (("condition", "depth"), np.arange(9.0).reshape(3, 3))}, {"depth": [1, 2, 4]})
    inside, below = (figures.against(lines, "depth", "m", legend_below=choice) for choice in (False, True))
    assert below.get_figheight() > inside.get_figheight()
    below.draw_without_rendering()
    (ax,) = below.axes
    box = ax.get_legend().get_window_extent()
    assert box.y1 < ax.xaxis.get_tightbbox().y0 and box.y0 > 0


def test_long_training_curves_are_drawn_at_fewer_points_from_end_to_end():
    long = history(0).isel(epoch=[0]).drop_vars("epoch")
    long = xr.concat([long] * 1000, "epoch").assign_coords(epoch=np.arange(1, 1001))
    line = figures.loss_curves({"a": long}).axes[0].lines[0]
    assert len(line.get_xdata()) == 200 and line.get_xdata()[[0, -1]].tolist() == [1, 1000]


def test_histograms_of_seeds():
    centres = np.linspace(-1, 1, 5)
    seeds = [
        xr.DataArray(shares, {"weight": centres}, ["weight"])
        for shares in ([0, 0.2, 0.6, 0.2, 0], [0, 0.4, 0.2, 0.4, 0])
    ]
    figure = figures.histograms({"a": seeds, "b": seeds[0]}, xlabel="weight", ylabel="share of weights")
    middle = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(middle, [np.nan, 0.3, 0.4, 0.3, np.nan])
    assert "a: root mean square 0.387" in figure.alt  # √(0.6 · 0.5²)
    with pytest.raises(ValueError, match="shares"):
        figures.histograms({}, xlabel="weight")
    with pytest.raises(ValueError, match="one dimension"):
        figures.histograms({"a": seeds[0].expand_dims("draw")}, xlabel="weight")


def test_a_measure_against_a_number():
    values = [[[4, 6], [1, 3]], [[2, 2], [1, np.nan]]]
    groups = xr.Dataset(
        {"sharpness": (("condition", "layers", "seed"), values)}, {"condition": ["plain", "skip"], "layers": [16, 2]}
    )
    figure = figures.against(groups, "layers", "sharpness", xlabel="weight layers", log_x=True)
    ax = figure.axes[0]
    means = {line.get_label(): line.get_xydata() for line in ax.lines if not line.get_label().startswith("_")}
    np.testing.assert_allclose(means["plain"], [[2, 2], [16, 5]])
    np.testing.assert_allclose(means["skip"], [[2, 1], [16, 2]])
    figure.draw_without_rendering()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("weight layers", "sharpness")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "16"]
    within = groups.assign(sharpness=groups.sharpness + 2)  # less than a decade
    ax_log = figures.against(within, "layers", "sharpness", log_x=True, log_y=True).axes[0]
    ax_log.figure.draw_without_rendering()
    assert [label for label in ax_log.yaxis.get_minorticklabels() if label.get_text()]
    dots = [line for line in ax.lines if line.get_label().startswith("_")]
    np.testing.assert_allclose(np.sort(dots[0].get_ydata()), [1, 3, 4, 6])
    assert "plain: 2 at 2, 5 at 16" in figure.alt
    strengths = xr.Dataset({"m": ("strength", [1.0, np.nan, 2.0, 3.0])}, {"strength": [0, 0.01, 0.1, 1]})
    ax = figures.against(strengths, "strength", "m", log_x=True).axes[0]
    seen = ax.transData.transform([(x, 1) for x in (0, 0.1, 1)])[:, 0]
    np.testing.assert_allclose(seen[1] - seen[0], seen[2] - seen[1])  # zero is a decade left of the smallest
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.1", "1"]  # nothing was measured at 0.01
    with pytest.raises(ValueError, match="y='m': no finite value"):
        figures.against(strengths.isel(strength=[1]), "strength", "m")


def test_a_scatter_has_a_point_a_network_and_says_the_rank_correlation():
    pairs = {"plain": [(1, 5), (2, 6), (3, 9)], "clipped": [(4, 8), (5, 12), (np.inf, 1)]}
    records = [
        {"condition": c, "seed": s, "radius": x, "m": y} for c, ps in pairs.items() for s, (x, y) in enumerate(ps)
    ]
    figure = figures.scatter(records, "radius", "m", ylabel="roughness")
    ax = figure.axes[0]
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_allclose(drawn["plain"], pairs["plain"])
    np.testing.assert_allclose(drawn["clipped"], pairs["clipped"][:2])
    assert len({line.get_marker() for line in ax.lines}) == 2
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("radius", "roughness")
    rho = stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 9, 8, 12]).statistic
    said = ax.get_legend().get_title().get_text()
    for text in (said, figure.alt):
        assert f"rank correlation {rho:.1f} [" in text and "5 points, 1 not finite" in text
    assert "clipped: radius 4 to 5, roughness 8 to 12" in figure.alt
    with pytest.raises(ValueError, match="no 'loss'"):
        figures.scatter(records, "radius", "loss")


# Words and pages


def test_a_description_says_what_the_numbers_say():
    text = figures.describe(with_holes())
    assert text.startswith("Cross-entropy (nats) over α from −1 to 1 and β from −1 to 1 (21 × 21 points)")
    assert "0.1 at θ*, lowest 0.1 at α = 0, β = 0, highest 4.1 at α = −1, β = 1" in text
    assert "45 points are not finite" in text
    share = np.mean(np.nan_to_num(with_holes().loss.values, nan=9, posinf=9) <= 0.2)
    assert f"on {100 * share:.2g}% of the grid" in text
    assert "1 point is not finite" in figures.describe(line_of(lambda a: np.where(a == 1, np.nan, a)))
    assert "no value is finite" in figures.describe(line_of(lambda a: a * np.nan))
    accuracy = surface_of().assign(accuracy=(("alpha", "beta"), np.full((21, 21), 0.5), {"units": "share of samples"}))
    assert figures.describe(accuracy, variable="accuracy").startswith("Accuracy (share of samples) over")


ALL = {
    "contour": lambda: figures.contour(surface_of(points=51)),
    "holes": lambda: figures.contour(with_holes()),
    "path": lambda: figures.path_over_contours(surface_of(), path_of()),
    "panels": lambda: figures.panels({"a": surface_of(), "b": surface_of()}),
    "profile": lambda: figures.profile({"a": line_of()}),
    "profile_panels": lambda: figures.profile_panels({"a": line_of()}),
    "loss_curves": lambda: figures.loss_curves({"a": history(1)}),
    "dots": lambda: figures.dots([{"condition": "a", "m": 1.0}], "m"),
    "histograms": lambda: figures.histograms(
        {"a": xr.DataArray([0.5, 0.5], {"w": [0.0, 1.0]}, ["w"])}, xlabel="weight"
    ),
    "against": lambda: figures.against(xr.Dataset({"m": ("depth", [1.0])}, {"depth": [1]}), "depth", "m"),
    "scatter": lambda: figures.scatter([{"condition": f"{i} units", "m": i, "n": -i} for i in range(7)], "m", "n"),
}


@pytest.mark.parametrize("name", ALL)
def test_every_figure_shows_itself_sharp_described_light_and_without_pyplot(name, caplog):
    import matplotlib.pyplot as plt

    before = mpl.rcParams.copy()
    figure = ALL[name]()
    assert isinstance(figure, Picture) and len(figure.alt) > 20
    page = figure._repr_html_()
    image = re.search(
        r'<img alt="([^"]+)" width="(\d+)" height="(\d+)" [^>]*src="data:image/png;base64,([^"]+)">', page
    )
    alt, width, height, data = image.groups()
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == pytest.approx((2 * int(width), 2 * int(height)), abs=2)
    assert len(data) * 3 / 4 < 100_000
    page_pixels = np.asarray(picture.convert("RGB"))
    for edge in (page_pixels[0], page_pixels[-1], page_pixels[:, 0], page_pixels[:, -1]):
        assert (edge == 255).all(), "cut off, or not on white"
    assert figure.alt.split(":")[0].replace("'", "&#39;") in alt
    ink = "scale" if bars(figure) else "lines"
    assert f'<figure class="la-figure" data-ink="{ink}">' in page and "Data (NetCDF)" in page
    assert plt.get_fignums() == [] and mpl.rcParams == before and not caplog.records


def test_a_caption_and_a_description_of_ones_own():
    figure = figures.contour(surface_of())
    page = figures.figure_html(figure, alt='A "bowl" & more', caption="Loss < 1 <em>")._repr_html_()
    assert html5lib.parseFragment(page, namespaceHTMLElements=False).find(".//img").get("alt") == 'A "bowl" & more'
    assert "<figcaption>Loss &lt; 1 &lt;em&gt;\n" in page
    bare = Figure()
    assert "figcaption" not in figures.figure_html(bare, alt="nothing but a frame")._repr_html_()
    with pytest.raises(ValueError, match="alt: expected a description"):
        figures.figure_html(Figure())


def test_the_colours_grow_lighter_all_the_way():
    """So that the order of values survives any kind of colour vision, and print in grey."""
    colours = ColourScale(Transform("linear"), 0, 1).colours(np.linspace(0, 1, 64))[:, :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()
