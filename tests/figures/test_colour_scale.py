"""What colours and heights mean, also where a logarithm has nothing to say."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.contour import QuadContourSet

from lossatlas import figures
from lossatlas.figures.colour_scale import ColourScale, Transform, limits


def surface_of(function, points=21, **attrs):
    axis = np.linspace(-1, 1, points)
    values = function(*np.meshgrid(axis, axis, indexing="ij")) + np.zeros((points, points))
    return xr.Dataset({"loss": (("alpha", "beta"), values)}, {"alpha": axis, "beta": axis}, attrs)


def label(figure):
    (bar,) = (ax for ax in figure.axes if hasattr(ax, "_colorbar"))
    return " ".join(bar.get_ylabel().split())


def filled(figure):
    return next(one for one in figure.axes[0].collections if isinstance(one, QuadContourSet) and one.filled)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=30), st.booleans())
def test_heights_rise_with_values_and_lead_back(values, log):
    values = np.array(sorted(values))
    transform = Transform.of(values, log=log)
    heights = transform.heights(values)
    assert np.isfinite(heights).all() and (np.diff(heights) >= 0).all()
    np.testing.assert_allclose(transform.values(heights), values, rtol=1e-6, atol=1e-9 * (transform.threshold or 1))
    assert transform.nonpositive == (log and values[0] <= 0)


def test_the_symmetric_logarithm_has_a_decade_a_height_and_is_straight_at_zero():
    transform = Transform("symlog", 0.01)
    np.testing.assert_allclose(np.diff(transform.heights(np.array([-1e3, -1e2, -10]))), 1, atol=1e-3)
    np.testing.assert_allclose(np.diff(transform.heights(np.array([10, 1e2, 1e3]))), 1, atol=1e-3)
    steps = np.diff(transform.heights(np.linspace(-0.001, 0.001, 5)))
    np.testing.assert_allclose(steps / steps[0], 1, rtol=0.1)


@pytest.mark.parametrize(
    "function, kind",
    [
        (lambda a, b: 0.1 + a**2 + b**2, "log"),
        (lambda a, b: -3 + 9 * a**2 + b**2, "linear"),  # two decades are not there
        (lambda a, b: -0.4 + 1000 * a**4 + b**2, "symlog"),
        (lambda a, b: np.maximum(a, 0) ** 6 + b**6, "symlog"),  # reaches zero
        (lambda a, b: -1.0, "linear"),
        (lambda a, b: 0.0, "linear"),
    ],
)
def test_a_surface_at_or_below_zero_is_drawn_whole_and_the_picture_says_how(function, kind):
    surface = surface_of(function)
    values = surface.loss.values
    figure = figures.contour(surface)
    drawn = filled(figure)
    transform = Transform.of(values, log=True)
    assert transform.kind == kind
    np.testing.assert_allclose(drawn.get_clim()[0], transform.heights(values).min())
    apart = np.diff(np.sort(values.ravel())) > 1e-9
    assert (np.diff(np.sort(transform.heights(values).ravel()))[apart] > 0).all()  # nothing shares a height
    said = label(figure)
    assert ("at or below 0" in said) == (kind != "log")
    assert {"log": "log scale", "linear": "linear scale", "symlog": "symmetric log scale"}[kind] in said
    figure.draw_without_rendering()
    if kind == "symlog":
        texts = {text.get_text() for text in figure.axes[1].get_yticklabels()}
        assert "0" in texts and len(texts) >= 4


def test_panels_of_which_one_goes_below_zero_share_one_scale():
    pair = {"a": surface_of(lambda a, b: 0.1 + a**2 + b**2), "b": surface_of(lambda a, b: -2 + a**2 + b**2)}
    figure = figures.panels(pair)
    assert "linear scale, because some values are at or below 0" in label(figure)
    np.testing.assert_allclose([filled(figure).get_clim()], [[-2, 2.1]])


def test_what_is_cut_at_either_end_is_said():
    bowl = surface_of(lambda a, b: 0.1 + a**2 + b**2)
    both = figures.contour(bowl, clim=(0.5, 1.5))
    assert "darkest: 0.5 and below" in label(both) and "grey: above 1.5" in label(both)
    (bar,) = (ax for ax in both.axes if hasattr(ax, "_colorbar"))
    assert bar._colorbar.extend == "both"
    for whole in (figures.contour(bowl), figures.contour(bowl, clim=(0.01, 10)), figures.contour(bowl, log=False)):
        assert "darkest" not in label(whole) and "grey" not in label(whole)
    linear = figures.contour(surface_of(lambda a, b: a), clim=(-0.5, 0.5))
    assert "darkest: −0.5 and below" in label(linear) and "grey: above 0.5" in label(linear)


def test_the_same_limits_are_refused_in_every_picture():
    values = np.array([0.1, 1.0, np.nan])
    for given_limits in ({"clim": (2, 1)}, {"clim": (0, 1)}, {"clip": 0.05}, {"clip": "high"}, {"clim": 3}):
        with pytest.raises(ValueError, match=r"cli[pm]=.*between 0\.1 and 1"):
            limits(values, Transform("log"), variable="loss", **given_limits)
    with pytest.raises(ValueError, match="loss has no finite value"):
        limits(np.array([np.nan, np.inf]), Transform("linear"), variable="loss")


@given(st.floats(1e-6, 1e3), st.floats(3, 1e6), st.integers(3, 9))
def test_ticks_of_a_symmetric_scale_are_round_few_and_inside(threshold, times, count):
    transform = Transform("symlog", threshold)
    low, high = transform.height(-threshold * 2), transform.height(threshold * times)
    ticks = transform.round_heights(low, high, count)
    assert (np.diff(ticks) > 0).all() and len(ticks) <= count + 1
    assert low - 1e-6 <= ticks[0] and ticks[-1] <= high + 1e-6
    assert len(ticks) >= 2


def test_colours_follow_the_scale():
    scale = ColourScale(Transform("log"), -1, 1, cut_above=True)
    assert mpl.colors.to_hex(scale.colours(scale.norm(0))) == mpl.colors.to_hex(mpl.colormaps["viridis"](0.5))
    assert scale.text(-1) == "0.1" and scale.extend == "max"
