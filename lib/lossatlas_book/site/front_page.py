"""What the front page says of the chapters: each with the question that it asks."""

from __future__ import annotations

from pathlib import Path

from ..notebooks import chapters

QUESTIONS = "book/questions.md"  # in the staged sources; the front page includes it
HEAD = "```{list-table}\n:header-rows: 1\n:widths: 25 75\n\n* - Chapter\n  - What is asked"


def questions(root: Path) -> str:
    """Return the chapters and their questions as a table in MyST, in the order of the table of contents."""
    listed = (root / "_toc.yml").read_text(encoding="utf-8")
    rows = [
        f"* - []({name}.ipynb)\n  - {chapters.about(path).get('question', '')}"
        for name, path in chapters.chapters(root).items()
        if f"book/{name}" in listed.split()
    ]
    return "\n".join([HEAD, *rows, "```\n"])
