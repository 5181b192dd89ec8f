import itertools
import json
import math
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lossatlas import evidence, figures
from lossatlas._text import number
from lossatlas.figures import Table

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


def test_the_spread_in_words_is_the_share_between_seeds():
    by_seed, by_plane = [[1, 1], [2, 2], [3, 3]], [[1, 2], [1, 2], [1, 2]]
    assert evidence.spread_in_words({"a": by_seed, "b": by_plane}) == "a: 100 %; b: 0 %"
    assert evidence.spread_in_words({"a": np.ones((2, 2))}) == "a: nothing varies"
    for alone in (np.ones((1, 3)), np.ones((3, 1))):
        assert evidence.spread_in_words({"a": by_seed, "b": alone}) == "not measured with one plane or one seed"


def test_variance_components_of_degenerate_tables():
    # Seeds agree better than planes do: no variance between seeds is left.
    assert evidence.variance_components([[0, 1], [1, 0], [0.5, 0.5]]).between_seeds == 0
    assert math.isnan(evidence.variance_components([[1, 1], [1, 1]]).share_seeds)
    assert evidence.variance_components([[1, 2], [3, 4], [np.nan, 1]]).n_seeds == 2
    alone = evidence.variance_components([[1, 2], [np.nan, 2]])
    assert alone.n_seeds == 1 and math.isnan(alone.between_seeds) and math.isnan(alone.share_planes)
    for bad in ([[1, 2]], [[1], [2]], [1, 2]):
        with pytest.raises(ValueError, match="at least 2 of each"):
            evidence.variance_components(bad)


def test_an_interval_ends_where_its_measure_does():
    shares = [0.0, 0.0, 0.3]
    records = [
        {"condition": "a", "seed": i, "nonconvex_share": x, "sharpness": x, "auc": 1 - x, "roughness": x}
        for i, x in enumerate(shares)
    ]
    free = evidence.mean_interval(shares)
    assert free.low < 0 < free.high < 1
    (row,) = Cells(figures.seeds_table(records)._repr_html_()).rows[1:]
    share, sharpness, auc, roughness = row[2:]
    assert share == roughness == f"0.1 [0, {number(free.high)}]"
    assert sharpness == f"0.1 [{number(free.low)}, {number(free.high)}]"
    assert auc == f"0.9 [{number(1 - free.high)}, 1]"
    assert math.isnan(evidence.mean_interval([0.5], bounds=(0, 1)).low)


# Claims and verdicts


def claim(expected, effect, **changes):
    return evidence.Claim("deeper is rougher", "figure 4", "roughness", expected, effect, **changes)


def effect_of(shift, n=5, **changes):
    return evidence.difference(*separated(shift, n=n), **changes)


@pytest.mark.parametrize(
    "expected, shift, outcome",
    [
        ("greater", 6, "supported"),
        ("greater", -6, "contradicted"),
        ("less", -6, "supported"),
        ("less", 6, "contradicted"),
        ("different", -6, "supported"),
        ("same", 6, "contradicted"),
        ("greater", 0.2, "inconclusive"),
        ("less", 0.2, "inconclusive"),
        ("different", 0.2, "inconclusive"),
        ("same", 0.2, "inconclusive"),
    ],
)
def test_outcomes_follow_the_rule(expected, shift, outcome):
    (verdict,) = evidence.judge([claim(expected, effect_of(shift))])
    assert verdict.outcome == outcome
    if outcome == "inconclusive":
        assert number(verdict.claim.effect.smallest_detectable) in verdict.note
        assert ("no margin" in verdict.note) == (expected == "same")
    else:
        assert verdict.note == "" and verdict.p_adjusted == pytest.approx(2 / 252)


def test_fewer_than_five_seeds_give_no_verdict_and_take_no_part_in_the_correction():
    few, enough = effect_of(50, n=4), effect_of(6)
    verdicts = evidence.judge([claim("greater", few), claim("greater", enough)])
    assert [v.outcome for v in verdicts] == ["inconclusive", "supported"]
    assert verdicts[0].note == "4 seeds, five needed" and math.isnan(verdicts[0].p_adjusted)
    assert verdicts[1].p_adjusted == pytest.approx(2 / 252)
    diverged = evidence.difference([1, 2, 3, 4, np.inf], [11, 12, 13, 14, 15])
    (verdict,) = evidence.judge([claim("greater", diverged)])
    assert verdict.note == "4 seeds, five needed; 1 seed left out, not finite"
    assert evidence.judge([]) == []


def test_both_the_interval_and_the_corrected_p_value_are_needed():
    effect = effect_of(6)
    includes = replace(effect, low=-0.1)
    assert evidence.judge([claim("greater", includes)])[0].outcome == "inconclusive"
    weak = replace(effect, p=0.03)
    assert evidence.judge([claim("greater", weak)])[0].outcome == "supported"
    pair = evidence.judge([claim("greater", weak), claim("greater", replace(effect, p=0.5))])
    assert pair[0].outcome == "inconclusive" and pair[0].p_adjusted == pytest.approx(0.06)


def test_the_note_does_not_contradict_the_interval():
    effect = effect_of(6)
    beside = claim("greater", replace(effect, p=0.5))
    corrected = evidence.judge([claim("greater", replace(effect, p=0.03)), beside])[0]
    assert corrected.note == (
        "the interval excludes zero, but p = 0.03 is that of one test: corrected for 2 it is 0.06"
    )
    untested = evidence.judge([claim("greater", replace(effect, p=0.07))])[0]
    assert untested.note == "the interval excludes zero, but p = 0.07 is not below 0.05"
    reaching = evidence.judge([claim("greater", replace(effect, low=-0.1))])[0]
    assert reaching.note == "p is below 0.05, but the interval includes zero"
    within = evidence.judge([claim("same", effect, margin=effect.difference)])[0]
    assert within.note.startswith(f"the interval reaches {number(effect.difference)},")
    for verdict in (corrected, untested, reaching, within):
        assert verdict.outcome == "inconclusive" and "could have seen" not in verdict.note


def test_the_note_says_when_no_data_could_have_reached_significance():
    strong = claim("greater", effect_of(6))
    assert [v.outcome for v in evidence.judge([strong] * 6)] == ["supported"] * 6
    seven = evidence.judge([strong] * 7)
    assert {v.outcome for v in seven} == {"inconclusive"}
    assert all("too few seeds for so many claims" in v.note and "0.0079" in v.note for v in seven)
    reachable = evidence.judge([claim("greater", effect_of(0.2))] * 6)
    assert not any("too few seeds" in v.note for v in reachable)


def test_sameness_is_shown_only_within_a_stated_margin():
    effect = effect_of(0.0, n=30)
    assert -1 < effect.low < 0 < effect.high < 1
    assert evidence.judge([claim("same", effect, margin=1.0)])[0].outcome == "supported"
    narrow = evidence.judge([claim("same", effect, margin=0.01)])[0]
    assert narrow.outcome == "inconclusive" and "margin" not in narrow.note
    large = effect_of(6, n=8)
    assert evidence.judge([claim("same", large, margin=1.0)])[0].outcome == "contradicted"
    assert evidence.judge([claim("same", effect_of(-6, n=8), margin=1.0)])[0].outcome == "contradicted"
    # Surely not zero, but perhaps within the margin: neither is shown.
    assert evidence.judge([claim("same", large, margin=large.difference)])[0].outcome == "inconclusive"


def test_a_claim_says_what_it_expects():
    with pytest.raises(ValueError, match=r"expected='bigger'.*greater"):
        claim("bigger", effect_of(0))
    for expected, margin in (("greater", 1.0), ("same", 0.0), ("same", -1.0)):
        with pytest.raises(ValueError, match="margin="):
            claim(expected, effect_of(0), margin=margin)


# Tables and records


class Cells(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.rows, self.classes, self.open = [], [], []
        self.feed(page)
        assert not self.open, "unclosed"

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            self.rows[-1][-1] += " / "
            return
        self.open.append(tag)
        self.classes += [value for key, value in attrs if key == "class"]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def verdicts_of_all_kinds():
    return evidence.judge(
        [
            replace(claim("greater", effect_of(8)), text="deep <16> & rough | not smooth"),
            claim("same", effect_of(-8), compared="16 layers − 4 layers"),
            claim("less", effect_of(1.0, n=3)),
            claim("same", effect_of(0.1, n=30), margin=2.0),
        ]
    )


def test_the_claims_table_shows_every_verdict_in_words():
    verdicts = verdicts_of_all_kinds()
    table = figures.claims_table(verdicts)
    page = Cells(table._repr_html_())
    assert {"la-claims", "la-supported", "la-contradicted", "la-inconclusive"} <= set(page.classes)
    assert page.rows[0] == list(table.headers) and len(page.rows) == 5
    assert page.rows[1][0] == "deep <16> & rough | not smooth / figure 4"
    assert "deep &lt;16&gt; &amp; rough" in table._repr_html_()
    assert "16 layers − 4 layers" in page.rows[2][2]
    effect = verdicts[0].claim.effect
    assert page.rows[1][3].startswith(f"{number(effect.difference)} [{number(effect.low)}, {number(effect.high)}]")
    for row, verdict in zip(page.rows[1:], verdicts, strict=True):
        assert verdict.outcome in row[1] and verdict.note in row[1]
        assert row[-1].split() == [str(verdict.claim.effect.n_a), "+", str(verdict.claim.effect.n_b)]
    markdown = table._repr_markdown_().splitlines()
    assert len(markdown) == 6 and all(line.replace("\\|", "").count("|") == 7 for line in markdown)


def between(a, b):
    """Two conditions of five seeds around these means, far apart or hardly."""
    around = np.array([-0.02, -0.01, 0, 0.01, 0.02])
    return evidence.difference(a + around, b + around)


def test_verdicts_in_words_are_sentences_with_the_numbers_behind_them():
    up, none = between(1, 2), between(1, 1.001)
    depth = replace(claim("greater", up), text="depth matters")
    share = replace(depth, measure="nonconvex_share")
    verdicts = evidence.judge(
        [
            depth,
            replace(share, effect=between(0.5, 0.7)),
            replace(depth, measure="sharpness", effect=none),
            replace(claim("less", up), text="width does not", measure="final_loss"),
            replace(claim("less", none), text="seeds do"),
            replace(claim("less", none), text="data do"),
        ]
    )
    assert evidence.in_words(verdicts) == (
        "Depth matters: the roughness rises from 1 to 2 and the non-convex share rises from 0.5 to 0.7; "
        "for the sharpness that stays open. "
        "That width does not is contradicted: the final loss rises from 1 to 2. "
        "It stays open whether seeds do and whether data do."
    )
    assert evidence.changes_in_words(verdicts[2:3]) == "" == evidence.in_words([])
    down = evidence.judge([claim("less", between(2, 1)), claim("same", between(1, 1.01), margin=0.5)])
    assert evidence.changes_in_words(down) == "the roughness falls from 2 to 1 and the roughness stays within ±0.5"


def test_trends_in_words_say_which_are_beyond_chance():
    x = np.repeat(np.arange(5.0), 4)
    noise = np.random.default_rng(0).normal(size=20)
    trends = {"nonconvex_share": evidence.trend(x, x + 0.1 * noise), "sharpness": evidence.trend(x, noise)}
    said = evidence.trends_in_words(trends)
    rho = number(trends["nonconvex_share"].rho)
    assert said.startswith(f"the non-convex share rises (ρ\u00a0=\u00a0{rho} [")
    assert said.endswith("; for the sharpness no trend is beyond chance")
    falls = evidence.trends_in_words({"roughness": evidence.trend(x, -x)})
    assert falls == "the roughness falls (ρ\u00a0=\u00a0−1 [−1, −1])"
    # A p-value of 0.03 is below 0.05 alone, and above it where two are given.
    weak = replace(trends["nonconvex_share"], p=0.03)
    assert "rises" in evidence.trends_in_words({"a": weak})
    assert evidence.trends_in_words({"a": weak, "b": weak}) == "for the a and the b no trend is beyond chance"


def test_the_size_of_an_effect_has_no_digits_where_the_spread_is_next_to_nothing():
    effect = effect_of(6)
    sizes = {g: evidence.judge([claim("greater", replace(effect, hedges_g=g))]) for g in (9.94, 1660.0, -44.0)}
    said = {g: figures.claims_table(verdicts)._repr_markdown_() for g, verdicts in sizes.items()}
    assert "Hedges g 9.9" in said[9.94] and "Hedges g > 10 " in said[1660.0] and "Hedges g < −10 " in said[-44.0]


def test_verdicts_survive_json():
    verdicts = verdicts_of_all_kinds()
    text = json.dumps(figures.claims_table(verdicts).to_records(), allow_nan=False)
    back = evidence.from_records(json.loads(text))
    assert repr(back) == repr(verdicts)  # NaN is not equal to itself
    for bad in ([{"claim": {}}], [{}], [{"claim": 3}]):
        with pytest.raises(ValueError, match="records"):
            evidence.from_records(bad)


def test_the_trends_table_corrects_for_all_its_rows():
    x = np.arange(6.0)
    trends = {
        "up": evidence.trend(x, x**2),
        "neither": evidence.trend(x, [0, 1, 0, 1, 0, 1]),
        "hole": evidence.trend([*x, np.nan], [*-x, 9]),
    }
    table = figures.trends_table(trends)
    rows = Cells(table._repr_html_()).rows[1:]
    assert [row[0] for row in rows] == list(trends)
    exact = 2 / math.factorial(6)
    corrected = [record["p_adjusted"] for record in table.to_records()]
    assert corrected[0] == corrected[2] == pytest.approx(3 * exact) and corrected[1] == trends["neither"].p
    assert f"uncorrected {number(exact, 2)}" in rows[0][2] and rows[0][2].startswith(number(3 * exact, 2))
    assert rows[2][1].startswith("−1 [") and "1 left out" in rows[2][3]
    assert json.loads(json.dumps(table.to_records()))[2]["left_out"] == 1


def test_the_seeds_table_shows_means_with_intervals():
    records = [
        {"condition": condition, "seed": seed, "sharpness": level + seed, "minima": 1 if seed else math.nan}
        for condition, level in (("shallow", 0.0), ("deep", 10.0))
        for seed in range(3)
    ]
    table = figures.seeds_table(records)
    page = Cells(table._repr_html_())
    assert page.rows[0] == ["Condition", "Seeds", "sharpness", "minima"]
    half = stats.t.ppf(0.975, 2) / math.sqrt(3)
    assert page.rows[2] == [
        "deep",
        "3",
        f"11 [{number(11 - half)}, {number(11 + half)}]",
        "1 [1, 1] / 1 left out, not finite",
    ]
    assert [row[0] for row in page.rows[1:]] == ["shallow", "deep"]
    assert {"condition": "deep", "measure": "sharpness", "mean": 11.0, "n": 3}.items() <= table.to_records()[1].items()
    json.dumps(table.to_records(), allow_nan=False)
    assert [row[0] for row in Cells(figures.seeds_table(records, measures=["minima"])._repr_html_()).rows] == [
        "Condition",
        "shallow",
        "deep",
    ]
    with pytest.raises(ValueError, match=r"no 'roughness'.*sharpness"):
        figures.seeds_table(records, measures=["roughness"])
    with pytest.raises(ValueError, match="empty"):
        figures.seeds_table([], measures=["roughness"])


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"), (0.05, "0.05"), (-1.2345, "−1.23"), (12.0, "12"), (0.99999, "1"), (1234.6, "1235"),
        (9999.0, "9999"), (38_385.2, "38,385"), (99_999, "10⁵"), (2.04e-6, "2.04·10⁻⁶"), (1e-7, "10⁻⁷"), (-1e9, "−10⁹"),
        (math.nan, "–"), (math.inf, "∞"), (-math.inf, "−∞"),
    ],
)  # fmt: skip
def test_numbers_for_people(value, text):
    assert number(value) == text


def test_a_table_refuses_rows_of_another_length():
    with pytest.raises(ValueError):
        Table(("a", "b"), (("1",),))._repr_html_()
