"""The journal of an evaluation that can be interrupted: its request and every finished chunk, in one growing file.

The first line is a JSON object with the request (descriptions with fingerprints), the strategy and the chunks. Every
other line is one finished chunk. Lines are appended whole and end with a digest of their content. If a killed process
left the last line incomplete, it is dropped and its chunk is computed again. Numbers are exact: JSON writes a float so
that it reads back as the same bits.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lossatlas._files import written_whole
from lossatlas.evaluation.identity import same_values
from lossatlas.evaluation.kernels import TRANSFORMS
from lossatlas.evaluation.strategies import Strategy

FORMAT = "lossatlas evaluation, version 3"
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError)


@dataclass
class Journal:
    """Hold the file of one evaluation.

    Attributes
    ----------
    path : Path
        Where the file is.
    header : mapping
        The `request` (descriptions by name) and `values` (the loss at a few points).
    strategy : Strategy or None
        How it is evaluated, once that is known.
    chunks : list of slice
        Empty if they become known only during the evaluation.
    provenance : dict of str
        The device, the time and the versions with which it began.
    done : dict of arrays
        Sums (rows, n) of the finished chunks, by number.
    seconds : float
        How long the finished chunks took.
    """

    path: Path
    header: Mapping
    strategy: Strategy | None = None
    chunks: list[slice] = field(default_factory=list)
    provenance: dict[str, str] = field(default_factory=dict)
    done: dict[int, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0
    clock: float = field(default_factory=time.perf_counter)  # when the last chunk was kept

    def begin(self, strategy: Strategy, chunks: list[slice], provenance: Mapping[str, str]) -> None:
        """Write the first line."""
        self.strategy, self.chunks, self.provenance = strategy, chunks, dict(provenance)
        bounds = [[part.start, part.stop] for part in chunks]
        first = {"format": FORMAT, **self.header, "strategy": strategy.record(), "chunks": bounds}
        with written_whole(self.path) as temporary:
            temporary.write_bytes(_line({**first, "provenance": self.provenance}))

    def add(self, number: int, sums: np.ndarray) -> None:
        """Append a finished chunk, with the seconds since the previous one."""
        seconds, self.clock = time.perf_counter() - self.clock, time.perf_counter()
        self.done[number] = sums
        self.seconds += seconds
        with open(self.path, "ab") as file:
            file.write(_line({"chunk": number, "sums": sums.tolist(), "seconds": seconds}))
            file.flush()
            os.fsync(file.fileno())


def _digest(record: Mapping) -> str:
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()[:16]


def _line(record: Mapping) -> bytes:
    """Return a record as one line of the file."""
    return json.dumps({**record, "digest": _digest(record)}).encode() + b"\n"


def _read(line: bytes) -> dict:
    """Return the record in a line. Raise ValueError if its digest does not match."""
    record = json.loads(line)
    if not line.endswith(b"\n") or record.pop("digest") != _digest(record):
        raise ValueError("its digest does not match")
    return record


def open_journal(path: str | os.PathLike, header: Mapping) -> Journal:
    """Return the journal at `path`: a new one, or one with the chunks that are finished.

    Parameters
    ----------
    path : path
        The file.
    header : mapping
        The `request` (descriptions by name) and `values` (the loss at a few points).

    Raises
    ------
    ValueError
        If the file belongs to another request or is damaged. The message names the difference.
    """
    journal = Journal(Path(path), header)
    if not journal.path.exists():
        return journal
    lines = journal.path.read_bytes().splitlines(keepends=True)
    try:
        known = json.loads(lines[0])["format"]
        if known != FORMAT:
            raise ValueError(f"format {known!r}, expected {FORMAT!r}")
        first = _read(lines[0])
        journal.strategy = Strategy.from_record(first["strategy"], TRANSFORMS)
        journal.chunks, journal.provenance = [slice(*bounds) for bounds in first["chunks"]], first["provenance"]
        stored, values = first["request"], first["values"]
    except UNREADABLE as error:
        raise ValueError(f"resume={str(path)!r}: the file there is not one that evaluate began ({error})") from error
    for name, given in header["request"].items():
        if stored.get(name) != given:
            raise ValueError(f"resume={str(path)!r}: holds another {name} ({stored.get(name)}; now {given})")
    if not same_values(header["values"], values):
        raise ValueError(f"resume={str(path)!r}: holds another model or loss (their code gives other values)")
    whole = len(lines[0])
    for i, line in enumerate(lines[1:], start=1):
        try:
            entry = _read(line)
            sums = np.array(entry["sums"], dtype=np.float64)
            part = journal.chunks[entry["chunk"]] if journal.chunks else slice(0, sums.shape[1])
            if sums.ndim != 2 or sums.shape[1] != part.stop - part.start:
                raise ValueError("it has another number of points")
        except UNREADABLE as error:
            if i < len(lines) - 1 or line.endswith(b"\n"):
                raise ValueError(f"resume={str(path)!r}: line {i + 1} is damaged; remove it or the file") from error
            os.truncate(journal.path, whole)
            break
        journal.done[entry["chunk"]] = sums
        journal.seconds += entry["seconds"]
        whole += len(line)
    return journal


def how_to_resume(journal: Journal | None) -> str:
    """Return the message for a person who stops an evaluation."""
    if not journal:
        return "evaluate was stopped, and nothing is kept. With resume=PATH, the same call would resume here"
    whole = f" of {len(journal.chunks)}" if journal.chunks else ""
    done, path = f"{len(journal.done)}{whole} chunks are kept", str(journal.path)
    return f"evaluate was stopped; {done} in {path}. The same call with resume={path!r} resumes there"
