"""What the front page says of the chapters: answers to what the report leaves open, and a picture of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lossatlas.study import answers

from ..notebooks import chapters
from . import gallery

ANSWERS, COVERS = "book/answers.md", "book/chapters.html"  # in the staged sources; the front page includes them
MARKUP = re.compile(r"([\\`*_{}\[\]<>$|#])")  # characters that MyST may read as more than themselves


def open_questions(root: Path) -> str:
    """Return every question that the report leaves open, with the first sentence of the chapter's answer, in MyST.

    A chapter names its question as `left_open` in its metadata, and publishes its answer beside its results.
    """
    said, entries = answers(root / "data" / "results"), []
    for name, path in chapters.chapters(root).items():
        if question := chapters.about(path).get("left_open"):
            first = said.get(name, "Not answered yet").split(". ")[0].rstrip(".")
            entries.append(f"{plain(question)}\n: {plain(first)}. []({name}.ipynb)\n")
    return "\n".join(entries) or "No chapter answers an open question.\n"


def plain(text: str) -> str:
    """Return a text that MyST shows as it is."""
    return MARKUP.sub(r"\\\1", " ".join(text.split()))


def covers(root: Path, scenes: Mapping[str, Sequence[gallery.Scene]], *, source: Path) -> str:
    """Return the chapters with experiments as a piece of a page: the first scene, the title and the question of each.

    Parameters
    ----------
    root : path
        The folder of the book.
    scenes : mapping of str to sequence of gallery.Scene
        What each page shows, by the name of the chapter.
    source : path
        The folder whose `_static` becomes the site's.
    """
    listed = {name for name, part in chapters.listed_parts(root).items() if part in chapters.RESEARCH}
    found = []
    for name, path in chapters.chapters(root).items():
        if name in listed and scenes.get(name):
            about = chapters.about(path)
            found.append(gallery.cover(scenes[name][0], f"{name}.html", about["title"], about["question"]))
    return gallery.of_cards(found, source=source)
