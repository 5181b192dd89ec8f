"""Wrong calls of every public function: a ValueError that names the argument. A new public function has to join."""

from functools import partial

import pytest
import torch
from torch import nn

import lossatlas as la
import wrong_calls
from lossatlas import connectivity
from lossatlas.connectivity import align, permute

MODEL, OTHER = (nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)) for _ in range(2))
WIDER = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
BENT = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
NAN = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
nn.init.constant_(NAN[0].weight, float("nan"))


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else -self.layer(x)


class Free(nn.Module):
    """A layer and a function of our choice behind it."""

    def __init__(self, function, layer=None):
        super().__init__()
        self.layer, self.out, self.function = layer or nn.Conv2d(2, 4, 3), nn.Linear(4, 3), function

    def forward(self, x):
        return self.function(self, self.layer(x))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x, y):
        return self.layer(x + y)


def hooked():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    model[0].register_forward_hook(lambda module, args, output: output * 2)
    return model


def then(layer, *, inputs=4):
    return nn.Sequential(nn.Conv2d(2, inputs, 3), layer)


REFUSED = [
    ("model: got NoneType, expected a torch.nn.Module", None),
    (r"model\['weight'\] has no shape yet", nn.LazyLinear(3)),
    ("model: '0.weight' has values that are not finite", NAN),
    ("model: Branching cannot be traced by torch.fx", Branching()),
    ("model: TwoInputs takes 2 inputs, expected one tensor", TwoInputs()),
    (r"model: layer '0' \(Embedding\) cannot be aligned; expected dense", nn.Sequential(nn.Embedding(4, 3))),
    (r"model: layer '0' \(LSTM\) cannot be aligned", nn.Sequential(nn.LSTM(4, 3))),
    (r"model: layer '1' \(GroupNorm\) cannot be aligned", then(nn.GroupNorm(2, 4))),
    (r"model: layer '1' \(PReLU\) cannot be aligned", then(nn.PReLU(4))),
    (r"model: layer '1' \(Conv2d\) cannot be aligned", then(nn.Conv2d(4, 4, 3, groups=2))),
    (r"model: layer '1' \(Linear\) on the channels of an image that is not flattened", then(nn.Linear(4, 2))),
    (r"model: layer '1' \(Flatten\) cannot be aligned", then(nn.Flatten(2))),
    (r"model: layer '0' \(Linear\) cannot be aligned", hooked()),
    ("model: layer '0' .* cannot be aligned", nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))),
    ("model: the operation 'softmax' cannot be aligned", Free(lambda own, x: x.softmax(1))),
    ("model: the operation 'matmul' cannot be aligned", Free(lambda own, x: x @ x)),
    ("model: the use of 'out.weight' outside a layer", Free(lambda own, x: x * own.out.weight)),
    ("model: the operation 'mean' cannot be aligned", Free(lambda own, x: own.out(x.mean(1)))),
    ("model: the operation 'getitem' cannot be aligned", Free(lambda own, x: x[:, :2])),
    ("model: the operation 'pad' cannot be aligned", Free(lambda own, x: nn.functional.pad(x, (1, 1), value=1.0))),
    ("model: the operation 'cat' cannot be aligned", Free(lambda own, x: torch.cat([x, x], 2))),
    ("model: returns tuple, expected one tensor", Free(lambda own, x: (x, x))),
]
NETWORKS = [
    ("model a: got NoneType, expected a torch.nn.Module", partial(align, None, MODEL)),
    ("model b: got OrderedDict, expected a torch.nn.Module", partial(align, MODEL, MODEL.state_dict())),
    ("model b: '0.weight' has values that are not finite", partial(align, MODEL, NAN)),
    ("model b differs at parameter '0.weight'", partial(align, MODEL, WIDER)),
    ("model b computes something else than model a", partial(align, MODEL, BENT)),
    (r"model b: layer '0' \(LSTM\) cannot be aligned", partial(align, *[nn.Sequential(nn.LSTM(4, 3))] * 2)),
]
OPTIONS = [
    (r"method='weight': expected one of \('weights', 'activations'\)", partial(align, MODEL, OTHER, method="weight")),
    ("seed=-1: expected a whole number", partial(align, MODEL, OTHER, seed=-1)),
    ("data: None given, expected batches for 'activations'", partial(align, MODEL, OTHER, method="activations")),
    ("data: tuple given, expected none for 'weights'", partial(align, MODEL, OTHER, (torch.zeros(2, 4),))),
    ("data: got int; expected", partial(align, MODEL, OTHER, 3, method="activations")),
]
DATA, QUIET = (torch.randn(6, 4), torch.randint(0, 3, (6,))), {"device": "cpu", "progress": False}
LINE, CURVE = la.line_between(MODEL, OTHER), la.Curve([MODEL, OTHER])
BENT_CURVE = la.Curve([{"w": torch.tensor(p)} for p in ([0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 1.0])], "polygon")
STRAIGHT = la.Curve([{"w": torch.tensor(p)} for p in ([0.0, 0.0], [1.0, 0.0], [2.0, 0.0])])
PLANE = la.random_plane(MODEL)


def trained(function):
    """Wrong calls of a function that trains a path between two networks on data."""
    call = partial(function, MODEL, OTHER, DATA, **QUIET)
    states = MODEL.state_dict(), OTHER.state_dict()
    hot = la.Recipe(learning_rate=1e38, epochs=9, batch_size=2)
    return [
        ("model a: got NoneType, expected a module", partial(function, None, OTHER, DATA, **QUIET)),
        ("model b differs at parameter '0.weight'", partial(function, MODEL, WIDER, DATA, **QUIET)),
        ("has the weights of the first network", partial(function, MODEL, MODEL, DATA, **QUIET)),
        ("model: None given and neither network is a module", partial(function, *states, DATA, **QUIET)),
        ("model: got str, expected a module", partial(call, model="net")),
        ("data: got NoneType; expected", partial(function, MODEL, OTHER, None, **QUIET)),
        (
            "data: expected tensors of inputs and targets",
            partial(function, MODEL, OTHER, (DATA[0],), loss=abs, **QUIET),
        ),
        ("data: inputs of .* do not go through", partial(function, MODEL, OTHER, (DATA[0][:, :2], DATA[1]), **QUIET)),
        ("targets: .* cross_entropy", partial(function, MODEL, OTHER, (DATA[0], DATA[1] + 5), **QUIET)),
        ("loss='entropy': expected one of", partial(call, loss="entropy")),
        ("recipe='fast': expected a lossatlas.Recipe", partial(call, recipe="fast")),
        ("recipe: augment=True expects images", partial(call, recipe=la.Recipe(augment=True))),
        ("recipe: the path diverges at learning_rate=1e", partial(call, recipe=hot)),
        ("seed=-1: expected a whole number", partial(call, seed=-1)),
        ("device", partial(call, device="abacus")),
        ("progress='no': expected True or False", partial(function, MODEL, OTHER, DATA, progress="no")),
    ]


CURVES = [
    (r"kind='spline': expected one of \('bezier', 'polygon'\)", {"kind": "spline"}),
    ("bends=0: expected a whole number of at least 1", {"bends": 0}),
]
BANDS = [
    ("pivots=0: expected a whole number of at least 1", {"pivots": 0}),
    ("rounds=0: expected a whole number of at least 1", {"rounds": 0}),
]
TABLE = {
    "align": [*NETWORKS, *OPTIONS],
    "connect": [
        *trained(connectivity.connect),
        *[(pattern, partial(connectivity.connect, MODEL, OTHER, DATA, **options)) for pattern, options in CURVES],
    ],
    "minimum_energy_path": [
        *trained(connectivity.minimum_energy_path),
        *[(p, partial(connectivity.minimum_energy_path, MODEL, OTHER, DATA, **options)) for p, options in BANDS],
    ],
    "barrier": [
        ("path: got NoneType, expected a Line", partial(connectivity.barrier, None, DATA, model=MODEL)),
        ("path: got alpha, beta, expected a Line", partial(connectivity.barrier, PLANE, DATA, model=MODEL)),
        (
            "points=2: expected a whole number of at least 3",
            partial(connectivity.barrier, LINE, DATA, model=MODEL, points=2),
        ),
        ("model: got NoneType", partial(connectivity.barrier, LINE, DATA, model=None)),
        ("data: got int; expected", partial(connectivity.barrier, CURVE, 3, model=MODEL)),
    ],
    "curve_plane": [
        ("curve: got Line, expected a Curve", partial(connectivity.curve_plane, LINE)),
        ("curve: no bends, expected at least one", partial(connectivity.curve_plane, CURVE)),
        ("bend=3: expected a whole number .* at most 2", partial(connectivity.curve_plane, BENT_CURVE, bend=3)),
        ("bend=1: lies on the straight line between the ends", partial(connectivity.curve_plane, STRAIGHT)),
    ],
    "path_on_plane": [
        ("curve: got Line, expected a Curve", partial(connectivity.path_on_plane, LINE, PLANE)),
        (
            "points=1: expected a whole number of at least 2",
            partial(connectivity.path_on_plane, CURVE, PLANE, points=1),
        ),
        ("plane: got Curve|plane: a Curve is curved", partial(connectivity.path_on_plane, CURVE, CURVE)),
    ],
    "permute": [
        *[(pattern, partial(permute, model)) for pattern, model in REFUSED],
        ("seed='a': expected a whole number", partial(permute, MODEL, seed="a")),
    ],
}


def test_every_public_function_has_joined():
    assert wrong_calls.functions_without_wrong_calls(connectivity, TABLE, takes_anything=set()) == []


@pytest.mark.parametrize(("pattern", "call"), wrong_calls.cases(TABLE))
def test_a_wrong_call_names_the_argument(pattern, call):
    wrong_calls.check(pattern, call)
