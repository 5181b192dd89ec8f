"""A strategy that was chosen once is used again for the same kind of evaluation, if it still gives the right values."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.evaluation import choosing
from lossatlas.evaluation.remembering import MOST, Choice, Choices
from lossatlas.evaluation.strategies import Hooks, Strategy, Transform
from networks import plain_loop

GRID = np.linspace(-1, 1, 11)


def network(seed, hidden=8):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, hidden), nn.Tanh(), nn.Linear(hidden, 3))


def data(seed=0, samples=60):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 5, generator=generator), torch.randint(3, (samples,), generator=generator)


def evaluated(model, samples, seed=0, grid=GRID):
    plane = la.random_plane(model, seed=seed)
    return plane, la.evaluate(model, plane, samples, alphas=grid, progress=False)


def losses(plane, model, samples):
    return plain_loop(model, plane, samples, loss="cross_entropy", alphas=GRID, betas=GRID)[0]


@pytest.fixture
def searches(monkeypatch):
    """The searches so far. A sample at a point takes a microsecond, however it is computed."""
    begun, search = [], choosing.searched

    def counted(started):
        begun.append(started)
        return search(started)

    monkeypatch.setattr(choosing, "searched", counted)
    monkeypatch.setattr(choosing.Search, "timed", lambda self, runner, least: 1e-6)
    return begun


@pytest.fixture
def long_enough(monkeypatch):
    monkeypatch.setattr(choosing, "TRIAL_FLOOR", 1e-9)


def test_an_evaluation_of_the_same_kind_needs_no_search(searches, long_enough):
    for seed in range(3):
        model, samples = network(seed), data(seed)
        plane, surface = evaluated(model, samples, seed)
        np.testing.assert_allclose(surface.loss, losses(plane, model, samples), rtol=1e-5)
    assert len(searches) == 1
    evaluated(network(0, hidden=9), data())  # other layers
    evaluated(network(0), data(samples=61))  # other data
    evaluated(network(0), data(), grid=np.linspace(-1, 1, 31))  # many more points
    la.evaluate(network(0), la.random_line(network(0), seed=0), data(), alphas=np.linspace(-1, 1, 121), progress=False)
    assert len(searches) == 5


def test_short_evaluations_are_searched_for_once_there_are_many(searches, monkeypatch):
    monkeypatch.setattr(choosing, "TRIAL_FLOOR", 3.5e-6 * 60 * (len(GRID) ** 2 + 1))
    for seed in range(6):
        evaluated(network(seed), data())
        assert len(searches) == (seed >= 3)  # the fourth makes them long enough


applied = []


@dataclass(frozen=True)
class Wrong(Transform):
    name = words = "wrong"

    def applies(self, sweep, profile, inputs, targets):
        return True

    def apply(self, model, sweep, profile, strategy):
        applied.append(self)
        model[2] = nn.Linear(8, 3)
        return Hooks()


@dataclass(frozen=True)
class Dear(Transform):
    name = words = "dear"

    def applies(self, sweep, profile, inputs, targets):
        raise AssertionError("it is not worth its preparation")

    def worth_seconds(self, sweep):
        return 1e3


@pytest.mark.parametrize("transform", [Wrong(), Dear()])
def test_what_does_not_suit_is_searched_for_again(searches, long_enough, monkeypatch, transform):
    applied.clear()
    remembered = Choices()
    monkeypatch.setattr(remembered, "get", lambda kind: Choice(1.0, Strategy(60, transforms=(transform,)), 1e-6))
    monkeypatch.setattr(choosing, "CHOICES", remembered)
    model, samples = network(0), data()
    plane, surface = evaluated(model, samples)
    np.testing.assert_allclose(surface.loss, losses(plane, model, samples), rtol=1e-5)
    assert len(searches) == 1
    assert applied == ([transform] if isinstance(transform, Wrong) else [])


def test_the_oldest_choices_are_forgotten():
    choices = Choices()
    for number in range(MOST + 3):
        choices.put(number, Choice(float(number)))
    assert len(choices.found) == MOST
    assert (choices.get(2).seconds, choices.get(3).seconds) == (0.0, 3.0)
