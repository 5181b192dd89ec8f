"""What one test chose is not remembered in the next."""

import pytest

from lossatlas.evaluation import choosing
from lossatlas.evaluation.remembering import Choices


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(choosing, "CHOICES", Choices())
