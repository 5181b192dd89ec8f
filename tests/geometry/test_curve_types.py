import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from lossatlas import geometry
from shapes import line_of


def wells(*bottoms, width=0.12):
    """A wide bowl with a Gaussian well at each place."""
    return lambda a: 1 + 0.05 * a**2 - sum(np.exp(-(((a - at) / width) ** 2) / 2) for at in bottoms)


HAND_MADE = {
    "v-basin": np.square,
    "v-side": lambda a: (a - 0.5) ** 2,
    "w-basin": wells(0, 0.6),
    "w-peak": lambda a: (a**2 - 0.5) ** 2,
    "w-side": wells(0.2, 0.7),
    "vvv-basin": wells(-0.6, 0, 0.6),
    "vvv-peak": wells(-0.7, -0.3, 0.3),
    "vvvv-basin": wells(-0.8, -0.4, 0, 0.7),
    "slope": np.exp,
    "flat": lambda a: 0 * a + 2,
}


@pytest.mark.parametrize("name", HAND_MADE)
@pytest.mark.parametrize("points", [100, 101])
def test_hand_made_curves_have_their_type(name, points):
    curve = line_of(HAND_MADE[name], points=points)
    assert geometry.curve_type(curve).item() == name


@pytest.mark.parametrize("name", HAND_MADE)
def test_neither_the_scale_of_the_loss_nor_of_the_axis_matters(name):
    curve = line_of(HAND_MADE[name], points=101)
    assert geometry.curve_type((0.01 * curve + 5).assign_coords(alpha=30 * curve.alpha)).item() == name


@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted(set(HAND_MADE) - {"flat"})))
def test_noise_far_below_the_depth_changes_nothing(seed, name):
    curve = line_of(HAND_MADE[name], points=101)
    noise = np.random.default_rng(seed).uniform(-1, 1, curve.loss.shape)
    noisy = curve + 0.01 * np.ptp(curve.loss.values) * noise
    assert geometry.curve_type(noisy, 0.1).item() == name


@given(st.lists(st.integers(0, 8).map(float), min_size=3, max_size=12))
def test_basins_are_those_that_a_slow_search_finds(values):
    curve = xr.Dataset({"loss": ("alpha", values)}, {"alpha": np.linspace(-1, 1, len(values))})
    found = geometry.curve_type(curve, 0.3).item()
    least, basins, i = 0.3 * np.ptp(values), 0, 0
    while i < len(values):
        j = i
        while j + 1 < len(values) and values[j + 1] == values[i]:
            j += 1
        sides = (values[:i][::-1], values[j + 1 :])
        is_minimum = all(side and side[0] > values[i] for side in sides)
        rises = [
            max([v for v, lower in zip(s, np.minimum.accumulate(s), strict=True) if lower >= values[i]] or [0])
            for s in sides
            if s
        ]
        basins += is_minimum and min(rises) - values[i] >= least
        i = j + 1
    assert found.split("-")[0] == {0: "flat" if np.ptp(values) == 0 else "slope", 2: "w"}.get(basins, "v" * basins)


def test_a_stack_keeps_its_dimensions_and_an_overflow_counts_as_high():
    basin, peak = (line_of(HAND_MADE[name], points=101) for name in ("v-basin", "w-peak"))
    basin.loss[-3:] = np.inf
    both = geometry.stack({(0,): basin, (1,): peak}, ("seed",))
    found = geometry.curve_type(both)
    assert found.dims == ("seed",) and found.values.tolist() == ["v-basin", "w-peak"]
