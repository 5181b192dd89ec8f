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
from lossatlas.evaluation.schedule import EVERYTHING, LocalExecutor
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.work import Part, Work

AHEAD = 2  # chunks that a worker's thread is given at a time: the one it computes, and the next


class WorkPlugin(WorkerPlugin):
    """Holds the work on every worker during an evaluation; it reaches each worker once, also one that joins later."""

    def __init__(self, name: str, work: Work, points: Tensor, device: str):
        self.name, self.work, self.points, self.device = name, work, points, device

    def setup(self, worker) -> None:
        """Get ready on a worker; Dask calls this when the plugin arrives."""
        self.executor: LocalExecutor | None = None
        self.one_at_a_time = threading.Lock()  # a worker may have several threads; passes use them all

    def local_executor(self) -> LocalExecutor:
        """Return this worker's executor, made when it is first needed."""
        if self.executor is None:
            self.executor = LocalExecutor(self.work.copied(), self.points.clone(), pick_device(self.device))
        return self.executor


def _plugin(name: str) -> WorkPlugin:
    """On a worker: what it was given."""
    plugin = get_worker().plugins[name]
    assert isinstance(plugin, WorkPlugin)
    return plugin


def _tune(name: str, part: Part) -> tuple[Strategy, float, dict[str, str], int]:
    """On a worker: the strategy, its seconds a point, what the worker is, and its number of threads."""
    plugin = _plugin(name)
    with plugin.one_at_a_time:
        strategy, seconds = plugin.local_executor().tune(part)
        return strategy, seconds, circumstances(pick_device(plugin.device)), torch.get_num_threads()


def _work_off(name: str, strategy: Strategy, threads: int | None, part: Part) -> np.ndarray:
    """On a worker: the sums (rows, n) of one chunk, by as many threads as the worker that chose the strategy has."""
    plugin = _plugin(name)
    with plugin.one_at_a_time:
        torch.set_num_threads(threads or torch.get_num_threads())
        [(_, sums)] = plugin.local_executor().results(strategy, {0: part}, lambda evaluations: None)
    return sums


class DaskExecutor:
    """Works off chunks on the workers of a client; used as a context, at whose end the workers forget the work."""

    in_chunks = True

    def __init__(self, client: Client, work: Work, points: Tensor, device: str | torch.device):
        self.client, self.work, self.name = client, work, f"lossatlas-{uuid.uuid4().hex}"
        self.provenance: dict[str, str] = {}
        self.plugin = WorkPlugin(self.name, work, points, str(device))
        self.threads: int | None = None
        self.numbers: dict[Future, int] = {}  # of the chunks that workers have been given

    def __enter__(self) -> DaskExecutor:
        """Give every worker the work."""
        self.client.register_plugin(self.plugin, name=self.name)
        return self

    def __exit__(self, *_) -> None:
        """Cancel what is not done, and take the work back."""
        self.client.cancel(list(self.numbers))
        self.numbers = {}
        self.client.unregister_worker_plugin(self.name)

    def tune(self, part: Part = EVERYTHING) -> tuple[Strategy, float]:
        """Return the strategy that one worker chose for a part of the work, and its seconds for one point."""
        future = self.client.submit(_tune, self.name, part, pure=False)
        self.numbers[future] = -1
        strategy, seconds, self.provenance, self.threads = future.result()
        del self.numbers[future]
        return strategy, seconds

    def results(
        self, strategy: Strategy, left: Mapping[int, Part], advance: Callable[[int], object]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number, sums (rows, n)) of every chunk as soon as it is done.

        A worker that dies costs the chunk that it computes and at most one more: each is given few at a time, and
        what it has finished is fetched at once. Other workers compute what is lost.
        """
        waiting = list(left.items())[::-1]
        completed = as_completed(with_results=True)

        def give() -> None:
            room = AHEAD * max(1, sum(self.client.nthreads().values())) - len(self.numbers)
            for _ in range(min(room, len(waiting))):
                number, part = waiting.pop()
                future = self.client.submit(_work_off, self.name, strategy, self.threads, part, pure=False)
                self.numbers[future] = number
                completed.add(future)

        give()
        for future, sums in completed:
            number = self.numbers.pop(future)
            give()
            advance(sums.shape[1] * self.work.holding(left[number].blocks).samples)
            yield number, sums
