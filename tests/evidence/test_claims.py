import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from effects import claim, effect_of
from lossatlas import evidence
from lossatlas._text import number


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
    assert verdict.note == "4 seeds, five needed; 1 seed left out, missing or not finite"
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
    assert all("too few seeds for that many claims" in v.note and "0.0079" in v.note for v in seven)
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


# Claims from labelled measures


def measured():
    """Roughness over condition and seed, two conditions far apart."""
    around = np.array([-0.02, -0.01, 0.0, 0.01, 0.02, 0.03])
    values = np.stack([0.3 + around, 0.5 + around])
    coords = {"condition": ["4 layers", "16 layers"], "seed": np.arange(6)}
    return xr.DataArray(values, coords, ("condition", "seed"), "roughness")


def made(values, **options):
    return evidence.claim(
        "deeper is rougher", values, **{"a": "4 layers", "b": "16 layers", "expected": "greater", **options}, figure="4"
    )


def test_a_claim_is_made_from_a_labelled_measure():
    values = measured()
    found = made(values)
    assert found.effect == evidence.difference(values.values[0], values.values[1])
    assert (found.measure, found.compared, found.expected) == ("roughness", "16 layers − 4 layers", "greater")
    assert evidence.judge([found])[0].outcome == "supported"
    assert made(values, a="16 layers", b="4 layers").effect.difference == pytest.approx(-found.effect.difference)
    assert made(values.transpose("seed", "condition")) == found
    other = values.rename(condition="width").assign_coords(width=[4, 16])
    assert made(other, a={"width": 4}, b={"width": 16}).compared == "16 − 4"
    assert made(values, expected="same", margin=0.5, compared="deep − shallow").compared == "deep − shallow"


def test_seeds_that_are_missing_or_not_finite_are_counted():
    values = measured()
    values[0, 1], values[1, 2] = np.nan, np.inf
    found = made(values)
    assert (found.effect.n_a, found.effect.n_b, found.effect.left_out) == (5, 5, 2)
    assert "2 seeds left out, missing or not finite" in evidence.judge([found])[0].note
    fewer = values.isel(seed=slice(3)).sel(condition=["4 layers"])
    joined = xr.concat([fewer, measured().sel(condition=["16 layers"])], "condition", join="outer")
    assert made(joined).effect.left_out == 4 and made(joined).effect.n_a == 2


def test_trends_and_spreads_take_labelled_measures():
    values = measured()
    depths = xr.DataArray([4, 16], {"condition": values.condition}, ("condition",))
    assert evidence.trend(depths, values) == evidence.trend([4] * 6 + [16] * 6, values.values.ravel())
    planes = xr.concat([values, values + 0.01], "plane")
    table = values.sel(condition="4 layers").values[:, None] + [0, 0.01]
    assert evidence.variance_components(planes.sel(condition="4 layers")) == evidence.variance_components(table)
