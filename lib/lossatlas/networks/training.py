"""Training: one loop, read in one sitting."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas._checks import instance_of, one_of, real_number, set_fields, whole_number
from lossatlas._progress import bar as progress_bar
from lossatlas.datasets.load import Dataset
from lossatlas.networks.augmentation import shift_and_flip
from lossatlas.networks.losses import make_score
from lossatlas.vectors import Params

OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("exponential", "cosine")


@dataclass(frozen=True)
class Recipe:
    """Describe how a network is trained.

    Parameters
    ----------
    optimizer
        ``"sgd"`` or ``"adam"``.
    learning_rate
        At the start; ``schedule`` says how it falls.
    momentum
        Of SGD, from 0 up to but not including 1.
    batch_size
        Samples behind one update.
    epochs
        Passes over the training split.
    steps
        Updates after which training ends although ``epochs`` are not over; None for no such end.
    l1, l2
        λ of the penalties ``λ·Σ|w|`` and ``(λ/2)·Σw²`` over the weights (tensors of two or more dimensions).
    clip
        Bound on the norm of the gradient; None for no bound.
    checkpoint_every
        Updates between two kept checkpoints; 0 keeps one an epoch, None only the first and the last.
    schedule
        ``"exponential"``: ``decay`` multiplies the learning rate after every epoch. ``"cosine"``: it falls to zero
        along half a cosine, from one update to the next.
    augment
        Whether training images are shifted by up to four pixels and flipped left to right at random.

    Raises
    ------
    ValueError
        If a value is out of range. NumPy scalars are accepted.

    Examples
    --------
    >>> Recipe("adam", learning_rate=0.001, epochs=5).batch_size
    100
    >>> Recipe(epochs=1.5)
    Traceback (most recent call last):
    ValueError: epochs=1.5: expected a whole number of at least 1
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
    schedule: str = "exponential"
    augment: bool = False

    def __post_init__(self) -> None:
        """Check the values and turn them into plain numbers."""
        one_of(self.optimizer, "optimizer", OPTIMIZERS)
        one_of(self.schedule, "schedule", SCHEDULES)
        instance_of(self.augment, "augment", bool, "True or False")
        checked = {
            "learning_rate": real_number(self.learning_rate, "learning_rate", above=0),
            "momentum": real_number(self.momentum, "momentum", least=0, below=1),
            "decay": real_number(self.decay, "decay", above=0),
            "batch_size": whole_number(self.batch_size, "batch_size", least=1),
            "epochs": whole_number(self.epochs, "epochs", least=1),
            "steps": None if self.steps is None else whole_number(self.steps, "steps", least=1),
            "l1": real_number(self.l1, "l1", least=0),
            "l2": real_number(self.l2, "l2", least=0),
            "clip": None if self.clip is None else real_number(self.clip, "clip", above=0),
        }
        if self.checkpoint_every is not None:
            checked["checkpoint_every"] = whole_number(self.checkpoint_every, "checkpoint_every", least=0)
        if self.optimizer == "adam" and checked["momentum"]:
            raise ValueError(f"momentum={self.momentum!r}: Adam takes none, only sgd does")
        if self.schedule == "cosine" and checked["decay"] != 1:
            raise ValueError(f"decay={self.decay!r}: expected 1, because the schedule is a cosine")
        set_fields(self, **checked)


@dataclass(frozen=True)
class Run:
    """Hold a trained network: its parameters, its history over epochs, and the path that training took.

    Parameters
    ----------
    params
        The trained weights.
    history
        Dataset over ``epoch`` (1, 2, …) with ``step`` (updates so far), ``train_loss`` (running mean over the epoch,
        penalties left out), ``test_loss``, ``weight_norm`` (the Euclidean norm of all weights: tensors of two or more
        dimensions) and, for classification, ``test_accuracy``.
    checkpoints
        Weights along the way; the first are the initial ones, the last the trained ones.
    steps
        Number of updates before each checkpoint.
    buffers
        The trained network's buffers, such as the running statistics of batch normalization.
    """

    params: Params
    history: xr.Dataset
    checkpoints: tuple[Params, ...]
    steps: tuple[int, ...]
    buffers: Params = field(default_factory=dict)

    @property
    def state(self) -> Params:
        """Parameters and buffers, as ``load_state_dict`` takes them."""
        return {**self.buffers, **self.params}


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return SGD or Adam over the parameters of a model, with ``recipe.l2`` on the weights alone."""
    weights = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": weights, "weight_decay": recipe.l2}, {"params": others, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return torch.optim.Adam(groups, lr=recipe.learning_rate, fused=True)


def rate_factor(recipe: Recipe, step: int, *, per_epoch: int, last_step: int) -> float:
    """Return what multiplies the learning rate of a recipe after a number of updates."""
    if recipe.schedule == "cosine":
        return (1 + math.cos(math.pi * step / last_step)) / 2
    return recipe.decay ** (step // per_epoch)


def mean_scores(model: nn.Module, split: tuple[Tensor, Tensor], score, batch: int = 1000) -> tuple[float, float]:
    """Return the mean loss and accuracy (NaN if there is none) of a model on a split, in eval mode."""
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
    """Train a model in place and return the result.

    Parameters
    ----------
    model
        The network, with the weights that training starts from.
    data
        A :class:`~lossatlas.Dataset`.
    recipe
        How to train.
    seed
        Decides the order of the batches. Only dropout uses the global random state.
    device
        Where to train.
    progress
        Whether a progress bar is shown.

    Returns
    -------
    Run
        The trained weights, the history and the checkpoints. Training continues if a loss is not finite: the history
        shows it.

    Raises
    ------
    ValueError
        If ``model``, ``data`` or ``recipe`` is something else, or ``recipe`` augments data that are no images.

    Notes
    -----
    The last, smaller batch of an epoch is used too.

    Examples
    --------
    >>> import lossatlas as la
    >>> data = la.load_dataset("digits")
    >>> model = la.build_model("feedforward", data, depth=2, width=8)
    >>> run = la.fit(model, data, recipe=la.Recipe(epochs=2), progress=False)
    >>> run.history.sizes["epoch"]
    2
    """
    instance_of(model, "model", nn.Module, "a torch.nn.Module")
    if missing := [name for name in ("train", "test", "loss") if not hasattr(data, name)]:
        raise ValueError(f"data={data!r:.80}: expected a lossatlas.Dataset; it has no {missing}")
    instance_of(recipe, "recipe", Recipe, "a lossatlas.Recipe")
    seed = whole_number(seed, "seed", least=0)
    if recipe.augment and data.train[0].dim() != 4:
        shape = tuple(data.train[0].shape)
        raise ValueError(f"recipe: augment=True expects images (N, C, H, W); the training inputs are {shape}")
    model.to(device).train()
    inputs, targets = (part.to(device) for part in data.train)
    if inputs.dim() == 4:  # a third faster on a CPU, where pooling dislikes the other layout
        model.to(memory_format=torch.channels_last)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    test = data.test[0].to(device), data.test[1].to(device)
    score, optimizer = make_score(data.loss), make_optimizer(model, recipe)
    weights = [p for p in model.parameters() if p.dim() >= 2]
    order = torch.Generator().manual_seed(seed)
    movement = torch.Generator().manual_seed(seed)  # of augmented images
    per_epoch = math.ceil(len(inputs) / recipe.batch_size)
    last_step = min(recipe.epochs * per_epoch, recipe.steps or recipe.epochs * per_epoch)
    every = per_epoch if recipe.checkpoint_every == 0 else recipe.checkpoint_every
    factor = partial(rate_factor, recipe, per_epoch=per_epoch, last_step=last_step)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    checkpoints, steps, rows = [vectors.parameters_of(model)], [0], []
    step, start = 0, time.perf_counter()
    with progress_bar(total=last_step, description="training", unit=" steps", show=progress) as bar:
        while step < last_step:
            running = torch.zeros((), dtype=torch.float64, device=device)
            seen = 0
            for batch in torch.randperm(len(inputs), generator=order).split(recipe.batch_size):
                images = shift_and_flip(inputs[batch], movement) if recipe.augment else inputs[batch]
                losses, _ = score(model(images), targets[batch])
                objective = losses.mean()
                if recipe.l1:
                    objective = objective + recipe.l1 * sum(w.abs().sum() for w in weights)
                optimizer.zero_grad()
                objective.backward()
                if recipe.clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
                optimizer.step()
                schedule.step()
                running += losses.detach().double().sum()
                seen += len(batch)
                step += 1
                bar.update()
                if every and step % every == 0 and step < last_step:
                    checkpoints.append(vectors.parameters_of(model))
                    steps.append(step)
                if step == last_step:
                    break
            test_loss, test_accuracy = mean_scores(model, test, score)
            norm = float(nn.utils.get_total_norm(weights))
            rows.append((step, float(running) / seen, test_loss, norm, test_accuracy))
            bar.set_postfix(test_loss=f"{test_loss:.3g}", refresh=False)
    model.eval()
    checkpoints.append(vectors.parameters_of(model))
    steps.append(step)
    names = ("step", "train_loss", "test_loss", "weight_norm", "test_accuracy")
    columns = {name: ("epoch", column) for name, column in zip(names, np.array(rows).T, strict=True)}
    if np.isnan(columns["test_accuracy"][1]).all():
        del columns["test_accuracy"]
    attrs = {
        "seconds": round(time.perf_counter() - start, 3),
        "recipe": json.dumps(asdict(recipe)),
        "seed": seed,
    }
    history = xr.Dataset(columns, {"epoch": np.arange(1, len(rows) + 1)}, attrs)
    buffers = {name: tensor.clone() for name, tensor in model.state_dict().items() if name not in checkpoints[-1]}
    return Run(checkpoints[-1], history, tuple(checkpoints), tuple(steps), buffers)
