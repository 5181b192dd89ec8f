"""What chapters publish for the front page: their verdicts, and their answers in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lossatlas._checks import path_like
from lossatlas._files import in_project, write_whole
from lossatlas.evidence import Verdict, from_records, to_records

CLAIMS, ANSWER = "claims.json", "answer.txt"  # in the folder of a chapter


def published(results: Path | str = "data/results") -> dict[str, list[Verdict]]:
    """Return the verdicts that each chapter published, by the chapter's name.

    Examples
    --------
    >>> published("a folder without chapters")
    {}
    """
    path_like(results, "results")
    paths = sorted(in_project(results).glob(f"*/{CLAIMS}"))
    return {path.parent.name: from_records(json.loads(path.read_text(encoding="utf-8"))) for path in paths}


def answers(results: Path | str = "data/results") -> dict[str, str]:
    """Return the answer in words that each chapter published, by the chapter's name.

    Examples
    --------
    >>> answers("a folder without chapters")
    {}
    """
    path_like(results, "results")
    paths = sorted(in_project(results).glob(f"*/{ANSWER}"))
    return {path.parent.name: path.read_text(encoding="utf-8").strip() for path in paths}


def publish(folder: Path, verdicts: Sequence[Verdict], *, answer: str = "") -> None:
    """Write the verdicts of a chapter, and its answer in words, into the folder of its results.

    A file that already has this content keeps its date.
    """
    texts = {CLAIMS: json.dumps(to_records(verdicts), indent=1) + "\n", ANSWER: answer and answer + "\n"}
    for name, text in texts.items():
        if text:
            write_whole(folder / name, text.encode())
