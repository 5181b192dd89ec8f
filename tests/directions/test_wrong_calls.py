"""Wrong calls of every public function: a ValueError that names the argument. A new public name has to join."""

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas import directions
from lossatlas.directions import Axis, Box, Line, Plane, Subspace

W, ONE = {"w": torch.randn(3, 4)}, {"w": torch.ones(3, 4)}
MODEL, OTHER = nn.Linear(4, 3), nn.Linear(4, 2)
NAN = {"w": torch.full((3, 4), float("nan"))}
PATH = [{"w": torch.randn(3, 4)} for _ in range(4)]
PLANE = la.plane_from_directions(W, PATH[0], PATH[1])
HALF = {"w": torch.ones(3, 4, dtype=torch.float16)}
WHOLE = {"w": torch.ones(3, 4, dtype=torch.int64)}
SPARSE = {"w": torch.ones(3, 4).to_sparse()}
META = {"w": torch.ones(3, 4, device="meta")}
COMPLEX = {"w": torch.ones(3, 4, dtype=torch.complex64)}
GENERATOR = torch.Generator()
NO_NETWORK = {
    "nothing": (None, "got NoneType, expected a module, a parameter dict or a state dict"),
    "a class": (nn.Linear, "got the class Linear, expected"),
    "a function": (abs, "got builtin_function_or_method, expected"),
    "a tensor": (torch.ones(3), "got Tensor, expected"),
    "an empty dict": ({}, "has no parameters"),
    "no parameters": (nn.ReLU(), "has no parameters"),
    "only buffers": ({"n.running_mean": torch.ones(3)}, "has no parameters, only buffers"),
    "arrays": ({"w": np.ones((3, 4))}, r"\['w'\]: got ndarray, expected a tensor"),
    "numbers for names": ({3: torch.ones(2, 2)}, "the key 3 is no name"),
    "sparse": (SPARSE, r"\['w'\]: layout torch.sparse_coo"),
    "meta": (META, r"\['w'\] is a meta tensor"),
    "lazy": (nn.LazyLinear(3), r"\['weight'\] has no shape yet"),
    "not finite": (NAN, "'w' has values that are not finite"),
}
OPTIONS = [
    ({"normalize": "fliter"}, r"normalize='fliter': expected one of \('filter', 'layer', None\)"),
    ({"normalize": ["filter"]}, r"normalize=\['filter'\]: expected one of"),
    ({"scale": "big"}, "scale='big': expected a number"),
    ({"scale": float("nan")}, "scale=nan: expected a finite number other than 0"),
    ({"scale": float("inf")}, "scale=inf: expected a finite number"),
    ({"scale": 0}, r"scale=0\.0: expected a finite number other than 0"),
    ({"scale": True}, "scale=True: expected a number"),
    ({"scale": [1, 2]}, r"scale=\[1, 2\]: expected a number"),
    ({"layers": 5}, "layers=5: expected names of layers"),
    ({"layers": [5]}, r"layers=\[5\]: expected names of layers"),
    ({"layers": []}, "no parameter would move"),
    ({"layers": ["nowhere"]}, r"no layer 'nowhere' in this model; it has \["),
    ({"include_biases": "yes"}, "include_biases='yes': expected True or False"),
]
SEEDS = [
    ({"seed": "a"}, "seed='a': expected a whole number"),
    ({"seed": 1.5}, r"seed=1\.5: expected a whole number"),
    ({"seed": None}, "seed=None: expected a whole number"),
    ({"seed": True}, "seed=True: expected a whole number"),
    ({"seed": 2**64}, "seed=18446744073709551616: .* at most 18446744073709551615"),
]


def drawn(function):
    """Wrong calls of a function that draws directions around a network."""
    calls = [((model,), {}, message) for model, message in NO_NETWORK.values()]
    calls += [((MODEL,), options, message) for options, message in (*OPTIONS, *SEEDS)]
    zero = {"w": torch.zeros(3, 4)}
    return [(function, *call) for call in [*calls, ((zero,), {}, "normalize='filter'.*would move are all zero")]]


def given(*before, make=la.plane_from_directions):
    """Wrong directions for a function that takes them last."""
    return [
        (make, (*before, wrong), {}, message)
        for wrong, message in (
            (None, "got NoneType, expected a dict of tensors"),
            ({"w": np.ones((3, 4))}, r"\['w'\]: got ndarray, expected a tensor"),
            ({}, "has no parameters"),
            ({"v": torch.ones(3, 4)}, "has no parameter 'w'"),
            ({**ONE, "v": torch.ones(2)}, "has a parameter 'v' that is not expected"),
            ({"w": torch.ones(4, 3)}, r"differs at parameter 'w': shape \(4, 3\), expected \(3, 4\)"),
            (WHOLE, "'w' is torch.int64, expected torch.float32"),
            (COMPLEX, "'w' is torch.complex64, expected torch.float32"),
            (NAN, "'w' has values that are not finite"),
            ({"w": torch.zeros(3, 4)}, "zero everywhere, so that nothing moves"),
            (SPARSE, "layout torch.sparse_coo"),
            (META, "is a meta tensor"),
        )
    ]


def networks(function, *names):
    """Wrong networks at every place of a function that takes several."""
    calls = []
    for i, name in enumerate(names):
        for wrong, message in NO_NETWORK.values():
            arguments = list(PATH[: len(names)])
            arguments[i] = wrong
            calls.append((function, tuple(arguments), {}, f"{name}.*{message}"))
    calls.append((function, (MODEL, OTHER, MODEL)[: len(names)], {}, "model b differs at parameter 'weight'"))
    calls.append((function, (W, COMPLEX, W)[: len(names)], {}, "model b: 'w' is torch.complex64, expected"))
    calls.append((function, (W, W, ONE)[: len(names)], {}, "model b has the weights of the first network"))
    calls.append((function, PATH[: len(names)], {"model": "net"}, "model: got str, expected a module"))
    return calls


def paths(function, *after, least=1):
    """Wrong paths of checkpoints for a function that takes them first."""
    calls = [
        ((None,), {}, "checkpoints: got NoneType, expected a list of networks"),
        ((MODEL,), {}, "checkpoints: got Linear, expected a list"),
        (([],), {}, "checkpoints: empty"),
        (([*PATH[:2], {"w": torch.ones(4, 3)}, PATH[3]],), {}, r"checkpoint 2 differs at parameter 'w'"),
        (([*PATH[:2], {"v": torch.ones(3, 4)}, PATH[3]],), {}, "checkpoint 2 has no parameter 'w'"),
        ((PATH,), {"model": 3}, "model: got int, expected a module"),
        ((PATH,), {"model": MODEL}, "no parameter 'weight'"),
    ]
    for wrong, message in NO_NETWORK.values():
        calls.append((([PATH[0], wrong, *PATH[2:]],), {}, f"checkpoint 1.*{message}"))
    return [(function, (*arguments, *after), options, message) for arguments, options, message in calls]


def planes(function):
    """Wrong planes for a function that takes checkpoints and a plane."""

    class Curve(Subspace):
        def coefficients(self, coordinates):
            return coordinates**2

    curve = Curve(W, PLANE.directions, PLANE.axes)
    return [
        (function, (PATH, None), {}, "plane: got NoneType, expected a Plane"),
        (function, (PATH, [W, W]), {}, "plane: got list, expected a Plane"),
        (function, (PATH, curve), {}, "plane: a Curve is curved"),
    ]


LENGTHS = [
    (None, "lengths: "),
    ("abc", "lengths: got str, expected a sequence of numbers"),
    ([], r"lengths: shape \(0,\), expected one dimension with at least one number"),
    ([[1.0]], r"lengths: shape \(1, 1\)"),
    ([1.0, -1.0], r"lengths\[1\] = -1\.0: expected a finite number, at least 0"),
    ([1.0, float("nan")], r"lengths\[1\] = nan"),
    ([0.0, 0.0], "lengths: zero everywhere"),
]
MATRICES = [
    (None, "matrix: "),
    ("abc", "matrix: "),
    (np.zeros(3), r"matrix: shape \(3,\), expected two dimensions"),
    (np.zeros((0, 3)), "matrix: shape"),
    (np.array([[np.nan, 1.0]]), "matrix: shape"),
]
CALLS = {
    "Axis": [
        (Axis, (3,), {}, "name=3: expected text"),
        (Axis, ("alpha", None), {}, "units=None: expected text"),
        (Axis, ("t", "x", (1, 0)), {}, r"bounds=\(1, 0\): expected two"),
    ],
    "Subspace": [
        (Subspace, (W, (), ()), {}, "directions: none given"),
        (Subspace, (W, (ONE,), ()), {}, r"axes=\(\): expected one Axis a coordinate"),
        (Subspace, (W, (ONE,), ("alpha",)), {}, "axes=.*expected one Axis"),
        (Subspace, (W, PLANE.directions, (Axis("a"), Axis("a"))), {}, "expected a name of its own for each"),
    ],
    "Line": [
        *given(W, make=Line),
        (Line, (None, ONE), {}, "origin: got NoneType, expected a dict of tensors"),
        (Line, (NAN, ONE), {}, "origin: 'w' has values that are not finite"),
        (Line, (W, ONE, {"seed": object()}), {}, "description: .*expected values that JSON can hold"),
        (Line, (W, ONE), {"units": 3}, "units=3: expected text"),
        (Line, (W, ONE), {"buffers": {"m": np.ones(3)}}, r"buffers\['m'\]: got ndarray"),
        (Line, (W, ONE), {"buffers": ONE, "buffer_directions": [ONE, ONE]}, "buffer_directions: 2 given for 1"),
        (Line, (W, ONE), {"buffers": ONE, "buffer_directions": [{"m": ONE["w"]}]}, r"buffer_directions\[0\] has no"),
    ],
    "Plane": [*given(W, ONE, make=Plane), (Plane, (W, ONE, ONE, "random"), {}, "description: got str")],
    "Box": [
        (Box, (W, [ONE, ONE]), {}, r"directions: got 2 in a list, expected three"),
        (Box, (W, ONE), {}, "directions: got dict, expected three"),
        *given(W, make=lambda origin, last: Box(origin, [*PLANE.directions, last])),
    ],
    "Curve": [
        (la.Curve, (None,), {}, "points: got NoneType, expected two or more networks"),
        (la.Curve, ([W],), {}, "points: got 1 in a list, expected two or more"),
        (la.Curve, ([W, ONE], "spline"), {}, r"kind='spline': expected one of \('bezier', 'polygon'\)"),
        (la.Curve, ([W, NAN, ONE],), {}, r"points\[1\]: 'w' has values that are not finite"),
        (la.Curve, ([W, ONE, W],), {}, r"points\[2\] has the weights of the first network"),
        (la.Curve, ([MODEL, OTHER],), {}, r"points\[1\] differs at parameter 'weight'"),
        (la.Curve, ([W, ONE], "bezier", "made"), {}, "description: got str"),
        (la.Curve([W, ONE]).derivative, ("half",), {}, "t: got list, expected a sequence of numbers"),
    ],
    "random_line": drawn(la.random_line),
    "random_plane": drawn(la.random_plane),
    "random_box": drawn(la.random_box),
    "random_direction": [
        *[
            (directions.random_direction, (MODEL,), {"generator": GENERATOR, **options}, message)
            for options, message in OPTIONS
        ],
        *[
            (directions.random_direction, (model,), {"generator": GENERATOR}, message)
            for model, message in NO_NETWORK.values()
        ],
        (directions.random_direction, (MODEL,), {"generator": 3}, "generator=3: expected a torch.Generator"),
    ],
    "normalize_direction": [
        (directions.normalize_direction, (ONE, W, "fliter"), {}, "normalize='fliter': expected one of"),
        (directions.normalize_direction, ({}, W, "filter"), {}, "direction has no parameters"),
        (directions.normalize_direction, (ONE, None, None), {}, "origin: got NoneType"),
        (directions.normalize_direction, ({"w": torch.ones(2)}, W, None), {}, "direction differs at parameter 'w'"),
    ],
    "relative_length": [
        (directions.relative_length, ({}, W), {}, "direction has no parameters"),
        (directions.relative_length, (ONE, None), {}, "origin: got NoneType"),
        (directions.relative_length, ({"w": torch.ones(2)}, W), {}, "direction differs at parameter 'w'"),
        (directions.relative_length, (ONE, {"w": torch.zeros(3, 4)}), {}, "origin: no filter differs from zero"),
    ],
    "weight_layers": [
        (la.weight_layers, (None,), {}, "model: got NoneType, expected"),
        (la.weight_layers, ({"w": 3},), {}, r"model\['w'\]: got int, expected a tensor"),
    ],
    "plane_from_directions": [
        *given(W, PATH[0]),
        *given(W, make=lambda model, wrong: la.plane_from_directions(model, wrong, PATH[0])),
        *[(la.plane_from_directions, (model, ONE, ONE), {}, message) for model, message in NO_NETWORK.values()],
    ],
    "line_between": networks(la.line_between, "model a", "model b"),
    "plane_through": networks(la.plane_through, "model a", "model b", "model c"),
    "pca_plane": [
        *paths(la.pca_plane),
        (la.pca_plane, (PATH[:2],), {}, "checkpoints: 2 given, at least 3 are needed"),
        (la.pca_plane, ([W, W, W],), {}, "in one point.* span no plane"),
        (la.pca_plane, (PATH,), {"center": "yes"}, "center='yes': expected True or False"),
        (la.pca_plane, (PATH,), {"include_biases": 1}, "include_biases=1: expected True or False"),
        (la.pca_plane, ([{"b": torch.ones(3)}] * 4,), {}, "no parameter would move"),
    ],
    "project": [
        *paths(la.project, PLANE),
        *planes(la.project),
        (la.project, (PATH, PLANE), {"steps": [0]}, "steps: 1 given for 4"),
        (la.project, (PATH, PLANE), {"steps": "abcd"}, "steps: got str, expected a sequence of numbers"),
        (la.project, (PATH, la.Plane(W, ONE, {"w": 2 * ONE["w"]})), {}, "span no plane"),
    ],
    "dot_products": [*paths(directions.dot_products, PLANE), *planes(directions.dot_products)],
    "effective_dimensions": [
        *[(directions.effective_dimensions, (wrong, ONE), {}, message) for wrong, message in NO_NETWORK.values()],
        *[(directions.effective_dimensions, (ONE, wrong), {}, message) for wrong, message in NO_NETWORK.values()],
        (directions.effective_dimensions, (W, {"w": torch.ones(4, 3)}), {}, "vector differs at parameter 'w'"),
        (directions.effective_dimensions, (W, {"w": torch.zeros(3, 4)}), {}, "vector: its weights are all zero"),
        (directions.effective_dimensions, ({"b": torch.ones(3)},) * 2, {}, "origin has no weights"),
    ],
    "random_walk": [
        *[(directions.random_walk, (wrong,), {"dimensions": 3}, message) for wrong, message in LENGTHS],
        (directions.random_walk, ([1.0],), {"dimensions": 0}, "dimensions=0: expected a whole number of at least 1"),
        (directions.random_walk, ([1.0],), {"dimensions": "3"}, "dimensions='3': expected a whole number"),
        (directions.random_walk, ([1.0],), {"dimensions": 3, "seed": -1}, "seed=-1: expected a whole number"),
    ],
    "random_walk_shares": [(directions.random_walk_shares, (wrong,), {}, message) for wrong, message in LENGTHS],
    "svd_by_eigenvectors": [(directions.svd_by_eigenvectors, (wrong,), {}, message) for wrong, message in MATRICES],
    "reconstruction_errors": [
        *[
            (directions.reconstruction_errors, (wrong, np.eye(2), [1.0, 1.0], np.eye(2)), {}, message)
            for wrong, message in MATRICES
        ],
        (directions.reconstruction_errors, (np.eye(2), np.eye(3), [1, 1], np.eye(2)), {}, r"left: shape \(3, 3\), exp"),
        (directions.reconstruction_errors, (np.eye(2), np.eye(2), None, np.eye(2)), {}, "singular: "),
        (directions.reconstruction_errors, (np.zeros((2, 2)), np.eye(2), [1, 1], np.eye(2)), {}, "matrix: zero every"),
    ],
    "smallest_errors": [
        (directions.smallest_errors, ("ab",), {}, "singular: got str, expected a sequence of numbers"),
        (directions.smallest_errors, ([-1.0],), {}, r"singular\[0\] = -1\.0"),
        (directions.smallest_errors, ([0.0],), {}, "singular: zero everywhere"),
    ],
}


def test_every_public_name_has_joined():
    assert set(CALLS) == set(directions.__all__)


@pytest.mark.parametrize(
    ("function", "arguments", "options", "message"),
    [pytest.param(*call, id=f"{name}-{i}") for name, calls in CALLS.items() for i, call in enumerate(calls)],
)
def test_a_wrong_call_names_the_argument(function, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments, **options)


def test_numbers_of_any_type_are_taken_as_numbers():
    plain = la.random_plane(MODEL, seed=3, scale=0.5, layers=["weight"])
    given = la.random_plane(
        MODEL, seed=np.int64(3), scale=np.float32(0.5), layers=("weight",), include_biases=np.bool_(False)
    )
    torch.testing.assert_close(given.delta, plain.delta, rtol=0, atol=0)
    assert given.description == plain.description
    assert {type(value) for value in given.description.values()} <= {str, int, float, list, bool, type(None)}
    assert la.random_plane(MODEL, seed=torch.tensor(3)).description["seed"] == 3
    assert la.random_plane(MODEL, scale=np.array(2.0)).description["scale"] == 2.0


def test_directions_are_brought_into_the_types_of_the_weights():
    for other in (HALF, {"w": torch.ones(3, 4, dtype=torch.float64)}):
        plane = la.Plane(W, other, PATH[0])
        assert plane.delta["w"].dtype == torch.float32 and torch.equal(plane.delta["w"], ONE["w"])
