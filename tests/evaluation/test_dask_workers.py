"""client=: two processes of a local cluster, one of which dies, and the values of one process."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.evaluation import schedule
from lossatlas.evaluation.work import Work
from networks import Slow, slow_request

distributed = pytest.importorskip("distributed")

GRID = np.linspace(-1, 1, 6)


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_SECONDS", 0.05)
    monkeypatch.setattr(schedule, "LONGEST_CHUNK", 0.05)
    return slow_request(0.01, points=6)


def local(asked, strategy):
    """The values of this process, by the same strategy and with the workers' one thread."""
    from lossatlas.evaluation.metrics import make_quantities
    from networks import make_sweep

    points = torch.cartesian_prod(*[torch.tensor(GRID, dtype=torch.float32)] * 2)
    sweep = make_sweep(asked["model"], asked["plane"], make_quantities("cross_entropy"), None)
    work = Work(sweep, [asked["data"]])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sums = schedule.sums(work, schedule.as_before(work, strategy, points), points)
    finally:
        torch.set_num_threads(threads)
    numerators, weights = sums.chunk(2)
    return (numerators / weights).reshape(2, 6, 6).numpy()


def test_a_killed_worker_costs_its_chunk_and_nothing_else(client, asked, tmp_path):
    import json

    from lossatlas.evaluation.kernels import TRANSFORMS
    from lossatlas.evaluation.strategies import Strategy

    path = tmp_path / "kept"
    pids = list(client.run(os.getpid).values())

    def kill_one():
        while not path.exists() or path.read_bytes().count(b"\n") < 4:
            time.sleep(0.01)
        os.kill(pids[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    surface = la.evaluate(client=client, resume=path, **asked)
    killer.join()
    first, *done = map(json.loads, path.read_text().splitlines())
    assert sorted(entry["chunk"] for entry in done) == list(range(len(first["chunks"]))) and len(done) > 8
    losses, accuracy = local(asked, Strategy.from_record(first["strategy"], TRANSFORMS))
    np.testing.assert_allclose(surface.loss, losses, rtol=1e-6)
    np.testing.assert_array_equal(surface.accuracy, accuracy)
    assert "1 threads" in surface.attrs["device"]
    assert pids[0] not in client.run(os.getpid).values(), "one did die"
    assert not any(name.startswith("lossatlas") for names in client.run(_plugins).values() for name in names)


def test_an_adaptive_surface_on_levels_of_samples(client, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    data = torch.randn(900, 6), torch.randint(0, 3, (900,))
    grid = {"alphas": np.linspace(-1, 1, 21), "progress": False}
    request = model, la.random_plane(model, seed=4), data
    found = la.evaluate(*request, method="adaptive", client=client, resume=tmp_path / "kept", **grid)
    assert found.attrs["levels"].count("samples") == 2 and not found.evaluated.all()
    whole = la.evaluate(*request, **grid)
    assert np.abs(found.loss - whole.loss).max() <= 0.01 * np.ptp(whole.loss.values)


def _plugins(dask_worker):
    return list(dask_worker.plugins)


def test_the_network_and_the_data_reach_a_worker_once(client, asked):
    class Counted(torch.Tensor):
        pass

    before = client.run(_unpickled)
    surface = la.evaluate(client=client, **{**asked, "loss": CountedLoss()})
    after = client.run(_unpickled)
    assert all(after[worker] - before[worker] == 1 for worker in before), "once a worker, for a dozen chunks"
    assert np.isfinite(surface.loss).all()


class CountedLoss:
    """Cross-entropy that counts in the process's environment how often it was unpickled."""

    __name__ = "counted"

    def __call__(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets, reduction="none")

    def __setstate__(self, state):
        os.environ["UNPICKLED"] = str(int(os.environ.get("UNPICKLED", 0)) + 1)

    def __getstate__(self):
        return {"some": "state"}


def _unpickled():
    return int(os.environ.get("UNPICKLED", 0))


def test_errors_on_a_worker_reach_the_caller(client, asked):
    class Late(Slow):
        def forward(self, x):
            if len(x) > 2:
                raise ArithmeticError("not today")
            return self.layer(x)

    with pytest.raises(ArithmeticError, match="not today"):
        la.evaluate(client=client, **{**asked, "model": Late(0)})
    with pytest.raises(ValueError, match="client: got str, expected a dask"):
        la.evaluate(client="tcp://somewhere", **asked)
