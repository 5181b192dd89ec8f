"""The largest eigenvalue and the trace of a Hessian beside hessian-eigenthings: one network, the same images, one run.

Usage: python benchmarks/curvature.py [--network resnet20-cifar10] [--samples 200] [--repeats 3]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import hessian_eigenthings as eigenthings
import torch
from torch import nn

import lossatlas as la
from lossatlas import curvature

TOLERANCE = 1e-3  # of the eigenvalue, relative
PRODUCTS = 90  # with the Hessian, for a trace
STEPS = 40  # of the peer's Lanczos iteration, which stops only at the end


def timed(function: Callable, repeats: int):
    """Return the result and the median of the seconds."""
    seconds, found = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        found = function()
        seconds.append(time.perf_counter() - start)
    return found, statistics.median(seconds)


def rows(network: nn.Module, data: tuple, repeats: int) -> list[tuple[str, str, float, float]]:
    """Return (what, who, value, seconds)."""
    entropy = eigenthings.supervised_loss(nn.functional.cross_entropy)
    operator = eigenthings.HessianOperator(network, [data], entropy)
    options = {"device": "cpu", "seed": 0}
    runs = {
        ("largest eigenvalue", "Loss Atlas"): lambda: curvature.eigenpairs(
            network, data, 1, which="largest", tolerance=TOLERANCE, **options
        ),
        ("largest eigenvalue", f"hessian-eigenthings, {STEPS} products"): lambda: eigenthings.lanczos(
            operator, k=1, max_iter=STEPS, tol=TOLERANCE, which="LA", seed=0
        ),
        ("trace", f"Loss Atlas, {PRODUCTS} products"): lambda: curvature.trace(
            network, data, products=PRODUCTS, **options
        ),
        ("trace", f"hessian-eigenthings, {PRODUCTS} products"): lambda: eigenthings.hutch_plus_plus(
            operator, num_matvecs=PRODUCTS, seed=0
        ),
    }
    table = []
    for (what, who), run in runs.items():
        found, seconds = timed(run, repeats)
        if isinstance(found, curvature.Eigenpairs):
            who, value = f"{who}, {found.products} products", found.values[0]
        elif what == "trace":
            value = found.trace if who.startswith("Loss Atlas") else found.estimate
        else:
            value = found.eigenvalues[0]
        table.append((what, who, float(value), seconds))
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet20-cifar10", choices=la.PRETRAINED)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(0)
    data = la.fixed_sample(la.load_dataset("cifar10").train, args.samples)
    for what, who, value, seconds in rows(la.load_pretrained(args.network), data, args.repeats):
        print(f"{what:20}{who:36}{value:14.6g}{seconds:9.2f} s")


if __name__ == "__main__":
    main()
