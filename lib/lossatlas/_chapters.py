"""The chapters of the book around this library: where their notebooks are, and what they say of themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lossatlas._files import in_project


def chapter_paths(root: Path) -> dict[str, Path]:
    """Return name and notebook of every chapter, in the order of ``_toc.yml`` (others last, by name)."""
    toc = root / "_toc.yml"
    listed = re.findall(r"\bbook/(\w+)", toc.read_text(encoding="utf-8")) if toc.exists() else []
    places = {name: place for place, name in enumerate(listed)}
    paths = sorted((root / "book").glob("*.ipynb"))
    paths.sort(key=lambda path: places.get(path.stem, len(places)))
    return {path.stem: path for path in paths}


def chapters() -> dict[str, dict[str, Any]]:
    """Return what every chapter of the book says of itself: its title, its question, its part of the book.

    Examples
    --------
    >>> all({"title", "question", "part"} <= set(about) for about in chapters().values())
    True
    """
    found = {}
    for name, path in chapter_paths(in_project("_toc.yml").parent).items():
        about = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("lossatlas", {})
        found[name] = {"title": name, "question": "", "part": "", **about}
    return found
