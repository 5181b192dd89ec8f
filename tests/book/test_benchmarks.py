"""The benchmark times what it says on equal terms, and its memory is what a contender allocates."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

import bench
import limits
import lossatlas as la
import peaks
import pictures
from lossatlas.directions import Plane

pytestmark = pytest.mark.data


def test_all_contenders_give_the_same_surface(monkeypatch):
    monkeypatch.setattr(bench, "PEER_SECONDS", 0.01)
    found = bench.measure("a", repeats=2, points=7, say=lambda _: None)
    assert set(found["seconds"]) == {*bench.PEERS, *bench.GRIDS, *bench.EVALUATE}
    assert all(len(turns) == 2 and min(turns) > 0 for turns in found["all_seconds"].values())
    assert found["points"] == 49 and found["errors"]["evaluate"] < 1e-5
    rates = {"float32": 1e11, "float32, oneDNN": 2e11, "bfloat16": 9e11}
    rates |= {"sigmoid": 1e9, "exponential": 1e9, "memory": 1e10}
    run = {"machine": {}, "rates": rates, "workloads": {"a": found | {"peak_bytes": {bench.LOOP: 2e6}}}}
    text = bench.table(run)
    assert all(name in text for name in found["seconds"]) and "2 MB" in text
    share = 100 * bench.limit(run, found) / found["seconds"]["evaluate"]
    assert f"{share:.0f} % of the limit" in text and share > 0
    case = bench.make(bench.WORKLOADS["a"], points=3)
    losses = [peer(case, [(0.5, -0.5), (0.0, 0.0)]) for peer in bench.PEERS.values()]
    np.testing.assert_allclose(losses, [losses[0]] * len(losses), rtol=1e-5)


def test_what_a_point_needs_is_what_a_count_by_hand_gives():
    case = bench.make(dataclasses.replace(bench.WORKLOADS["a"], steps=0), points=3)
    rows, widths = len(case.data[0]), (case.data[0].shape[1], 128, 64, 32, 1)
    later = sum(a * b for a, b in itertools.pairwise(widths[1:]))  # the first layer's input does not move
    assert case.needed.products == 2 * rows * later
    assert case.needed.sigmoids == rows * sum(widths[1:-1])
    weights = sum(a * b for a, b in itertools.pairwise(widths))  # the biases do not move
    assert case.needed.bytes == 4 * weights * (1 + 2 + 1)  # origin, two directions, and the point


def test_an_image_needs_a_step_for_each_output_of_its_first_convolution_its_relu_and_its_pooling():
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(80, 3),
    )
    found = limits.needed(model, la.random_plane(model, seed=0), (images, labels), "cross_entropy")
    assert found.products == 2 * 4 * 80 * 3
    outputs = 4 * 3 * (limits.SOFTMAX_STEPS + 1) + 4  # the class of the largest, and whether it is right
    assert found.steps == 3 * 4 * 5 * 8 * 8 + outputs and found.exponentials == 4 * 3 and found.sigmoids == 0
    rates = {"float32": 2e3, "exponential": 12.0, "sigmoid": 1.0, "memory": 1e9}
    assert found.seconds(rates) == pytest.approx((found.products + 2 * found.steps) / 2e3 + 1)
    assert found.seconds(rates | {"memory": found.bytes / 60}) == 60  # the memory is slower


def test_a_picture_is_timed_and_its_error_is_that_of_the_whole_grid(monkeypatch):
    small = dataclasses.replace(pictures.PICTURES["a"], every=1)
    small = dataclasses.replace(small, workload=dataclasses.replace(small.workload, points=21))
    monkeypatch.setitem(pictures.PICTURES, "a", small)
    found = pictures.draw("a", {bench.LOOP: lambda case: 0.5, "another": lambda case: 0.25})
    assert found["points"] == found["checked"] == 441
    assert found["seconds"][bench.LOOP] == 441 * 0.5 and 0 < found["seconds"]["adaptive"] < 441 * 0.25
    case = bench.make(small.workload)
    options = {"loss": case.loss, "alphas": case.grid, "progress": False}
    exact, drawn = (
        la.evaluate(case.model, case.plane, case.data, method=method, **options).loss.values
        for method in ("grid", "adaptive")
    )
    assert found["error"] == pytest.approx(np.abs(drawn - exact).max() / np.ptp(exact), rel=0.01)
    assert 0 < found["error"] < 0.01 and found["evaluated_share"] < 1
    lines = bench.pictures_table({"pictures": {"a": found}})
    over = bench.times_as_fast(found)
    assert over["loop"] == pytest.approx(2 * over["peers"]) and f"loop {over['loop']:.1f} (asked 20)" in "".join(lines)


def test_landscaper_walks_the_directions_that_it_is_given():
    pytest.importorskip("landscaper", reason="make bench installs it")
    case, side = bench.make(bench.WORKLOADS["a"], points=3), 5
    found = bench.landscaper(case, side)
    names = [name for name, _ in case.model.named_parameters()]
    origin = torch.cat([case.plane.origin[name].flatten() for name in names])

    def scaled(direction):  # each tensor to √(its size), then all to a step of 2/side of the weights' norm
        parts = [direction[n] * direction[n].numel() ** 0.5 / (direction[n].norm() + 1e-10) for n in names]
        factor = 2 / side * origin.norm() / torch.cat([part.flatten() for part in parts]).norm()
        return {n: factor * part for n, part in zip(names, parts, strict=True)}

    plane = Plane(case.plane.origin, scaled(case.plane.delta), scaled(case.plane.eta))
    points = [(float(i - 2), float(j - 2)) for i in range(side) for j in range(side)]
    expected = bench.all_at_once(dataclasses.replace(case, plane=plane), points)
    kept = np.argsort(expected)[:-1]  # Landscaper adds noise to the highest point
    np.testing.assert_allclose(found.ravel()[kept], np.array(expected)[kept], rtol=1e-4)


def nothing(case):
    pass


def sixty_four_megabytes(case):
    np.ones(8 * 2**20)


@pytest.mark.skipif(not peaks.MEASURABLE, reason="the high-water mark of a process is Linux's")
def test_memory_is_what_a_contender_allocates():
    found = peaks.peaks("a", {"nothing": nothing, "some": sixty_four_megabytes})
    assert found["nothing"] < 4e6
    assert abs(found["some"] - 64 * 2**20) < 4e6
