"""Recurrent networks for text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.networks.models.architecture import Architecture, positive


class CharacterRNN(nn.Module):
    """Apply one tanh recurrent layer to one-hot characters, then a dense layer to the vocabulary.

    Parameters
    ----------
    vocabulary
        Number V of different characters.
    hidden
        Number of recurrent units.

    Examples
    --------
    >>> CharacterRNN(65, hidden=8)(torch.zeros(2, 5, dtype=torch.int64)).shape
    torch.Size([2, 65, 5])
    """

    def __init__(self, vocabulary: int, *, hidden: int = 140):
        super().__init__()
        self.vocabulary = vocabulary
        self.recurrent = nn.RNN(vocabulary, hidden, batch_first=True)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, characters: Tensor) -> Tensor:
        """Return logits (N, V, L), classes along dimension 1 as PyTorch's losses expect, for int64 (N, L)."""
        codes = torch.eye(self.vocabulary, dtype=self.output.weight.dtype, device=characters.device)
        states, _ = self.recurrent(F.embedding(characters, codes))  # one-hot
        return self.output(states).transpose(1, 2)


CHARACTERS = Architecture(
    lambda shape, outputs, hidden=140: CharacterRNN(outputs, hidden=hidden), options={"hidden": positive}
)
