"""Lines and planes through several networks, whose buffers travel with the weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from lossatlas import vectors
from lossatlas.directions import checks
from lossatlas.directions.checkpoints import Network, changes, read_all, travelling_buffers
from lossatlas.directions.subspaces import Line, Plane
from lossatlas.vectors import Params, Point


def through(
    points: Sequence[Point], whats: list[str], *, model: nn.Module | None = None
) -> tuple[Params, list[Params], Params, list[Params]]:
    """Return the first network's parameters and the steps to the others, and the same of their buffers."""
    networks = read_all(points, whats, model=model)
    for network, what in zip(networks, whats, strict=True):
        checks.check_finite(network.parameters, what)
    first, *others = networks
    steps = [_step(first, other, what) for other, what in zip(others, whats[1:], strict=True)]
    start, *ends = travelling_buffers(networks, whats)
    buffer_steps = [changes(start, end) for end in ends] if start else []
    return vectors.copy_of(first.parameters), steps, vectors.copy_of(first.buffers) | start, buffer_steps


def _step(first: Network, other: Network, what: str) -> Params:
    step, moves = {}, False
    for name, start in first.parameters.items():
        end = other.parameters[name].to(start)
        if checks.movable(start):
            step[name] = end - start
            moves = moves or bool(step[name].any())
        elif bool((end != start).any()):
            raise ValueError(f"{what}: parameter {name!r} ({start.dtype}) differs and cannot be interpolated")
        else:
            step[name] = start.clone().zero_()
    if not moves:
        raise ValueError(f"{what} has the weights of the first network: nothing lies in between")
    return step


def line_between(a: Point, b: Point, *, model: nn.Module | None = None) -> Line:
    """Return the line with α = 0 at network ``a`` and α = 1 at network ``b``.

    Buffers, such as the running statistics of batch normalization, are interpolated with the weights, so that both
    ends are exactly the given networks, whichever model the line is evaluated with. Beyond the ends a variance can
    become negative; the loss is then not a number.

    Parameters
    ----------
    a, b : Module or dict of str to Tensor
        Networks, parameter dicts or state dicts. Of parameter dicts no buffers are known: the line then keeps those
        of the model that it is evaluated with.
    model : Module, optional
        A module of the same architecture, which tells parameters from buffers in a state dict. Without any module,
        buffers are told by the names that PyTorch's own modules give them.

    Returns
    -------
    Line
        Its axis counts steps from ``a`` to ``b``.

    Raises
    ------
    ValueError
        If the networks differ in architecture (the message names the first difference) or not at all, if weights
        are not finite, or if a buffer is known of one network only or cannot be interpolated.

    References
    ----------
    Goodfellow et al. 2015, "Qualitatively characterizing neural network optimization problems"; Li et al. 2018 call
    the direction that holds the statistics too "states" in their code.

    Examples
    --------
    >>> import torch
    >>> line = line_between({"w": torch.zeros(2)}, {"w": torch.ones(2)})
    >>> line.at(0.25)["w"]
    tensor([0.2500, 0.2500])
    """
    whats = ["model a", "model b"]
    origin, (delta,), buffers, moves = through([a, b], whats, model=model)
    return Line(origin, delta, {"kind": "line between two points"}, buffers=buffers, buffer_directions=moves)


def plane_through(a: Point, b: Point, c: Point, *, model: nn.Module | None = None) -> Plane:
    """Return the plane through three networks: (0, 0) at ``a``, (1, 0) at ``b`` and (0, 1) at ``c``.

    Buffers are interpolated with the weights, so that all three points are exactly the given networks.

    Parameters
    ----------
    a, b, c : Module or dict of str to Tensor
        Networks, parameter dicts or state dicts.
    model : Module, optional
        See :func:`line_between`.

    Returns
    -------
    Plane
        Its axes count steps from ``a`` to ``b`` and from ``a`` to ``c``.

    Raises
    ------
    ValueError
        As :func:`line_between` does, and if the three networks lie on one line.

    References
    ----------
    Garipov et al. 2018, "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs", appendix A.

    Examples
    --------
    >>> import torch
    >>> plane = plane_through({"w": torch.zeros(2)}, {"w": torch.tensor([1.0, 0])}, {"w": torch.tensor([1.0, 2])})
    >>> plane.at(0, 1)["w"]
    tensor([1., 2.])
    """
    whats = ["model a", "model b", "model c"]
    origin, (delta, eta), buffers, moves = through([a, b, c], whats, model=model)
    if abs(vectors.cosine(delta, eta)) > 1 - 1e-12:
        raise ValueError("model c lies on the line through models a and b: they span no plane")
    description = {"kind": "plane through three points"}
    return Plane(origin, delta, eta, description, buffers=buffers, buffer_directions=moves)
