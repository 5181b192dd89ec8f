"""The HTML of what a page shows, made from plain data and templates.

What a notebook shows is a bundle: a dict of plain JSON values with a `kind`, such as "figure" or "table". A bundle
travels beside its HTML in a notebook's output, so that the site can be made from it without reading HTML. A dict
inside a bundle with the keys `media` and `data` (base64 text) is an asset: a picture or a file. A site that writes an
asset to a file replaces its `data` by `src`, the address of the file, and renders the bundle again.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2

MEDIA_TYPE = "application/vnd.lossatlas.v1+json"  # under which a bundle stands beside its HTML
DIGITS = 12  # of a digest that names a file

Bundle = dict[str, Any]


def asset(content: bytes, media: str, **facts: Any) -> Bundle:
    """Return bytes as an asset of a bundle.

    Parameters
    ----------
    content : bytes
        What the file holds.
    media : str
        Its media type, such as "image/png".
    **facts
        What else the template needs, such as `alt` or `name`; plain JSON values.

    Examples
    --------
    >>> asset(b"abc", "text/plain", name="abc.txt")
    {'media': 'text/plain', 'data': 'YWJj', 'name': 'abc.txt'}
    """
    return {"media": media, "data": base64.b64encode(content).decode(), **facts}


def assets(bundle: Any) -> Iterator[Bundle]:
    """Yield every asset of a bundle that still holds its data, in the order of the bundle.

    Examples
    --------
    >>> files = [asset(b"abc", "text/plain"), {"media": "text/plain", "src": "elsewhere.txt"}]
    >>> [found["data"] for found in assets({"kind": "figure", "files": files})]
    ['YWJj']
    """
    if isinstance(bundle, Mapping):
        if "media" in bundle and "data" in bundle:
            yield bundle  # type: ignore[misc]
        for value in bundle.values():
            yield from assets(value)
    elif isinstance(bundle, list | tuple):
        for value in bundle:
            yield from assets(value)


def content(asset: Mapping[str, Any]) -> bytes:
    """Return the bytes of an asset. Raises ValueError if its data is damaged.

    Examples
    --------
    >>> content({"media": "text/plain", "data": "YWJj"})
    b'abc'
    """
    return base64.b64decode(asset["data"], validate=True)


def digest(value: Any) -> str:
    """Return a short name for bytes or plain JSON values: the same value has the same name.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    >>> len(digest(b"abc"))
    12
    """
    if not isinstance(value, bytes):
        value = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return hashlib.sha256(value).hexdigest()[:DIGITS]


def render(bundle: Mapping[str, Any]) -> str:
    """Return the HTML of a bundle, from the template named after its kind.

    Parameters
    ----------
    bundle : mapping
        Plain JSON values with a `kind`. All text is escaped.

    Raises
    ------
    ValueError
        If the bundle has no kind, or no template exists for it.

    Examples
    --------
    >>> rows = [{"class": "", "cells": [["SGD"], ["0.3"]]}]
    >>> page = render({"kind": "table", "name": "la-table", "headers": ["Optimizer", "Loss"], "rows": rows})
    >>> '<td data-label="Loss">0.3</td>' in page
    True
    """
    kind = bundle.get("kind")
    try:
        template = _environment().get_template(f"{kind}.html")
    except jinja2.TemplateNotFound:
        raise ValueError(f"bundle: no template exists for kind={kind!r}") from None
    return template.render(bundle)


def mimebundle(bundle: Bundle) -> dict[str, Any]:
    """Return a bundle as a notebook's output: its HTML, and beside it the bundle itself."""
    return {"text/html": render(bundle), MEDIA_TYPE: bundle}


def address(asset: Mapping[str, Any]) -> str:
    """Return where a page finds an asset: its file, or the data itself as a `data:` address.

    Examples
    --------
    >>> address({"media": "text/plain", "data": "YWJj"})
    'data:text/plain;base64,YWJj'
    >>> address({"media": "text/plain", "src": "../abc.txt"})
    '../abc.txt'
    """
    return asset["src"] if "src" in asset else f"data:{asset['media']};base64,{asset['data']}"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lossatlas.figures"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["address"] = address
    return environment
