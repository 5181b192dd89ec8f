"""A pytest plugin with one fixture: the browser that all tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from lossatlas_book import browser as browsers


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless browser: the one that is there."""
    with sync_playwright() as playwright:
        running = browsers.launch(playwright)
        yield running
        running.close()
