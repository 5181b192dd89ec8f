import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lossatlas import evidence

numbers = st.floats(-100, 100).map(lambda x: round(x, 3))


def exact_p(a, b):
    """Two-sided: twice the smaller tail over every way to divide the values."""
    pooled, n_a = np.concatenate([a, b]), len(a)
    observed = np.mean(b) - np.mean(a)
    null = []
    for picked in itertools.combinations(range(len(pooled)), n_a):
        rest = [i for i in range(len(pooled)) if i not in picked]
        null.append(pooled[rest].mean() - pooled[list(picked)].mean())
    null, slack = np.array(null), 1e-9 * max(1, abs(observed))
    tails = np.mean(null >= observed - slack), np.mean(null <= observed + slack)
    return min(1, 2 * min(tails))


def separated(shift, n=5, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    return random.normal(0, spread, n), random.normal(shift, spread, n)


# Differences


@settings(deadline=None, max_examples=15)
@given(st.lists(numbers, min_size=2, max_size=5), st.lists(numbers, min_size=2, max_size=5))
def test_the_permutation_p_value_is_that_of_every_division(a, b):
    assert evidence.difference(a, b, n_bootstrap=99).p == pytest.approx(exact_p(a, b))


@pytest.mark.parametrize("n, smallest", [(5, 2 / 252), (8, 2 / 12_870), (9, 2 / 20_001)])
def test_the_smallest_p_is_reached_by_separated_conditions(n, smallest):
    effect = evidence.difference(np.arange(n), 100 + np.arange(n), n_bootstrap=99)
    assert effect.smallest_p == pytest.approx(smallest)
    assert effect.p == pytest.approx(smallest, rel=1.1 if n == 9 else 1e-9)


def test_means_difference_and_hedges_g_against_their_formulas():
    a, b = [1.0, 2.0, 4.0, 3.0], [5.0, 7.0, 6.0]
    effect = evidence.difference(a, b)
    assert (effect.mean_a, effect.mean_b, effect.difference) == (2.5, 6.0, 3.5)
    pooled = math.sqrt((3 * np.var(a, ddof=1) + 2 * np.var(b, ddof=1)) / 5)
    unbias = math.gamma(5 / 2) / (math.sqrt(5 / 2) * math.gamma(4 / 2))
    assert effect.hedges_g == pytest.approx(unbias * 3.5 / pooled)
    assert unbias == pytest.approx(1 - 3 / (4 * 5 - 1), rel=0.01)  # Hedges' approximation of the same


def test_the_smallest_detectable_difference_has_eighty_percent_power():
    """Against the noncentral t distribution, which the formula approximates."""
    random = np.random.default_rng(2)
    for n_a, n_b in [(5, 5), (5, 12), (20, 20)]:
        a, b = random.normal(size=n_a), random.normal(size=n_b)
        effect = evidence.difference(a, b, n_bootstrap=99, n_permutations=99)
        freedom = n_a + n_b - 2
        pooled = math.sqrt((a.var(ddof=1) * (n_a - 1) + b.var(ddof=1) * (n_b - 1)) / freedom)
        shift = effect.smallest_detectable / (pooled * math.sqrt(1 / n_a + 1 / n_b))
        power = stats.nct.sf(stats.t.ppf(0.975, freedom), freedom, shift)
        assert power == pytest.approx(0.8, abs=0.01)


def test_the_interval_covers_the_truth_in_about_95_of_100_cases():
    random = np.random.default_rng(7)
    cases = 300
    hits = 0
    for _ in range(cases):
        a, b = random.normal(0, 1, 5), random.normal(2, 1, 5)
        effect = evidence.difference(a, b, n_bootstrap=999)
        hits += effect.low <= 2 <= effect.high
    assert 0.91 <= hits / cases <= 0.98  # the bare percentile interval has 0.87


def test_the_interval_is_close_to_students_for_many_normal_values():
    a, b = separated(1.0, n=200)
    effect = evidence.difference(a, b, n_permutations=99)
    student = stats.ttest_ind(b, a).confidence_interval()
    assert (effect.low, effect.high) == pytest.approx((student.low, student.high), abs=0.02)


@settings(deadline=None, max_examples=20)
@given(st.lists(numbers, min_size=3, max_size=5), st.lists(numbers, min_size=3, max_size=5), numbers)
def test_swapping_turns_the_sign_and_shifting_changes_nothing(a, b, shift):
    few = {"n_bootstrap": 199}
    forward, back = evidence.difference(a, b, **few), evidence.difference(b, a, **few)
    assert back.difference == -forward.difference and back.p == pytest.approx(forward.p)
    assert back.smallest_detectable == pytest.approx(forward.smallest_detectable)
    moved = evidence.difference(np.add(a, shift), np.add(b, shift), **few)
    assert moved.p == pytest.approx(forward.p)
    assert (moved.low, moved.high) == pytest.approx((forward.low, forward.high), abs=1e-9)


def test_the_same_seed_gives_the_same_numbers_and_another_nearly_the_same():
    a, b = separated(1.5)
    assert evidence.difference(a, b, seed=4) == evidence.difference(a, b, seed=4)
    other = evidence.difference(a, b, seed=5)
    assert other.low != evidence.difference(a, b, seed=4).low
    assert other.low == pytest.approx(evidence.difference(a, b, seed=4).low, abs=0.1)


def test_values_that_are_not_finite_are_left_out_and_counted():
    effect = evidence.difference([1, 2, np.nan, 3], [4, np.inf, 5, 6, 7])
    clean = evidence.difference([1, 2, 3], [4, 5, 6, 7])
    assert effect == replace(clean, left_out=2) and (effect.n_a, effect.n_b) == (3, 4)
    nothing = evidence.difference([np.nan], [1.0, 2.0])
    assert nothing.n_a == 0 and math.isnan(nothing.mean_a) and math.isnan(nothing.p)


def test_too_few_or_equal_values():
    alone = evidence.difference([1.0], [2.0, 3.0])
    assert alone.difference == 1.5 and math.isnan(alone.low) and math.isnan(alone.p) and not alone.excludes_zero
    equal = evidence.difference([2.0] * 5, [2.0] * 5)
    assert equal.p == 1 and (equal.low, equal.high) == (0, 0) and math.isnan(equal.hedges_g)
    for bad in ([], [[1.0], [2.0]], 3.0):
        with pytest.raises(ValueError, match="a: shape"):
            evidence.difference(bad, [1.0, 2.0])


# The other statistics


def slow_holm(p_values):
    """Reject in order while p ≤ level / (tests that remain): the smallest level at which each is rejected."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [None] * len(p_values)
    for k, i in enumerate(order):
        needed = [p_values[j] * (len(p_values) - m) for m, j in enumerate(order[: k + 1])]
        adjusted[i] = min(1.0, max(needed))
    return adjusted


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_against_its_slow_definition(p_values):
    adjusted = evidence.holm(p_values)
    np.testing.assert_allclose(adjusted, slow_holm(p_values))
    assert (adjusted >= p_values).all()
    with_gap = evidence.holm([*p_values, math.nan])
    np.testing.assert_array_equal(with_gap[:-1], adjusted)
    assert math.isnan(with_gap[-1])


def test_holm_refuses_what_is_no_probability_and_takes_none_at_all():
    with pytest.raises(ValueError, match="from 0 to 1"):
        evidence.holm([0.5, 1.2])
    assert evidence.holm([]).size == 0


def test_the_mean_interval_is_students():
    values = [3.0, 5.0, 4.0, np.nan, 8.0]
    mean = evidence.mean_interval(values)
    student = stats.ttest_1samp([3, 5, 4, 8], 0).confidence_interval()
    assert (mean.mean, mean.low, mean.high, mean.n) == pytest.approx((5, student.low, student.high, 4))
    assert evidence.mean_interval([2.0]).mean == 2 and math.isnan(evidence.mean_interval([2.0]).low)
    assert math.isnan(evidence.mean_interval([np.inf]).mean) and evidence.mean_interval([np.inf]).n == 0
    with pytest.raises(ValueError, match="values"):
        evidence.mean_interval([])


def test_a_trend_is_spearmans_with_the_p_value_of_every_order():
    x, y = [1, 2, 2, 4, 8, 16], [0.3, 0.1, 0.4, 0.9, 0.8, 1.5]
    found = evidence.trend(x, y)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    null = np.array([stats.spearmanr(order, y).statistic for order in itertools.permutations(x)])
    assert found.p == pytest.approx(min(1, 2 * np.mean(null >= found.rho - 1e-9)))
    assert found.low < found.rho <= found.high <= 1
    assert evidence.trend(x, np.negative(y)).rho == pytest.approx(-found.rho)
    assert evidence.trend(x, np.exp(y)) == found  # ranks alone count


def test_a_trend_over_many_pairs_covers_the_truth_and_leaves_out_what_is_not_finite():
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    y = x + random.normal(size=300)
    truth = 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2)  # Spearman's of a normal pair with Pearson's √½
    found = evidence.trend([*x, 1.0, np.nan], [*y, np.inf, 1.0], n_permutations=999)
    assert found.low < truth < found.high and found.p < 0.01 and (found.n, found.left_out) == (300, 2)
    assert math.isnan(evidence.trend([1, 1, 1, 1], [1, 2, 3, 4]).rho)
    assert math.isnan(evidence.trend([1, 2], [1, 2]).rho)
    with pytest.raises(ValueError, match="one length"):
        evidence.trend([1, 2, 3], [1, 2])


def test_variance_components_against_the_analysis_of_variance_and_the_truth():
    random = np.random.default_rng(1)
    values = random.normal(0, 3, (4000, 1)) + random.normal(0, 2, (4000, 5))
    found = evidence.variance_components(values)
    assert found.between_seeds == pytest.approx(9, rel=0.15) and found.between_planes == pytest.approx(4, rel=0.1)
    assert found.share_seeds + found.share_planes == pytest.approx(1)
    f = stats.f_oneway(*values).statistic  # MSB / MSW
    assert 1 + 5 * found.between_seeds / found.between_planes == pytest.approx(f)


def test_variance_components_of_degenerate_tables():
    # Seeds agree better than planes do: no variance between seeds is left.
    assert evidence.variance_components([[0, 1], [1, 0], [0.5, 0.5]]).between_seeds == 0
    assert math.isnan(evidence.variance_components([[1, 1], [1, 1]]).share_seeds)
    assert evidence.variance_components([[1, 2], [3, 4], [np.nan, 1]]).n_seeds == 2
    for table, seeds, planes in (([[1, 2], [np.nan, 2]], 1, 2), ([[1, 2]], 1, 2), ([[1], [2]], 2, 1)):
        alone = evidence.variance_components(table)
        assert (alone.n_seeds, alone.n_planes) == (seeds, planes)
        assert math.isnan(alone.between_seeds) and math.isnan(alone.share_planes)


def test_a_bound_that_a_value_exceeds_cuts_nothing():
    below = [-3.0, -1.0, 0.5]
    assert evidence.mean_interval(below, bounds=(0, np.inf)) == evidence.mean_interval(below)
    above = [0.9, 0.95, 1.2]
    free, cut = evidence.mean_interval(above), evidence.mean_interval(above, bounds=(0.6, 1.0))
    assert (cut.low, cut.high) == (max(free.low, 0.6), free.high)
