"""Training: one loop, read in one sitting."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas._progress import bar as progress_bar
from lossatlas.datasets.load import Dataset
from lossatlas.networks.losses import make_score
from lossatlas.vectors import Params

OPTIMIZERS = ("sgd", "adam")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    ``decay`` multiplies the learning rate after every epoch. ``l1`` and ``l2`` are the λ of the penalties
    ``λ·Σ|w|`` and ``(λ/2)·Σw²`` over the weights (tensors of two or more dimensions, biases left free).
    ``clip`` bounds the norm of the gradient (None: no bound). ``steps`` ends training after so many updates,
    before ``epochs`` are over. ``checkpoint_every``: keep the parameters every so many updates, 0 for once an
    epoch, None for only the last.
    """

    optimizer: str = "sgd"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    decay: float = 1.0
    batch_size: int = 100
    epochs: int = 30
    steps: int | None = None
    l1: float = 0.0
    l2: float = 0.0
    clip: float | None = None
    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer={self.optimizer!r}: expected one of {OPTIMIZERS}")
        for name in ("learning_rate", "decay", "batch_size", "epochs"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected a positive number")
        for name in ("momentum", "l1", "l2"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected zero or more")


@dataclass(frozen=True)
class Run:
    """A trained network: its parameters, its history over epochs, and the path it took.

    ``history``: Dataset over ``epoch`` (1, 2, …) with ``train_loss`` (running mean over the epoch, penalties
    left out), ``test_loss`` and, for classification, ``test_accuracy``. ``checkpoints`` start with the
    initial weights and end with the final ones; ``steps`` are their update counts.
    """

    params: Params
    history: xr.Dataset
    checkpoints: tuple[Params, ...]
    steps: tuple[int, ...]


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD or Adam over the model, with ``recipe.l2`` on the weights alone."""
    weights = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": weights, "weight_decay": recipe.l2}, {"params": others, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return torch.optim.Adam(groups, lr=recipe.learning_rate, fused=True)


def mean_scores(model: nn.Module, split: tuple[Tensor, Tensor], score, batch: int = 1000) -> tuple[float, float]:
    """Mean loss and accuracy (NaN where there is none) of a model on a split, in eval mode."""
    model.eval()
    total, right = 0.0, 0.0
    with torch.no_grad():
        for inputs, targets in zip(*(part.split(batch) for part in split), strict=True):
            losses, correct = score(model(inputs), targets)
            total += float(losses.double().sum())
            right += math.nan if correct is None else float(correct.double().sum())
    model.train()
    return total / len(split[0]), right / len(split[0])


def fit(model: nn.Module, data: Dataset, *, recipe: Recipe, seed: int = 0, device="cpu", progress: bool = True) -> Run:
    """Train a model in place and return what came of it.

    The seed decides the order of the batches (the model brings its own initial weights); the global random
    state is used by dropout alone. The last, smaller batch of an epoch is used too. Training goes on where a
    loss is not finite: the history shows it.
    """
    model.to(device).train()
    inputs, targets = (part.to(device) for part in data.train)
    if inputs.dim() == 4:  # a third faster on a CPU, where pooling dislikes the other layout
        model.to(memory_format=torch.channels_last)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    test = tuple(part.to(device) for part in data.test)
    score, optimizer = make_score(data.loss), make_optimizer(model, recipe)
    weights = [p for p in model.parameters() if p.dim() >= 2]
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, recipe.decay)
    order = torch.Generator().manual_seed(seed)
    per_epoch = math.ceil(len(inputs) / recipe.batch_size)
    last_step = min(recipe.epochs * per_epoch, recipe.steps or math.inf)
    every = per_epoch if recipe.checkpoint_every == 0 else recipe.checkpoint_every
    checkpoints, steps, rows = [vectors.parameters_of(model)], [0], []
    step, start = 0, time.perf_counter()
    with progress_bar(total=last_step, description="training", unit=" steps", show=progress) as bar:
        while step < last_step:
            running = torch.zeros((), dtype=torch.float64, device=device)
            seen = 0
            for batch in torch.randperm(len(inputs), generator=order).split(recipe.batch_size):
                losses, _ = score(model(inputs[batch]), targets[batch])
                objective = losses.mean()
                if recipe.l1:
                    objective = objective + recipe.l1 * sum(w.abs().sum() for w in weights)
                optimizer.zero_grad()
                objective.backward()
                if recipe.clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
                optimizer.step()
                running += losses.detach().double().sum()
                seen += len(batch)
                step += 1
                bar.update()
                if every and step % every == 0 and step < last_step:
                    checkpoints.append(vectors.parameters_of(model))
                    steps.append(step)
                if step == last_step:
                    break
            schedule.step()
            test_loss, test_accuracy = mean_scores(model, test, score)
            rows.append((step, float(running) / seen, test_loss, test_accuracy))
            bar.set_postfix(test_loss=f"{test_loss:.3g}", refresh=False)
    model.eval()
    checkpoints.append(vectors.parameters_of(model))
    steps.append(step)
    names = ("step", "train_loss", "test_loss", "test_accuracy")
    columns = {name: ("epoch", column) for name, column in zip(names, np.array(rows).T, strict=True)}
    if np.isnan(columns["test_accuracy"][1]).all():
        del columns["test_accuracy"]
    attrs = {
        "seconds": round(time.perf_counter() - start, 3),
        "recipe": json.dumps(asdict(recipe)),
        "seed": seed,
    }
    history = xr.Dataset(columns, {"epoch": np.arange(1, len(rows) + 1)}, attrs)
    return Run(checkpoints[-1], history, tuple(checkpoints), tuple(steps))
