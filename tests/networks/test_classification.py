import math

import numpy as np
import pytest
import torch
from torch import nn

from lossatlas.networks.classification import SCORES, classification_scores


class Fixed(nn.Module):
    """Gives the outputs it was made with, as the inputs number them."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = torch.as_tensor(outputs, dtype=torch.float32)

    def forward(self, numbers):
        return self.outputs[numbers]


def pairs_won(scores, is_class):
    """The share of (in the class, not in it) pairs that the score puts in this order, ties half."""
    won = total = 0
    for a in (s for s, inside in zip(scores, is_class, strict=True) if inside):
        for b in (s for s, inside in zip(scores, is_class, strict=True) if not inside):
            won += 1.0 if a > b else 0.5 if a == b else 0.0
            total += 1
    return won / total


def recall(predicted, labels, c):
    of_class = [p == t for p, t in zip(predicted, labels, strict=True) if t == c]
    return sum(of_class) / len(of_class)


def test_two_classes_against_counting_by_hand():
    random = np.random.default_rng(3)
    logits = np.round(random.normal(size=90), 1)  # rounded: there are ties
    labels = (random.random(90) < 0.15 + 0.1 * (logits > 0)).astype(int)
    split = torch.arange(90), torch.as_tensor(labels, dtype=torch.float32)[:, None]
    found = classification_scores(Fixed(logits[:, None]), split, loss="bce_with_logits", batch=7)
    predicted = [int(z > 0) for z in logits]
    chances = [1 / (1 + math.exp(-z)) for z in np.float32(logits).tolist()]
    losses = [-math.log(p if t else 1 - p) for p, t in zip(chances, labels, strict=True)]
    assert 0 < labels.sum() < 30
    assert float(found.loss) == pytest.approx(sum(losses) / 90, rel=1e-9)
    assert float(found.accuracy) == pytest.approx(sum(p == t for p, t in zip(predicted, labels, strict=True)) / 90)
    by_class = [recall(predicted, labels, c) for c in (0, 1)]
    assert float(found.balanced_accuracy) == pytest.approx(sum(by_class) / 2)
    assert float(found.auc) == pytest.approx(pairs_won(logits, labels == 1), rel=1e-12)
    assert found.attrs["n_samples"] == 90 and tuple(found.data_vars) == SCORES


def test_more_classes_against_counting_by_hand():
    random = np.random.default_rng(5)
    labels = random.choice(4, size=80, p=[0.6, 0.25, 0.15, 0.0])  # the last class does not occur
    logits = random.normal(size=(80, 4)) + np.eye(4)[labels]
    split = torch.arange(80), torch.as_tensor(labels)
    found = classification_scores(Fixed(logits), split, loss="cross_entropy")
    chances = [[math.exp(z) / sum(math.exp(y) for y in row) for z in row] for row in np.float32(logits).tolist()]
    predicted = [max(range(4), key=lambda c: row[c]) for row in chances]
    losses = [-math.log(row[t]) for row, t in zip(chances, labels, strict=True)]
    assert float(found.loss) == pytest.approx(sum(losses) / 80, rel=1e-9)
    by_class = [recall(predicted, labels, c) for c in range(3)]
    assert float(found.balanced_accuracy) == pytest.approx(sum(by_class) / 3)
    areas = [pairs_won([row[c] for row in chances], labels == c) for c in range(3)]
    assert float(found.auc) == pytest.approx(sum(areas) / 3, rel=1e-12)


def test_one_prediction_for_all_is_worth_nothing_beside_its_accuracy():
    targets = torch.zeros(50, 1)
    targets[:4] = 1
    found = classification_scores(Fixed(np.full((50, 1), -3.0)), (torch.arange(50), targets), loss="bce_with_logits")
    assert float(found.accuracy) == pytest.approx(0.92)
    assert float(found.balanced_accuracy) == 0.5 and float(found.auc) == 0.5


def test_a_split_of_one_class_has_no_auc():
    split = torch.arange(5), torch.zeros(5, 1)
    found = classification_scores(Fixed(np.arange(5.0)[:, None] - 2), split, loss="bce_with_logits")
    assert np.isnan(float(found.auc)) and float(found.balanced_accuracy) == pytest.approx(0.6)


@pytest.mark.parametrize("training", [True, False])
def test_eval_mode_inside_and_the_model_as_before(training):
    model = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 1)).train(training)
    split = torch.randn(40, 3), (torch.arange(40) % 3 == 0).float()[:, None]
    twice = [classification_scores(model, split, loss="bce_with_logits") for _ in range(2)]
    assert twice[0].identical(twice[1])
    assert all(part.training is training for part in model.modules())


@pytest.mark.parametrize(
    ("outputs", "loss", "message"),
    [((4, 1), "mse", "loss='mse'"), ((4, 2), "bce_with_logits", r"\(N, 1\)"), ((4, 3, 2), "cross_entropy", "shape")],
)
def test_what_is_no_classification_is_refused(outputs, loss, message):
    with pytest.raises(ValueError, match=message):
        classification_scores(Fixed(np.zeros(outputs)), (torch.arange(4), torch.zeros(4)), loss=loss)
