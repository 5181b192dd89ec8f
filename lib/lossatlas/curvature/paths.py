"""The extreme eigenvalues of the Hessian along a training path."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lossatlas._checks import flag, real_number, whole_number
from lossatlas._progress import bar as progress_bar
from lossatlas.curvature.continuation import COLUMNS, follow, how_computed
from lossatlas.curvature.hessian import loss_hessian
from lossatlas.directions.checkpoints import read_all
from lossatlas.evaluation import module_state
from lossatlas.evaluation.devices import pick_device


def eigenvalues_along(
    checkpoints: Sequence[nn.Module | dict[str, Tensor]],
    data,
    *,
    model: nn.Module,
    loss: str | Callable = "cross_entropy",
    predict: Callable | None = None,
    learning_rate: float | None = None,
    steps: Sequence[float] | None = None,
    tolerance: float = 0.01,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> xr.Dataset:
    """Return the smallest and the largest eigenvalue of the Hessian at every checkpoint of a training path.

    Gradient descent with a learning rate η diverges along any direction of a quadratic loss whose curvature exceeds
    2/η. Full-batch training often drives the largest eigenvalue up to that threshold and holds it there, "at the edge
    of stability".

    Parameters
    ----------
    checkpoints : sequence of Module or dict of str to Tensor
        Networks, parameter dicts or state dicts, in the order of training. Buffers that a checkpoint lacks are the
        model's own.
    data, loss, predict, device
        As in :func:`loss_hessian`.
    model : torch.nn.Module
        It gives the architecture, and stays as it is.
    learning_rate : float, optional
        η, which gives the threshold.
    steps : sequence of float, optional
        The step of every checkpoint; 0, 1, 2, ... by default.
    tolerance : float
        Largest residual of an eigenpair, as a share of the larger of both eigenvalues.
    seed : int
        Of the random vector that the iteration begins with. Later checkpoints begin with the eigenvectors of the one
        before.
    progress : bool
        Whether to show a bar with the time left.

    Returns
    -------
    Dataset
        ``smallest``, ``largest``, their residuals, ``loss`` and the ``products`` with the Hessian over ``step``; with a
        learning rate also the ``threshold`` 2/η. Checkpoints whose loss is not finite are NaN.

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    Cohen, Kaur, Li, Kolter and Talwalkar, "Gradient descent on neural networks typically occurs at the edge of
    stability", ICLR 2021.

    Examples
    --------
    >>> model = nn.Linear(3, 1, bias=False)
    >>> data = torch.diag(torch.tensor([1.0, 2.0, 3.0])), torch.zeros(3, 1)
    >>> path = [{"weight": torch.full((1, 3), value)} for value in (2.0, 1.0, 0.0)]
    >>> found = eigenvalues_along(path, data, model=model, loss="mse", learning_rate=0.1, device="cpu", progress=False)
    >>> found.largest.values.round(2), float(found.threshold)  # a quadratic: the same Hessian everywhere
    (array([6., 6., 6.]), 20.0)
    """
    if not isinstance(checkpoints, Sequence) or isinstance(checkpoints, str) or not len(checkpoints):
        raise ValueError(f"checkpoints: got {type(checkpoints).__name__}, expected a list of one or more networks")
    tolerance = real_number(tolerance, "tolerance", above=0, below=1)
    rate = None if learning_rate is None else real_number(learning_rate, "learning_rate", above=0)
    numbers = list(range(len(checkpoints))) if steps is None else list(steps)
    if len(numbers) != len(checkpoints):
        raise ValueError(f"steps: {len(numbers)} given for {len(checkpoints)} checkpoints; expected one each")
    generator = np.random.default_rng(whole_number(seed, "seed", least=0))
    progress = flag(progress, "progress")
    module_state.check_model(model)
    networks = read_all(checkpoints, [f"checkpoint {i}" for i in range(len(checkpoints))], model=model)
    began, place = time.perf_counter(), pick_device(device)
    hessian = loss_hessian(model, data, loss=loss, predict=predict, device=place)
    own = {name: tensor.detach().clone() for name, tensor in model.named_buffers()}
    points = ((network.parameters, own | network.buffers) for network in networks)
    with progress_bar(total=len(networks), description="curvature", unit=" checkpoints", show=progress) as bar:
        table = follow(
            hessian,
            points,
            enough=_enough(tolerance),
            tolerance=tolerance,
            generator=generator,
            advance=bar.update,
        )
    path = xr.Dataset({name: ("step", table[:, n]) for n, name in enumerate(COLUMNS)}, {"step": numbers})
    if rate is not None:
        path["threshold"] = 2 / rate
    return path.assign_attrs(
        tolerance=tolerance,
        seconds=round(time.perf_counter() - began, 3),
        **how_computed(path, hessian, model, place),
    )


def _enough(tolerance: float) -> Callable[[float, float, float, float], bool]:
    def enough(smallest: float, largest: float, below: float, above: float) -> bool:
        """Whether the residuals, which bound the errors of both eigenvalues, are small beside the larger one."""
        return max(below, above) <= tolerance * max(abs(largest), abs(smallest))

    return enough
