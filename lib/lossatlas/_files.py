"""Where files are; files that are whole at every moment, and those that no longer are."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]  # the checkout that this package lies in, where it lies in one


def in_project(path: str | Path) -> Path:
    """A path relative to the working directory, or to the project where only that has it.

    A notebook that is opened in Jupyter runs in its own folder, not in the project's.
    """
    return Path(path) if Path(path).exists() or not (PROJECT / path).exists() else PROJECT / path


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, of the same suffix, that takes its place when the block ends well.

    It is removed otherwise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """The whole file or none of it; a file that is there with this content keeps its date."""
    if path.is_file() and path.read_bytes() == content:
        return
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def set_aside(path: Path, reason: str) -> Path:
    """Rename a file that cannot be read, say so in a warning, and return its new place."""
    aside = next(place for n in range(1, 10_000) if not (place := path.with_name(f"{path.name}.corrupt-{n}")).exists())
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        path.rename(aside)
    warnings.warn(f"{reason}; kept as {aside.name}", stacklevel=3)
    return aside
