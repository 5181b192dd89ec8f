"""How long a picture takes whose error is at most 1 % of the surface's range: on more points and more samples."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

import lossatlas as la
from workloads import WORKLOADS, Workload, make

TOLERANCE = 0.01  # of the surface's range
POINTS = 51  # along each side of the grid


@dataclass(frozen=True)
class Picture:
    """A workload on a picture's grid, how many times as fast it should be, and how thoroughly its error is checked.

    Attributes
    ----------
    workload
        What is drawn.
    loop, peers
        How many times as fast as the loop of 128, and as the best alternative, adaptive sampling should be; None if
        nothing is asked.
    every
        Of every so many points along each axis, one is evaluated on all samples for the true error.
    """

    workload: Workload
    loop: float
    peers: float | None = None
    every: int = 1


def picture(key: str, title: str, samples: int | None, **options) -> Picture:
    """A workload on more points and samples."""
    return Picture(replace(WORKLOADS[key], title=title, samples=samples, points=POINTS), **options)


PICTURES = {
    "a": picture("a", "model 7, seismic-bumps, all rows", None, loop=20),
    "b": picture("b", "model 3, MNIST, 10,000 images", 10_000, loop=40, peers=15),
    "c": picture("c", "model 1, CIFAR-10, 10,000 images", 10_000, loop=60, every=4),
    "d": picture("d", "model 5, Shakespeare, 2,478 sequences of 45", 2_478, loop=12, every=2),
    "e": Picture(
        Workload(
            "ResNet-20 trained by others, CIFAR-10, 10,000 images",
            "cifar10",
            POINTS,
            10_000,
            lambda data: la.load_pretrained("resnet20-cifar10"),
            steps=0,
        ),
        loop=25,
        every=7,
    ),
}


def draw(key: str, seconds_of: dict) -> dict:
    """Time one picture, and every peer on a few of its points.

    Parameters
    ----------
    key
        Of :data:`PICTURES`.
    seconds_of
        For each peer, a function of the case that returns its seconds for one point.
    """
    wanted = PICTURES[key]
    case = make(wanted.workload)
    options = {"loss": case.loss, "progress": False}
    peers = {name: function(case) for name, function in seconds_of.items()}
    start = time.perf_counter()
    plan = {"method": "adaptive", "tolerance": TOLERANCE, **options}
    surface = la.evaluate(case.model, case.plane, case.data, alphas=case.grid, **plan)
    taken = time.perf_counter() - start
    few = slice(wanted.every // 2, None, wanted.every)
    start = time.perf_counter()
    exact = la.evaluate(case.model, case.plane, case.data, alphas=case.grid[few], **options)
    exactly = (time.perf_counter() - start) / exact.loss.size
    error = np.abs(surface.loss.values[few, few] - exact.loss.values).max() / np.ptp(surface.loss.values)
    return {
        "title": wanted.workload.title,
        "points": surface.loss.size,
        "seconds": {**{name: surface.loss.size * one for name, one in peers.items()}, "adaptive": taken},
        "exact_seconds": surface.loss.size * exactly,
        "error": float(error),
        "checked": exact.loss.size,
        "estimated_error": float(surface.attrs["estimated_error"]),
        "evaluated_share": float(surface.evaluated.mean()),
        "asked": {"loop": wanted.loop, "peers": wanted.peers},
    }
