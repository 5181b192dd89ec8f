from dataclasses import replace

import numpy as np

from effects import between, claim
from lossatlas import evidence
from lossatlas._text import number


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


def test_the_spread_in_words_is_the_share_between_seeds():
    by_seed, by_plane = [[1, 1], [2, 2], [3, 3]], [[1, 2], [1, 2], [1, 2]]
    assert evidence.spread_in_words({"a": by_seed, "b": by_plane}) == "a: 100 %; b: 0 %"
    assert evidence.spread_in_words({"a": np.ones((2, 2))}) == "a: nothing varies"
    for alone in (np.ones((1, 3)), np.ones((3, 1))):
        assert evidence.spread_in_words({"a": by_seed, "b": alone}) == "not measured with one plane or one seed"
