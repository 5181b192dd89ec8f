import math
from dataclasses import replace

import numpy as np
import pytest

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
