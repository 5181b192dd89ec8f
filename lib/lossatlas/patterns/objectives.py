"""What is asked of the loss in the cells of a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

Weigh = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class BlackAndWhite:
    """Ask for a low loss in black cells and a high one in white cells (eq. 3 of Skorokhodov and Burtsev 2019).

    Parameters
    ----------
    black
        The picture, (rows, columns).
    cells
        Cells of each colour that an update draws.
    threshold
        A white cell counts with a loss of at most this.
    interior
        Whether cells inside a colour count.
    """

    black: np.ndarray
    cells: int
    threshold: float
    interior: bool
    groups: tuple[np.ndarray, np.ndarray] = field(init=False)

    columns = ("loss_black", "loss_white", "share_at_threshold")

    def __post_init__(self) -> None:
        """Find the cells that count."""
        black, white = (np.argwhere(cells) for cells in black_and_white(self.black, interior=self.interior))
        object.__setattr__(self, "groups", (black, white))

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.black.shape

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, Weigh]:
        """Return cells (rows, columns), (n, 2), black before white, and the derivatives by their losses."""
        chosen = [group[generator.permutation(len(group))[: self.cells]] for group in self.groups]
        blacks, whites = map(len, chosen)
        signs = torch.tensor([1 / blacks] * blacks + [-1 / whites] * whites)

        def weigh(numbers: Tensor, losses: Tensor) -> Tensor:
            factors = signs[numbers].to(losses)
            return factors * ((factors > 0) | (losses < self.threshold))

        return np.concatenate(chosen), weigh

    def row(self, cells: np.ndarray, losses: Tensor) -> tuple[float, float, float]:
        """Return the columns of the history for cells that were drawn."""
        dark = torch.from_numpy(self.black[tuple(cells.T)]).to(losses.device)
        white = losses[~dark]
        above = (white >= self.threshold).double().mean()
        return float(losses[dark].mean()), float(white.mean()), float(above)


@dataclass(frozen=True, eq=False)
class GreyLevels:
    """Ask for a loss of its own in each cell: the mean squared difference to it is minimized.

    Parameters
    ----------
    wanted
        The losses, (rows, columns).
    cells
        Half the cells that an update draws.
    """

    wanted: np.ndarray
    cells: int

    columns = ("loss", "loss_wanted", "squared_error")

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.wanted.shape

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, Weigh]:
        """Return cells (rows, columns), (n, 2), and the derivatives by their losses."""
        places = np.argwhere(np.ones(self.wanted.shape, dtype=bool))
        chosen = places[generator.permutation(len(places))[: 2 * self.cells]]
        wanted = torch.from_numpy(self.wanted[tuple(chosen.T)])

        def weigh(numbers: Tensor, losses: Tensor) -> Tensor:
            return 2 * (losses - wanted[numbers].to(losses)) / len(chosen)

        return chosen, weigh

    def row(self, cells: np.ndarray, losses: Tensor) -> tuple[float, float, float]:
        """Return the columns of the history for cells that were drawn."""
        wanted = torch.from_numpy(self.wanted[tuple(cells.T)]).to(losses)
        return float(losses.mean()), float(wanted.mean()), float((losses - wanted).square().mean())


def black_and_white(black: np.ndarray, *, interior: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return which cells of each colour count; without ``interior``, only those beside a cell of the other colour.

    Neighbours touch at a side or a corner.
    """
    padded = np.pad(black, 1, mode="edge")
    rows, columns = black.shape
    shifted = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    mixed = np.any([cells != black for cells in shifted], axis=0) | interior
    return black & mixed, ~black & mixed
