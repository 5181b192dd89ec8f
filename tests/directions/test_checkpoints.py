"""Modules, parameter dicts and state dicts; statistics that travel between networks."""

import copy

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import lossatlas as la
from lossatlas import vectors
from lossatlas.directions import dot_products
from networks import odd_net
from statistics_of_networks import KINDS, X, trained


def outputs(model, subspace, *coordinates):
    """What a model gives with a subspace's weights and buffers at a point written into it."""
    model = copy.deepcopy(model).double()
    values = {**subspace.at(*coordinates), **subspace.buffers_at(*coordinates)}
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for name, value in values.items():
            tensors[name].copy_(value)
        return model(X.double())


def truth(model):
    with torch.no_grad():
        return copy.deepcopy(model).double()(X.double())


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_that_a_line_or_plane_was_made_of_is_on_it(kind):
    networks = [trained(kind, seed)[-1] for seed in range(3)]
    fresh = trained(kind, 7)[0]  # whichever model the weights are written into
    line, plane = la.line_between(*networks[:2]), la.plane_through(*networks)
    pca = la.pca_plane(networks, include_biases=True)
    places = la.project(networks, pca)
    for at, network in enumerate(networks):
        found = [outputs(fresh, plane, *[(0, 0), (1, 0), (0, 1)][at])]
        found += [outputs(fresh, line, at)] if at < 2 else []
        found += [outputs(fresh, pca, float(places.alpha[at]), float(places.beta[at]))]
        for one in found:
            torch.testing.assert_close(one, truth(network), rtol=1e-4, atol=1e-4)
    assert places.captured.values == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_buffers_lie_in_between_and_a_plane_around_one_network_keeps_its_own(kind):
    a, b = trained(kind, 0)[-1], trained(kind, 1)[-1]
    line, around = la.line_between(a, b), la.random_plane(a, seed=2)
    for name, buffer in a.state_dict().items():
        if name in dict(a.named_parameters()):
            continue
        torch.testing.assert_close(around.buffers_at(0.7, -3)[name], buffer)
        if not name.endswith("num_batches_tracked"):
            middle = buffer if "table" in name else (buffer + b.state_dict()[name]) / 2
            torch.testing.assert_close(line.buffers_at(0.5)[name], middle)
    assert around.buffer_directions == () and not any("scratch" in name for name in around.buffers)
    a[0].weight.data.zero_()
    for buffer in a.buffers():
        buffer.zero_()
    assert vectors.norm(around.origin) > 1 and all(torch.isfinite(t).all() for t in around.delta.values())
    if kind == "BatchNorm1d":
        assert around.buffers["1.running_mean"].any()


def test_statistics_along_a_path_are_the_least_squares_fit():
    path = trained("BatchNorm1d", 0)
    plane = la.pca_plane(path)
    places = la.project(path, plane)
    at = np.stack([places.alpha, places.beta], 1)[:-1]
    change = np.stack([(p[1].running_var - path[-1][1].running_var).numpy() for p in path[:-1]])
    fit = np.linalg.lstsq(at, change, rcond=None)[0]
    for k in range(2):
        np.testing.assert_allclose(plane.buffer_directions[k]["1.running_var"], fit[k], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(plane.buffers_at(0, 0)["1.running_var"], path[-1][1].running_var)


def forms(path):
    """The same path in every form in which it may come."""
    states = [copy.deepcopy(net.state_dict()) for net in path]
    return {
        "modules": path,
        "parameter dicts": [vectors.parameters_of(net) for net in path],
        "state dicts": states,
        "state dicts without counters": [{n: t for n, t in s.items() if "num_batches" not in n} for s in states],
        "state dicts of parameters": [net.state_dict(keep_vars=True) for net in path],
        "state dicts and a module": [*states[:-1], path[-1]],
    }


@pytest.mark.parametrize("form", forms(trained("BatchNorm1d", 0)))
def test_the_form_of_checkpoints_does_not_matter(form):
    path = trained("BatchNorm1d", 0)
    reference, given = la.pca_plane(path, include_biases=True), forms(path)[form]
    plane = la.pca_plane(given, include_biases=True)
    assert list(plane.origin) == list(dict(path[0].named_parameters()))
    for one, other in zip(plane.directions, reference.directions, strict=True):
        torch.testing.assert_close(one, other)
    true = []
    for net in path:
        pairs = zip(net.parameters(), path[-1].parameters(), strict=True)
        true.append(sum(float(((p - q).detach().double() ** 2).sum()) for p, q in pairs))
    for on in (plane, reference, la.random_plane(path[-1]), la.random_plane(vectors.parameters_of(path[-1]))):
        found = la.project(given, on)
        np.testing.assert_allclose(found.distance, np.sqrt(true), rtol=1e-5, atol=1e-6)
        xr.testing.assert_allclose(found, la.project(path, on), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dot_products(given, plane), dot_products(path, plane), rtol=1e-5, atol=1e-5)
    if form != "parameter dicts":
        line = la.line_between(given[0], given[-1])
        torch.testing.assert_close(line.buffers_at(1)["1.running_var"], path[-1][1].running_var)
    else:
        assert la.line_between(given[0], given[-1]).buffers == {}


def test_a_module_tells_shared_weights_and_buffers_of_any_name():
    a, b = odd_net(0), odd_net(1)
    b.shift.fill_(0.75)
    states = [copy.deepcopy(net.state_dict()) for net in (a, b)]
    for state in states:
        state["third.weight"] = state["third.weight"].clone()  # as after a file that knows no shared tensors
    reference, line = la.line_between(a, b), la.line_between(*states, model=odd_net(2))
    assert set(line.origin) == set(dict(a.named_parameters())) and "third.weight" not in line.origin
    torch.testing.assert_close(line.delta, reference.delta)
    assert float(line.buffers_at(0.5)["shift"]) == 0.5
    alone = la.line_between(a.state_dict(), b.state_dict())
    assert "third.weight" not in alone.origin  # told by the memory that both names have in common
    assert float(alone.at(1)["shift"]) == 0.75  # nothing tells that it is a buffer, until there is a module
    divided = alone.for_model(a)
    assert set(divided.origin) == set(dict(a.named_parameters()))
    assert float(divided.buffers_at(0.5)["shift"]) == 0.5 and type(divided) is la.Line


def test_a_plane_of_another_architecture_does_not_divide():
    plane = la.random_plane(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"plane has no parameter '0\.weight'"):
        plane.for_model(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="plane has 'extra', which is neither a parameter nor a buffer of Linear"):
        la.random_plane({**nn.Linear(2, 2).state_dict(), "extra": torch.ones(2, 2)}).for_model(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"plane differs at parameter 'weight': shape \(2, 2\), expected \(3, 2\)"):
        plane.for_model(nn.Linear(2, 3))


def test_statistics_of_one_network_only_are_refused():
    a, b = trained("BatchNorm1d", 0)[-1], trained("BatchNorm1d", 1)[-1]
    with pytest.raises(ValueError, match=r"model b has no buffer '1.running_mean'.*give modules or state dicts"):
        la.line_between(a, vectors.parameters_of(b))
    with pytest.raises(ValueError, match=r"model a has no buffer '1\.running_mean'"):
        la.line_between(trained("batch norm without statistics", 0)[-1], b)
    b[1].running_var[3] = float("nan")
    with pytest.raises(ValueError, match=r"model b: buffer '1\.running_var' has NaN"):
        la.line_between(a, b)


def test_a_buffer_that_is_the_same_everywhere_need_not_be_given_twice():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)
            self.register_buffer("mask", torch.tensor([True, False, True]))
            self.register_buffer("position", torch.tensor([0.5, -float("inf")]))

    a, b = Masked(), Masked()
    line = la.line_between(a, vectors.parameters_of(b))
    torch.testing.assert_close(line.buffers_at(0.3)["position"], a.position)
    torch.testing.assert_close(la.line_between(a, b).buffers_at(0.3)["mask"], a.mask)
    b.mask[0] = False
    with pytest.raises(ValueError, match=r"model b: buffer 'mask' \(torch.bool\) differs"):
        la.line_between(a, b)


def test_points_in_between_leave_their_networks_alone():
    a, b = odd_net(0), odd_net(1)
    before = copy.deepcopy([a.state_dict(), b.state_dict()])
    line, plane = la.line_between(a, b), la.plane_through(a, b, odd_net(2))
    line.at(0.5)["first.weight"].zero_()
    line.buffers_at(0.5)["norm.running_mean"].zero_()
    for vector in (plane.origin, plane.buffers, *plane.directions):
        for tensor in vector.values():
            tensor.zero_()
    for net, state in zip((a, b), before, strict=True):
        for name, tensor in net.state_dict().items():
            assert torch.equal(tensor, state[name])
    with pytest.raises(ValueError, match="model c lies on the line"):
        la.plane_through(a, b, line.at(0.25) | line.buffers_at(0.25))
