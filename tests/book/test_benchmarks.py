"""The benchmark times what it says on equal terms, and its memory is what a contender allocates."""

import numpy as np
import pytest

import bench
import peaks

pytestmark = pytest.mark.data


def test_all_contenders_give_the_same_surface(monkeypatch):
    monkeypatch.setattr(bench, "PEER_SECONDS", 0.01)
    found = bench.measure("a", repeats=2, points=7, say=lambda _: None)
    assert set(found["seconds"]) == {*bench.PEERS, *bench.EVALUATE}
    assert all(len(turns) == 2 and min(turns) > 0 for turns in found["all_seconds"].values())
    assert found["points"] == 49 and found["errors"]["evaluate"] < 1e-5
    assert found["operations"] > 2584 * 2 * 100  # its rows, each through a layer of 100 at least
    run = {"machine": {}, "rates": {"float32": 1e11}, "workloads": {"a": found | {"peak_bytes": {bench.LOOP: 2e6}}}}
    text = bench.table(run)
    assert all(name in text for name in found["seconds"]) and "2 MB" in text
    case = bench.make(bench.WORKLOADS["a"], points=3)
    losses = [peer(case, [(0.5, -0.5), (0.0, 0.0)]) for peer in bench.PEERS.values()]
    np.testing.assert_allclose(losses, [losses[0]] * len(losses), rtol=1e-5)


def nothing(case):
    pass


def sixty_four_megabytes(case):
    np.ones(8 * 2**20)


@pytest.mark.skipif(not peaks.MEASURABLE, reason="the high-water mark of a process is Linux's")
def test_memory_is_what_a_contender_allocates():
    found = peaks.peaks("a", {"nothing": nothing, "some": sixty_four_megabytes})
    assert found["nothing"] < 4e6
    assert abs(found["some"] - 64 * 2**20) < 4e6
