"""Wrong calls of `evaluate`: a ValueError that names the argument. A new public function has to join the table."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
import wrong_calls
from lossatlas import evaluation
from networks import odd_net

torch.manual_seed(0)
MODEL = odd_net()
PLANE, LINE = la.random_plane(MODEL), la.random_line(MODEL)
DATA = torch.randn(12, 6), torch.randint(0, 3, (12,))


class Sparse(nn.Module):
    """A module with a sparse parameter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3).to_sparse())


class Failing(nn.Module):
    """A module whose forward pass fails."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(6, 3))

    def forward(self, inputs):
        raise LookupError("no such thing")


def one_argument(outputs):
    return outputs.sum()


def raises(outputs, targets):
    raise RuntimeError("not today")


def divides(outputs, targets):
    return 1 / 0


def evaluated(model=MODEL, plane=PLANE, data=DATA, **options):
    """A call with small defaults."""
    options = {"alphas": [0, 1], "device": "cpu", "progress": False, **options}
    return la.evaluate(model, plane, data, **options)


def untouched():
    """Data that nobody may go through, since the call is wrong without it."""
    raise AssertionError("data were read before the arguments were checked")
    yield


MODELS = {
    "nothing": (None, "model: got NoneType; expected a torch.nn.Module"),
    "a class": (nn.Linear, "model: got the class Linear; expected an instance"),
    "a function": (one_argument, "model: got function; expected a torch.nn.Module"),
    "text": ("resnet", "model: got str; expected"),
    "weights": (MODEL.state_dict(), "model: got OrderedDict; expected"),
    "no parameters": (nn.ReLU(), "model: ReLU has no parameters"),
    "lazy": (nn.LazyLinear(3), "model: 'weight' has no shape yet"),
    "meta": (nn.Linear(6, 3, device="meta"), "model: 'weight' is a meta tensor"),
    "sparse": (Sparse(), "model: 'weight' has layout sparse_coo; expected"),
}
PLANES = {
    "nothing": (None, "plane: got NoneType, expected"),
    "text": ("random", "plane: got str, expected a Plane or a Line"),
    "a class": (la.Plane, "plane: got the class Plane, expected"),
    "an array": (np.ones((2, 3)), "plane: got ndarray, expected"),
    "directions": ([dict(MODEL.named_parameters())] * 2, "plane: got list, expected"),
    "another network": (la.random_plane(nn.Linear(3, 3)), r"plane has no parameter 'first\.weight'"),
    "another width": (
        la.Plane(*[{n: p.detach().repeat(2, *[1] * (p.dim() - 1)) for n, p in MODEL.named_parameters()}] * 3),
        r"plane differs at parameter 'first\.weight': shape \(16, 6\), expected \(8, 6\)",
    ),
}
OPTIONS = [
    ({"loss": None}, "loss=None: expected one of"),
    ({"loss": 3}, "loss=3: expected one of"),
    ({"loss": ["mse"]}, r"loss=\['mse'\]: expected one of"),
    ({"loss": "crossentropy"}, r"loss='crossentropy': expected one of \('cross_entropy', 'mse', 'bce"),
    ({"loss": nn.MSELoss}, r"loss: got the class MSELoss; expected an instance, such as MSELoss\(\)"),
    ({"metrics": [one_argument]}, "metrics: got list; expected a dict of callables by name"),
    ({"metrics": {"top 5": raises}}, "metrics: name 'top 5'; expected an identifier"),
    ({"metrics": {5: raises}}, "metrics: name 5; expected an identifier"),
    ({"metrics": {"loss": raises}}, "metrics: 'loss' is a name that surfaces use"),
    ({"metrics": {"m": "mse"}}, r"metrics\['m'\]='mse': expected a callable"),
    ({"metrics": {"m": nn.MSELoss}}, r"metrics\['m'\]=.*: expected a callable"),
    ({"gradient_norm": "yes"}, "gradient_norm='yes': expected True or False"),
    ({"gradient_norm": None}, "gradient_norm=None: expected True or False"),
    ({"combine": "average"}, r"combine='average': expected one of \('mean', 'sum'\)"),
    ({"combine": ["mean"]}, r"combine=\['mean'\]: expected one of"),
    ({"alphas": 3}, r"alphas: shape \(\), expected one dimension with at least 2 points"),
    ({"alphas": [0.0]}, r"alphas: shape \(1,\), expected one dimension with at least 2 points"),
    ({"alphas": []}, r"alphas: shape \(0,\), expected"),
    ({"alphas": [[0, 1], [2, 3]]}, r"alphas: shape \(2, 2\), expected"),
    ({"alphas": "ab"}, "alphas='ab': expected increasing numbers"),
    ({"alphas": [0, None]}, r"alphas.*: expected increasing numbers|alphas\[1\] = nan"),
    ({"alphas": [0, 1 + 2j]}, r"alphas=\[0, \(1\+2j\)\]: expected increasing numbers"),
    ({"alphas": {0, 1}}, r"alphas=\{0, 1\}: expected increasing numbers"),
    ({"alphas": [0.0, np.nan]}, r"alphas\[1\] = nan: every grid value must be finite"),
    ({"alphas": [0.0, np.inf]}, r"alphas\[1\] = inf: every grid value must be finite"),
    ({"alphas": [1, 0]}, r"alphas: not increasing at index 0 \(1 then 0\)"),
    ({"betas": [0.0, 1.0, 1.0]}, r"betas: not increasing at index 1 \(1 then 1\)"),
    ({"plane": LINE, "betas": [0, 1]}, "betas: given for a Line, whose axes are alpha"),
    ({"gammas": [0, 1]}, "gammas: given for a Plane, whose axes are alpha, beta"),
    ({"predict": "logits"}, r"predict='logits': expected a callable \(model, inputs\)"),
    ({"predict": nn.Linear}, "predict=.*: expected a callable"),
    ({"batch_norm": "frozen"}, r"batch_norm='frozen': expected one of \('running', 'batch', 'recalibrate'\)"),
    ({"batch_norm": None}, "batch_norm=None: expected one of"),
    ({"batch_norm": ["batch"]}, r"batch_norm=\['batch'\]: expected one of"),
    ({"method": "gird"}, r"method='gird': expected one of \('grid', 'adaptive'\)"),
    ({"method": None}, "method=None: expected one of"),
    ({"tolerance": 0}, "tolerance=0: expected a positive number, below 1"),
    ({"tolerance": 1.0}, "tolerance=1.0: expected a positive number, below 1"),
    ({"tolerance": "1 %"}, "tolerance='1 %': expected a positive number"),
    ({"error_scale": "db"}, r"error_scale='db': expected one of \('linear', 'log'\)"),
    ({"error_scale": None}, "error_scale=None: expected one of"),
    ({"seed": -1}, "seed=-1: expected a whole number of at least 0"),
    ({"seed": 0.5}, "seed=0.5: expected a whole number"),
    ({"precision": "half"}, 'precision=\'half\': expected None or "float32", "float64" or "bfloat16"'),
    ({"precision": torch.float64}, "precision=torch.float64: expected None or"),
    ({"device": "warp"}, "device='warp' cannot be used here"),
    ({"device": None}, "device=None: expected"),
    ({"device": 1.5}, "device=1.5: expected"),
    ({"device": "meta"}, "device='meta' cannot be used here"),
    ({"memory": 0}, "memory=0: expected a number of bytes, at least 1"),
    ({"memory": -5}, "memory=-5: expected a number of bytes"),
    ({"memory": "1 GB"}, "memory='1 GB': expected a number of bytes"),
    ({"memory": 1e9}, "memory=1000000000.0: expected a number of bytes"),
    ({"memory": True}, "memory=True: expected a number of bytes"),
    ({"resume": ""}, "resume='': expected the path of a file"),
    ({"resume": 3}, "resume=3: expected the path of a file"),
    ({"resume": "."}, r"resume='\.': a folder, expected a file"),
    ({"resume": f"{__file__}/a.run"}, "resume='.*/a.run': '.*' is no folder to write in; expected the path of a file"),
    ({"client": "localhost:8786"}, "client: got str, expected a dask.distributed.Client"),
    ({"client": False}, "client: got bool, expected a dask.distributed.Client"),
    ({"progress": "no"}, "progress='no': expected True or False"),
]
INPUTS, TARGETS = DATA
DATA_GIVEN = [
    (None, r"data: got NoneType; expected \(inputs, targets\)"),
    (3.0, "data: got float; expected"),
    ("mnist", "data: got str; expected"),
    (INPUTS, "data: got Tensor; expected"),
    (INPUTS.numpy(), "data: got ndarray"),
    ((INPUTS.numpy(), TARGETS.numpy()), "data: got tuple of ndarray, ndarray; expected"),
    (torch.utils.data.DataLoader, "data: got the class DataLoader; expected"),
    (torch.utils.data.TensorDataset(*DATA), "data: got TensorDataset; expected .*DataLoader"),
    (SimpleNamespace(train=DATA), "data: got SimpleNamespace; expected"),
    ([], "data: empty"),
    ((), "data: empty"),
    (iter([]), "data: empty"),
    ((INPUTS[:0], TARGETS[:0]), "data: empty"),
    ([INPUTS], "data: got Tensor; expected"),
    ([3, 4], "data: got int; expected"),
    ((INPUTS, TARGETS, TARGETS), "data: got tuple of Tensor, Tensor, Tensor; expected"),
    ([(INPUTS, TARGETS, TARGETS)], "data: got tuple of Tensor, Tensor, Tensor; expected"),
    ((None, TARGETS), "data: got tuple of NoneType, Tensor; expected"),
    ((INPUTS, TARGETS[:5]), "data: 12 inputs but 5 targets"),
    ((INPUTS.to_sparse(), TARGETS), "data: holds a tensor of layout sparse_coo; expected dense tensors"),
    ((INPUTS.to("meta"), TARGETS), "data: holds a meta tensor, which has no values"),
    ((torch.zeros(4, 5), torch.zeros(4).long()), r"data: inputs of shape \(4, 5\).* do not go through OddNet"),
    ((INPUTS.long(), TARGETS), r"data: inputs of shape \(12, 6\) and dtype torch\.int64 do not go through OddNet"),
    ((INPUTS, None), "targets: none given; cross_entropy expects one tensor"),
    ((INPUTS, TARGETS + 1), "targets: values from 1 to 3; cross_entropy on this model expects 0 to 2"),
    ((INPUTS, TARGETS - 1), "targets: values from -1 to 1"),
    ((INPUTS, TARGETS.float()), "targets: dtype torch.float32; cross_entropy expects integer class labels"),
    ((INPUTS, torch.zeros(12, 2).long()), r"targets: shape \(12, 2\) does not fit outputs of shape \(12, 3\)"),
]
FUNCTIONS = [
    ({"loss": one_argument}, r"loss raised TypeError: .*; expected a callable \(outputs, targets\)"),
    ({"loss": raises}, "loss raised RuntimeError: not today"),
    ({"loss": divides}, "loss raised ZeroDivisionError: division by zero"),
    ({"loss": lambda o, t: None}, "loss returned NoneType: expected one value a sample"),
    ({"loss": lambda o, t: o}, r"loss returned \(12, 3\): expected one value a sample, \(12,\), or a scalar"),
    ({"loss": lambda o, t: 1.0}, "loss returned float: expected one value a sample"),
    ({"loss": lambda o, t: o.sum().item()}, "loss returned float: expected"),
    ({"loss": lambda o, t: o.argmax(1) != t}, "loss returned bool values; expected real floating-point numbers"),
    ({"loss": lambda o, t: o.argmax(1)}, "loss returned int64 values; expected"),
    ({"loss": lambda o, t: o.sum(1) * 1j}, "loss returned complex64 values; expected"),
    ({"loss": lambda o, t: (o, t)}, "loss returned a pair of tensors with several values"),
    ({"loss": lambda o, t: o.sum(1).numpy()}, "loss returned ndarray: expected"),
    ({"metrics": {"m": one_argument}}, "m raised TypeError"),
    ({"metrics": {"m": raises}}, "m raised RuntimeError: not today"),
    ({"metrics": {"m": lambda o, t: o}}, r"m returned \(12, 3\): expected one value a sample"),
    ({"metrics": {"m": lambda o, t: 3}}, "m returned int: expected"),
    ({"predict": lambda model: 3}, "predict raised TypeError"),
    ({"predict": lambda model, x: (model(x), 3)}, "predict returned tuple; expected one tensor"),
    ({"predict": raises}, "predict raised RuntimeError: not today"),
    ({"model": Failing(), "plane": la.random_plane(Failing())}, "data: inputs .* do not go through Failing: .*no such"),
    ({"model": nn.Linear(6, 3), "plane": la.random_plane(nn.Linear(6, 3)), "batch_norm": "batch"}, "Linear has no"),
    ({"memory": 1}, r"memory=1: one sample at one point needs \d+ bytes"),
]
TABLE = {
    "evaluate": [
        *[(pattern, lambda m=model: evaluated(m, data=untouched())) for model, pattern in MODELS.values()],
        *[(pattern, lambda p=plane: evaluated(plane=p, data=untouched())) for plane, pattern in PLANES.values()],
        *[(pattern, lambda o=options: evaluated(**{"data": untouched(), **o})) for options, pattern in OPTIONS],
        *[(pattern, lambda d=data: evaluated(data=d)) for data, pattern in DATA_GIVEN],
        *[(pattern, lambda o=options: evaluated(**o)) for options, pattern in FUNCTIONS],
    ]
}


def test_every_public_function_has_joined():
    assert wrong_calls.functions_without_wrong_calls(evaluation, TABLE, takes_anything=set()) == []


def test_the_call_is_right_otherwise():
    assert evaluated().loss.shape == (2, 2)


@pytest.mark.parametrize(("pattern", "call"), wrong_calls.cases(TABLE))
def test_a_wrong_call_names_the_argument(pattern, call):
    wrong_calls.check(pattern, call)
