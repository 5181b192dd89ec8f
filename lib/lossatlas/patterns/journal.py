"""The resume file of a fit: everything that the next update depends on, written whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from lossatlas._files import write_whole
from lossatlas.evaluation import identity
from lossatlas.patterns.geometry import Coordinates
from lossatlas.patterns.recipe import PatternRecipe

PARTS = ("origin", "right", "raised", "scale")
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of Adam


class Journal:
    """Keep a fit in a file, or nowhere if no path is given.

    Parameters
    ----------
    path
        The file.
    request
        Fingerprint of everything that decides the values.
    """

    def __init__(self, path: Path | None, request: str):
        self.path, self.request = path, request

    def write(self, where: Coordinates, optimizer: torch.optim.Adam, rows: list[tuple]) -> None:
        """Write the file."""
        if self.path is None or not rows:
            return
        tensors = {"rows": torch.from_numpy(np.array(rows, dtype=np.float64))}
        for part, tensor in zip(PARTS, where.tensors, strict=True):
            tensors[part] = tensor.detach().cpu().contiguous()
            tensors |= {f"{part}.{name}": optimizer.state[tensor][name].cpu().contiguous() for name in MOMENTS}
        metadata = {"request": self.request, "digest": _digest(tensors)}
        write_whole(self.path, safetensors.torch.save(tensors, metadata=metadata))

    def restore(self, where: Coordinates, optimizer: torch.optim.Adam) -> list[tuple]:
        """Put what the file holds into coordinates and optimizer; return the rows of the history so far.

        Raises
        ------
        ValueError
            If the file is damaged, or holds another fit.
        """
        if self.path is None or not self.path.exists():
            return []
        try:
            with safetensors.safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        except (OSError, safetensors.SafetensorError) as error:
            raise ValueError(f"resume={str(self.path)!r}: is not a file of this function ({error})") from error
        if metadata.get("digest") != _digest(tensors):
            raise ValueError(f"resume={str(self.path)!r}: is damaged; remove it")
        if metadata.get("request") != self.request:
            raise ValueError(f"resume={str(self.path)!r}: holds another model, picture, recipe, seed or data")
        with torch.no_grad():
            for part, tensor in zip(PARTS, where.tensors, strict=True):
                tensor.copy_(tensors[part])
                moments = {name: tensors[f"{part}.{name}"] for name in MOMENTS}
                optimizer.state[tensor] = {n: m if n == "step" else m.to(tensor) for n, m in moments.items()}
        return [tuple(row) for row in tensors["rows"].tolist()]


def request_of(
    template: Mapping[str, Tensor],
    inputs: Tensor,
    targets: Tensor,
    loss: str | Callable,
    pictures: Mapping[int, np.ndarray],
    recipe: PatternRecipe,
    seed: int,
) -> str:
    """Return a fingerprint of everything that decides the values of a fit.

    The number of updates is no part of it: a fit can be resumed for longer.
    """
    shapes = [(name, tuple(tensor.shape), str(tensor.dtype)) for name, tensor in template.items()]
    named = {key: value for key, value in asdict(recipe).items() if key != "updates"}
    words = repr((shapes, identity.describe_function(loss), named, seed, list(pictures)))
    drawn = [torch.from_numpy(picture.copy()) for picture in pictures.values()]
    return identity.fingerprint([inputs, targets, *drawn], words)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    return identity.fingerprint([tensors[name] for name in sorted(tensors)], repr(sorted(tensors)))
