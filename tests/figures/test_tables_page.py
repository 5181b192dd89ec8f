"""Tables of claims are cards on a phone, and are sorted by verdict on a screen."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from playwright.sync_api import Browser

from browser import styled, visit
from lossatlas import evidence, figures

pytestmark = pytest.mark.browser


STEPS = np.array([1.0, 1.1, 0.9, 1.05, 0.95])  # of five seeds


def verdicts(*differences: float):
    claims = []
    for number, difference in enumerate(differences):
        values = xr.DataArray(
            [STEPS, STEPS + difference], {"condition": ["a", "b"]}, ("condition", "seed"), "roughness"
        )
        text = f"claim {number}"
        claims.append(evidence.claim(text, values, a="a", b="b", expected="greater", figure="figure 1"))
    return evidence.judge(claims)


@pytest.fixture
def page(tmp_path):
    table = figures.claims_table(verdicts(0.0, -3.0, 3.0, 0.01))
    return styled(f'<article class="bd-article">{table._repr_html_()}</article>', tmp_path).as_uri()


ROWS = "[...document.querySelectorAll('tbody th')].map((one) => one.firstChild.data.trim())"
SORT = "document.querySelector('thead [aria-sort]').ariaSort"


def test_a_button_sorts_by_verdict_and_says_so(browser: Browser, page):
    with visit(browser, page) as seen:
        start = ["claim 0", "claim 1", "claim 2", "claim 3"]
        assert seen.page.evaluate(ROWS) == start and seen.page.evaluate(SORT) == "none"
        seen.page.get_by_role("button").focus()
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate(ROWS) == ["claim 2", "claim 1", "claim 0", "claim 3"]
        assert seen.page.evaluate(SORT) == "ascending"
        seen.page.get_by_role("columnheader", name="Verdict").get_by_role("button").click()
        assert seen.page.evaluate(ROWS) == ["claim 0", "claim 3", "claim 1", "claim 2"]
        assert seen.page.evaluate(SORT) == "descending"
        seen.page.keyboard.press("Space")
        assert seen.page.evaluate(ROWS) == start and seen.page.evaluate(SORT) == "none"
        assert seen.problems == []


def test_on_a_phone_a_claim_is_a_card_with_labels(browser: Browser, page):
    with visit(browser, page, width=390) as seen:
        table = seen.page.locator("table")
        assert table.evaluate("one => one.scrollWidth <= one.parentElement.clientWidth")
        boxes = [cell.bounding_box() for cell in seen.page.locator("tbody tr").first.locator("th, td").all()]
        assert [box["y"] for box in boxes] == sorted({box["y"] for box in boxes})  # below each other
        labels = table.evaluate(
            "one => [...one.rows[1].cells].slice(1).map((cell) => getComputedStyle(cell, '::before').content)"
        )
        assert labels[:2] == ['"Verdict"', '"Measure"']
        assert seen.page.get_by_role("cell", name="supported").count() == 1  # a table for screen readers
        assert seen.page.get_by_role("button").count() == 0


def test_claims_that_all_come_out_alike_are_not_sorted(browser: Browser, tmp_path):
    table = figures.claims_table(verdicts(3.0, 3.1))
    with visit(browser, styled(table._repr_html_(), tmp_path).as_uri()) as seen:
        assert seen.page.get_by_role("button").count() == 0
