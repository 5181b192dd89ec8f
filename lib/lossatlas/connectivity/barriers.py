"""Barriers along paths between networks, and the planes in which curves are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from lossatlas import vectors
from lossatlas._checks import whole_number
from lossatlas.directions import Curve, Plane, Subspace, project
from lossatlas.evaluation import evaluate

UNITS = "distance between the ends"


def barrier(
    path: Subspace,
    data: Any,
    *,
    model: nn.Module,
    points: int = 25,
    loss: str | Callable = "cross_entropy",
    metrics: Mapping[str, Callable] | None = None,
    predict: Callable | None = None,
    batch_norm: str = "running",
    statistics: Any = None,
    precision: str | None = None,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> xr.Dataset:
    """Evaluate the loss along a path between two networks, and how far it rises above both.

    The barrier is ``max over t of L(t) − (1 − t)·L(0) − t·L(1)``: the loss minus the linear interpolation of the
    losses at the ends. It is zero if the loss nowhere exceeds that interpolation.

    Parameters
    ----------
    path : Curve or Line
        From a network at 0 to another at 1.
    data, loss, metrics, predict, batch_norm, statistics, precision, device, progress
        As :func:`lossatlas.evaluate` takes them.
    model : Module
        Gives the architecture, and stays as it is.
    points : int
        How many positions are evaluated, at equal distances, both ends included.

    Returns
    -------
    Dataset
        ``barrier``, ``barrier_at`` (the position where it is) and ``excess`` (the loss above the interpolation, over
        the positions), beside what ``evaluate`` returns. The barrier is infinite if the loss is not finite
        somewhere between, and NaN if it is not finite at an end.

    Raises
    ------
    ValueError
        If the path has more than one axis, or as ``evaluate`` raises it.

    References
    ----------
    Frankle et al. 2020, "Linear Mode Connectivity and the Lottery Ticket Hypothesis", section 2; Entezari et al.
    2022, "The Role of Permutation Invariance in Linear Mode Connectivity of Neural Networks", definition 2.1.

    Examples
    --------
    >>> import lossatlas as la
    >>> model, data = nn.Linear(1, 1, bias=False), (torch.ones(1, 1), torch.zeros(1, 1))
    >>> a, b = {"weight": torch.tensor([[-1.0]])}, {"weight": torch.tensor([[2.0]])}
    >>> found = barrier(la.line_between(a, b), data, model=model, loss="mse", points=5, progress=False)
    >>> float(found.barrier), float(found.barrier_at), found.excess.values.round(2)  # a quadratic: no barrier
    (0.0, 0.0, array([ 0.  , -1.69, -2.25, -1.69,  0.  ]))
    """
    if not isinstance(path, Subspace) or len(path.axes) != 1 or path.axes[0].name not in ("alpha", "t"):
        got = ", ".join(axis.name for axis in path.axes) if isinstance(path, Subspace) else type(path).__name__
        raise ValueError(f"path: got {got}, expected a Line (alpha) or a Curve (t)")
    points = whole_number(points, "points", least=3)
    axis, positions = path.axes[0].name, np.linspace(0, 1, points)
    options: dict[str, Any] = {f"{axis}s": positions, "loss": loss, "metrics": metrics, "predict": predict}
    options |= {"batch_norm": batch_norm, "statistics": statistics, "precision": precision, "device": device}
    found = evaluate(model, path, data, **options, progress=progress)
    values = found.loss.to_numpy()
    excess = values - ((1 - positions) * values[0] + positions * values[-1])
    excess[[0, -1]] = np.where(np.isfinite(values[[0, -1]]), 0.0, np.nan)
    if np.isfinite(values[[0, -1]]).all():
        excess[~np.isfinite(excess)] = np.inf
        highest, where = float(excess.max()), float(positions[excess.argmax()])
    else:
        highest, where = np.nan, np.nan
    return found.assign(excess=(axis, excess), barrier=highest, barrier_at=where)


def curve_plane(curve: Curve, *, bend: int | None = None) -> Plane:
    """Return the plane through the ends of a curve and one of its bends, with axes at a right angle.

    Parameters
    ----------
    curve : Curve
        With at least one bend.
    bend : int, optional
        Which bend, from 1; by default the one farthest from the straight line between the ends.

    Returns
    -------
    Plane
        α = 0 and α = 1 at the ends, both at β = 0; the bend is at a positive β. Both axes count in the distance
        between the ends, so a picture shows distances and angles as they are. Buffers are those of the curve.

    Raises
    ------
    ValueError
        If there is no such bend, or it is on the straight line.

    References
    ----------
    Garipov et al. 2018, "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs", appendix A.1.

    Examples
    --------
    >>> curve = Curve([{"w": torch.tensor(p)} for p in ([0.0, 0.0], [1.0, 3.0], [2.0, 0.0])])
    >>> curve_plane(curve).at(0.5, 1.5)["w"]
    tensor([1., 3.])
    """
    if not isinstance(curve, Curve):
        raise ValueError(f"curve: got {type(curve).__name__}, expected a Curve (see connect)")
    *bends, delta = curve.directions
    if not bends:
        raise ValueError("curve: no bends, expected at least one")
    if bend is not None:
        bend = whole_number(bend, "bend", least=1, most=len(bends))
    length = vectors.norm(delta)
    shares = [vectors.dot(step, delta) / length**2 for step in bends]
    asides = [vectors.axpy(-share, delta, step) for share, step in zip(shares, bends, strict=True)]
    distances = [vectors.norm(aside) for aside in asides]
    i = int(np.argmax(distances)) if bend is None else bend - 1
    if distances[i] < 1e-6 * length:
        raise ValueError(f"bend={i + 1}: lies on the straight line between the ends, and spans no plane")
    factor = length / distances[i]
    moves = curve.buffer_directions
    aside = [moves[-1], vectors.scale(factor, vectors.axpy(-shares[i], moves[-1], moves[i]))] if moves else []
    description = {"kind": "plane through a curve", "bend": i + 1}
    eta = vectors.scale(factor, asides[i])
    return Plane(curve.origin, delta, eta, description, units=UNITS, buffers=curve.buffers, buffer_directions=aside)


def path_on_plane(curve: Curve, plane: Plane, *, points: int = 51) -> xr.Dataset:
    """Return where a curve runs on a plane, as figures and scenes draw paths.

    Parameters
    ----------
    curve : Curve
        From one network to another.
    plane : Plane
        For instance :func:`curve_plane`.
    points : int
        How many positions, at equal distances.

    Returns
    -------
    Dataset
        ``alpha`` and ``beta`` over ``step``, with the position ``t`` of each step; ``distance`` from the origin of
        the plane, and ``captured``, the share of it that lies in the plane (see :func:`lossatlas.project`).

    Raises
    ------
    ValueError
        If the curve does not fit the plane.

    Examples
    --------
    >>> curve = Curve([{"w": torch.tensor(p)} for p in ([0.0, 0.0], [1.0, 4.0], [2.0, 0.0])])
    >>> path = path_on_plane(curve, curve_plane(curve), points=3)
    >>> path.alpha.values, path.beta.values
    (array([0. , 0.5, 1. ]), array([0., 1., 0.]))
    """
    if not isinstance(curve, Curve):
        raise ValueError(f"curve: got {type(curve).__name__}, expected a Curve (see connect)")
    positions = np.linspace(0, 1, whole_number(points, "points", least=2))
    path = project([curve.at(t) for t in positions], plane)
    return path.assign_coords(t=("step", positions))
