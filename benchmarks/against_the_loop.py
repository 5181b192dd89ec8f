"""evaluate against the plain loop, on the seven networks of Table 1, in one run.

The loop is what one would write by hand: copy the weights of a point into the network, call it batch by
batch, add up the loss. Both see the same weights, directions, data and grid; each is timed several times,
in turns, and the medians are compared. Usage: python benchmarks/against_the_loop.py [model …]
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import torch

import lossatlas as la
from lossatlas.losses import make_score

CASES = {  # model: dataset, samples, points along each side of the grid
    "cnn-1": ("mnist", 500, 11),
    "cnn-3": ("cifar10", 500, 11),
    "feedforward-16": ("mnist", 5000, 15),
    "feedforward-16-skip": ("mnist", 5000, 15),
    "rnn": ("shakespeare", 500, 11),
    "feedforward-2": ("seismic-bumps", 1938, 41),
    "feedforward-4": ("seismic-bumps", 1938, 41),
}
REPEATS = 3


def plain_loop(model, plane, data, loss, grid, batch):
    """Mean loss at every point of the grid, one point and one batch at a time."""
    score, inputs, targets = make_score(loss), *data
    found = []
    with torch.no_grad():
        for alpha in grid:
            for beta in grid:
                for name, parameter in model.named_parameters():
                    parameter.copy_(plane.origin[name] + alpha * plane.delta[name] + beta * plane.eta[name])
                batches = zip(inputs.split(batch), targets.split(batch), strict=True)
                found.append(sum(float(score(model(x), y)[0].sum()) for x, y in batches) / len(inputs))
    return np.array(found).reshape(len(grid), len(grid))


def timed(function):
    """(seconds, result) of one call."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def compare(name):
    """Median seconds of evaluate and of the loop with batches of 128 and with all samples at once."""
    dataset, samples, points = CASES[name]
    data = la.load_dataset(dataset)
    split = la.fixed_sample(data.train, samples)
    model = la.build_model(name, data).eval()
    plane, grid = la.random_plane(model), np.linspace(-1, 1, points)
    ways = {
        "evaluate": lambda: la.evaluate(model, plane, split, loss=data.loss, alphas=grid, progress=False),
        "batches of 128": lambda: plain_loop(model, plane, split, data.loss, grid, 128),
        "all at once": lambda: plain_loop(model, plane, split, data.loss, grid, samples),
    }
    seconds, results = {way: [] for way in ways}, {}
    for _ in range(REPEATS):
        for way, function in ways.items():
            taken, results[way] = timed(function)
            seconds[way].append(taken)
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    surface = results["evaluate"]
    error = np.max(np.abs(surface.loss.values / results["all at once"] - 1))
    return medians, error, surface.attrs["strategy"]


def main() -> None:
    names = sys.argv[1:] or list(CASES)
    print(f"{torch.get_num_threads()} threads, medians of {REPEATS}; × = seconds of the loop / seconds of evaluate")
    for name in names:
        medians, error, strategy = compare(name)
        ours = medians["evaluate"]
        ratios = "  ".join(f"{way} {medians[way] / ours:5.2f}×" for way in medians if way != "evaluate")
        print(f"{name:20} {ours:6.2f} s  {ratios}  largest relative difference {error:.0e}  ({strategy})", flush=True)


if __name__ == "__main__":
    main()
