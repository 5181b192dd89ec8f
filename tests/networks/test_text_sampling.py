"""Text from a network, against networks whose text is known and a loop of its own."""

import numpy as np
import pytest
import torch
from torch import nn

from lossatlas.networks.models import CharacterRNN
from lossatlas.networks.text_sampling import sample_text

LETTERS = tuple("abcd")


class NextLetter(nn.Module):
    """Nearly certain that the alphabet goes on, round and round."""

    def forward(self, codes):
        return 30 * nn.functional.one_hot((codes + 1) % 4, 4).float().transpose(1, 2)


class Constant(nn.Module):
    """The same logits after every text."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, codes):
        return self.logits[None, :, None].expand(len(codes), -1, codes.shape[1])


def test_a_certain_network_writes_what_it_is_certain_of():
    assert sample_text(NextLetter(), LETTERS, prompt="ab", length=6) == "ab" + "cdabcd"
    assert sample_text(NextLetter(), LETTERS, prompt="ab", length=0) == "ab"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_characters_come_as_often_as_the_softmax_says(temperature):
    logits = np.array([0.0, 1.0, -0.5, 0.3])
    text = sample_text(Constant(*logits), LETTERS, prompt="a", length=3000, temperature=temperature, seed=1)[1:]
    odds = np.exp(logits / temperature)
    found = [text.count(letter) / len(text) for letter in LETTERS]
    np.testing.assert_allclose(found, odds / odds.sum(), atol=4 * 0.5 / np.sqrt(3000))


def test_a_cold_network_takes_its_likeliest_character_given_all_the_text():
    """A recurrent network, against its own cell kept running from character to character."""
    torch.manual_seed(3)
    model = CharacterRNN(4, hidden=9)
    for parameter in model.parameters():
        parameter.data *= 3
    state, expected = torch.zeros(9), "ad"
    cell = dict(model.recurrent.named_parameters())
    with torch.no_grad():
        for position in range(31):
            code = LETTERS.index(expected[position])
            inputs = cell["weight_ih_l0"][:, code] + cell["bias_ih_l0"] + cell["bias_hh_l0"]
            state = torch.tanh(inputs + cell["weight_hh_l0"] @ state)
            if position >= 1:
                expected += LETTERS[int(model.output(state).argmax())]
    assert len(set(expected)) > 2
    assert sample_text(model, LETTERS, prompt="ad", length=30, temperature=1e-6) == expected


def test_a_seed_is_a_text_and_nothing_else_is_touched():
    model = CharacterRNN(4, hidden=5).train()
    before, weights = torch.random.get_rng_state(), [p.clone() for p in model.parameters()]
    texts = [sample_text(model, LETTERS, prompt="c", length=40, seed=seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert model.training and torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(weights, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"prompt": ""}, "at least one"),
        ({"prompt": "aX"}, r"not \['X'\]"),
        ({"length": -1}, "length=-1"),
        ({"temperature": 0.0}, "temperature=0.0"),
    ],
)
def test_what_cannot_be_sampled_is_refused(asked, words):
    with pytest.raises(ValueError, match=words):
        sample_text(NextLetter(), LETTERS, **{"prompt": "a", "length": 3, **asked})


def test_a_network_that_has_diverged_is_told_apart():
    with pytest.raises(ValueError, match="not finite"):
        sample_text(Constant(0.0, float("nan"), 0.0, 0.0), LETTERS, prompt="a", length=3)
