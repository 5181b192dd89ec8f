"""Set up the virtual environment: `python -m lossatlas_book.environment book test`.

Run by the Makefile with any Python 3.11 or newer, before anything is installed; standard library only.
Nothing is done when the environment already holds what is asked for (see `_wanted`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from .console import ANSI, Failure, Step, duration, run_logged, step, tail

UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
STAMP = "lossatlas.json"  # inside the environment: what it was last set up for


def _wanted(root: Path, extras: set[str], backend: str = "") -> dict:
    """Return what an environment must match to be used as it is."""
    files = [root / "pyproject.toml", root / "constraints.txt"]
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    return {"root": str(root), "pins": digest, "extras": sorted(extras), "backend": backend}


def _have(venv: Path) -> dict:
    try:
        return json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return {}


class Downloads:
    """Reads uv's lines ('Downloading torch (820.1MiB)', 'Downloaded torch') as progress in bytes."""

    line = re.compile(r"\s*(Downloading|Downloaded) (\S+)(?: \(([\d.]+)(\w+)\))?")

    def __init__(self, current: Step) -> None:
        self.current = current
        self.sizes: dict[str, float] = {}
        self.done = 0.0
        self.packages = 0

    def __call__(self, line: str) -> None:
        """Read one line, and show how far the downloads are."""
        if found := re.match(r"Installed (\d+) package", line):
            self.packages = int(found[1])
        found = self.line.match(line)
        if not found:
            return
        if found[1] == "Downloading":
            self.sizes[found[2]] = float(found[3] or 0) * UNITS.get(found[4], 1)
        else:
            self.done += self.sizes.get(found[2], 0.0)
        total = sum(self.sizes.values())
        text = f"downloading: {self.done / 2**20:.0f} of {total / 2**20:.0f} MB"
        if 0.1 * total < self.done < total:  # what comes first says little about the rest
            left = self.current.elapsed * (total - self.done) / self.done
            text += f", about {duration(left)} left"
        self.current.update(text)


def set_up(root: Path, venv: Path, extras: set[str], *, backend: str = "") -> None:
    """Create `venv` if it is missing and install the project in it with `extras`, every version pinned.

    `backend` chooses the build of PyTorch by uv's names: "cpu", "auto" (what this machine's card needs), "cu126" and
    so on. If its index cannot be reached, one line says so and the ordinary build is installed. Without a backend, an
    environment keeps the build that it has.
    """
    have = _have(venv)
    wanted = _wanted(root, extras | set(have.get("extras", [])), backend or have.get("backend", ""))
    python = venv / "bin" / "python"
    works = python.exists() and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    if works and have == wanted:
        return
    with step("environment") as current:
        if not works:
            _create(root, venv, current=current)
        _uv(root, python, current=current)
        packages = _install(root, python, wanted["extras"], backend=wanted["backend"], current=current)
        names = ", ".join(wanted["extras"])
        current.result = f"{packages} packages installed in {os.path.relpath(venv, root)} ({names})"
    (venv / STAMP).write_text(json.dumps(wanted))


def _create(root: Path, venv: Path, *, current: Step) -> None:
    if venv.exists() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
        raise Failure(f"{venv} has content and is no virtual environment; name another: make VENV=.venv")
    current.update("creating the virtual environment")
    log = root / "_build" / "logs" / "venv.log"
    if run_logged([sys.executable, "-m", "venv", "--clear", venv], log, current=current):
        raise Failure(
            f"{tail(log)}\nThe virtual environment could not be created. If Python's venv module "
            "is missing, install it (Debian and Ubuntu: apt-get install python3-venv)."
        )


def _uv(root: Path, python: Path, *, current: Step) -> None:
    current.update("installing the installer (uv)")
    log = root / "_build" / "logs" / "install-uv.log"
    pins = root / "constraints.txt"
    if run_logged([python, "-m", "pip", "install", "-c", pins, "uv"], log, current=current):
        raise Failure(f"{tail(log)}\nuv, which installs everything else, could not be installed.")


def _install(root: Path, python: Path, extras: list[str], *, backend: str, current: Step) -> int:
    """Install the project; return the number of packages that were installed."""
    logs, pins, project = root / "_build" / "logs", root / "constraints.txt", f".[{','.join(extras)}]"
    downloads = Downloads(current)
    uv = [python, "-m", "uv", "pip", "install", "--python", python, "-c", pins, "-b", pins, "-e", project]
    if backend:
        log = logs / "install-backend.log"
        if not run_logged([*uv, "--torch-backend", backend], log, current=current, on_line=downloads, cwd=root):
            return downloads.packages
        reason = next(
            (line for line in ANSI.sub("", log.read_text()).splitlines() if "rror" in line), "no reason given"
        )
        current.say(f"TORCH_BACKEND={backend} could not be installed ({reason.strip()}); installing the ordinary build")
        downloads = Downloads(current)
    log = logs / "install.log"
    if run_logged(uv, log, current=current, on_line=downloads, cwd=root):
        # A machine may have its package index set for pip alone, so pip gets a try of its own.
        first = tail(log)
        pip = [python, "-m", "pip", "install", "--progress-bar", "off", "-c", pins, "-e", project]
        log = logs / "install-pip.log"
        current.update("trying again with pip")
        if run_logged(pip, log, current=current, cwd=root):
            raise Failure(f"{first}\n{tail(log)}\nThe packages could not be installed.")
    return downloads.packages


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m lossatlas_book.environment", description=__doc__)
    parser.add_argument("extras", nargs="+", help="the project's extras to install")
    parser.add_argument("--venv", type=Path, default=Path(".venv"))
    args = parser.parse_args()
    try:
        backend = os.environ.get("TORCH_BACKEND", "").strip()
        set_up(Path.cwd(), args.venv.absolute(), set(args.extras), backend=backend)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; run the command again to continue.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
