"""Merge trees: at which saddles the basins of a surface join, as graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree

from lossatlas.geometry.checks import check_number
from lossatlas.geometry.grid import DIMENSIONS, axis_names, grid_values
from lossatlas.geometry.topology import persistence

Index = tuple[int, ...]


def merge_tree(surface: xr.Dataset, *, least: float = 0.0, variable: str = "loss") -> nx.DiGraph:
    """Return how the components of the sublevel sets join as the level rises: the merge tree of a surface.

    Its leaves are minima, its other nodes saddles at which components join; edges lead from the lower end up.
    Neighbours touch as in :func:`persistence`: diagonally too. Components that join at one level have one saddle.
    Values that are not finite are holes; parts that they cut off are trees of their own.

    Parameters
    ----------
    surface
        A Dataset over alpha, alpha and beta, or these and gamma, without other dimensions.
    least
        Minima of this persistence or less are left out with the saddles at which they join.
    variable
        The variable to read.

    Returns
    -------
    networkx.DiGraph
        A node is named after its grid indices, such as (3, 7), and holds `kind` ("minimum" or "saddle"), `value`, its
        coordinates `alpha`, ... and, if it is a minimum, `persistence` (inf for the lowest of each tree).

    Raises
    ------
    ValueError
        If `least` is negative, or the surface has other dimensions than its axes.

    References
    ----------
    Carr, Snoeyink and Axen, Computing contour trees in all dimensions (2003), where it is the join tree of −L.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 2.0, 1.0])}, {"alpha": [-1.0, 0.0, 1.0]})
    >>> tree = merge_tree(line)
    >>> tree.nodes[(1,)]
    {'kind': 'saddle', 'value': 2.0, 'alpha': 0.0}
    >>> sorted(tree.edges)
    [((0,), (1,)), ((2,), (1,))]
    """
    names = axis_names(surface, variable)
    axes, values = grid_values(surface, variable)
    smallest = check_number("least", least, least=0)
    ranked = _Ranked(values)
    return _graph(*_joined(values.ravel(), ranked, smallest), names, axes, values)


def _joined(flat: np.ndarray, ranked: _Ranked, least: float) -> tuple[dict[int, float], dict[int, list[int]]]:
    """Return the persistence of every minimum that is kept, and the nodes below every saddle, by point number."""
    minima, meetings = _meetings(ranked)
    root = {minimum: minimum for minimum in minima.tolist()}
    top = dict(root)
    lasting: dict[int, float] = {}
    below: dict[int, list[int]] = {}

    def find(minimum: int) -> int:
        while root[minimum] != minimum:
            root[minimum] = root[root[minimum]]
            minimum = root[minimum]
        return minimum

    saddles = ranked.order[meetings[:, 0]].tolist()
    level_of, rank = dict(zip(saddles, flat[saddles].tolist(), strict=True)), ranked.rank
    bottom = dict(zip(root, flat[minima].tolist(), strict=True))
    for saddle, (one, other) in zip(saddles, meetings[:, 1:].tolist(), strict=True):
        older, younger = find(one), find(other)
        if rank[older] > rank[younger]:
            older, younger = younger, older
        root[younger] = older
        level = level_of[saddle]
        if level - bottom[younger] <= least:
            continue
        lasting[younger] = level - bottom[younger]
        nodes: list[int] = []
        for end in (top[older], top[younger]):  # components that join at one level have one saddle
            nodes += below.pop(end) if end in below and level_of[end] == level else [end]
        below[saddle], top[older] = nodes, saddle
    return lasting | {minimum: np.inf for minimum in top if root[minimum] == minimum}, below


def _graph(
    lasting: dict[int, float],
    below: dict[int, list[int]],
    names: tuple[str, ...],
    axes: tuple[np.ndarray, ...],
    values: np.ndarray,
) -> nx.DiGraph:
    """Return the tree as a graph, its nodes from the lowest to the highest."""
    numbers = np.array([*lasting, *below], dtype=np.int64)
    numbers = numbers[np.lexsort((numbers, values.ravel()[numbers]))]
    at = np.unravel_index(numbers, values.shape)
    indices: list[Index] = list(zip(*(each.tolist() for each in at), strict=True))
    columns = {"value": values[at], **{name: axis[i] for name, axis, i in zip(names, axes, at, strict=True)}}
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    tree, named = nx.DiGraph(), dict(zip(numbers.tolist(), indices, strict=True))
    for number, index, row in zip(numbers.tolist(), indices, rows, strict=True):
        about: dict[str, object] = {
            "kind": "saddle" if number in below else "minimum",
            **dict(zip(columns, row, strict=True)),
        }
        if number in lasting:
            about["persistence"] = float(lasting[number])
        tree.add_node(index, **about)
    tree.add_edges_from((named[node], named[saddle]) for saddle, nodes in below.items() for node in nodes)
    return tree


class _Ranked:
    """The points of a grid in the order in which they enter the sublevel sets: by value, then by number.

    `order` holds the numbers of the finite points, `rank` the place of each point in that order (holes come last).
    """

    def __init__(self, values: np.ndarray) -> None:
        flat = np.where(np.isfinite(values), values, np.inf).ravel()
        self.shape = values.shape
        self.order = np.argsort(flat, kind="stable")
        self.rank = np.empty(flat.size, dtype=np.int64)
        self.rank[self.order] = np.arange(flat.size)
        self.finite = int(np.isfinite(values).sum())


def _neighbours(shape: Index) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Return each direction to a neighbour once, as slices that select the points and their neighbours."""
    found = []
    for step in np.ndindex(*[3] * len(shape)):
        offset = tuple(s - 1 for s in step)
        if offset > (0,) * len(shape):
            here = tuple(slice(max(0, -s), size - max(0, s)) for s, size in zip(offset, shape, strict=True))
            there = tuple(slice(max(0, s), size - max(0, -s)) for s, size in zip(offset, shape, strict=True))
            found.append((here, there))
    return found


def _meetings(ranked: _Ranked) -> tuple[np.ndarray, np.ndarray]:
    """Return the minima, and where their basins meet: rows of the rank of the saddle, and the two minima.

    The basin of a minimum holds the points whose steepest way down leads to it. Such ways never climb, so that
    components of points join exactly as the basins do; of all places where basins meet, those of a minimum spanning
    tree are enough.
    """
    rank, steps = ranked.rank.reshape(ranked.shape), _neighbours(ranked.shape)
    lowest = rank.copy()
    for here, there in steps:
        np.minimum(lowest[here], rank[there], out=lowest[here])
        np.minimum(lowest[there], rank[here], out=lowest[there])
    basin = ranked.order[lowest.ravel()]
    while not np.array_equal(further := basin[basin], basin):
        basin = further
    minima = ranked.order[: ranked.finite]
    minima = minima[basin[minima] == minima]
    number = np.zeros(rank.size, dtype=np.int64)
    number[minima] = np.arange(minima.size)
    label = number[basin].reshape(ranked.shape)
    found = []
    for here, there in steps:
        at = np.maximum(rank[here], rank[there])
        meet = (label[here] != label[there]) & (at < ranked.finite)
        found.append(np.stack([at[meet], label[here][meet], label[there][meet]]))
    at, one, other = np.concatenate(found, axis=1) if found else np.empty((3, 0), dtype=np.int64)
    first, second = np.minimum(one, other), np.maximum(one, other)
    by_height = np.argsort(at, kind="stable")
    _, lowest_meeting = np.unique((first * minima.size + second)[by_height], return_index=True)
    kept = by_height[lowest_meeting]
    shape = (minima.size, minima.size)
    joined = minimum_spanning_tree(
        coo_array((at[kept] + 1.0, (first[kept], second[kept])), shape=shape).tocsr()
    ).tocoo()
    edges = np.stack([joined.data.astype(np.int64) - 1, minima[joined.row], minima[joined.col]], axis=1)
    return minima, edges[np.lexsort((edges[:, 2], edges[:, 1], edges[:, 0]))]


def tree_paths(
    surface: xr.Dataset, tree: nx.DiGraph, *, variable: str = "loss"
) -> dict[tuple[Index, Index], xr.Dataset]:
    """Return, for each edge of a merge tree, the shortest path on the grid that stays at or below its upper end.

    Parameters
    ----------
    surface
        The surface from which the tree was made.
    tree
        A merge tree (:func:`merge_tree`).
    variable
        The variable to read.

    Returns
    -------
    dict of (node, node) to xarray.Dataset
        By edge: the coordinates and `value` over `step`, from the upper node to the lower one.

    Raises
    ------
    ValueError
        If the tree is none of this surface.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 1.0, 2.0, 1.0])}, {"alpha": [0, 1, 2, 3]})
    >>> tree_paths(line, merge_tree(line))[(0,), (2,)].value.values
    array([2., 1., 0.])
    """
    axes, values = grid_values(surface, variable)
    _check_tree(tree, values)
    flat = np.where(np.isfinite(values), values, np.inf).ravel()
    numbers = np.arange(flat.size).reshape(values.shape)
    pairs = [(numbers[here].ravel(), numbers[there].ravel()) for here, there in _neighbours(values.shape)]
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    spread = np.stack(np.unravel_index(one, values.shape)) - np.stack(np.unravel_index(other, values.shape))
    length, height = np.sqrt((spread**2).sum(axis=0)), np.maximum(flat[one], flat[other])
    found = {}
    for lower, upper in tree.edges:
        inside = height <= values[upper]
        graph = coo_array((length[inside], (one[inside], other[inside])), shape=(flat.size, flat.size)).tocsr()
        start, end = (int(numbers[node]) for node in (lower, upper))
        _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
        steps = [end]
        while steps[-1] != start:
            steps.append(int(before[steps[-1]]))
        at = np.unravel_index(steps, values.shape)
        columns = {DIMENSIONS[i]: ("step", axis[at[i]]) for i, axis in enumerate(axes)}
        found[lower, upper] = xr.Dataset({**columns, "value": ("step", values[at])})
    return found


def _check_tree(tree: object, values: np.ndarray) -> None:
    """Raise ValueError if this is no merge tree of a surface with these values."""
    if not isinstance(tree, nx.DiGraph):
        raise ValueError(f"tree is a {type(tree).__name__}; expected a networkx.DiGraph, see geometry.merge_tree")
    for node, about in tree.nodes.items():
        known = isinstance(node, tuple) and len(node) == values.ndim
        inside = known and all(0 <= i < size for i, size in zip(node, values.shape, strict=True))
        if not inside or about.get("value") != values[node]:
            raise ValueError(f"tree: node {node!r} is not a point of this surface; expected the tree of this surface")


def main_tree(surface: xr.Dataset, most: int, *, variable: str = "loss") -> nx.DiGraph:
    """Return the merge tree of the most persistent minima, without those that rounding may have made.

    Ties at the persistence at which the tree is cut are left out together.

    Parameters
    ----------
    surface
        As in :func:`merge_tree`.
    most
        How many minima are kept at most, and at least one for each tree.
    variable
        The variable to read.

    Examples
    --------
    >>> line = xr.Dataset({"loss": ("alpha", [0.0, 4.0, 1.0, 3.0, 2.0])}, {"alpha": range(5)})
    >>> [node for node, kind in main_tree(line, 2).nodes("kind") if kind == "minimum"]
    [(0,), (2,)]
    """
    features = persistence(surface, variable=variable)
    lasting, errors = features["persistence"].to_numpy(), features["rounding"].to_numpy()
    ends = np.isfinite(lasting)
    least = lasting[ends & (lasting <= errors)].max(initial=0.0)
    longest = lasting[ends][max(0, most - int((~ends).sum())) :]
    return merge_tree(surface, least=float(longest.max(initial=least)), variable=variable)
