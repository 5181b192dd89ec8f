"""Wrong calls of every public function: a ValueError that names the argument. A new public function has to join."""

from functools import partial

import pytest
import torch
from torch import nn

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
TABLE = {
    "align": [*NETWORKS, *OPTIONS],
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
