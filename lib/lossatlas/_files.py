"""Where files are, how they are written so that they are whole at every moment, and what happens to damaged ones."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from lossatlas._checks import path_like

PROJECT = Path(__file__).resolve().parents[2]  # the checkout that this package lies in, if it lies in one
TEMPORARY = re.compile(r"\..+\.([0-9a-f]{6})-(\d+)-[a-z0-9_]{8}(?:\.\w+)?")  # machine and process of the writer
OLD = 24 * 3600  # seconds after which a temporary file belongs to nobody


def in_project(path: str | Path) -> Path:
    """Return a path relative to the working directory, or to the project if only the project has it.

    A notebook that is opened in Jupyter runs in its own folder, not in the project's.
    """
    path_like(path, "path")
    return Path(path) if Path(path).exists() or not (PROJECT / path).exists() else PROJECT / path


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, of the same suffix, that takes its place when the block ends well.

    It is removed otherwise. Temporary files that killed writers have left in the folder are removed too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_over(path.parent)
    prefix = f".{path.stem}.{_machine()}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_left_over(folder: Path) -> None:
    """Remove the temporary files of writers that no longer run, and those that are older than a day."""
    for entry in os.scandir(folder):
        found = TEMPORARY.fullmatch(entry.name)
        with contextlib.suppress(OSError):  # another process was faster
            if found and (time.time() - entry.stat().st_mtime > OLD or _is_gone(*found.groups())):
                os.unlink(entry.path)


def _machine() -> str:
    """Return a short name for this machine: a process number says nothing about a writer on another one."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _is_gone(machine: str, process: str) -> bool:
    """Whether a process of this machine no longer runs; False if that cannot be known."""
    if machine != _machine() or os.name != "posix":
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def write_whole(path: Path, content: bytes) -> None:
    """Write the whole file or none of it; a file that already has this content keeps its date."""
    if path.is_file() and path.read_bytes() == content:
        return
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def set_aside(path: Path, reason: str) -> Path:
    """Rename a damaged file, say so in a warning, and return its new place."""
    aside = next(place for n in range(1, 10_000) if not (place := path.with_name(f"{path.name}.corrupt-{n}")).exists())
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        path.rename(aside)
    warnings.warn(f"{reason}; kept as {aside.name}", stacklevel=3)
    return aside
