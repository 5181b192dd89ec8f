"""What moves, for every kind of module and of number."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import lossatlas as la
from lossatlas import vectors


class Scale(nn.Module):
    """A scale and shift that are broadcast, and a matrix."""

    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, 4, 1, 1))
        self.weight = nn.Parameter(torch.ones(1, 4, 1, 1))
        self.bias = nn.Parameter(torch.randn(1, 4, 1, 1))
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        self.row_scale = nn.Parameter(torch.ones(1, 4))
        self.mixing = nn.Parameter(torch.randn(4, 3))
        self.head = nn.Parameter(torch.randn(1, 4))


class LayerNorm2d(nn.Module):
    """As many networks for images spell it."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(3, 5)), nn.Parameter(torch.zeros(3, 5))


def moved(model, **options):
    plane = la.random_plane(model, seed=3, **options)
    for name in plane.delta:
        assert bool(plane.delta[name].any()) == bool(plane.eta[name].any())
    return {name for name, tensor in plane.delta.items() if tensor.any()}


WEIGHTS = {
    "linear": (lambda: nn.Linear(4, 3), {"weight"}),
    "linear with one input": (lambda: nn.Linear(1, 3), {"weight"}),
    "linear with one output": (lambda: nn.Linear(3, 1), {"weight"}),
    "convolution": (lambda: nn.Conv1d(2, 3, 5), {"weight"}),
    "convolution to one channel": (lambda: nn.Conv2d(4, 1, 1), {"weight"}),
    "transposed convolution": (lambda: nn.ConvTranspose3d(2, 3, 2), {"weight"}),
    "bilinear": (lambda: nn.Bilinear(2, 3, 4), {"weight"}),
    "embedding": (lambda: nn.Embedding(7, 3), {"weight"}),
    "bag of embeddings": (lambda: nn.EmbeddingBag(7, 3), {"weight"}),
    "LSTM with projection": (lambda: nn.LSTM(3, 4, proj_size=2), {"weight_ih_l0", "weight_hh_l0", "weight_hr_l0"}),
    "GRU, both ways": (
        lambda: nn.GRU(3, 4, bidirectional=True),
        {"weight_ih_l0", "weight_hh_l0", "weight_ih_l0_reverse", "weight_hh_l0_reverse"},
    ),
    "recurrent cell": (lambda: nn.RNNCell(3, 4), {"weight_ih", "weight_hh"}),
    "attention": (
        lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
        {"in_proj_weight", "out_proj.weight"},
    ),
    "attention, other keys": (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
        {"q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"},
    ),
    "a module of one's own": (Scale, {"mixing", "head"}),
}
NORMALIZATIONS = {
    "layer norm over an image": lambda: nn.LayerNorm([3, 5, 5]),
    "group norm": lambda: nn.GroupNorm(2, 4),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "synchronized batch norm": lambda: nn.SyncBatchNorm(4),
    "instance norm": lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True),
    "RMS norm": lambda: nn.RMSNorm([3, 4]),
    "a norm of one's own": LayerNorm2d,
    "PReLU": lambda: nn.PReLU(4),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_move_and_biases_stay(kind):
    make, expected = WEIGHTS[kind]
    model = nn.Sequential(make())
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    assert moved(model) == {f"0.{name}" for name in expected}
    assert moved(model, include_biases=True) == set(dict(model.named_parameters()))
    assert la.weight_layers(model)[0] == "0"


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_scales_of_normalization_stay_whatever_their_shape(kind):
    model = nn.Sequential(nn.Linear(4, 4), NORMALIZATIONS[kind]())
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    assert moved(model) == {"0.weight"}
    assert la.weight_layers(model) == ["0"]
    assert moved(model, include_biases=True) == set(dict(model.named_parameters()))


def test_a_model_given_beside_state_dicts_tells_scales_from_weights():
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(4, 4), nn.LayerNorm([3, 4])) for _ in range(4)]
    for parameter in (p for model in models for p in model.parameters()):
        nn.init.normal_(parameter)
    for plane in (
        la.pca_plane(models),
        la.pca_plane([model.state_dict() for model in models], model=models[0]),
        la.pca_plane([*[vectors.parameters_of(model) for model in models[:-1]], models[-1]]),
    ):
        assert {name for name, tensor in plane.delta.items() if tensor.any()} == {"0.weight"}


PARAMETRIZED = {
    "weight_norm, old": (nn.utils.weight_norm, {"0.weight_g", "0.weight_v"}),
    "weight_norm": (
        nn.utils.parametrizations.weight_norm,
        {"0.parametrizations.weight.original0", "0.parametrizations.weight.original1"},
    ),
    "weight_norm of the whole": (
        lambda layer: nn.utils.parametrizations.weight_norm(layer, dim=None),
        {"0.parametrizations.weight.original0", "0.parametrizations.weight.original1"},
    ),
    "spectral_norm, old": (nn.utils.spectral_norm, {"0.weight_orig"}),
    "spectral_norm": (nn.utils.parametrizations.spectral_norm, {"0.parametrizations.weight.original"}),
    "orthogonal": (nn.utils.parametrizations.orthogonal, {"0.parametrizations.weight.original"}),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
@pytest.mark.parametrize("kind", PARAMETRIZED)
def test_a_direction_moves_what_the_optimizer_moved(kind):
    parametrize, expected = PARAMETRIZED[kind]
    torch.manual_seed(0)
    model = nn.Sequential(parametrize(nn.Linear(6, 4)), nn.Tanh(), nn.Linear(4, 2))
    before, x = copy.deepcopy(model.state_dict()), torch.randn(20, 6)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        optimizer.step()
    trained = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved(model) == {*expected, "2.weight"} == {name for name in trained if "bias" not in name}
    assert moved(model, layers=["0"]) == expected
    assert la.weight_layers(model) == ["0", "2"]


def test_what_is_pruned_does_not_move_and_does_not_count():
    torch.manual_seed(0)
    layer = nn.Linear(6, 4)
    prune.l1_unstructured(layer, "weight", 0.5)
    delta, mask = la.random_plane(layer, seed=1).delta["weight_orig"], layer.weight_mask
    assert torch.equal(delta != 0, mask != 0)
    torch.testing.assert_close(delta.norm(dim=1), (layer.weight_orig * mask).detach().norm(dim=1))


def test_complex_weights_move_along_complex_directions_of_their_norms():
    torch.manual_seed(0)
    model = nn.Linear(400, 3, dtype=torch.complex64)
    delta = la.random_plane(model, seed=1).delta["weight"]
    assert delta.dtype == torch.complex64
    torch.testing.assert_close(delta.abs().square().sum(1), model.weight.detach().abs().square().sum(1))
    assert float(delta.imag.std() / delta.real.std()) == pytest.approx(1, abs=0.1)
    assert abs(float((delta.real * delta.imag).mean() / (delta.real.std() * delta.imag.std()))) < 0.1


class Mixed(nn.Module):
    """A base in bfloat16, an adapter in float32, and parameters that are no real numbers."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(300, 4).to(torch.bfloat16)
        self.adapter = nn.Linear(4, 4, bias=False)
        self.codes = nn.Parameter(torch.randint(-9, 9, (4, 4), dtype=torch.int8), requires_grad=False)
        self.wave = nn.Parameter(torch.randn(3, 3, dtype=torch.complex64))
        self.temperature = nn.Parameter(torch.tensor(2.0))


def test_every_parameter_keeps_its_type():
    torch.manual_seed(0)
    model = Mixed()
    types = {name: parameter.dtype for name, parameter in model.named_parameters()}
    for plane in (la.random_plane(model, seed=0), la.random_plane(model, seed=0, include_biases=True)):
        for point in (plane.origin, *plane.directions, plane.at(0.5, -2)):
            assert {name: tensor.dtype for name, tensor in point.items()} == types
        assert not plane.delta["codes"].any() and torch.equal(plane.at(1, 1)["codes"], model.codes)
    assert plane.delta["temperature"].any()
    ratio = plane.delta["base.weight"].float().norm(dim=1) / model.base.weight.detach().float().norm(dim=1)
    torch.testing.assert_close(ratio, torch.ones(4), atol=2e-3, rtol=0)
    exact = plane.origin["base.weight"].double() + 0.5 * plane.delta["base.weight"].double()
    exact = (exact - 2 * plane.eta["base.weight"].double()).to(torch.bfloat16)
    assert (plane.at(0.5, -2)["base.weight"] != exact).float().mean() < 0.01  # rounded once, but for ties
    adapters = la.random_plane(model, layers=["adapter"])
    assert {name for name, tensor in adapters.delta.items() if tensor.any()} == {"adapter.weight"}


def test_quantized_and_whole_numbers_alone_cannot_move():
    with pytest.raises(ValueError, match="no parameter would move"):
        la.random_plane({"codes": torch.ones(3, 3, dtype=torch.int8), "w": torch.ones(3)})


def test_lines_between_networks_of_mixed_types_and_numbers_without_dimensions():
    torch.manual_seed(1)
    a, b = Mixed(), Mixed()
    b.codes.data.copy_(a.codes)
    b.temperature.data.fill_(3.5)
    line = la.line_between(a, b)
    assert float(line.at(0.5)["temperature"]) == 2.75
    for name, parameter in b.named_parameters():
        assert line.at(1)[name].dtype == parameter.dtype
        tolerance = 0.01 if parameter.dtype == torch.bfloat16 else 1e-6
        torch.testing.assert_close(line.at(1)[name], parameter.detach(), atol=tolerance, rtol=tolerance)
    b.codes.data.add_(1)
    with pytest.raises(ValueError, match=r"model b: parameter 'codes' \(torch.int8\) differs"):
        la.line_between(a, b)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_compiled_and_wrapped_modules_move_as_what_they_hold():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 1, 1), nn.LayerNorm([1, 6, 6]), nn.Flatten(), nn.Linear(36, 1))
    expected = moved(model)
    assert expected == {"0.weight", "3.weight"}
    assert moved(torch.jit.script(model)) == moved(torch.jit.trace(model, torch.randn(2, 3, 6, 6))) == expected
    assert moved(nn.DataParallel(model)) == {f"module.{name}" for name in expected}
