"""Text from a network that predicts the next character."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lossatlas._checks import instance_of, real_number, whole_number


def sample_text(
    model: nn.Module, vocabulary: Sequence[str], *, prompt: str, length: int, temperature: float = 1.0, seed: int = 0
) -> str:
    """Return the prompt and the characters that a network writes after it.

    Parameters
    ----------
    model
        Maps codes, int64 (1, L), to logits (1, V, L).
    vocabulary
        V characters; code k is the character ``vocabulary[k]``.
    prompt
        Characters of the vocabulary, at least one.
    length
        Number of characters to write, each drawn from ``softmax(logits / temperature)`` given all the text so far.
    temperature
        A low one takes the likeliest character, a high one any.
    seed
        Decides the draws. The model's mode and the global random state stay as they were.

    Raises
    ------
    ValueError
        If an argument is out of range or a logit is not finite.

    Examples
    --------
    >>> from lossatlas.networks.models import CharacterRNN
    >>> len(sample_text(CharacterRNN(3, hidden=4), "abc", prompt="ab", length=5))
    7
    """
    instance_of(prompt, "prompt", str, "text")
    codes = {character: code for code, character in enumerate(vocabulary)}
    unknown = sorted(set(prompt) - set(codes))
    if not prompt or unknown:
        raise ValueError(f"prompt={prompt!r}: expected characters of the vocabulary, at least one; not {unknown}")
    length = whole_number(length, "length", least=0)
    temperature = real_number(temperature, "temperature", above=0)
    seed = whole_number(seed, "seed", least=0)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    text, training = [codes[character] for character in prompt], model.training
    model.eval()
    try:
        with torch.no_grad():
            for _ in range(length):
                logits = model(torch.tensor([text], device=device))[0, :, -1].double().cpu()
                if not logits.isfinite().all():
                    raise ValueError(f"model: logits that are not finite after {len(text)} characters")
                shares = torch.softmax(logits / temperature, dim=0)
                text.append(int(torch.multinomial(shares, 1, generator=generator)))
    finally:
        model.train(training)
    return "".join(vocabulary[code] for code in text)
