import numpy as np
import pytest
import torch
from torch import nn

from lossatlas import vectors
from lossatlas.networks.training import Recipe, fit
from networks import made_up_data, table_1


def linear_problem(n=40, seed=0):
    data = made_up_data((5,), classes=3, n=n, seed=seed)
    torch.manual_seed(seed)
    return nn.Linear(5, 3), data


def by_hand(model, data, recipe, seed):
    """The textbook update, written out: w ← w − η(∇L + λ₂w + λ₁ sign w), biases without penalties."""
    w, b = model.weight.detach().double(), model.bias.detach().double()
    x, y = data.train[0].double(), data.train[1]
    rate, generator = recipe.learning_rate, torch.Generator().manual_seed(seed)
    for _ in range(recipe.epochs):
        for batch in torch.randperm(len(x), generator=generator).split(recipe.batch_size):
            p = torch.softmax(x[batch] @ w.T + b, 1) - torch.eye(3, dtype=torch.float64)[y[batch]]
            gradient_w, gradient_b = p.T @ x[batch] / len(batch), p.mean(0)
            w = w - rate * (gradient_w + recipe.l2 * w + recipe.l1 * w.sign())
            b = b - rate * gradient_b
        rate *= recipe.decay
    return w, b


@pytest.mark.parametrize("penalty", [{}, {"l2": 0.1}, {"l1": 0.05}])
def test_sgd_by_hand(penalty):
    model, data = linear_problem()
    recipe = Recipe(learning_rate=0.3, decay=0.9, batch_size=16, epochs=3, **penalty)
    w, b = by_hand(model, data, recipe, seed=4)
    run = fit(model, data, recipe=recipe, seed=4, progress=False)
    torch.testing.assert_close(run.params["weight"].double(), w, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(run.params["bias"].double(), b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_same_seed_gives_the_same_weights(optimizer):
    runs = []
    for seed in (0, 0, 1):
        model, data = table_1("feedforward-4")
        runs.append(fit(model, data, recipe=Recipe(optimizer, 0.01, epochs=2, batch_size=7), seed=seed, progress=False))
    a, b, c = (vectors.flatten(run.params) for run in runs)
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_training_lowers_the_loss_and_history_tells_the_truth():
    model, data = table_1("feedforward")
    run = fit(model, data, recipe=Recipe(learning_rate=0.05, batch_size=10, epochs=40), progress=False)
    assert float(run.history.train_loss[-1]) < 0.95 * float(run.history.train_loss[0])
    with torch.no_grad():
        outputs = model(data.test[0])
    expected = nn.functional.cross_entropy(outputs, data.test[1]).item()
    assert float(run.history.test_loss[-1]) == pytest.approx(expected, rel=1e-5)
    right = (outputs.argmax(1) == data.test[1]).float().mean().item()
    assert float(run.history.test_accuracy[-1]) == pytest.approx(right)


def test_checkpoints_by_step_and_by_epoch():
    model, data = linear_problem(n=40)
    start = vectors.parameters_of(model)
    run = fit(model, data, recipe=Recipe(batch_size=10, epochs=3, checkpoint_every=5), progress=False)
    assert run.steps == (0, 5, 10, 12) and len(run.checkpoints) == 4
    assert torch.equal(run.checkpoints[0]["weight"], start["weight"])
    assert torch.equal(run.checkpoints[-1]["weight"], run.params["weight"])
    model, _ = linear_problem()
    assert fit(model, data, recipe=Recipe(batch_size=10, epochs=3, checkpoint_every=0), progress=False).steps == (
        0,
        4,
        8,
        12,
    )
    model, _ = linear_problem()
    run = fit(model, data, recipe=Recipe(batch_size=10, epochs=30, steps=7), progress=False)
    assert run.steps == (0, 7) and run.history.step.values.tolist() == [4, 7]


def test_clipping_bounds_the_step():
    model, data = linear_problem()
    before = vectors.parameters_of(model)
    recipe = Recipe(learning_rate=1.0, batch_size=40, epochs=1, clip=0.01)
    run = fit(model, data, recipe=recipe, progress=False)
    assert vectors.norm(vectors.subtract(run.params, before)) == pytest.approx(0.01, rel=1e-3)


def test_divergence_is_recorded_not_raised():
    model, data = linear_problem()
    data.loss = "mse"
    data.train = data.test = (data.train[0] * 100, torch.nn.functional.one_hot(data.train[1], 3).float())
    run = fit(model, data, recipe=Recipe(learning_rate=10, epochs=30, batch_size=40), progress=False)
    assert not np.isfinite(run.history.train_loss.values[-1])
    assert "test_accuracy" not in run.history


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adamw"}, r"optimizer='adamw': expected one of \('sgd', 'adam'\)"),
        ({"learning_rate": 0}, "learning_rate=0: expected a positive number"),
        ({"epochs": -1}, "epochs=-1"),
        ({"l1": -0.1}, "l1=-0.1: expected zero or more"),
    ],
)
def test_bad_recipes(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**change)


def test_the_learning_rate_falls_along_a_cosine():
    model, data = linear_problem(n=40)
    recipe = Recipe(learning_rate=0.3, batch_size=16, epochs=3, schedule="cosine")
    w, x, y = model.weight.detach().double(), data.train[0].double(), data.train[1]
    b, generator, step = model.bias.detach().double(), torch.Generator().manual_seed(4), 0
    for _ in range(3):
        for batch in torch.randperm(len(x), generator=generator).split(16):
            p = torch.softmax(x[batch] @ w.T + b, 1) - torch.eye(3, dtype=torch.float64)[y[batch]]
            rate = 0.3 * (1 + np.cos(np.pi * step / 9)) / 2
            w, b, step = w - rate * p.T @ x[batch] / len(batch), b - rate * p.mean(0), step + 1
    run = fit(model, data, recipe=recipe, seed=4, progress=False)
    torch.testing.assert_close(run.params["weight"].double(), w, rtol=1e-4, atol=1e-5)
    assert float(run.history.weight_norm[-1]) == pytest.approx(w.norm().item(), rel=1e-4)


def test_augmented_training_sees_moved_images_and_is_repeatable():
    weights = []
    for augment in (True, True, False):
        model, data = table_1("resnet")
        recipe = Recipe(learning_rate=0.05, batch_size=20, epochs=2, augment=augment)
        weights.append(vectors.flatten(fit(model, data, recipe=recipe, progress=False).params))
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_run_keeps_the_running_statistics():
    model, data = table_1("resnet")
    run = fit(model, data, recipe=Recipe(learning_rate=0.05, batch_size=20, epochs=2), progress=False)
    fresh, _ = table_1("resnet")
    fresh.load_state_dict({**run.params, **run.buffers})
    with torch.no_grad():
        assert torch.equal(fresh.eval()(data.test[0]), model(data.test[0]))
