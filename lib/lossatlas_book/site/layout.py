"""What must be said in the HTML of pictures so that they have room on a page, whatever its width."""

from __future__ import annotations

import re

from nbformat import NotebookNode

from .publish import html_outputs

ROW = re.compile(r'<div class="la-scenes">(?P<figures>\s*(?:<figure .*?</figure>\s*)+)</div>', re.DOTALL)


def lay_out(notebook: NotebookNode) -> None:
    """Let rows of three scenes reach into the margin.

    `notebook` is changed in place, after `publish.publish_scenes`. The theme knows the class `full-width`: it folds
    what stands in the margin while such a row is on the screen.
    """
    for data, kind, text in html_outputs(notebook):
        data[kind] = ROW.sub(_row, text)


def _row(match: re.Match[str]) -> str:
    if match["figures"].count("<figure ") != 3:
        return match[0]
    return f'<div class="la-scenes full-width">{match["figures"]}</div>'
