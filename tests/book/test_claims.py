"""The verdicts that are committed are those that the chapters reach when they are executed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

DIGITS = 1e-6  # relative; sums in another order differ by far less


def committed(root: Path, name: str) -> object:
    """The verdicts of a chapter as git has them."""
    path = f"data/results/{name}/claims.json"
    shown = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=root, capture_output=True, text=True, check=False)
    if shown.returncode:
        pytest.skip(f"git has no {path}")
    return json.loads(shown.stdout)


def same(one: object, other: object) -> bool:
    """Whether two JSON documents are equal, numbers up to their last digits."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=DIGITS, abs=1e-12)
    return type(one) is type(other) and one == other


NAMES = sorted(path.parent.name for path in (Path(__file__).parents[2] / "data" / "results").glob("*/claims.json"))


@pytest.mark.parametrize("name", NAMES)
def test_executing_a_chapter_changes_no_claim_measure_or_verdict(name, root, site):
    assert (site / "book" / f"{name}.html").exists()  # it was executed for the site, which wrote its verdicts
    now = json.loads((root / "data" / "results" / name / "claims.json").read_text("utf-8"))
    assert same(committed(root, name), now)


def test_what_counts_as_a_change():
    verdict = {"claim": {"text": "deeper is rougher", "effect": {"low": 0.1, "n_a": 5}}, "outcome": "supported"}
    near = {**verdict, "claim": {"text": "deeper is rougher", "effect": {"low": 0.1 + 1e-9, "n_a": 5}}}
    assert same([verdict], [near])
    for changed in (
        {**verdict, "outcome": "inconclusive"},
        {**verdict, "claim": {"text": "deeper is rougher", "effect": {"low": 0.1001, "n_a": 5}}},
        {**verdict, "claim": {"text": "deeper is rougher", "effect": {"low": 0.1, "n_a": 4}}},
        {**verdict, "claim": {"text": "deeper is smoother", "effect": {"low": 0.1, "n_a": 5}}},
    ):
        assert not same([verdict], [changed])
    assert not same([verdict], [verdict, verdict])
