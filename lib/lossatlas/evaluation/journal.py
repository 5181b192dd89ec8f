"""An evaluation that can be interrupted: what was asked and every finished chunk, in one file that grows.

The first line is a JSON object that says what was asked (descriptions with fingerprints), how it is worked off and
in which chunks; every further line is one finished chunk. A line is appended whole; one that a killed process left
incomplete is dropped, and its chunk is computed again. JSON's numbers are exact here: a float is written so that
it reads back as the same bits.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from lossatlas._files import written_whole
from lossatlas.evaluation.kernels import TRANSFORMS
from lossatlas.evaluation.strategies import Strategy

FORMAT = "lossatlas evaluation, version 2"
SAME_OUTPUTS = 1e-2  # relative to the largest: other devices round differently, another network is far away


def fingerprint(tensors, code: str = "") -> str:
    """Twelve hexadecimal digits of some text and what a tree of tensors holds: types, shapes, bytes."""
    digest = hashlib.sha256(code.encode())
    for tensor in tree_leaves(tensors):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:12]


@dataclass
class Journal:
    """The file of one evaluation; ``done`` holds the sums (2, n) of finished chunks by their number.

    ``chunks`` is empty where they are only found as the evaluation goes on.
    """

    path: Path
    header: Mapping
    strategy: Strategy | None = None
    chunks: list[slice] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    done: dict[int, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0
    clock: float = field(default_factory=time.perf_counter)  # when the last of them was kept

    def begin(self, strategy: Strategy, chunks: list[slice], facts: Mapping[str, str]) -> None:
        """Write the first line."""
        self.strategy, self.chunks, self.facts = strategy, chunks, dict(facts)
        bounds = [[part.start, part.stop] for part in chunks]
        whole = {"format": FORMAT, **self.header, "strategy": strategy.record(), "chunks": bounds, "facts": self.facts}
        with written_whole(self.path) as temporary:
            temporary.write_text(json.dumps(whole) + "\n", encoding="utf-8")

    def add(self, number: int, sums: np.ndarray) -> None:
        """Append a finished chunk, with the seconds since the one before it."""
        seconds, self.clock = time.perf_counter() - self.clock, time.perf_counter()
        self.done[number] = sums
        self.seconds += seconds
        loss, correct = sums.tolist()
        line = json.dumps({"chunk": number, "loss": loss, "correct": correct, "seconds": seconds}) + "\n"
        with open(self.path, "ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())


def open_journal(path: str | os.PathLike, header: Mapping) -> Journal:
    """The journal at ``path``, new or with what is done.

    ``header``: ``asked``, descriptions by name, and ``outputs``, numbers of the model. Raises ValueError that names
    what differs where the file holds something else.
    """
    journal = Journal(Path(path), header)
    if journal.path.is_dir():
        raise ValueError(f"resume={str(path)!r}: a folder, expected a file")
    if not journal.path.exists():
        return journal
    lines = journal.path.read_bytes().splitlines(keepends=True)
    try:
        first = json.loads(lines[0])
        if first["format"] != FORMAT:
            raise ValueError(f"format {first['format']!r}")
        journal.strategy = Strategy.from_record(first["strategy"], TRANSFORMS)
        journal.chunks, journal.facts = [slice(*bounds) for bounds in first["chunks"]], first["facts"]
        stored, outputs = first["asked"], np.array(first["outputs"])
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"resume={str(path)!r}: the file there is not one that evaluate began ({error})") from error
    for name, given in header["asked"].items():
        if stored.get(name) != given:
            raise ValueError(f"resume={str(path)!r}: holds another {name} ({stored.get(name)}; now {given})")
    now = np.array(header["outputs"])
    if now.shape != outputs.shape or not np.allclose(
        now, outputs, rtol=0, atol=SAME_OUTPUTS * np.nanmax(np.abs(outputs), initial=0.0), equal_nan=True
    ):
        raise ValueError(f"resume={str(path)!r}: holds another model or loss (their code gives other values at θ*)")
    whole = len(lines[0])
    for i, line in enumerate(lines[1:], start=1):
        try:
            entry = json.loads(line)
            sums = np.array([entry["loss"], entry["correct"]], dtype=np.float64)
            part = journal.chunks[entry["chunk"]] if journal.chunks else slice(0, sums.shape[1])
            if not line.endswith(b"\n") or sums.shape != (2, part.stop - part.start):
                raise ValueError("incomplete")
        except (ValueError, TypeError, KeyError, IndexError) as error:
            if i < len(lines) - 1:
                raise ValueError(f"resume={str(path)!r}: line {i + 1} is damaged; remove it or the file") from error
            os.truncate(journal.path, whole)
            break
        journal.done[entry["chunk"]] = sums
        journal.seconds += entry["seconds"]
        whole += len(line)
    return journal


def describe(text: str, tensors, code: str = "") -> str:
    """A description with the fingerprint of what it is about."""
    return f"{text}, {fingerprint(tensors, code)}"


def sample_outputs(outputs: Sequence[Tensor], values: Sequence[Tensor]) -> list[float]:
    """Return a few numbers that another network or loss would not give."""
    found = [number for tensor in outputs for number in tensor.detach().flatten()[:32].double().tolist()]
    return found + [number for tensor in values for number in tensor.flatten().double().tolist()]


def how_to_go_on(journal: Journal | None) -> str:
    """What to tell who stops an evaluation."""
    if not journal:
        return "evaluate was stopped; nothing is kept. With resume=PATH, the same call would go on where it was stopped"
    whole = f" of {len(journal.chunks)}" if journal.chunks else ""
    done, path = f"{len(journal.done)}{whole} chunks are kept", str(journal.path)
    return f"evaluate was stopped; {done} in {path}. The same call with resume={path!r} goes on from there"
