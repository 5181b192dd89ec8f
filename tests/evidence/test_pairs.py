"""Pairs of seeds that share seeds, and differences within seeds, against closed forms and simulations."""

from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from lossatlas.evidence import judge, mean_interval, paired_claim, pseudovalues


def on_pairs(values, seeds=5):
    first, second = zip(*combinations(range(seeds), 2), strict=True)
    return xr.DataArray(
        values, {"first": ("pair", list(first)), "second": ("pair", list(second))}, ("pair",), "barrier"
    )


def table(own, noise=0.0):
    random = np.random.default_rng(3)
    found = [own[i] + own[j] + noise * random.normal() for i, j in combinations(range(len(own)), 2)]
    return on_pairs(found, len(own))


def test_the_mean_of_pseudovalues_is_the_mean_over_pairs():
    values = table(np.array([1.0, 4.0, 2.0, 7.0, 3.0]), noise=2)
    assert float(pseudovalues(values).mean()) == pytest.approx(float(values.mean()))


def test_pseudovalues_are_the_jackknife_that_leaves_out_one_seed():
    values = table(np.array([1.0, 4.0, 2.0, 7.0, 3.0]), noise=2)
    for seed, found in enumerate(pseudovalues(values).values):
        rest = [v for v, a, b in zip(values.values, values.first, values.second, strict=True) if seed not in (a, b)]
        assert found == pytest.approx(5 * float(values.mean()) - 4 * np.mean(rest))


def test_sums_of_the_parts_of_seeds_give_the_t_interval_of_the_seeds():
    own = np.array([0.3, 0.9, 0.4, 0.1, 0.8])
    found, expected = mean_interval(pseudovalues(table(own))), mean_interval(2 * own)
    assert (found.low, found.high, found.n) == pytest.approx((expected.low, expected.high, 5))


@pytest.mark.parametrize("noise", [0.0, 1.0, 100.0])
def test_intervals_over_pairs_cover_the_truth_and_those_of_independent_pairs_do_not(noise):
    random = np.random.default_rng(0)
    right = wrong = 0
    for _ in range(400):
        own = random.normal(size=5)
        values = on_pairs([own[i] + own[j] + noise * random.normal() for i, j in combinations(range(5), 2)])
        jackknife, naive = mean_interval(pseudovalues(values)), mean_interval(values)
        right += jackknife.low <= 0 <= jackknife.high
        wrong += naive.low <= 0 <= naive.high
    assert right / 400 > 0.92
    if noise == 0:
        assert wrong / 400 < 0.75


def test_other_dimensions_and_variables_without_pairs_stay():
    values = xr.Dataset({"loss": table(np.arange(5.0)).expand_dims(t=[0.0, 1.0]), "width": 3}).assign_attrs(
        device="cpu"
    )
    found = pseudovalues(values)
    assert found.loss.dims == ("t", "seed") and int(found.width) == 3 and found.attrs == {"device": "cpu"}
    assert "first" not in found.coords


def test_two_seeds_show_no_spread():
    assert np.isnan(pseudovalues(on_pairs([1.0], 2))).all()


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0],
        xr.DataArray([1.0, 2.0], dims="pair"),
        on_pairs(np.arange(10.0))[1:],
        xr.concat([on_pairs(np.arange(10.0))] * 2, "pair"),
    ],
)
def test_what_are_not_all_pairs_is_refused(values):
    with pytest.raises(ValueError, match=r"^values"):
        pseudovalues(values)


LOSS = xr.DataArray(
    [[3.0, 5.0, 4.0, 6.0, 5.5], [2.1, 4.0, 3.2, 4.8, 4.6]], {"path": ["line", "curve"]}, ("path", "seed"), "loss"
)
WORDS = {"expected": "less", "figure": "ours", "compared": "curve − line"}


def test_a_paired_claim_is_the_paired_t_test():
    made = paired_claim("lower", LOSS, a={"path": "line"}, b={"path": "curve"}, **WORDS)
    test = stats.ttest_rel(LOSS[1], LOSS[0])
    interval = test.confidence_interval(0.95)
    assert (made.effect.p, made.effect.low, made.effect.high) == pytest.approx(
        (test.pvalue, interval.low, interval.high)
    )
    assert judge([made])[0].outcome == "supported"


def test_a_claim_without_b_compares_with_zero():
    made = paired_claim("low", LOSS[0] - 4.7, a={}, **WORDS | {"expected": "same"}, margin=2.0)
    test = stats.ttest_1samp(LOSS[0] - 4.7, 0)
    assert (made.effect.mean_a, made.effect.p) == pytest.approx((0, test.pvalue))
    assert judge([made])[0].outcome == "supported"


def test_seeds_without_a_value_are_left_out_and_counted():
    values = LOSS.copy()
    values[1, 0] = np.nan
    effect = paired_claim("lower", values, a={"path": "line"}, b={"path": "curve"}, **WORDS).effect
    assert (effect.n_a, effect.left_out) == (4, 1)
    assert effect.p == pytest.approx(stats.ttest_rel(LOSS[1, 1:], LOSS[0, 1:]).pvalue)


def test_no_change_at_all_is_no_effect():
    effect = paired_claim("lower", 0 * LOSS, a={"path": "line"}, b={"path": "curve"}, **WORDS).effect
    assert (effect.difference, effect.p) == (0, 1)


@pytest.mark.parametrize("a", [{"path": "none"}, {}])
def test_labels_that_do_not_fit_are_refused(a):
    with pytest.raises(ValueError, match=r"^a"):
        paired_claim("lower", LOSS, a=a, **WORDS)
