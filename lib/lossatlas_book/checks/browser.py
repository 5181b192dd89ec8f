"""A browser for the tests: the one that is there, or one that is installed now."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..console import Failure, run_logged, step

NAMES = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome")
APPLICATIONS = ("Google Chrome.app/Contents/MacOS/Google Chrome", "Chromium.app/Contents/MacOS/Chromium")
ARGUMENTS = (
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE = 600.0  # seconds for one attempt at an installation


def candidates(playwright: Any) -> Iterator[str]:
    """Yield executables that may be a usable browser, best first: LOSSATLAS_BROWSER, Playwright's, the system's."""
    named = [os.environ["LOSSATLAS_BROWSER"]] if os.environ.get("LOSSATLAS_BROWSER") else []
    system = [found for name in NAMES if (found := shutil.which(name))]
    applications = [str(Path("/Applications", name)) for name in APPLICATIONS]
    for path in [*named, playwright.chromium.executable_path, *system, *applications]:
        if os.path.exists(path):
            yield path


def launch(playwright: Any) -> Any:
    """Start the first headless browser that starts; raises Failure with every reason when none does."""
    reasons = []
    for path in candidates(playwright):
        try:
            return playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        except Exception as error:  # Playwright's own errors, and the system's
            reasons.append(f"    {path}: {str(error).strip().splitlines()[0]}")
    raise Failure("\n".join(["no browser that starts was found", *reasons]))


def wait_until(page: Any, expression: str, *, arg: object = None, timeout: float = 30_000) -> None:
    """Wait until a JavaScript expression, or a function of ``arg``, holds on a page.

    Playwright's ``wait_for_function`` evaluates from within the page from its second try on, which the content
    security policy of our pages forbids.

    Parameters
    ----------
    timeout
        Milliseconds, as Playwright counts. Raises its TimeoutError when they are over.
    """
    from playwright.sync_api import TimeoutError

    end = time.monotonic() + timeout / 1000
    while not page.evaluate(expression, arg):
        if time.monotonic() > end:
            raise TimeoutError(f"still false after {timeout / 1000:g} s: {expression}")
        page.wait_for_timeout(20)


def version() -> str:
    """Version of the first browser that starts; raises Failure when none does."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        found = browser.version
        browser.close()
        return found


def ensure(root: Path) -> None:
    """Have a browser that starts, installing one if need be: Playwright's, else Debian's (as root).

    Raises Failure with the one command to run when neither can be installed.
    """
    apt = shutil.which("apt-get")
    own = [sys.executable, "-m", "playwright", "install", "chromium"]
    debian = [apt, "install", "-y", "--no-install-recommends", "chromium"]
    attempts = [("", []), ("Playwright's Chromium", [own])]
    if apt and os.geteuid() == 0:
        attempts.append(("Debian's chromium", [[apt, "update"], debian]))
    logs = root / "_build" / "logs"
    with step("browser") as current:
        for what, commands in attempts:
            for command in commands:
                current.update(f"installing {what}")
                log = logs / f"browser-{Path(command[0]).name}-{command[-1]}.log"
                env = {"DEBIAN_FRONTEND": "noninteractive"}
                if run_logged(command, log, current=current, env=env, timeout=PATIENCE):
                    break
            try:
                current.result = f"Chromium {version()}"
                return
            except Failure as failure:
                reason = failure
        command = "sudo apt-get install -y chromium" if apt else " ".join(own)
        raise Failure(
            f"{reason}\n    (logs of the attempts to install one: {logs})\n"
            f"The tests need a browser and none could be installed. First run:\n    {command}"
        )
