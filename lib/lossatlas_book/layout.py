"""What must be said in the HTML of pictures so that they have room on a page, whatever its width."""

from __future__ import annotations

import re

from nbformat import NotebookNode

from .publish import html_outputs

FITS = 600  # pixels of a figure that is legible on a phone as it is
LEAST = 0.7  # share of its width to which a wider figure shrinks; from there on it scrolls in its box
FIGURE = re.compile(r'(<figure [^>]*class="la-figure".*?)(<img [^>]*\bwidth="(\d+)"[^>]*>)', re.DOTALL)
ROW = re.compile(r'<div class="la-scenes">(?P<figures>\s*(?:<figure .*?</figure>\s*)+)</div>', re.DOTALL)


def lay_out(notebook: NotebookNode) -> None:
    """Put wide figures into boxes that scroll, and let rows of three scenes reach into the margin.

    `notebook` is changed in place, after `publish.publish_scenes`. The theme knows the class `full-width`: it folds
    what stands in the margin while such a row is on the screen.
    """
    for data, kind, text in html_outputs(notebook):
        data[kind] = ROW.sub(_row, FIGURE.sub(_figure, text))


def _figure(match: re.Match[str]) -> str:
    before, picture, width = match.groups()
    if int(width) <= FITS:
        return match[0]
    least = picture.replace('style="', f'style="min-width: {LEAST * int(width):.0f}px; ', 1)
    return f'{before}<div class="la-scroll">{least}</div>'


def _row(match: re.Match[str]) -> str:
    if match["figures"].count("<figure ") != 3:
        return match[0]
    return f'<div class="la-scenes full-width">{match["figures"]}</div>'
