"""One kind of progress bar, with the time left."""

from __future__ import annotations

import os
import sys

from tqdm import tqdm


def bar(*, total: int | None, description: str, unit: str, show: bool = True) -> tqdm:
    """A bar on stderr that disappears when it is done; silent with ``show=False`` or ``TQDM_DISABLE=1``.

    Where the environment variable ``LOSSATLAS_PROGRESS`` names a file, the bar is written there instead, so
    that a program which runs a notebook can show it without its ending up in the notebook.
    """
    place = os.environ.get("LOSSATLAS_PROGRESS")
    stream = open(place, "a", encoding="utf-8", buffering=1) if place else sys.stderr  # noqa: SIM115
    hidden = {} if show else {"disable": True}
    return tqdm(
        total=total, desc=description, unit=unit, unit_scale=True, leave=False, mininterval=0.5, file=stream, **hidden
    )  # fmt: skip
