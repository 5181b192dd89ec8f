"""From a network, a subspace of its weights and data to one labelled surface."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lossatlas._checks import flag, one_of
from lossatlas._progress import bar as progress_bar
from lossatlas.directions.subspaces import Subspace
from lossatlas.evaluation import arguments, batches, levels, module_state, original, plain_loop, preparation, result
from lossatlas.evaluation import journal as resuming
from lossatlas.evaluation.adaptive_schedule import ErrorLimit, run_adaptively
from lossatlas.evaluation.batch_norm import check_batch_norm, points_below_zero
from lossatlas.evaluation.devices import pick_device, provenance
from lossatlas.evaluation.metrics import COMBINATIONS, check_metrics, make_quantities
from lossatlas.evaluation.plain_loop import PlainLoop
from lossatlas.evaluation.precision import arithmetic, precision_error
from lossatlas.evaluation.random_state import owned_generators, same_random_state
from lossatlas.evaluation.schedule import LocalExecutor, run
from lossatlas.evaluation.work import Work, prepared
from lossatlas.networks import losses
from lossatlas.networks.mean_losses import per_sample

COMPUTING_VERSION = 1  # raised whenever a change here or in the engine changes values; part of every stored key
METHODS = "grid", "adaptive"


def evaluate(
    model: nn.Module,
    plane: Subspace,
    data: Any,
    *,
    loss: str | Callable = "cross_entropy",
    metrics: Mapping[str, Callable] | None = None,
    gradient_norm: bool = False,
    combine: str = "mean",
    alphas: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    gammas: Sequence[float] | None = None,
    ts: Sequence[float] | None = None,
    predict: Callable[[nn.Module, Any], Any] | None = None,
    batch_norm: str = "running",
    statistics: Any = None,
    method: str = "grid",
    tolerance: float = 0.01,
    error_scale: str = "linear",
    seed: int = 0,
    precision: str | None = None,
    device: str | torch.device = "auto",
    memory: int | None = None,
    resume: str | os.PathLike | None = None,
    client=None,
    progress: bool = True,
) -> xr.Dataset:
    """Evaluate the loss of a network at every point of a grid in weight space.

    ``f(α, β) = L(θ* + α·δ + β·η)`` (Li et al. 2018, equation 1), with the model in eval mode. The values are those
    of a plain loop: at each point the weights are set, the model is called on each batch of ``data``, and the loss
    is taken as it is given. Samples are regrouped into other batches, and several points evaluated at once, only if
    that gives the same values: the loss must give one value per sample, and the value of a sample must not depend on
    the samples beside it, which is tried on a few of them. Otherwise the loop itself runs, and
    ``attrs["strategy"]`` says why.

    Parameters
    ----------
    model : Module
        Any module. It gives the architecture and the buffers, and is left exactly as it was.
    plane : Subspace
        A :class:`Line`, :class:`Plane`, :class:`Box`, :class:`Curve` or other subspace. It gives the weights, and the
        buffers that travel with them.
    data : batch or iterable of batches
        One batch ``(inputs, targets)``, or an iterable of batches (a DataLoader too), gone through once and held in
        memory. Inputs and targets are tensors or any nesting of mappings, lists and tuples that hold tensors.
        Without targets a batch is ``(inputs,)`` or a mapping, and the loss takes the outputs alone.
    loss : str or callable
        ``"cross_entropy"`` (labels of -100 are left out), ``"mse"``, ``"bce_with_logits"``, or a callable
        ``(outputs, targets)`` that returns one value per sample, one value for the batch, or a pair (sum, weight).
        PyTorch's own losses that average over a batch, such as ``nn.CrossEntropyLoss()`` and ``F.mse_loss``, are
        taken apart into one value per sample, unless class weights or ignored labels change what they divide by.
    metrics : mapping of str to callable, optional
        Further quantities by name, in the same three forms as the loss. Each is a variable of the result.
    gradient_norm : bool
        Whether to compute the Euclidean norm of the gradient of the loss by the parameters that move.
    combine : {"mean", "sum"}
        How the values of batches are combined if the loss gives one a batch: their mean, weighted by the number of
        samples, or their sum. Pairs (sum, weight) give the sum of the sums over the sum of the weights.
    alphas, betas, gammas : sequence of float
        Increasing coordinates along each axis of ``plane``; ``alphas`` are 51 from -1 to 1 by default, the others
        as ``alphas``.
    ts : sequence of float, optional
        Increasing positions along a :class:`Curve`; 51 from 0 to 1 by default.
    predict : callable, optional
        ``(model, inputs) -> outputs``, for a model that takes several inputs or returns more than one tensor; by
        default ``model(inputs)``.
    batch_norm : {"running", "batch", "recalibrate"}
        What batch-normalization layers divide by. ``"running"``: the running statistics, those of ``plane`` if they
        travel with it, else those of ``model``. ``"batch"``: the statistics of each batch, exactly the batches that
        ``data`` gives. ``"recalibrate"``: estimated anew at every point by one pass over those batches, all with the
        same weight, with nothing else in training mode; then the loss is evaluated with them.
    statistics : batch or iterable of batches, optional
        Data that ``"recalibrate"`` estimates the statistics from instead, such as training data if ``data`` are not.
    method : {"grid", "adaptive"}
        ``"grid"`` evaluates every point on all samples. ``"adaptive"`` evaluates some points on few samples, fewer
        points on more samples, and as few points on all samples as the surface allows; it interpolates the rest. It
        needs a loss that decomposes over samples; otherwise it chooses among points alone, and
        ``attrs["points_alone"]`` says so.
    tolerance : float
        The largest error that ``"adaptive"`` accepts, as a share of the range of the loss, between 0 and 1.
    error_scale : {"linear", "log"}
        Whether that error and range are those of the loss or of its logarithm. A picture on a logarithmic scale shows
        the bottom of a basin, which is a small part of the linear range.
    seed : int
        For the samples and points that ``"adaptive"`` draws.
    precision : {None, "float64", "bfloat16"}
        ``"bfloat16"`` computes products in it if the machine has such arithmetic; ``"float64"`` computes everything
        in it, which deep and recurrent networks can need far from θ*; by default the precision of the weights.
    device : str or device
        ``"auto"`` is CUDA if the machine has it.
    memory : int, optional
        Bytes that a pass may allocate, the weights of its points included. Beside them the evaluation holds the data
        and one copy of the model, and two more while it begins. Batches that must stay whole are evaluated whole:
        if one needs more, a warning says how much.
    resume : path, optional
        A file that keeps what is done, a chunk of some seconds at a time. The same call resumes where an earlier one
        was stopped or killed, to the same bits. The file stays when all is done, and then answers at once.
    client : dask.distributed.Client, optional
        Its workers compute, with a strategy and ``device`` of their own.
    progress : bool
        Whether to show a bar with the time left, on stderr.

    Returns
    -------
    Dataset
        ``loss`` over the axes of ``plane``; ``accuracy`` for a named classification loss; a variable for each of
        ``metrics``; ``gradient_norm`` if asked. Losses that are not finite are kept and counted in
        ``attrs["n_nonfinite"]``; ``attrs["origin_loss"]`` is L(θ*); ``attrs["n_negative_variance"]`` counts points
        where an extrapolated running variance is below zero, so that the loss is NaN; ``attrs["precision_error"]``
        (lower precision) is a share of the range of the loss. An adaptive surface has further attributes, which the
        notes explain.

    Raises
    ------
    ValueError
        If an argument cannot be used; the message names it. What can be found out is found out at the start.
    KeyboardInterrupt
        If the evaluation is stopped; the message says how to resume.

    Notes
    -----
    The error of an adaptive surface is measured: points drawn at random are evaluated on all samples, and used for
    nothing else. ``attrs["checked_error"]`` is the largest error at these ``attrs["checked_points"]``, as a share of
    the range. With 95 % confidence, at most the share ``attrs["share_above"]`` of the interpolated points has a larger
    error: an order-statistic tolerance bound, which assumes nothing about the errors, and which does not bound the
    largest error of the grid. ``attrs["estimated_error"]`` estimates that one: three times the error seen, or the
    error of the last predictions if that is larger. The surface is returned once three times the error seen is at most
    ``tolerance``, or once every point is evaluated. ``attrs["levels"]`` lists the samples and points of each level, and
    the variable ``evaluated`` says which points were evaluated on all samples.

    A model or loss that draws random numbers sees the same ones at every point, those that the global generators of
    PyTorch, NumPy and Python, and generators that it holds, would give at the time of the call. Afterwards all of
    them are as before.

    References
    ----------
    Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", equation 1.

    Examples
    --------
    >>> import lossatlas as la
    >>> model = torch.nn.Linear(2, 3)
    >>> data = torch.randn(8, 2), torch.randint(0, 3, (8,))
    >>> surface = la.evaluate(model, la.random_plane(model), data, alphas=[-1, 0, 1], device="cpu", progress=False)
    >>> surface.loss.dims, list(surface.data_vars)
    (('alpha', 'beta'), ['loss', 'accuracy'])
    """
    arguments.check_plane(plane)
    module_state.check_model(model)
    plane.for_model(model)
    arguments.check_predict(predict)
    losses.loss_name(loss)
    further = check_metrics(metrics)
    one_of(combine, "combine", COMBINATIONS)
    one_of(method, "method", METHODS)
    limit = ErrorLimit(tolerance, error_scale, seed)
    gradient_norm = flag(gradient_norm, "gradient_norm")
    memory, resume = arguments.check_memory(memory), arguments.check_resume(resume)
    arguments.check_client(client)
    progress = flag(progress, "progress")
    description = arguments.plain_values(plane.description)
    grid = arguments.make_grid(plane, {"alpha": alphas, "beta": betas, "gamma": gammas, "t": ts})
    check_batch_norm(model, batch_norm, statistics)
    place = pick_device("cpu" if client is not None else device)
    own = preparation.common_type(plane.origin)
    dtype, half = arithmetic(precision, own, place)
    coordinates = np.stack(np.meshgrid(*grid.values(), indexing="ij"), axis=-1).reshape(-1, len(grid))
    coordinates = np.concatenate([coordinates, np.zeros((1, len(grid)))])  # θ* itself, last
    coefficients = plane.coefficients(coordinates)
    tried = coefficients[np.abs(coefficients).sum(axis=1).argmax()] / 3  # the origin alone would not tell

    functions = {"loss": loss, "predict": predict, **{f"metric {name}": metric for name, metric in further.items()}}
    options = {"batch_norm": batch_norm, "method": method, "combine": combine, "gradient_norm": gradient_norm}
    adaptive = method == "adaptive"
    options |= asdict(limit) if adaptive else {}
    start = time.perf_counter()
    journal: resuming.Journal | None = None
    try:
        with ExitStack() as stack:
            network, is_copy = stack.enter_context(module_state.private(model))
            generators = owned_generators(model, network, predict, loss, *further.values())
            random = stack.enter_context(same_random_state(*generators))
            given = list(batches.read(data))
            estimated_from = None if statistics is None else list(batches.read(statistics, "statistics"))
            quantities = make_quantities(loss, further, given, combine=combine)

            def moving(network: nn.Module, reasons: tuple[str, ...] = ()) -> PlainLoop:
                loop = preparation.make_loop(network, plane, quantities, predict=predict, batch_norm=batch_norm)
                loop = replace(loop, half=half, gradient_norm=gradient_norm, combine=combine, reasons=reasons)
                return replace(loop, statistics=estimated_from)

            loop = moving(network)
            loop = replace(loop, reasons=preparation.structural_reasons(loop, is_copy))
            theirs = any(callable(function) and not per_sample(function) for function in functions.values())
            if is_copy and theirs and original.is_used(loop, model, moving, given, tried, random):
                if client is not None:
                    raise ValueError(f"client: {original.REASON}, of which a worker has a copy; leave client= out")
                loop = moving(stack.enter_context(module_state.borrowed(model)), (original.REASON,))
            if dtype != own:
                loop, given = plain_loop.cast(loop, dtype), [batches.cast(batch, dtype) for batch in given]
            loop = loop.on(place)
            work = prepared(loop, given, tried, batch_norm, memory, random, loss)
            points = torch.tensor(coefficients, dtype=torch.promote_types(dtype, torch.float32), device=place)
            if resume is not None:
                request = result.request_of(model, plane, grid, functions, options, work, points)
                journal = resuming.open_journal(resume, request)
            if adaptive and work.can_be_divided:
                work = levels.divided(work, seed)
            local = client is None
            executor = LocalExecutor(work, points, place) if local else _workers(client, work, points, device)
            bar = progress_bar(
                total=work.samples * len(points), description="surface", unit=" evaluations", show=progress
            )
            with bar:
                schedule = partial(run_adaptively, limit=limit) if adaptive else run
                found = schedule(executor, [len(values) for values in grid.values()], journal, bar)
            lower = {"precision_error": precision_error(work, found, points)} if half else {}
    except KeyboardInterrupt:
        raise KeyboardInterrupt(resuming.how_to_resume(journal)) from None
    travelling = plane.for_model(model) if batch_norm == "running" else None
    negative = points_below_zero(travelling, coefficients[:-1]) if travelling else 0
    attrs = {
        "loss_name": losses.loss_name(loss),
        "n_samples": work.samples,
        **result.single_values(description),
        "plane": json.dumps(description),
        "batch_norm": batch_norm,
        "strategy": result.strategy_in_words(found, work),
        "precision": precision or str(own).removeprefix("torch."),
        "seconds": round(journal.seconds if journal else time.perf_counter() - start, 3),
        **provenance(model, place),
        **found.provenance,
        **found.attrs,
        **({"n_negative_variance": negative} if negative else {}),
        **lower,
    }
    return result.labelled(found, work, plane, grid, attrs)


def _workers(client, work: Work, points: Tensor, device: str | torch.device):
    """Return the workers of a Dask client."""
    from lossatlas.evaluation.dask_workers import DaskExecutor

    return DaskExecutor(client, work, points, device)
