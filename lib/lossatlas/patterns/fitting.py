"""Multi-point optimization: a plane is learned on which the loss draws a picture."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.func import replace_all_batch_norm_modules_

from lossatlas import vectors
from lossatlas._checks import flag, instance_of, whole_number
from lossatlas._progress import bar as progress_bar
from lossatlas.directions import Plane
from lossatlas.evaluation import arguments, module_state
from lossatlas.evaluation.devices import pick_device, provenance
from lossatlas.networks.losses import make_score
from lossatlas.patterns.cells import Networks, accumulate
from lossatlas.patterns.geometry import Coordinates, initial
from lossatlas.patterns.journal import Journal, request_of
from lossatlas.patterns.pictures import check_picture
from lossatlas.patterns.recipe import PatternRecipe
from lossatlas.vectors import Params

KEEP_SECONDS = 60.0  # between two writes of the resume file
COLUMNS = ("loss_black", "loss_white", "share_at_threshold", "scale", "gradient_norm")


@dataclass(frozen=True, eq=False)
class Pattern:
    """Hold a plane whose loss draws a picture.

    Parameters
    ----------
    plane
        Its coordinates count cells from the centre of the picture: α to the right, β upwards.
    picture
        The cells that were asked for, (rows, columns); True is black, where the loss is to be low.
    history
        Dataset over ``update``: mean losses of the black and white cells drawn, ``share_at_threshold`` of the white
        ones, the learned ``scale``, and the ``gradient_norm`` before clipping.
    """

    plane: Plane
    picture: np.ndarray
    history: xr.Dataset

    @property
    def alphas(self) -> np.ndarray:
        """Coordinates of the columns, increasing."""
        return centred(self.picture.shape[1])

    @property
    def betas(self) -> np.ndarray:
        """Coordinates of the rows, increasing: from the last row to the first."""
        return centred(self.picture.shape[0])


def centred(n: int) -> np.ndarray:
    """Return n coordinates with steps of one around zero.

    Examples
    --------
    >>> centred(3)
    array([-1.,  0.,  1.])
    """
    return np.arange(n) - (n - 1) / 2


def fit(
    model: nn.Module,
    data,
    picture: np.ndarray,
    *,
    recipe: PatternRecipe = PatternRecipe(),  # noqa: B008  (frozen)
    loss: str | Callable | None = None,
    seed: int = 0,
    watch: Callable[[int, Plane], None] | None = None,
    watch_every: int = 100,
    resume: str | os.PathLike | None = None,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Pattern:
    """Learn a plane on which the loss is low in the black cells of a picture, and high in the white ones.

    Every cell (i, j) is a network with the weights ``o + s·(αⱼ·r + βᵢ·u)``. Adam moves the origin o, the directions r
    and u (kept orthogonal and of equal length) and the scale s so that the mean loss of black cells falls and that of
    white cells, cut off at ``recipe.threshold``, rises.

    Parameters
    ----------
    model
        It gives the architecture; its weights are not used, and stay as they are. Normalization over the batch uses
        the statistics of the batch. Evaluate such a plane with ``batch_norm="recalibrate"``.
    data
        A :class:`~lossatlas.Dataset`, of which the training split is used, or a pair of tensors (inputs, targets).
    picture
        Two-valued array (rows, columns); True, or the smaller value, is black. See :func:`picture`.
    recipe
        How to fit.
    loss
        A name or a callable, as in :func:`lossatlas.evaluate`; by default that of the dataset, or cross-entropy.
    seed
        Decides the start, the cells and the samples of every update.
    watch
        Called as ``watch(update, plane)`` at the start, after every ``watch_every`` updates, and at the end.
    watch_every
        Updates between two calls of ``watch``.
    resume
        A file that keeps what is done. The same call continues there, with the same bits as an undisturbed fit on the
        same machine.
    device
        As in :func:`lossatlas.evaluate`.
    progress
        Whether to show a bar with the time left.

    Returns
    -------
    Pattern
        The plane, the picture and the history.

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    Skorokhodov and Burtsev, "Loss Landscape Sightseeing with Multi-Point Optimization", 2019, equations 1 to 3.

    Examples
    --------
    >>> import lossatlas as la
    >>> from lossatlas import patterns
    >>> data = la.load_dataset("digits")
    >>> model = la.build_model("feedforward", data, depth=2, width=8)
    >>> recipe = patterns.PatternRecipe(updates=3, cells=4, batch_size=20)
    >>> found = patterns.fit(model, data, patterns.picture("ring", size=5), recipe=recipe, progress=False)
    >>> found.alphas
    array([-2., -1.,  0.,  1.,  2.])
    """
    module_state.check_model(model)
    inputs, targets, loss = training_data(data, loss)
    black = check_picture(picture, name="picture")
    instance_of(recipe, "recipe", PatternRecipe, "a lossatlas.patterns.PatternRecipe")
    seed, progress = whole_number(seed, "seed", least=0), flag(progress, "progress")
    watch_every = whole_number(watch_every, "watch_every", least=1)
    if watch is not None and not callable(watch):
        raise ValueError(f"watch={watch!r}: expected a function of the update and the plane")
    place, score = pick_device(device), make_score(loss)
    networks = private_networks(model, lambda outputs, wanted: score(outputs, wanted)[0], place)
    inputs, targets = inputs.to(place), targets.to(place)
    generator = torch.Generator().manual_seed(seed)
    start = initial(networks.model, scale=recipe.scale, centre_scales=recipe.centre_scales, generator=generator)
    request = request_of(networks.template, inputs, targets, loss, black, recipe, seed)
    run = _Run(networks, start, black, recipe, seed, Journal(arguments.check_resume(resume), request))
    with progress_bar(total=recipe.updates, description="fitting", unit=" updates", show=progress) as bar:
        bar.skip(run.done)
        try:
            if watch and not run.done:
                watch(0, run.plane())
            while run.done < recipe.updates:
                black_loss, white_loss = run.update(inputs, targets)
                bar.set_postfix(black=f"{black_loss:.2f}", white=f"{white_loss:.2f}", refresh=False)
                bar.update()
                if watch and (run.done % watch_every == 0 or run.done == recipe.updates):
                    watch(run.done, run.plane())
        finally:
            run.keep()
    return Pattern(run.plane(), black, run.history(provenance(model, place)))


class _Run:
    """A fit between two updates."""

    def __init__(self, networks, start: Coordinates, black: np.ndarray, recipe: PatternRecipe, seed: int, journal):
        self.networks, self.recipe, self.seed, self.journal = networks, recipe, seed, journal
        self.where = Coordinates(*(tensor.clone().requires_grad_() for tensor in start.tensors))
        self.optimizer = torch.optim.Adam(self.where.tensors, lr=recipe.learning_rate)
        self.rows = journal.restore(self.where, self.optimizer)
        self.kept, self.began, self.shape = time.monotonic(), time.perf_counter(), black.shape
        edges = black_and_white(black, interior=not recipe.skip_interior)
        columns, rows = centred(black.shape[1]), centred(black.shape[0])[::-1]
        self.places = [np.stack([columns[where[1]], rows[where[0]]], axis=1) for where in map(np.nonzero, edges)]

    @property
    def done(self) -> int:
        return len(self.rows)

    def plane(self) -> Plane:
        """Return the plane as it is now."""
        where, like = self.where, self.networks.template
        with torch.no_grad():
            parts = where.origin, where.scale * where.right, where.scale * where.up
        origin, right, up = (vectors.copy_of(vectors.unflatten(part.detach(), like)) for part in parts)
        description = {"kind": "pattern", "cells": list(self.shape), "seed": self.seed, "updates": self.done}
        return Plane(origin, right, up, {**description, "recipe": asdict(self.recipe)}, units="cells of the picture")

    def update(self, inputs: Tensor, targets: Tensor) -> tuple[float, float]:
        """Make one update; return the mean losses of the black and white cells that it drew."""
        recipe = self.recipe
        draw = np.random.default_rng([self.seed, self.done])
        chosen = [places[draw.permutation(len(places))[: recipe.cells]] for places in self.places]
        samples = torch.from_numpy(draw.permutation(len(inputs))[: recipe.batch_size]).to(inputs.device)
        blacks, whites = map(len, chosen)
        signs = torch.tensor([1 / blacks] * blacks + [-1 / whites] * whites)

        def weigh(numbers: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
            factors = signs[numbers].to(losses)
            counted = (factors > 0) | (losses < recipe.threshold)
            return factors * losses.clamp(max=recipe.threshold).where(factors < 0, losses), factors * counted

        with torch.random.fork_rng(devices=[]):  # of dropout
            torch.manual_seed(int(draw.integers(2**62)))
            batch = inputs[samples], targets[samples]
            places = torch.from_numpy(np.concatenate(chosen))
            gradients, losses = accumulate(self.networks, self._detached(), places, weigh, batch)
        for tensor, gradient in zip(self.where.tensors, gradients, strict=True):
            tensor.grad = gradient.reshape(tensor.shape)
        norm = float(nn.utils.clip_grad_norm_(self.where.tensors, recipe.clip or np.inf))
        self.optimizer.step()
        black, white = losses[:blacks], losses[blacks:]
        above = float((white >= recipe.threshold).double().mean())
        self.rows.append((float(black.mean()), float(white.mean()), above, float(self.where.scale.detach()), norm))
        if time.monotonic() - self.kept > KEEP_SECONDS:
            self.keep()
        return self.rows[-1][0], self.rows[-1][1]

    def _detached(self) -> Coordinates:
        return Coordinates(*(tensor.detach() for tensor in self.where.tensors))

    def keep(self) -> None:
        """Write the resume file, if there is one."""
        self.journal.write(self.where, self.optimizer, self.rows)
        self.kept = time.monotonic()

    def history(self, attrs: dict) -> xr.Dataset:
        """Return the history of all updates."""
        table = np.array(self.rows)
        columns = {name: ("update", table[:, i]) for i, name in enumerate(COLUMNS)}
        seconds = round(time.perf_counter() - self.began, 3)
        return xr.Dataset(columns, {"update": np.arange(1, len(table) + 1)}, {**attrs, "seconds": seconds})


def black_and_white(black: np.ndarray, *, interior: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return which cells of each colour count; without ``interior``, only those beside a cell of the other colour.

    Neighbours touch at a side or a corner. A colour keeps all its cells if none of them would be left.
    """
    padded = np.pad(black, 1, mode="edge")
    rows, columns = black.shape
    shifted = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    mixed = np.any([cells != black for cells in shifted], axis=0) | interior
    return black & mixed, ~black & mixed


def private_networks(model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], place: torch.device) -> Networks:
    """Return networks that share the architecture of a model, with a copy that nobody else uses."""
    private = module_state.copied(model)
    if private is None:
        raise ValueError(f"model: {type(model).__name__} cannot be copied; expected a module that copy.deepcopy copies")
    private = private.to(place).train().requires_grad_(False)
    replace_all_batch_norm_modules_(private)  # statistics of the batch, without running averages
    template: Params = vectors.parameters_of(private)
    if len({(tensor.dtype, tensor.is_floating_point()) for tensor in template.values()}) != 1:
        raise ValueError("model: expected parameters that are all real numbers of one dtype")
    return Networks(private, template, loss)


def training_data(data, loss: str | Callable | None) -> tuple[Tensor, Tensor, str | Callable]:
    """Return inputs, targets and the loss of a dataset or of a pair of tensors."""
    pair = getattr(data, "train", data)
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(part, Tensor) for part in pair):
        raise ValueError(f"data={data!r:.80}: expected a lossatlas.Dataset or a pair of tensors (inputs, targets)")
    if len(pair[0]) != len(pair[1]) or not len(pair[0]):
        raise ValueError(f"data: {len(pair[0])} inputs for {len(pair[1])} targets; expected as many, and at least one")
    inputs, targets = pair
    return inputs, targets, getattr(data, "loss", "cross_entropy") if loss is None else loss
