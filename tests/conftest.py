"""What all tests share: the site and a browser, and when a test that needs data or a device is skipped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # every core has a process of its own; set before PyTorch is imported
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

# A shell starts programs in the background with Ctrl-C ignored, and those that tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parents[1]
WORKER_MEMORY = 2.5 * 2**30  # bytes that a process may need, with the browser or the kernel that its tests start


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """With `-n auto`, one process for each core, if memory suffices."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on every system
        memory = 0
    return max(1, min(cores, int(memory / WORKER_MEMORY)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """A dataset that no source holds skips the tests marked `data`, except in CI, where it is a failure."""
    report = yield
    if call.excinfo and item.get_closest_marker("data") and not os.environ.get("CI"):
        from lossatlas.datasets import DatasetUnavailable

        if call.excinfo.errisinstance(DatasetUnavailable):
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {call.excinfo.value}")
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built site."""
    html = ROOT / "_build" / "html"
    if not (html / "index.html").exists():
        pytest.fail("the site is not built; run: make book")
    return html


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless browser, as Playwright's object; software WebGL is on."""
    from playwright.sync_api import sync_playwright

    from lossatlas_book.checks.browser import launch

    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()
