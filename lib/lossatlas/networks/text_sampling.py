"""Text from a network that predicts the next character."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def sample_text(
    model: nn.Module, vocabulary: Sequence[str], *, prompt: str, length: int, temperature: float = 1.0, seed: int = 0
) -> str:
    """The prompt and `length` characters after it, each drawn from `softmax(logits / temperature)`.

    `model` maps codes, int64 (1, L), to logits (1, V, L); code k is the character `vocabulary[k]`. It sees
    all the text so far at every step. A low temperature takes the likeliest character, a high one any. The
    seed alone decides the draws; the model's mode and the global random state are as before afterwards.
    Raises ValueError for a prompt that is empty or has characters outside the vocabulary, a length below 0,
    a temperature that is not positive, or logits that are not finite.
    """
    codes = {character: code for code, character in enumerate(vocabulary)}
    unknown = sorted(set(prompt) - set(codes))
    if not prompt or unknown:
        raise ValueError(f"prompt={prompt!r}: expected characters of the vocabulary, at least one; not {unknown}")
    if length < 0:
        raise ValueError(f"length={length!r}: expected zero or more characters")
    if not temperature > 0:
        raise ValueError(f"temperature={temperature!r}: expected a positive number")
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
