import json
import math
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

from effects import claim, effect_of
from lossatlas import evidence, figures
from lossatlas._text import number
from lossatlas.figures import Table


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
