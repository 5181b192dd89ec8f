import pytest
import torch

import lossatlas as la
from lossatlas import vectors
from lossatlas.directions import relative_length


def test_filter_normalized_directions_have_length_one_and_multiples_theirs():
    model = la.build_model("cnn-1", la.load_dataset("digits"), seed=0)
    line = la.random_line(model, seed=3)
    assert relative_length(line.delta, line.origin) == pytest.approx(1, rel=1e-6)
    assert relative_length(vectors.scale(-2.5, line.delta), line.origin) == pytest.approx(2.5, rel=1e-6)


def test_it_is_the_root_mean_square_over_filters_that_are_not_zero():
    theta = {"w": torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "b": torch.ones(2), "v": torch.full((1, 1), 2.0)}
    step = {"w": torch.tensor([[0.0, 10.0], [9.0, 9.0]]), "b": torch.full((2,), 7.0), "v": torch.full((1, 1), -4.0)}
    assert relative_length(step, theta) == pytest.approx(2)
    assert relative_length({**step, "v": torch.zeros(1, 1)}, theta) == pytest.approx(2**0.5)


def test_rescaling_both_changes_nothing():
    model = la.build_model("feedforward", la.load_dataset("digits"), depth=3, width=8)
    line = la.random_line(model, seed=1, normalize=None)
    factors = {name: torch.logspace(-2, 2, len(t)).reshape(-1, *[1] * (t.dim() - 1)) for name, t in line.origin.items()}
    step, theta = (vectors.combine(torch.mul, part, factors) for part in (line.delta, line.origin))
    assert relative_length(step, theta) == pytest.approx(relative_length(line.delta, line.origin), rel=1e-5)
