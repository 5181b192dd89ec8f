"""What the execution of a chapter depends on, as fingerprints, and the record kept beside an executed notebook."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import chapters


def digest(files: Iterable[Path], *texts: str) -> str:
    """Return the SHA-256 of texts, and of files with their names, in the order given."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode() + b"\0")
    for file in files:
        content = file.read_bytes()
        total.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def fingerprint(path: Path, root: Path, *, values: dict[str, Any]) -> str:
    """Return a fingerprint of what an execution depends on beside stored results: notebook, code, versions, values."""
    library = Path(importlib.util.find_spec("lossatlas").origin).parent
    pins = [file for file in [root / "constraints.txt"] if file.exists()]
    files = [path, *sorted(library.rglob("*.py")), *pins]
    return digest(files, sys.version, json.dumps(values, sort_keys=True))


def stored(path: Path, root: Path) -> str:
    """Return a fingerprint of the stored results that a chapter reads.

    Those are its own in `data/results/<chapter>/`, and those that its notebook names as patterns below `data/results/`
    in its metadata, `{"lossatlas": {"reads": […]}}`.
    """
    reads = chapters.about(path).get("reads", [])
    found = {file for pattern in (f"{path.stem}/**/*", *reads) for file in (root / "data" / "results").glob(pattern)}
    return digest(sorted(file for file in found if file.is_file()))


def record_of(output: Path) -> dict:
    """Return the record beside an executed notebook; empty if there is none or the notebook was altered."""
    try:
        record = json.loads(output.with_suffix(".json").read_text())
        return record if record["output"] == digest([output]) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
