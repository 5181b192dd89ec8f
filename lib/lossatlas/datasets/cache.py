"""Find, check and keep the files of a dataset.

Sources are tried in this order: the cache ``data/raw/<name>/``; each folder of the environment variable
``LOSSATLAS_DATA``; the official source (:mod:`lossatlas.datasets.sources`). A source has all files of a dataset or
counts as failed. What comes over the network is kept in the cache and checked again on every load. Files in a
``LOSSATLAS_DATA`` folder are checked and read where they are: never copied, renamed or removed.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from lossatlas._files import PROJECT, set_aside, written_whole
from lossatlas.datasets.sources import FILES, CorruptFile, Fetch, Files


class DatasetUnavailable(RuntimeError):
    """No source holds the files of a dataset or network; the message names each source and its reason."""


def default_root() -> Path:
    """Return ``data/raw`` of the project that this package lies in, else of the working directory."""
    return (PROJECT if (PROJECT / "pyproject.toml").is_file() else Path.cwd()) / "data" / "raw"


def find_files(
    name: str,
    root: str | Path | None = None,
    *,
    wanted: Files | None = None,
    mirrors: Sequence[tuple[str, Fetch]] = (),
) -> tuple[dict[str, bytes], str]:
    """Return the checked files of a dataset in canonical form, and the name of the source that had them.

    Parameters
    ----------
    name
        The folder in the cache; one of ``sources.FILES`` unless ``wanted`` is given.
    root
        Folder of the cache. A corrupted file there is renamed with a warning.
    wanted
        The files, if they are none of ``sources.FILES``.
    mirrors
        Sources that are tried after the official ones: (name, function), as in ``Files.fetchers``.

    Raises
    ------
    DatasetUnavailable
        If no source has every file.
    """
    wanted = FILES[name] if wanted is None else wanted
    cache = (default_root() if root is None else Path(root)) / name
    refused: list[str] = []

    kept = "data/raw" if root is None else "root"
    try:
        return _read(wanted, [cache], ours=True), kept
    except FileNotFoundError as error:
        refused.append(f"{kept} ({cache}): {error}")
    for folder in filter(None, os.environ.get("LOSSATLAS_DATA", "").split(os.pathsep)):
        try:
            return _read(wanted, [Path(folder) / name, Path(folder)], ours=False), "LOSSATLAS_DATA"
        except FileNotFoundError as error:
            refused.append(f"LOSSATLAS_DATA ({folder}): {error}")
    for source, fetch in (*wanted.fetchers, *mirrors):
        _announce(f"{name}: fetching from {source}")
        try:
            with tempfile.TemporaryDirectory(prefix="lossatlas-") as folder:
                fetched = fetch(Path(folder))
            files = {file: wanted.checked(file, fetched[file]) for file in wanted.checksums}
        except Exception as error:  # whatever went wrong there, the next source may answer
            refused.append(f"{source}: {_shortened(error)}")
        else:
            _keep(files, cache)
            return files, source
    mirrored = "Run `make data` (or `python data/fetch.py`) in the project, which also tries mirrors; or put"
    raise DatasetUnavailable(
        f"{wanted.what} {name!r} is not available. Tried:\n"
        + "".join(f"  - {line}\n" for line in refused)
        + f"{mirrored if name in FILES else 'Put'} these files into {cache}, "
        + f"or into a folder that LOSSATLAS_DATA names: {', '.join(wanted.checksums)}"
    )


def _read(wanted: Files, folders: list[Path], *, ours: bool) -> dict[str, bytes]:
    """Each file, plain or zipped, of the first folder that has it; FileNotFoundError unless all are good."""
    files: dict[str, bytes] = {}
    missing: list[str] = []
    reasons: list[str] = []
    for file in wanted.checksums:
        paths = (folder / (file + end) for folder in folders for end in ("", ".gz"))
        try:
            path = next(filter(Path.is_file, paths), None)
            if path is None:
                missing.append(file)
                continue
            files[file] = wanted.checked(file, path.read_bytes())
        except CorruptFile as error:
            assert path is not None  # it was read
            kept = f"; kept as {set_aside(path, str(error)).name}" if ours else ""
            reasons.append(f"{error}{kept}")
        except OSError as error:
            reasons.append(f"{file}: {_shortened(error)}")
    if missing:
        reasons.append(f"not there: {', '.join(missing)}")
    if reasons:
        raise FileNotFoundError("; ".join(reasons))
    return files


def _keep(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files so that each is whole at every moment; a folder that cannot be written is only told."""
    try:
        for file, contents in files.items():
            with written_whole(folder / file) as temporary:
                temporary.write_bytes(contents)
    except OSError as error:
        warnings.warn(f"the files are not kept in {folder}: {_shortened(error)}", stacklevel=2)


def _announce(line: str) -> None:
    """One line where the progress bars go, or on stdout."""
    place = os.environ.get("LOSSATLAS_PROGRESS")
    if place:
        with open(place, "a", encoding="utf-8") as stream:
            print(line, file=stream)
    else:
        print(line, flush=True)


def _shortened(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 400 else f"{text[:200]} … {text[-200:]}"
