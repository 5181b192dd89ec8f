"""Adaptive sampling and other precision through evaluate: near the whole surface, and honest about how near."""

import copy

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.directions import Line
from lossatlas.evaluation import precision
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


def test_an_adaptive_surface_is_near_the_whole_one_for_a_quarter_of_the_evaluations(network):
    expected, found = network[3], surface(network, method="adaptive")
    assert found.loss.dims == found.evaluated.dims == ("alpha", "beta")
    assert found.evaluated.mean() < 0.25
    error = np.abs(found.loss.values - expected).max() / np.ptp(expected)
    assert 0 < error <= found.attrs["estimated_error"] <= 0.01
    there = found.evaluated.values
    np.testing.assert_allclose(found.loss.values[there], expected[there], rtol=1e-5)
    assert found.accuracy.min() >= 0 and found.accuracy.max() <= 1
    assert found.attrs["origin_loss"] == pytest.approx(expected[15, 15], rel=1e-5)
    assert "evaluated" not in surface(network)


def test_an_adaptive_line(network):
    model, plane, data, _ = network
    line = Line(plane.origin, plane.delta, plane.description)
    options = {"loss": data.loss, "alphas": np.linspace(-1, 1, 101), "progress": False}
    whole = la.evaluate(model, line, data.test, **options)
    found = la.evaluate(model, line, data.test, method="adaptive", **options)
    assert found.evaluated.mean() < 0.5
    assert np.abs(found.loss - whole.loss).max() <= 0.01 * np.ptp(whole.loss.values)


def test_an_adaptive_run_goes_on_where_it_was_stopped(network, tmp_path):
    path = tmp_path / "surface.jsonl"
    whole = surface(network, method="adaptive", resume=path)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) > 4
    path.write_bytes(b"".join(lines[:-2]) + lines[-2][:40])  # killed while it wrote the last but one
    again = surface(network, method="adaptive", resume=path)
    for name in ("loss", "accuracy", "evaluated"):
        assert np.array_equal(whole[name], again[name])
    assert len(path.read_bytes().splitlines()) == len(lines)
    with pytest.raises(ValueError, match=r"resume=.*holds another method"):
        surface(network, resume=path)


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
    expected, found = network[3], surface(network, precision="bfloat16", method="adaptive")
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
