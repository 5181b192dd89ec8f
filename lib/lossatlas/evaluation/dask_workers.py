"""Chunks of an evaluation on the workers of a Dask cluster: local processes, SLURM nodes, several GPUs."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from distributed import Client, Future, WorkerPlugin, as_completed, get_worker
from torch import Tensor

from lossatlas.evaluation.devices import circumstances, pick_device
from lossatlas.evaluation.schedule import LocalExecutor, Work
from lossatlas.evaluation.strategies import Strategy


class WorkPlugin(WorkerPlugin):
    """Holds the work on every worker during an evaluation; it reaches each worker once, also one that joins later."""

    def __init__(self, name: str, work: Work, points: Tensor, device: str):
        self.name, self.work, self.points, self.device = name, work, points, device

    def setup(self, worker) -> None:
        """Called by Dask when the plugin arrives on a worker."""
        self.executor: LocalExecutor | None = None
        self.one_at_a_time = threading.Lock()  # a worker may have several threads; passes use them all

    def local_executor(self) -> LocalExecutor:
        """Return this worker's executor, made when it is first needed."""
        if self.executor is None:
            self.executor = LocalExecutor(self.work, self.points, pick_device(self.device))
        return self.executor


def _tune(name: str) -> tuple[Strategy, float, dict[str, str]]:
    """On a worker: the strategy, its seconds a point, and what the worker is."""
    plugin = get_worker().plugins[name]
    with plugin.one_at_a_time:
        strategy, seconds = plugin.local_executor().tune()
    return strategy, seconds, circumstances(pick_device(plugin.device))


def _work_off(name: str, strategy: Strategy, part: slice | Tensor) -> np.ndarray:
    """On a worker: the sums (2, n) of one chunk."""
    plugin = get_worker().plugins[name]
    with plugin.one_at_a_time:
        [(_, sums)] = plugin.local_executor().results(strategy, {0: part}, lambda evaluations: None)
    return sums


class DaskExecutor:
    """Works off chunks on the workers of a client; used as a context, which ends the visit."""

    in_chunks = True

    def __init__(self, client: Client, work: Work, points: Tensor, device: str | torch.device):
        self.client, self.work, self.name = client, work, f"lossatlas-{uuid.uuid4().hex}"
        self.facts: dict[str, str] = {}
        self.plugin = WorkPlugin(self.name, work, points, str(device))
        self.futures: list[Future] = []

    def __enter__(self) -> DaskExecutor:
        self.client.register_plugin(self.plugin, name=self.name)
        return self

    def __exit__(self, *_) -> None:
        self.client.cancel(self.futures)
        self.futures = []
        self.client.unregister_worker_plugin(self.name)

    def tune(self) -> tuple[Strategy, float]:
        """The strategy that one worker chose, and the seconds that it takes a point there."""
        future = self.client.submit(_tune, self.name, pure=False)
        self.futures.append(future)
        strategy, seconds, self.facts = future.result()
        return strategy, seconds

    def results(
        self, strategy: Strategy, left: Mapping[int, slice | Tensor], advance: Callable[[int], object]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(number, sums (2, n)) of every chunk, as they are done; a chunk whose worker dies goes to another."""
        numbers = {
            self.client.submit(_work_off, self.name, strategy, part, pure=False): number
            for number, part in left.items()
        }
        self.futures.extend(numbers)
        for future in as_completed(list(numbers)):
            sums = future.result()
            advance(sums.shape[1] * self.work.samples)
            yield numbers[future], sums
