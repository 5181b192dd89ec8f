"""Multi-point optimization: a plane is learned on which the loss draws a picture."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas._checks import flag, instance_of, whole_number
from lossatlas._progress import bar as progress_bar
from lossatlas.directions import Plane
from lossatlas.evaluation import arguments, module_state
from lossatlas.evaluation.devices import pick_device, provenance
from lossatlas.networks.losses import make_score
from lossatlas.patterns.cells import Networks, accumulate
from lossatlas.patterns.geometry import Coordinates, initial
from lossatlas.patterns.inputs import private_networks, samples_of, training_data
from lossatlas.patterns.journal import Journal, request_of
from lossatlas.patterns.objectives import BlackAndWhite, GreyLevels
from lossatlas.patterns.pictures import EVERY, check_pictures
from lossatlas.patterns.recipe import PatternRecipe

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
        each cell is to have. By label if each class was to have a picture of its own.
    history
        Dataset over ``update``: the learned ``scale``, the ``gradient_norm`` before clipping, and of the cells drawn
        ``loss_black``, ``loss_white`` and the ``share_at_threshold`` of the white ones; or the means of ``loss``,
        ``loss_wanted`` and ``squared_error``.
    """

    plane: Plane
    picture: np.ndarray | dict[int, np.ndarray]
    history: xr.Dataset

    @property
    def alphas(self) -> np.ndarray:
        """Coordinates of the columns, increasing."""
        return centred(self._shape[1])

    @property
    def betas(self) -> np.ndarray:
        """Coordinates of the rows, increasing: from the last row to the first."""
        return centred(self._shape[0])

    @property
    def _shape(self) -> tuple[int, ...]:
        return next(iter(self.picture.values())).shape if isinstance(self.picture, dict) else self.picture.shape


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
    picture: np.ndarray | Mapping[int, np.ndarray],
    *,
    levels: tuple[float, float] | None = None,
    recipe: PatternRecipe = PatternRecipe(),  # noqa: B008  (frozen)
    loss: str | Callable | None = None,
    seed: int = 0,
    together: int = 1,
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
        any array of numbers from 0 (black) to 1 (white). A mapping from labels to such arrays of one shape gives each
        class a picture of its own, which the loss of its samples is to draw. An update then draws one of the classes.
    levels
        The losses that black and white cells are to have; greys are to have losses in between. None asks for losses
        as low and as high as possible.
    recipe
        How to fit.
    loss
        A name or a callable, as in :func:`lossatlas.evaluate`; by default that of the dataset, or cross-entropy.
    seed
        Decides the start, the cells and the samples of every update.
    together
        Cells of one pass. Values differ by rounding only. With small networks and batches on a processor, 16 cells
        together take a half to a quarter of the time of 16 cells one after another. Larger ones are faster with 1.
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
    wanted = check_pictures(picture, levels)
    members = samples_of(targets, wanted)
    instance_of(recipe, "recipe", PatternRecipe, "a lossatlas.patterns.PatternRecipe")
    seed, progress = whole_number(seed, "seed", least=0), flag(progress, "progress")
    watch_every = whole_number(watch_every, "watch_every", least=1)
    if watch is not None and not callable(watch):
        raise ValueError(f"watch={watch!r}: expected a function of the update and the plane")
    place, score = pick_device(device), make_score(loss)
    together = whole_number(together, "together", least=1)
    networks = private_networks(model, lambda outputs, wanted: score(outputs, wanted)[0], place)
    networks = replace(networks, together=together)
    inputs, targets = inputs.to(place), targets.to(place)
    generator = torch.Generator().manual_seed(seed)
    start = initial(networks.model, scale=recipe.scale, centre_scales=recipe.centre_scales, generator=generator)
    request = request_of(networks.template, inputs, targets, loss, wanted, recipe, seed)
    objectives = [
        BlackAndWhite(one, recipe.cells, recipe.threshold, not recipe.skip_interior)
        if levels is None
        else GreyLevels(one, recipe.cells)
        for one in wanted.values()
    ]
    parts = list(zip(objectives, members, strict=True))
    run = _Run(networks, start, parts, recipe, seed, Journal(arguments.check_resume(resume), request))
    with progress_bar(total=recipe.updates, description="fitting", unit=" updates", show=progress) as bar:
        bar.skip(run.done)
        try:
            if watch and not run.done:
                watch(0, run.plane())
            while run.done < recipe.updates:
                run.update(inputs, targets)
                told = zip(run.columns, run.rows[-1], strict=False)
                bar.set_postfix({name: f"{value:.2f}" for name, value in told}, refresh=False)
                bar.update()
                if watch and (run.done % watch_every == 0 or run.done == recipe.updates):
                    watch(run.done, run.plane())
        finally:
            run.keep()
    asked = wanted if isinstance(picture, Mapping) else wanted[EVERY]
    return Pattern(run.plane(), asked, run.history(provenance(model, place)))


class _Run:
    """A fit between two updates."""

    def __init__(
        self,
        networks: Networks,
        start: Coordinates,
        parts: list[tuple[BlackAndWhite | GreyLevels, Tensor | None]],
        recipe: PatternRecipe,
        seed: int,
        journal: Journal,
    ):
        self.networks, self.parts = networks, parts
        self.shape, self.columns = parts[0][0].shape, parts[0][0].columns
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
        objective, members = self.parts[int(draw.integers(len(self.parts))) if len(self.parts) > 1 else 0]
        cells, weigh = objective.draw(draw)
        rows, columns = self.shape
        places = np.stack([centred(columns)[cells[:, 1]], centred(rows)[::-1][cells[:, 0]]], axis=1)
        order = draw.permutation(len(inputs if members is None else members))[: recipe.batch_size]
        samples = torch.from_numpy(order).to(inputs.device)
        samples = samples if members is None else members[samples]
        with torch.random.fork_rng(devices=[]):  # of dropout
            torch.manual_seed(int(draw.integers(2**62)))
            batch = inputs[samples], targets[samples]
            gradients, losses = accumulate(self.networks, self._detached(), torch.from_numpy(places), weigh, batch)
        for tensor, gradient in zip(self.where.tensors, gradients, strict=True):
            tensor.grad = gradient.reshape(tensor.shape)
        norm = float(nn.utils.clip_grad_norm_(self.where.tensors, recipe.clip or np.inf))
        self.optimizer.step()
        self.rows.append((*objective.row(cells, losses), float(self.where.scale.detach()), norm))
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
        names = (*self.columns, "scale", "gradient_norm")
        columns = {name: ("update", table[:, i]) for i, name in enumerate(names)}
        seconds = round(time.perf_counter() - self.began, 3)
        return xr.Dataset(columns, {"update": np.arange(1, len(table) + 1)}, {**attrs, "seconds": seconds})
