"""The table of what can be evaluated names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "book" / "reference.md").read_text(encoding="utf-8"))


def test_the_table_names_tests():
    assert len(NAMED) > 10


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file, name):
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")
