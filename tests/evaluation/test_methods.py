"""Adaptive sampling and other precision through evaluate: near the whole surface, and honest about how near."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.directions import Line
from lossatlas.evaluation import journal, precision
from networks import plain_loop, table_1

GRID = np.linspace(-1, 1, 31)


@pytest.fixture(scope="module")
def network():
    """A network, its plane and data, and its surface by the plain loop."""
    model, data = table_1("feedforward-4")
    plane = la.random_plane(model, seed=2)
    return model, plane, data, plain_loop(model, plane, data.test, loss=data.loss, alphas=GRID, betas=GRID)[0]


def surface(network, **options):
    model, plane, data, _ = network
    return la.evaluate(model, plane, data.test, loss=data.loss, alphas=GRID, progress=False, **options)


def test_an_adaptive_surface_is_near_the_whole_one_for_a_third_of_the_evaluations(network):
    expected, found = network[3], surface(network, method="adaptive")
    assert found.loss.dims == found.evaluated.dims == ("alpha", "beta")
    assert found.evaluated.mean() < 1 / 3
    error = np.abs(found.loss.values - expected).max() / np.ptp(expected)
    assert 0 < error <= found.attrs["estimated_error"] <= 0.01
    assert 3 * found.attrs["checked_error"] <= 0.01 and found.attrs["checked_points"] == 48
    assert 0 < found.attrs["share_above"] < 0.1
    there = found.evaluated.values
    np.testing.assert_allclose(found.loss.values[there], expected[there], rtol=1e-5)
    assert found.accuracy.min() >= 0 and found.accuracy.max() <= 1
    assert found.attrs["origin_loss"] == pytest.approx(expected[15, 15], rel=1e-5)
    assert "evaluated" not in surface(network)


@pytest.fixture(scope="module")
def many():
    """A network, its plane, 1,200 samples in three classes and a metric; losses by the plain loop in float64."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    inputs = torch.randn(1200, 6)
    data = inputs, (inputs[:, :3] + 0.5 * torch.randn(1200, 3)).argmax(1)
    plane = la.random_plane(model, seed=4)
    vectors = [{name: tensor.double() for name, tensor in v.items()} for v in (plane.origin, *plane.directions)]
    doubled = copy.deepcopy(model).double(), la.Plane(*vectors), (inputs.double(), data[1])
    return model, plane, data, plain_loop(*doubled, loss="cross_entropy", alphas=GRID, betas=GRID)[0]


def spread(outputs, targets):
    return outputs.var(dim=1)


def on_levels(many, **options):
    model, plane, data, _ = many
    asked = {"method": "adaptive", "alphas": GRID, "progress": False, "device": "cpu", **options}
    return la.evaluate(model, asked.pop("plane", plane), asked.pop("data", data), **asked)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_few_points_on_all_samples_and_more_on_few(many, scale):
    found = on_levels(many, error_scale=scale, metrics={"spread": spread})
    low, top = json.loads(found.attrs["levels"])
    assert (low["samples"], top["samples"]) == (256, 1200) and low["points"] > top["points"]
    assert top["points"] == found.evaluated.sum() < 0.25 * GRID.size**2
    scaled = np.log if scale == "log" else np.asarray
    apart = np.abs(scaled(found.loss.values) - scaled(many[3])) / np.ptp(scaled(many[3]))
    assert apart.max() <= found.attrs["estimated_error"] <= 0.015 and found.attrs["tolerance"] == 0.01
    assert (apart[~found.evaluated.values] > found.attrs["checked_error"]).mean() <= found.attrs["share_above"]
    whole = on_levels(many, method="grid", metrics={"spread": spread})
    np.testing.assert_allclose(found.loss.values[found.evaluated], whole.loss.values[found.evaluated], rtol=1e-5)
    error = np.abs(found.spread - whole.spread).max() / np.ptp(whole.spread.values)
    assert 0 < error <= 2 * found.attrs["estimated_spread_error"] < 0.1
    assert "points_alone" not in found.attrs


def test_the_same_seed_asks_for_the_same_points(many):
    first, again, other = (on_levels(many, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.evaluated, again.evaluated) and first.attrs["levels"] == again.attrs["levels"]
    assert not np.array_equal(first.evaluated, other.evaluated)
    np.testing.assert_allclose(first.loss, again.loss, rtol=1e-5)


def test_a_loss_that_does_not_decompose_is_evaluated_at_fewer_points_alone(many):
    found = on_levels(many, loss=lambda outputs, targets: outputs.square().mean().sqrt())
    assert [level["samples"] for level in json.loads(found.attrs["levels"])] == [1200]
    assert "does not decompose" in found.attrs["points_alone"] and not found.evaluated.all()
    whole = on_levels(many, loss=lambda outputs, targets: outputs.square().mean().sqrt(), method="grid")
    assert np.abs(found.loss - whole.loss).max() <= 0.01 * np.ptp(whole.loss.values)


def test_values_that_overflow_are_never_interpolated_across(many):
    def steep(outputs, targets):
        return torch.exp(outputs.square().sum(dim=1) * 3)

    options = {"loss": steep, "alphas": np.linspace(-4, 4, 25), "error_scale": "log"}
    whole, found = on_levels(many, method="grid", **options), on_levels(many, **options)
    assert 0 < found.attrs["n_nonfinite"] == whole.attrs["n_nonfinite"] < 600
    assert np.array_equal(np.isfinite(found.loss), np.isfinite(whole.loss))


def test_three_directions(many):
    model, plane, _, _ = many
    box = la.Box(plane.origin, (*plane.directions, la.random_plane(model, seed=9).delta))
    found, whole = (on_levels(many, plane=box, alphas=GRID[::3], method=method) for method in ("adaptive", "grid"))
    assert found.loss.dims == ("alpha", "beta", "gamma") and found.evaluated.mean() < 0.5
    assert np.abs(found.loss - whole.loss).max() <= 0.01 * np.ptp(whole.loss.values)


def test_an_adaptive_line(network):
    model, plane, data, _ = network
    line = Line(plane.origin, plane.delta, plane.description)
    options = {"loss": data.loss, "alphas": np.linspace(-1, 1, 101), "progress": False}
    whole = la.evaluate(model, line, data.test, **options)
    found = la.evaluate(model, line, data.test, method="adaptive", **options)
    assert found.evaluated.mean() < 0.5
    assert np.abs(found.loss - whole.loss).max() <= 0.01 * np.ptp(whole.loss.values)


def test_a_bound_on_memory_holds_on_every_level(many):
    found = on_levels(many, memory=2_000_000)
    assert np.abs(found.loss - many[3]).max() <= 0.01 * np.ptp(many[3])


def test_an_adaptive_run_resumes_to_the_same_bits_wherever_it_was_stopped(many, tmp_path):
    path = tmp_path / "surface.jsonl"
    whole = on_levels(many, resume=path)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) > 8
    for kept in (len(lines) - 2, len(lines) // 2, 1):
        path.write_bytes(b"".join(lines[:kept]) + lines[kept][:40])  # killed while it wrote a line
        again = on_levels(many, resume=path)
        for name in ("loss", "accuracy", "evaluated"):
            assert whole[name].values.tobytes() == again[name].values.tobytes()
        assert len(path.read_bytes().splitlines()) == len(lines)
    for change, name in [({"method": "grid"}, "method"), ({"tolerance": 0.02}, "tolerance"), ({"seed": 1}, "seed")]:
        with pytest.raises(ValueError, match=rf"resume=.*holds another {name}"):
            on_levels(many, resume=path, **change)


def test_a_resume_file_from_before_levels_is_refused_by_name(many, tmp_path):
    path = tmp_path / "surface.jsonl"
    on_levels(many, resume=path)
    first = json.loads(path.read_bytes().splitlines()[0])
    del first["request"]["tolerance"], first["digest"]
    path.write_bytes(journal._line(first))
    with pytest.raises(ValueError, match=r"holds another tolerance \(None; now 0.01\)"):
        on_levels(many, resume=path)


def test_bfloat16_says_how_much_it_changed(network):
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no bfloat16 arithmetic")
    expected, found = network[3], surface(network, precision="bfloat16")
    error = np.abs(found.loss.values - expected).max() / np.ptp(expected)
    said = found.attrs["precision_error"]
    assert 1e-5 < said <= error * 1.001 < 0.05 and error < 4 * said
    assert found.attrs["precision"] == "bfloat16"
    assert surface(network).attrs["precision"] == "float32"


def test_double_precision_is_that_of_the_network_in_double_precision(network, tmp_path):
    model, plane, data, _ = network
    in_double = [{name: tensor.double() for name, tensor in v.items()} for v in (plane.origin, *plane.directions)]
    inputs, targets = (tensor.double() for tensor in data.test)
    doubled = copy.deepcopy(model).double(), la.Plane(*in_double), (inputs, targets)
    expected = plain_loop(*doubled, loss=data.loss, alphas=GRID, betas=GRID)[0]
    path = tmp_path / "kept"
    found = surface(network, precision="float64", resume=path)
    np.testing.assert_allclose(found.loss, expected, rtol=1e-12)
    assert found.attrs["precision"] == "float64"
    assert next(model.parameters()).dtype == torch.float32
    with pytest.raises(ValueError, match=r"resume=.*holds another precision"):
        surface(network, resume=path)


def test_a_large_change_is_warned_of(network, monkeypatch):
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no bfloat16 arithmetic")
    monkeypatch.setattr(precision, "TOLERANCE", 1e-6)
    with pytest.warns(UserWarning, match="bfloat16.*% of its range"):
        surface(network, precision="bfloat16")


def test_both_together(network):
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no bfloat16 arithmetic")
    expected, found = network[3], surface(network, precision="bfloat16", method="adaptive", tolerance=0.03)
    assert found.evaluated.mean() < 0.3
    assert np.abs(found.loss.values - expected).max() < 0.03 * np.ptp(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "smart"}, "method='smart': expected one of"),
        ({"precision": "float16"}, 'precision=\'float16\': expected None or "float32", "float64" or "bfloat16"'),
    ],
)
def test_what_is_not_known_is_named(network, options, message):
    with pytest.raises(ValueError, match=message):
        surface(network, **options)


def test_full_precision_weights_are_not_lowered():
    model, data = table_1("feedforward-4")
    model = model.double()
    inputs, targets = data.test
    with pytest.raises(
        ValueError, match=r'precision=.bfloat16.: expected None or "float64" for weights of type float64'
    ):
        la.evaluate(model, la.random_plane(model), (inputs.double(), targets), loss=data.loss, precision="bfloat16")
