"""Wrong calls of the functions of `curvature`: a ValueError that names the argument. A new one has to join."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
import wrong_calls
from hessians import small_data, small_network
from lossatlas import curvature

MODEL, DATA = small_network(), small_data()
PLANE = la.random_plane(MODEL)
PAIRS = curvature.eigenpairs(MODEL, DATA, 1, device="cpu", progress=False)


COMPLEX = nn.Linear(4, 3, dtype=torch.complex64)
NOT_FINITE = small_network()
torch.nn.init.constant_(NOT_FINITE[0].weight, float("nan"))


def untouched():
    """Data that nobody may go through, since the call is wrong without it."""
    raise AssertionError("data were read before the arguments were checked")
    yield


def one_argument(outputs):
    return outputs.sum()


def raises(outputs, targets):
    raise RuntimeError("not today")


class Flat(nn.Module):
    """A network whose output does not depend on its weights."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(60))

    def forward(self, inputs):
        return inputs[:, :3].clone()


MODELS = [
    (None, "model: got NoneType; expected a torch.nn.Module"),
    (nn.Linear, "model: got the class Linear; expected an instance"),
    (raises, "model: got function; expected a torch.nn.Module"),
    (MODEL.state_dict(), "model: got OrderedDict; expected a torch.nn.Module"),
    (nn.ReLU(), "model: ReLU has no parameters"),
    (nn.LazyLinear(3), "model: 'weight' has no shape yet"),
    (nn.Linear(4, 3, device="meta"), "model: 'weight' is a meta tensor"),
    (COMPLEX, "model: Linear has no parameters of real floating-point numbers"),
]
ALONE = [  # wrong whatever the data are
    ({"loss": None}, "loss=None: expected one of"),
    ({"loss": "hinge"}, "loss='hinge': expected one of"),
    ({"loss": nn.MSELoss}, "loss: got the class MSELoss; expected an instance"),
    ({"predict": 3}, r"predict=3: expected a callable \(model, inputs\)"),
    ({"predict": nn.Linear}, "predict=.*: expected a callable"),
    ({"device": "abacus"}, "device='abacus' cannot be used here"),
    ({"device": None}, "device=None: expected"),
]
LAYERS = [
    ({"layers": 5}, "layers=5: expected names of layers or parameters"),
    ({"layers": [5]}, r"layers=\[5\]: expected names of layers or parameters"),
    ({"layers": []}, r"layers=\[\]: no parameter has such a name"),
    ({"layers": ["nowhere"]}, r"layers=\['nowhere'\]: no parameter has such a name; expected some of \['0\.weight'"),
]
COORDINATES = [
    ({"coordinates": "polar"}, r"coordinates='polar': expected one of \('weights', 'filters'\)"),
    ({"coordinates": ["weights"]}, r"coordinates=\['weights'\]: expected one of"),
]
SEEDS = [
    ({"seed": "a"}, "seed='a': expected a whole number"),
    ({"seed": 1.5}, r"seed=1\.5: expected a whole number"),
    ({"seed": -1}, "seed=-1: expected a whole number of at least 0"),
    ({"seed": None}, "seed=None: expected a whole number"),
]
TOLERANCES = [
    ({"tolerance": "small"}, "tolerance='small': expected"),
    ({"tolerance": -1e-3}, r"tolerance=-0\.001: expected"),
    ({"tolerance": float("nan")}, "tolerance=nan: expected"),
    ({"tolerance": 1}, "tolerance=1: expected .* below 1"),
]
PROGRESS = [({"progress": "no"}, "progress='no': expected True or False")]
INPUTS, TARGETS = DATA
DATA_GIVEN = [
    (None, r"data: got NoneType; expected \(inputs, targets\)"),
    (3, "data: got int; expected"),
    ([], "data: empty"),
    ((INPUTS.numpy(), TARGETS.numpy()), "data: got tuple of ndarray, ndarray; expected"),
    ((INPUTS, TARGETS[:5]), "data: 30 inputs but 5 targets"),
    ((INPUTS.to_sparse(), TARGETS), "data: holds a tensor of layout sparse_coo"),
    ((INPUTS.to("meta"), TARGETS), "data: holds a meta tensor"),
    ((INPUTS[:, :3], TARGETS), r"data: inputs of shape \(30, 3\).* do not go through Sequential"),
    (
        (INPUTS.float(), TARGETS),
        r"data: inputs of shape .*float32 do not go through Sequential",
    ),
    ((INPUTS, None), "targets: none given; cross_entropy expects one tensor"),
    ((INPUTS, TARGETS + 1), "targets: values from 1 to 3; cross_entropy on this model expects 0 to 2"),
    ((INPUTS, TARGETS.double()), "targets: dtype torch.float64; cross_entropy expects integer class labels"),
]
FUNCTIONS = [
    ({"loss": one_argument}, r"loss raised TypeError: .*; expected a callable \(outputs, targets\)"),
    ({"loss": raises}, "loss raised RuntimeError: not today"),
    ({"loss": lambda o, t: o}, r"loss returned \(30, 3\): expected one value a sample"),
    ({"loss": lambda o, t: 1.0}, "loss returned float: expected"),
    ({"loss": lambda o, t: o.argmax(1)}, "loss returned int64 values; expected"),
    ({"loss": lambda o, t: o.detach().sum(1)}, "loss: does not depend on the parameters"),
    ({"predict": raises}, "predict raised RuntimeError: not today"),
    ({"predict": lambda m, x: (m(x),)}, "predict returned tuple; expected one tensor"),
    ({"model": Flat().double()}, "loss: does not depend on the parameters"),
]


def hessian(function, *extra, layers=True, coordinates=True, seeds=True, finite=True, **defaults):
    """Wrong calls of a function that takes a model and data, with options of its own."""
    options = [*ALONE, *extra, *(LAYERS * layers), *(COORDINATES * coordinates), *(SEEDS * seeds)]
    nan = [("loss: nan at the weights of model on data; expected a finite", {"model": NOT_FINITE})] * finite

    def call(model=MODEL, data=DATA, **options):
        return function(model, data, **{"device": "cpu", **defaults, **options})

    return [
        *[(pattern, partial(call, model=model, data=untouched())) for model, pattern in MODELS],
        *[(pattern, partial(call, data=untouched(), **given)) for given, pattern in options],
        *[(pattern, partial(call, data=data)) for data, pattern in DATA_GIVEN],
        *[(pattern, partial(call, **given)) for given, pattern in FUNCTIONS],
        *[(pattern, partial(call, **given)) for pattern, given in nan],
    ]


def extremes(model, data, **options):
    plane = la.random_plane(model, include_biases=True) if isinstance(model, Flat) or model is COMPLEX else PLANE
    return curvature.extremes(model, options.pop("plane", plane), data, **{"alphas": [0, 1], **options})


EXTREMES = [
    *PROGRESS,
    *TOLERANCES,
    ({"tolerance": 0}, "tolerance=0: expected"),
    ({"warm": "yes"}, "warm='yes': expected True or False"),
    ({"alphas": 3}, r"alphas: shape \(\), expected one dimension"),
    ({"alphas": []}, r"alphas: shape \(0,\), expected one dimension"),
    ({"alphas": None}, "alphas=None: expected increasing numbers"),
    ({"alphas": "ab"}, "alphas='ab': expected increasing numbers"),
    ({"alphas": [1, 0]}, "alphas: not increasing at index 0"),
    ({"betas": [0, np.nan]}, r"betas\[1\] = nan: every grid value must be finite"),
    ({"resume": ""}, "resume='': expected the path of a file"),
    ({"resume": 3}, "resume=3: expected the path of a file"),
    ({"resume": "."}, r"resume='\.': a folder, expected a file"),
    ({"client": "localhost"}, "client: got str, expected a dask.distributed.Client"),
    ({"plane": "random"}, "plane: got str, expected a Plane"),
    ({"plane": la.Plane}, "plane: got the class Plane, expected a Plane"),
    ({"plane": la.random_line(MODEL)}, "plane: got Line, expected a Plane"),
    ({"plane": la.random_plane(nn.Linear(3, 3))}, r"plane has no parameter '0\.weight'"),
]


def along(model, data, *, checkpoints=None, **options):
    path = [model if isinstance(model, nn.Module) else MODEL] if checkpoints is None else checkpoints
    return curvature.eigenvalues_along(path, data, model=model, **options)


PATHS = [
    *PROGRESS,
    *TOLERANCES,
    ({"tolerance": 0}, "tolerance=0: expected"),
    ({"checkpoints": {}}, "checkpoints: got dict, expected a list"),
    ({"checkpoints": []}, "checkpoints: got list, expected a list of one or more"),
    ({"checkpoints": [3]}, "checkpoint 0: got int, expected a module"),
    ({"checkpoints": [nn.Linear(3, 3)]}, "checkpoint 0"),
    ({"learning_rate": 0}, "learning_rate=0: expected a positive number"),
    ({"learning_rate": "fast"}, "learning_rate='fast': expected a positive number"),
    ({"steps": [1, 2]}, "steps: 2 given for 1 checkpoints"),
]
K = [
    ({"k": 0}, "k=0: expected a whole number of at least 1"),
    ({"k": 1.5}, r"k=1\.5: expected a whole number"),
    ({"k": "two"}, "k='two': expected a whole number"),
    ({"which": "top"}, "which='top': expected one of"),
    ({"which": ["both"]}, r"which=\['both'\]: expected one of"),
]
SPECTRUM = [
    ({"method": "kpm"}, r"method='kpm': expected one of \('slq',\)"),
    ({"steps": 1}, "steps=1: expected a whole number of at least 2"),
    ({"steps": "many"}, "steps='many': expected a whole number"),
    ({"draws": 0}, "draws=0: expected a whole number of at least 1"),
    ({"draws": 2.5}, r"draws=2\.5: expected a whole number"),
    ({"points": 1}, "points=1: expected a whole number of at least 2"),
]
TRACE = [
    ({"per": "row"}, r"per='row': expected one of \('model', 'layer', 'parameter'\)"),
    ({"products": 3}, "products=3: expected a whole number of at least 15"),
    ({"products": "all"}, "products='all': expected a whole number"),
]
DIRECTIONS = [
    ({"directions": None}, "directions=None: expected two different ones of"),
    ({"directions": "largest"}, "directions='largest': expected two different ones of"),
    ({"directions": ("largest", "largest")}, "directions=.*: expected two different ones of"),
    ({"directions": ("largest", "middle")}, "directions=.*: expected two different ones of"),
    ({"directions": (["largest"], 3)}, "directions=.*: expected two different ones of"),
]
ARRAYS = curvature.Eigenpairs(PAIRS.values, tuple({"0.weight": np.ones(3)} for _ in PAIRS.values), PAIRS.residuals, 1)
SHARES = [
    (lambda: curvature.share_seen(None, PAIRS), "plane: got NoneType, expected a Plane or a Line"),
    (lambda: curvature.share_seen(la.Plane, PAIRS), "plane: got the class Plane, expected"),
    (lambda: curvature.share_seen(PLANE, None), "pairs: got NoneType, expected Eigenpairs"),
    (lambda: curvature.share_seen(PLANE, (PAIRS.values, PAIRS.vectors)), "pairs: got tuple, expected Eigenpairs"),
    (
        lambda: curvature.share_seen(PLANE, ARRAYS),
        r"pairs: vectors\[0\]\['0\.weight'\]: got ndarray, expected",
    ),
    (lambda: curvature.share_seen(la.random_plane(nn.Linear(2, 2)), PAIRS), "pairs: the parameter .* is not one of"),
    (
        lambda: curvature.share_seen(la.Plane(PLANE.origin, PLANE.delta, PLANE.delta), PAIRS),
        "plane: its directions are parallel",
    ),
]
SIZES = [
    (
        "k=10000: expected 1 to 26 eigenvalues at each end of 53",
        partial(curvature.eigenpairs, MODEL, DATA, 10_000, device="cpu", progress=False),
    ),
    (
        "steps=10000: expected 2 to 52, fewer than the weights",
        partial(curvature.spectrum, MODEL, DATA, steps=10_000, device="cpu"),
    ),
]
WORST = [
    *PROGRESS,
    ({"radius": 0}, "radius=0: expected a positive number"),
    ({"radius": "far"}, "radius='far': expected a positive number"),
    ({"steps": 0}, "steps=0: expected a whole number of at least 1"),
]
SHAPED = [
    *PROGRESS,
    ({"low": [], "high": []}, "low: no coordinates, and none of high; expected at least one"),
    ({"low": "ab"}, "low: got str; expected numbers, or rows of two or three"),
    ({"low": [np.nan]}, "low: .*expected finite numbers"),
    ({"low": [0.0]}, "low: the origin is among them, where nothing can change"),
    ({"low": [[1.0]]}, r"low: shape \(1, 1\); expected numbers, or rows of two or three"),
    ({"low": [1.0], "high": [[1.0, 2.0]]}, "high: 2 coordinates a point, but low has 1"),
    ({"level": 0}, "level=0: expected a positive number"),
    ({"steps": 0}, "steps=0: expected a whole number of at least 1"),
    ({"rate": -1}, "rate=-1: expected a positive number"),
    ({"start": 0}, "start=0: expected a positive number"),
]
STILL = [
    ("model: no weight of two or more", partial(function, MODEL, DATA, layers=["0.bias"], device="cpu", **options))
    for function, options in ((curvature.worst_line, {}), (curvature.shaped_subspace, {"low": [1]}))
]
TABLE = {
    "loss_hessian": hessian(curvature.loss_hessian, seeds=False, finite=False),
    "eigenpairs": hessian(curvature.eigenpairs, *K, *TOLERANCES, *PROGRESS, progress=False),
    "spectrum": hessian(curvature.spectrum, *SPECTRUM, steps=5, draws=1),
    "trace": hessian(curvature.trace, *TRACE),
    "hessian_plane": hessian(
        curvature.hessian_plane, *DIRECTIONS, *TOLERANCES, *PROGRESS, coordinates=False, progress=False
    ),
    "extremes": hessian(extremes, *EXTREMES, layers=False, coordinates=False, finite=False, progress=False),
    "eigenvalues_along": hessian(along, *PATHS, layers=False, coordinates=False, finite=False, progress=False),
    "worst_line": hessian(curvature.worst_line, *WORST, coordinates=False, progress=False, steps=2),
    "shaped_subspace": hessian(
        curvature.shaped_subspace, *SHAPED, coordinates=False, progress=False, steps=2, low=[1.0]
    ),
    "with nothing that moves": STILL,
    "with a number that the model decides": SIZES,
    "share_seen": [(pattern, call) for call, pattern in SHARES],
}


def test_every_public_function_has_joined():
    assert wrong_calls.functions_without_wrong_calls(curvature, TABLE, takes_anything=set()) == []


@pytest.mark.parametrize(("pattern", "call"), wrong_calls.cases(TABLE))
def test_a_wrong_call_names_the_argument(pattern, call):
    wrong_calls.check(pattern, call)
