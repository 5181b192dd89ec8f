"""Permutations that bring the units of one network near those of another: coordinate descent, and correlations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
import torch.fx
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from lossatlas.connectivity.channels import Channels, traced
from lossatlas.connectivity.layouts import FEATURES
from lossatlas.evaluation.batches import Batch
from lossatlas.vectors import Params

SWEEPS = 100  # most sweeps over all groups; a few are enough
GAIN = 1e-12  # least gain of a step, as a share of the lengths of both networks: less is rounding

Order = np.ndarray  # the unit that takes the place of each, by its number


class Matching:
    """The similarity of a network to another as a function of the order of its units.

    Parameters
    ----------
    channels : Channels
        What can be permuted.
    a, b : dict of str to Tensor
        The parameters of both networks.
    """

    def __init__(self, channels: Channels, a: Mapping[str, Tensor], b: Mapping[str, Tensor]):
        self.channels = channels
        self.a = {name: tensor.detach().cpu().double().numpy() for name, tensor in a.items()}
        self.b = {name: tensor.detach().cpu().double().numpy() for name, tensor in b.items()}
        self.places = {key: _places(units) for key, units in channels.axes.items() if key[0] in self.a}
        self.seen = [[key for key, places in self.places.items() if group[0] in places] for group in channels.groups]
        size = sum(float((x**2).sum()) for x in self.a.values()) * sum(float((x**2).sum()) for x in self.b.values())
        self.least = GAIN * size**0.5

    def product(self, order: Order, names: Iterable[str]) -> float:
        """Return the inner product of parameters of the first network and of the permuted second."""
        return sum(float((self.a[name] * self.moved(name, order)).sum()) for name in sorted(set(names)))

    def moved(self, name: str, order: Order, *, but: int | None = None) -> np.ndarray:
        """Return a parameter of the second network with its axes permuted, all but one if asked."""
        array = self.b[name]
        for axis in range(array.ndim):
            if axis != but and (name, axis) in self.channels.axes:
                array = array.take(index_of(self.channels.axes[name, axis], order), axis=axis)
        return array

    def step(self, number: int, order: Order, keys: Sequence[tuple[str, int]]) -> Order:
        """Return the order with the best assignment of one group, as far as some axes tell."""
        group = self.channels.groups[number]
        gains = np.zeros((len(group), len(group)))
        for name, axis in keys:
            index = np.array([self.places[name, axis][unit] for unit in group])
            rows = [
                np.moveaxis(array, axis, 0)[index].reshape(len(group), -1)
                for array in (self.a[name], self.moved(name, order, but=axis))
            ]
            gains += rows[0] @ rows[1].T
        _, columns = linear_sum_assignment(gains, maximize=True)
        return placed(order, group, columns)

    def from_the_input(self) -> Order:
        """Return the order that one pass finds, in which every group looks only at units that are matched already."""
        order = self.channels.unchanged
        matched: set[int] = set()
        for number, group in enumerate(self.channels.groups):
            known = [key for key in self.seen[number] if self._known(key, matched)]
            order = self.step(number, order, known or self.seen[number])
            matched |= set(group)
        return order

    def _known(self, key: tuple[str, int], matched: set[int]) -> bool:
        name, own = key
        others = [axis for axis in range(self.a[name].ndim) if axis != own and (name, axis) in self.channels.axes]
        movable = {unit for group in self.channels.groups for unit in group}
        return all(unit in matched or unit not in movable for i in others for unit in self.channels.axes[name, i])

    def descend(self, order: Order, generator: np.random.Generator) -> Order:
        """Return an order that no assignment of a single group improves."""
        for _ in range(SWEEPS):
            improved = False
            for number in generator.permutation(len(self.channels.groups)):
                names = [name for name, _ in self.seen[number]]
                tried = self.step(number, order, self.seen[number])
                if self.product(tried, names) - self.product(order, names) > self.least:
                    order, improved = tried, True
            if not improved:
                break
        return order


def match_weights(channels: Channels, a: Mapping[str, Tensor], b: Mapping[str, Tensor], seed: int) -> Order:
    """Return the order of units that brings the parameters of ``b`` nearest to those of ``a``, as far as is found.

    The better of two descents counts: one starts where a pass from the input to the output ends, one with all units
    where they are.
    """
    matching = Matching(channels, a, b)
    generator = np.random.default_rng(seed)
    found = [matching.descend(start, generator) for start in (matching.from_the_input(), channels.unchanged)]
    return max(found, key=lambda order: matching.product(order, matching.a))


def match_activations(channels: Channels, a: nn.Module, b: nn.Module, data: Sequence[Batch]) -> Order:
    """Return the order of units whose activations on data correlate most with those of the first network."""
    correlations = _correlations(channels, a, b, data)
    order = channels.unchanged
    for group in channels.groups:
        total = np.zeros((len(group), len(group)))
        for name, (units, _) in channels.values.items():
            places = _places(units)
            if group[0] in places:
                index = [places[unit][0] for unit in group]
                total += correlations[name][np.ix_(index, index)]
        _, columns = linear_sum_assignment(total, maximize=True)
        order = placed(order, group, columns)
    return order


class _Recorder(torch.fx.Interpreter):
    """Runs a graph and keeps what goes into and comes out of layers with weights, as matrices (n, channels)."""

    def __init__(self, module: nn.Module, values: Mapping[str, tuple[list[int], str]], what: str):
        super().__init__(traced(module, what))
        self.wanted = values
        self.kept: dict[str, Tensor] = {}

    def run_node(self, n: torch.fx.Node) -> object:
        """Return what a node computes."""
        result = super().run_node(n)
        if n.name in self.wanted:
            units, form = self.wanted[n.name]
            rows = result.flatten(0, -2) if form == FEATURES else result.unflatten(1, (len(units), -1)).flatten(2).mT
            self.kept[n.name] = rows.reshape(-1, len(units)).double()
        return result


def _correlations(channels: Channels, a: nn.Module, b: nn.Module, data: Sequence[Batch]) -> dict[str, np.ndarray]:
    """Return the correlations (channels of a, channels of b) of what layers with weights take and give."""
    recorders = [_Recorder(module, channels.values, what) for module, what in ((a, "model a"), (b, "model b"))]
    sums: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for inputs, _ in data:
            for recorder in recorders:
                recorder.run(inputs)
            for name in channels.values:
                one, other = (recorder.kept[name] for recorder in recorders)
                count = torch.tensor(float(len(one)), dtype=torch.float64)
                new = [count, one.sum(0), other.sum(0), one.square().sum(0), other.square().sum(0), one.T @ other]
                old = sums.get(name)
                sums[name] = new if old is None else [x + y for x, y in zip(old, new, strict=True)]
    found = {}
    for name, (n, one, other, ones, others, products) in sums.items():
        spread = torch.outer((ones / n - (one / n) ** 2).clamp(min=0), (others / n - (other / n) ** 2).clamp(min=0))
        covariance = products / n - torch.outer(one / n, other / n)
        found[name] = torch.where(spread > 1e-20, covariance / spread.sqrt(), 0.0).cpu().numpy()
    return found


def _places(units: Sequence[int]) -> dict[int, list[int]]:
    """Return the indices at which each unit stands along an axis."""
    places: dict[int, list[int]] = {}
    for index, unit in enumerate(units):
        places.setdefault(unit, []).append(index)
    return places


def index_of(units: Sequence[int], order: Order) -> np.ndarray:
    """Return the indices that bring an axis into an order.

    Examples
    --------
    >>> index_of([1, 1, 2, 2, 0], np.array([0, 2, 1]))
    array([2, 3, 0, 1, 4])
    """
    here = np.asarray(units)
    by_unit = np.argsort(here, kind="stable")
    sorted_units = here[by_unit]
    turn = np.empty(len(here), dtype=int)  # 0 for the first place of a unit, 1 for the second, …
    turn[by_unit] = np.arange(len(here)) - np.searchsorted(sorted_units, sorted_units)
    wanted = np.where(here > 0, order[here], here)
    return by_unit[np.searchsorted(sorted_units, wanted) + turn]


def placed(order: Order, group: Sequence[int], columns: np.ndarray) -> Order:
    """Return an order in which units of a group take the places of others."""
    found = order.copy()
    found[group] = np.asarray(group)[columns]
    return found


def reordered(values: Mapping[str, Tensor], channels: Channels, order: Order) -> Params:
    """Return parameters and running statistics with the units in an order."""
    found = dict(values)
    for (name, axis), units in channels.axes.items():
        index = torch.from_numpy(index_of(units, order))
        found[name] = found[name].index_select(axis, index.to(found[name].device))
    return found
