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
from lossatlas.patterns.objectives import BlackAndWhite, GreyLevels
from lossatlas.patterns.pictures import check_greys, check_picture
from lossatlas.patterns.recipe import PatternRecipe
from lossatlas.vectors import Params

KEEP_SECONDS = 60.0  # between two writes of the resume file


@dataclass(frozen=True, eq=False)
class Pattern:
    """Hold a plane whose loss draws a picture.

    Parameters
    ----------
    plane
        Its coordinates count cells from the centre of the picture: α to the right, β upwards.
    picture
        The cells that were asked for, (rows, columns): True is black, where the loss is to be low; or the loss that
        each cell is to have.
    history
        Dataset over ``update``: the learned ``scale``, the ``gradient_norm`` before clipping, and of the cells drawn
        ``loss_black``, ``loss_white`` and the ``share_at_threshold`` of the white ones; or the means of ``loss``,
        ``loss_wanted`` and ``squared_error``.
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
    levels: tuple[float, float] | None = None,
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
        Two-valued array (rows, columns); True, or the smaller value, is black. See :func:`picture`. With ``levels``,
        any array of numbers from 0 (black) to 1 (white).
    levels
        The losses that black and white cells are to have; greys are to have losses in between. None asks for losses
        as low and as high as possible.
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
    wanted = check_picture(picture, name="picture") if levels is None else check_greys(picture, levels)
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
    request = request_of(networks.template, inputs, targets, loss, wanted, recipe, seed)
    objective = (
        BlackAndWhite(wanted, recipe.cells, recipe.threshold, not recipe.skip_interior)
        if levels is None
        else GreyLevels(wanted, recipe.cells)
    )
    run = _Run(networks, start, wanted.shape, objective, recipe, seed, Journal(arguments.check_resume(resume), request))
    with progress_bar(total=recipe.updates, description="fitting", unit=" updates", show=progress) as bar:
        bar.skip(run.done)
        try:
            if watch and not run.done:
                watch(0, run.plane())
            while run.done < recipe.updates:
                run.update(inputs, targets)
                told = zip(objective.columns, run.rows[-1], strict=False)
                bar.set_postfix({name: f"{value:.2f}" for name, value in told}, refresh=False)
                bar.update()
                if watch and (run.done % watch_every == 0 or run.done == recipe.updates):
                    watch(run.done, run.plane())
        finally:
            run.keep()
    return Pattern(run.plane(), wanted, run.history(provenance(model, place)))


class _Run:
    """A fit between two updates."""

    def __init__(
        self,
        networks: Networks,
        start: Coordinates,
        shape: tuple[int, ...],
        objective: BlackAndWhite | GreyLevels,
        recipe: PatternRecipe,
        seed: int,
        journal: Journal,
    ):
        self.networks, self.objective, self.shape = networks, objective, shape
        self.recipe, self.seed, self.journal = recipe, seed, journal
        self.where = Coordinates(*(tensor.clone().requires_grad_() for tensor in start.tensors))
        self.optimizer = torch.optim.Adam(self.where.tensors, lr=recipe.learning_rate)
        self.rows = journal.restore(self.where, self.optimizer)
        self.kept, self.began = time.monotonic(), time.perf_counter()

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

    def update(self, inputs: Tensor, targets: Tensor) -> None:
        """Make one update and add a row to the history."""
        recipe = self.recipe
        draw = np.random.default_rng([self.seed, self.done])
        cells, weigh = self.objective.draw(draw)
        rows, columns = self.shape
        places = np.stack([centred(columns)[cells[:, 1]], centred(rows)[::-1][cells[:, 0]]], axis=1)
        samples = torch.from_numpy(draw.permutation(len(inputs))[: recipe.batch_size]).to(inputs.device)
        with torch.random.fork_rng(devices=[]):  # of dropout
            torch.manual_seed(int(draw.integers(2**62)))
            batch = inputs[samples], targets[samples]
            gradients, losses = accumulate(self.networks, self._detached(), torch.from_numpy(places), weigh, batch)
        for tensor, gradient in zip(self.where.tensors, gradients, strict=True):
            tensor.grad = gradient.reshape(tensor.shape)
        norm = float(nn.utils.clip_grad_norm_(self.where.tensors, recipe.clip or np.inf))
        self.optimizer.step()
        self.rows.append((*self.objective.row(cells, losses), float(self.where.scale.detach()), norm))
        if time.monotonic() - self.kept > KEEP_SECONDS:
            self.keep()

    def _detached(self) -> Coordinates:
        return Coordinates(*(tensor.detach() for tensor in self.where.tensors))

    def keep(self) -> None:
        """Write the resume file, if there is one."""
        self.journal.write(self.where, self.optimizer, self.rows)
        self.kept = time.monotonic()

    def history(self, attrs: dict) -> xr.Dataset:
        """Return the history of all updates."""
        table = np.array(self.rows)
        names = (*self.objective.columns, "scale", "gradient_norm")
        columns = {name: ("update", table[:, i]) for i, name in enumerate(names)}
        seconds = round(time.perf_counter() - self.began, 3)
        return xr.Dataset(columns, {"update": np.arange(1, len(table) + 1)}, {**attrs, "seconds": seconds})


def private_networks(model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], place: torch.device) -> Networks:
    """Return networks that share the architecture of a model, with a copy that nobody else uses."""
    private = module_state.own_copy(model)
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
