"""Levels of samples: nested, each with the classes in their shares, and every sample once."""

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.evaluation import levels
from lossatlas.evaluation.metrics import make_quantities
from lossatlas.evaluation.work import Work
from networks import make_sweep

SHARES = torch.tensor([0.6, 0.3, 0.1])


def of(targets, *, block=1000):
    """A work whose inputs are the numbers of the samples."""
    model = nn.Linear(1, 3)
    inputs = torch.arange(float(len(targets)))[:, None]
    sweep = make_sweep(model, la.random_plane(model, seed=0), make_quantities("cross_entropy"), None)
    return Work(sweep, list(zip(inputs.split(block), targets.split(block), strict=True)))


def parts(work):
    """For each level, the numbers of its samples and their targets."""
    found, inputs, targets = [], [], []
    for blocks in work.levels:
        for x, y in work.blocks[blocks]:
            inputs.append(x.flatten().long())
            targets.append(y)
        found.append((torch.cat(inputs), torch.cat(targets)))
    return found


def test_every_sample_is_in_the_last_level_once_and_keeps_its_target():
    targets = torch.multinomial(SHARES, 9000, replacement=True, generator=torch.Generator().manual_seed(0))
    found = parts(levels.divided(of(targets), 0))
    assert [len(numbers) for numbers, _ in found] == levels.sizes(9000) == [256, 2048, 9000]
    for numbers, own in found:
        assert torch.equal(own, targets[numbers])
    assert torch.equal(found[-1][0].sort().values, torch.arange(9000))


@pytest.mark.parametrize("form", [lambda t: t, lambda t: t[:, None], lambda t: t.float()[:, None]])
def test_classes_have_the_same_shares_on_every_level(form):
    targets = torch.arange(3).repeat_interleave(torch.tensor([3000, 1500, 500]))  # sorted, the worst case
    for seed in range(3):
        for numbers, _ in parts(levels.divided(of(form(targets)), seed)):
            counts = targets[numbers].bincount(minlength=3)
            assert (counts - len(numbers) * SHARES).abs().max() <= 2


def test_the_seed_decides_the_samples():
    targets = torch.arange(3).repeat(500)
    first, again, other = (parts(levels.divided(of(targets), seed))[0][0] for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_targets_that_are_no_classes_are_drawn_at_random():
    numbers = parts(levels.divided(of(torch.randn(4000)), 0))[0][0]
    assert 0.4 < (numbers < 2000).float().mean() < 0.6 and len(np.unique(numbers)) == 256


def test_few_samples_are_one_level_as_they_are():
    work = of(torch.arange(3).repeat(100))
    assert levels.divided(work, 0) is work and levels.sizes(300) == [300]
