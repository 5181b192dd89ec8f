"""From a network, a plane and data to one labelled surface."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas._progress import bar as progress_bar
from lossatlas.directions.subspaces import Subspace
from lossatlas.evaluation import batches
from lossatlas.evaluation import journal as resuming
from lossatlas.evaluation.adaptive_schedule import run_adaptively
from lossatlas.evaluation.batch_norm import check_batch_norm, check_batches, use_batch_statistics
from lossatlas.evaluation.devices import pick_device, provenance
from lossatlas.evaluation.precision import arithmetic, precision_error
from lossatlas.evaluation.schedule import LocalExecutor, Work, run
from lossatlas.evaluation.sweep import Sweep
from lossatlas.networks import losses

COMPUTING_VERSION = 1  # raised whenever a change here or in the engine changes values; part of every stored key


def check_grid(values: Sequence[float], name: str) -> np.ndarray:
    """A grid as a float64 array. Raises ValueError unless it has two or more finite, increasing values."""
    grid = np.asarray(values, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2:
        raise ValueError(f"{name}: shape {grid.shape}, expected one dimension with at least 2 points")
    if not np.isfinite(grid).all():
        bad = int(np.flatnonzero(~np.isfinite(grid))[0])
        raise ValueError(f"{name}[{bad}] = {grid[bad]}: every grid value must be finite")
    if (np.diff(grid) <= 0).any():
        bad = int(np.flatnonzero(np.diff(grid) <= 0)[0])
        raise ValueError(f"{name}: not increasing at index {bad} ({grid[bad]:g} then {grid[bad + 1]:g})")
    return grid


@contextlib.contextmanager
def same_random_state() -> Iterator[None]:
    """Leave the global random states of torch (all devices), NumPy and Python as they were found."""
    python, numpy_state = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)


class Predicting(nn.Module):
    """A model that is called by a function of the user's."""

    def __init__(self, model: nn.Module, predict: Callable[[nn.Module, object], Tensor]):
        super().__init__()
        self.model, self.predict = model, predict

    def forward(self, inputs) -> Tensor:
        """One tensor of outputs."""
        return self.predict(self.model, inputs)


def make_sweep(model: nn.Module, plane: Subspace, score, predict: Callable | None) -> Sweep:
    """What is evaluated, of a private copy of the model at the plane's origin."""
    vectors.check_same_shape(vectors.parameters_of(model), plane.origin, what="plane")
    private, around = copy.deepcopy(model), (plane.origin, *plane.directions)
    if predict is not None:
        private = Predicting(private, predict)
        around = [{f"model.{name}": tensor for name, tensor in vector.items()} for vector in around]
    private.eval().requires_grad_(False).load_state_dict(around[0], strict=False)
    return Sweep(private, around[0], tuple(around[1:]), score)


def make_grid(plane: Subspace, given: dict[str, Sequence[float] | None]) -> dict:
    """Return the checked coordinates by dimension, by default 51 from -1 to 1, then those of the first axis.

    Raises ValueError for a grid that is none, and for coordinates of an axis that the subspace does not have.
    """
    names = [axis.name for axis in plane.axes]
    for name, values in given.items():
        if values is not None and name not in names:
            raise ValueError(f"{name}s: given for a {type(plane).__name__}, whose axes are {', '.join(names)}")
    grid: dict[str, np.ndarray] = {}
    for name in names:
        values = given.get(name)
        first = next(iter(grid.values()), np.linspace(-1, 1, 51))
        grid[name] = check_grid(first if values is None else values, f"{name}s")
    return grid


def evaluate(
    model: nn.Module,
    plane: Subspace,
    data: tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]],
    *,
    loss: str | Callable[[Tensor, Tensor], Tensor] = "cross_entropy",
    alphas: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    gammas: Sequence[float] | None = None,
    predict: Callable[[nn.Module, object], Tensor] | None = None,
    batch_norm: str = "running",
    method: str = "grid",
    precision: str | None = None,
    device: str | torch.device = "auto",
    memory: int | None = None,
    resume: str | os.PathLike | None = None,
    client=None,
    progress: bool = True,
) -> xr.Dataset:
    """Loss (and accuracy) of a network on every point of a grid in weight space.

    ``f(α, β) = L(θ* + α·δ + β·η)`` (Li et al. 2018, equation 1), the mean over the samples, accumulated in
    float64, with the model in eval mode.

    What is evaluated:

    - ``model``: any module; it gives the architecture and the buffers, and is left exactly as it was.
    - ``plane``: a :class:`Line`, :class:`Plane`, :class:`Box` or other :class:`Subspace`; it gives the weights.
    - ``data``: (inputs, targets), or an iterable of such batches (a DataLoader too), gone through once and held in
      memory. Inputs are a tensor, or a dict, tuple or list of tensors with the samples along the first dimension.
    - ``loss``: ``"cross_entropy"``, ``"mse"``, ``"bce_with_logits"``, or a callable
      ``(outputs, targets) -> losses`` giving one value a sample or the mean of the batch.
    - ``alphas``, ``betas``, ``gammas``: increasing coordinates along each axis of ``plane``; ``alphas`` are 51 from
      −1 to 1 by default, the others as ``alphas``.
    - ``predict``: ``(model, inputs) -> outputs`` for a model that takes several inputs or returns more than one
      tensor; by default ``model(inputs)``.
    - ``batch_norm``: what batch-normalization layers divide by. ``"running"``: the statistics of the checkpoint;
      ``"batch"``: those of each batch, exactly the batches that ``data`` gives (of a pair, all samples at once);
      ``"recalibrate"``: estimated anew at every point by one pass over those batches, all with the same weight,
      with nothing else in training mode; then the loss is evaluated with them.

    How:

    - ``method``: ``"grid"`` evaluates every point, ``"adaptive"`` as few as the surface's smoothness allows (most
      often a tenth) and interpolates the others to within 1 % of its range: see ``lossatlas.evaluation.refinement``.
    - ``precision``: ``"bfloat16"`` computes products in it, where the machine has such arithmetic; ``"float64"``
      computes everything in it, which deep and recurrent networks can need far from θ*, where they multiply
      rounding errors; by default the precision of the weights.
    - ``device``: ``"auto"`` is CUDA where there is one; ``progress``: a bar with the time left, on stderr.
    - ``memory``: bytes that a pass may allocate beside the model, the plane, their working copies and the data;
      passes are measured and chosen so that they stay below.
    - ``resume``: a file that keeps what is done, a chunk of some seconds at a time. The same call goes on where an
      earlier one was stopped or killed, in the same way, to the same bits. It stays when all is done, and then
      answers at once. Refused where it holds another model, plane, grid, data or loss.
    - ``client``: a ``dask.distributed.Client``; its workers compute (they choose the way and the ``device``), and
      the chunk of one that is lost goes to another. Bits are those of one machine where the hardware, the number
      of threads and the strategy are the same.

    Returns a Dataset with ``loss`` (dimensions ``alpha``, ``beta`` and ``gamma``, as many as there are axes) and, for
    classification, ``accuracy``; non-finite losses are kept and counted in ``attrs["n_nonfinite"]``;
    ``attrs["origin_loss"]`` is L(θ*). An adaptive surface says which points were ``evaluated``, and in
    ``attrs["estimated_error"]`` how far the others may be off; one in lower precision has in
    ``attrs["precision_error"]`` how much that changed at a few points; both are shares of the range of the loss.

    Raises ValueError that names the argument for anything it cannot take; KeyboardInterrupt, when stopped,
    says how to go on.
    """
    if not isinstance(plane, Subspace):
        raise ValueError(f"plane: got {type(plane).__name__}, expected a Plane or a Line (see random_plane) or a Box")
    losses.loss_name(loss)
    if memory is not None and not (isinstance(memory, int) and memory > 0):
        raise ValueError(f"memory={memory!r}: expected a number of bytes, at least 1")
    if method not in METHODS:
        raise ValueError(f"method={method!r}: expected one of {tuple(METHODS)}")
    grid = make_grid(plane, {"alpha": alphas, "beta": betas, "gamma": gammas})
    check_batch_norm(model, batch_norm)
    place = pick_device("cpu" if client is not None else device)
    own = next(iter(plane.origin.values())).dtype
    dtype, half = arithmetic(precision, own, place)
    coordinates = np.stack(np.meshgrid(*grid.values(), indexing="ij"), axis=-1).reshape(-1, len(grid))
    coordinates = np.concatenate([coordinates, np.zeros((1, len(grid)))])  # θ* itself, last
    coefficients = plane.coefficients(coordinates)

    start = time.perf_counter()
    with same_random_state():
        sweep = replace(make_sweep(model, plane, losses.make_score(loss), predict), half=half)
        given = batches.read(data)
        if dtype != own:
            sweep, given = sweep.cast(dtype), (batches.cast(batch, dtype) for batch in given)
        work = Work(sweep, (), batch_norm, memory).on(place)
        network = work.sweep.model
        if batch_norm == "batch":
            use_batch_statistics(network)
        given = batches.checked(network, loss, given, place)
        work = work.holding(list(given if batch_norm != "running" else batches.blocks(given)))
        if batch_norm != "running":
            check_batches(network, work.blocks, place)
        points = torch.tensor(coefficients, dtype=dtype, device=place)
        journal = resume and resuming.open_journal(resume, _asked(model, plane, grid, loss, method, work, place))
        local = client is None
        executor = LocalExecutor(work, points, place) if local else _workers(client, work, points, device)
        bar = progress_bar(total=work.samples * len(points), description="surface", unit=" evaluations", show=progress)
        try:
            with bar:
                shape = [len(values) for values in grid.values()]
                found = METHODS[method](executor, shape, journal or None, bar)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(resuming.how_to_go_on(journal)) from None
        lower = half and {"precision_error": precision_error(work, found, points)}

    mean, accuracy = found.sums / work.samples
    variables = {"loss": (tuple(grid), mean[:-1].reshape(shape))}
    if not np.isnan(accuracy).all():
        variables["accuracy"] = (tuple(grid), accuracy[:-1].reshape(shape), {"units": "share of samples"})
    if found.evaluated is not None:
        variables["evaluated"] = (tuple(grid), found.evaluated[:-1].reshape(shape))
    coords = {axis.name: (axis.name, grid[axis.name], {"units": axis.units}) for axis in plane.axes}
    attrs = {
        "loss_name": losses.loss_name(loss),
        "origin_loss": float(mean[-1]),
        "n_samples": work.samples,
        "n_nonfinite": int((~np.isfinite(mean[:-1])).sum()),
        **single_values(plane.description),
        "plane": json.dumps(plane.description),
        "batch_norm": batch_norm,
        "strategy": f"{found.strategy}{BATCHES_SAID[batch_norm]}",
        "precision": precision or str(own).removeprefix("torch."),
        "seconds": round(journal.seconds if journal else time.perf_counter() - start, 3),
        **provenance(model, place),
        **found.facts,
        **found.errors,
        **(lower or {}),
    }
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def single_values(description: Mapping) -> dict[str, str]:
    """Return the entries of a subspace's description that are single values, as text."""
    return {key: str(value) for key, value in description.items() if isinstance(value, str | int | float | None)}


METHODS = {"grid": run, "adaptive": run_adaptively}
BATCHES_SAID = {"running": "", "batch": ", batches as given", "recalibrate": ", statistics estimated at every point"}


def _asked(model: nn.Module, plane: Subspace, grid: dict, loss, method: str, work: Work, device: torch.device) -> dict:
    """What a file must be about to be gone on with."""
    kind = ", ".join(f"{key} {value}" for key, value in single_values(plane.description).items())
    spans = " × ".join(f"{len(values)} from {values[0]:g} to {values[-1]:g}" for values in grid.values())
    inputs, targets = batches.move(batches.first(work.blocks[0], 2), device)
    outputs = batches.try_outputs(work.sweep.model, inputs)
    return {
        "asked": {
            "model": resuming.describe(type(model).__name__, model.state_dict(), repr(model)),
            "plane": resuming.describe(kind, (plane.origin, plane.directions)),
            "grid": resuming.describe(spans, [torch.as_tensor(values) for values in grid.values()]),
            "precision": f"{work.sweep.half or next(iter(work.sweep.origin.values())).dtype}",
            "data": resuming.describe(f"{work.samples} samples", list(work.blocks)),
            "loss": losses.loss_name(loss),
            "batch_norm": work.batch_norm,
            "method": method,
        },
        "outputs": resuming.sample_outputs(outputs, work.sweep.score(outputs, targets)[0]),
    }


def _workers(client, work: Work, points: Tensor, device: str | torch.device):
    """The workers of a Dask client. Raises ValueError for anything else, ImportError where Dask is not there."""
    try:
        from distributed import Client

        from lossatlas.evaluation.dask_workers import DaskExecutor
    except ImportError as error:
        raise ImportError("client: needs the package distributed (pip install 'lossatlas[distributed]')") from error
    if not isinstance(client, Client):
        raise ValueError(f"client: got {type(client).__name__}, expected a dask.distributed.Client")
    return DaskExecutor(client, work, points, device)
