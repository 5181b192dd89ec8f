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

from .console import Failure, Step, duration, run_logged, step, tail

UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
STAMP = "lossatlas.json"  # inside the environment: what it was last set up for


def _wanted(root: Path, extras: set[str]) -> dict:
    """What an environment must match to be used as it is."""
    files = [root / "pyproject.toml", root / "constraints.txt"]
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    return {"root": str(root), "pins": digest, "extras": sorted(extras)}


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


def set_up(root: Path, venv: Path, extras: set[str]) -> None:
    """Create `venv` if it is missing and install the project in it with `extras`, every version pinned."""
    have = _have(venv)
    wanted = _wanted(root, extras | set(have.get("extras", [])))
    python = venv / "bin" / "python"
    works = python.exists() and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    if works and have == wanted:
        return
    logs = root / "_build" / "logs"
    with step("environment") as current:
        if not works:
            if venv.exists() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
                raise Failure(f"{venv} has content and is no virtual environment; name another: make VENV=.venv")
            current.update("creating the virtual environment")
            log = logs / "venv.log"
            if run_logged([sys.executable, "-m", "venv", "--clear", venv], log, current=current):
                raise Failure(
                    f"{tail(log)}\nThe virtual environment could not be created. If Python's venv module "
                    "is missing, install it (Debian and Ubuntu: apt-get install python3-venv)."
                )
        pins = root / "constraints.txt"
        current.update("installing the installer (uv)")
        log = logs / "install-uv.log"
        if run_logged([python, "-m", "pip", "install", "-c", pins, "uv"], log, current=current):
            raise Failure(f"{tail(log)}\nuv, which installs everything else, could not be installed.")

        project = f".[{','.join(wanted['extras'])}]"
        log = logs / "install.log"
        downloads = Downloads(current)
        command = [
            *(python, "-m", "uv", "pip", "install", "--python", python),
            *("-c", pins, "-b", pins, "-e", project),
        ]
        if run_logged(command, log, current=current, on_line=downloads, cwd=root):
            # A machine may have its package index set for pip alone, so pip gets a try of its own.
            first = tail(log)
            command = [python, "-m", "pip", "install", "--progress-bar", "off", "-c", pins, "-e", project]
            log = logs / "install-pip.log"
            current.update("trying again with pip")
            if run_logged(command, log, current=current, cwd=root):
                raise Failure(f"{first}\n{tail(log)}\nThe packages could not be installed.")
        extras = ", ".join(wanted["extras"])
        current.result = f"{downloads.packages} packages installed in {os.path.relpath(venv, root)} ({extras})"
    (venv / STAMP).write_text(json.dumps(wanted))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lossatlas_book.environment", description=__doc__)
    parser.add_argument("extras", nargs="+", help="the project's extras to install")
    parser.add_argument("--venv", type=Path, default=Path(".venv"))
    args = parser.parse_args()
    try:
        set_up(Path.cwd(), args.venv.absolute(), set(args.extras))
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; run the command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
