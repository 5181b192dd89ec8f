"""The engine against what a user would pick instead: one run, the same weights, directions and data.

Usage: python benchmarks/bench.py [--workloads abcde] [--pictures abcde] [--repeats 3] [--output FILE.json]
Each contender is timed several times, in turns; the median of the seconds a point is what counts. Peers, whose
time is the same at every point, are timed on some points of the grid, spread over it; evaluate on all of it. Then
pictures on more points and samples are timed once, with an error of at most 1 %.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent))

import lossatlas as la
from limits import Needed
from lossatlas._files import written_whole
from machine import FUNCTIONS, describe, rates
from peaks import peaks
from peers import all_at_once, landscaper, loop_of_128, loss_landscapes
from pictures import PICTURES, draw
from workloads import WORKLOADS, Case, make

PEER_SECONDS = 4.0  # that a peer is timed for at least
PEER_POINTS = 9  # and at least so many points
EVALUATE = {
    "evaluate": {},
    "evaluate, bfloat16": {"precision": "bfloat16"},
    "evaluate, adaptive": {"method": "adaptive"},
}
LOOP = "loop, batches of 128"
PEERS: dict[str, Callable] = {LOOP: loop_of_128, "loop, all at once": all_at_once}
if importlib.util.find_spec("loss_landscapes"):  # `make bench` installs it
    PEERS["loss-landscapes"] = loss_landscapes
GRIDS: dict[str, Callable] = {}  # contenders that choose the points of their grid themselves
if importlib.util.find_spec("landscaper"):  # `make bench` installs it
    GRIDS["Landscaper"] = landscaper


def spread(case: Case, count: int) -> np.ndarray:
    """Indices of points spread over the grid in an order that leaves no part out."""
    total = len(case.grid) ** 2
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))


def time_peer(peer: Callable, case: Case) -> tuple[float, dict[int, float]]:
    """(seconds a point, losses by index)."""
    pairs = [(float(a), float(b)) for a in case.grid for b in case.grid]
    start = time.perf_counter()
    peer(case, [pairs[0]])
    count = max(PEER_POINTS, math.ceil(PEER_SECONDS / (time.perf_counter() - start)))
    chosen = spread(case, count)
    start = time.perf_counter()
    found = peer(case, [pairs[i] for i in chosen])
    return (time.perf_counter() - start) / len(chosen), dict(zip(chosen.tolist(), found, strict=True))


def time_grid(peer: Callable, case: Case) -> float:
    """Return the seconds a point of a contender that computes a whole grid of its own."""
    start = time.perf_counter()
    peer(case, 1)
    count = max(PEER_POINTS, PEER_SECONDS / (time.perf_counter() - start))
    side = 2 * math.ceil((math.sqrt(count) - 1) / 2) + 1  # odd, so that one point is the network itself
    start = time.perf_counter()
    peer(case, side)
    return (time.perf_counter() - start) / side**2


def time_evaluate(case: Case, options: dict) -> tuple[float, xr.Dataset]:
    """(seconds a point of the grid, the surface)."""
    start = time.perf_counter()
    surface = la.evaluate(
        case.model, case.plane, case.data, loss=case.loss, alphas=case.grid, progress=False, **options
    )
    return (time.perf_counter() - start) / len(case.grid) ** 2, surface


def once(peer: Callable, case: Case) -> object:
    """A peer at one point, for its memory."""
    return peer(case, [(float(case.grid[0]), float(case.grid[0]))])


def measure(key: str, *, repeats: int, points: int | None = None, say: Callable[[str], object] = print) -> dict:
    """All contenders on one workload."""
    workload = WORKLOADS[key]
    case = make(workload, points=points)
    seconds: dict[str, list[float]] = {name: [] for name in (*PEERS, *GRIDS, *EVALUATE)}
    surfaces, losses = {}, {}
    for turn in range(repeats):
        for name, peer in PEERS.items():
            taken, losses[name] = time_peer(peer, case)
            seconds[name].append(taken)
        for name, peer in GRIDS.items():
            seconds[name].append(time_grid(peer, case))
        for name, options in EVALUATE.items():
            taken, surfaces[name] = time_evaluate(case, options)
            seconds[name].append(taken)
        say(f"  {key}, turn {turn + 1}: " + ", ".join(f"{n} {1e3 * s[-1]:.3g} ms" for n, s in seconds.items()))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    values = surfaces["evaluate"].loss.values.ravel()
    loop = losses[LOOP]
    reference = np.array(list(loop.values()))
    chosen = list(loop)
    span = float(np.ptp(values))
    errors = {name: float(np.abs(s.loss.values.ravel() - values).max() / span) for name, s in surfaces.items()}
    errors["evaluate"] = float(np.abs(values[chosen] / reference - 1).max())
    return {
        "title": workload.title,
        "points": len(values),
        "needed": asdict(case.needed),
        "seconds": medians,
        "all_seconds": seconds,
        "errors": errors,
        "strategies": {name: surface.strategy for name, surface in surfaces.items()},
        "evaluated_share": float(surfaces["evaluate, adaptive"].evaluated.mean()),
        "estimated_error": float(surfaces["evaluate, adaptive"].attrs["estimated_error"]),
        "precision_error": float(surfaces["evaluate, bfloat16"].attrs["precision_error"]),
    }


def memory(key: str) -> dict[str, int]:
    """Bytes that each contender needs on one workload."""
    peers = {name: functools.partial(once, peer) for name, peer in PEERS.items()}
    peers |= {name: functools.partial(peer, side=1) for name, peer in GRIDS.items()}
    return peaks(key, peers | {name: functools.partial(time_evaluate, options=o) for name, o in EVALUATE.items()})


def drawn(key: str) -> dict:
    """Times of one picture."""
    seconds_of = {name: lambda case, peer=peer: time_peer(peer, case)[0] for name, peer in PEERS.items()}
    return draw(key, seconds_of | {name: functools.partial(time_grid, peer) for name, peer in GRIDS.items()})


def ratio(result: dict, of: str, to: str) -> float:
    """How many times faster one contender is than another."""
    return result["seconds"][to] / result["seconds"][of]


def limit(run: dict, result: dict) -> float:
    """The seconds that the machine needs at least for a point of a workload, in single precision."""
    return Needed(**result["needed"]).seconds(run["rates"])


def share_of_limit(run: dict, result: dict, name: str) -> float:
    """How near a contender comes to that limit on a workload: 1 if it reaches it."""
    return limit(run, result) / result["seconds"][name]


def rate_in_words(name: str, rate: float) -> tuple[str, str]:
    """What a rate of the machine is called, and the rate with its unit."""
    if name == "memory":
        return "copying memory", f"{rate / 1e9:.0f} GB/s"
    if name in FUNCTIONS:
        return name, f"{rate / 1e9:.1f} billion/s"
    return f"matrix product, {name}", f"{rate / 1e9:.0f} GFLOP/s"


def table(run: dict) -> str:
    """The result as lines of text."""
    lines = [", ".join(f"{k}: {v}" for k, v in run["machine"].items())]
    lines += [": ".join(rate_in_words(name, rate)) for name, rate in run["rates"].items()]
    for key, result in run["workloads"].items():
        lines.append(
            f"\n({key}) {result['title']}: {result['points']} points, at least {1e3 * limit(run, result):.3g} ms each"
        )
        for name, taken in result["seconds"].items():
            error = f", error {result['errors'][name]:.1e}" if name in result["errors"] else ""
            times = ratio(result, name, LOOP)
            if name in result.get("peak_bytes", {}):
                error = f", {result['peak_bytes'][name] / 1e6:.0f} MB{error}"
            lines.append(
                f"  {name:22} {1e3 * taken:9.3f} ms a point  {times:6.2f} × loop  "
                f"{100 * share_of_limit(run, result, name):4.0f} % of the limit{error}"
            )
        lines.append(
            f"  {result['strategies']['evaluate']}; adaptive: {100 * result['evaluated_share']:.1f} % evaluated"
        )
    rivals = [*PEERS, *GRIDS]
    for name in EVALUATE if run["workloads"] else ():
        over_loop = [ratio(r, name, LOOP) for r in run["workloads"].values()]
        over_best = [min(ratio(r, name, p) for p in rivals) for r in run["workloads"].values()]
        over_rest = [min(ratio(r, name, p) for p in rivals if p != LOOP) for r in run["workloads"].values()]
        means = [statistics.geometric_mean(found) for found in (over_loop, over_rest, over_best)]
        lines.append(
            f"\n{name}: geometric mean {means[0]:.2f} × the loop (least {min(over_loop):.2f}), "
            f"{means[1]:.2f} × the better of the other peers, {means[2]:.2f} × the best of all"
        )
    return "\n".join([*lines, *pictures_table(run)])


def pictures_table(run: dict) -> list[str]:
    """The pictures as lines of text: seconds, errors, and whether they are as fast as asked."""
    lines = []
    for key, result in run.get("pictures", {}).items():
        over = times_as_fast(result)
        asked = [f"{name} {over[name]:.1f} (asked {times})" for name, times in result["asked"].items() if times]
        lines += [
            f"\n({key}) {result['title']}: a picture of {result['points']} points",
            "  seconds: " + ", ".join(f"{name} {taken:.3g}" for name, taken in result["seconds"].items()),
            f"  every point by evaluate: {result['exact_seconds']:.3g} s; times as fast: {', '.join(asked)}",
            f"  true error {100 * result['error']:.2f} % of the range at {result['checked']} points, estimated "
            f"{100 * result['estimated_error']:.2f} %; {100 * result['evaluated_share']:.1f} % of the points in full",
        ]
    return lines


def times_as_fast(picture: dict) -> dict[str, float]:
    """How many times as fast as the loop, and as the best of the other peers, a picture is drawn."""
    taken = {name: one / picture["seconds"]["adaptive"] for name, one in picture["seconds"].items()}
    others = [one for name, one in taken.items() if name not in (LOOP, "adaptive")]
    return {"loop": taken[LOOP], "peers": min(others)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default="".join(WORKLOADS), help="some of abcde")
    parser.add_argument("--pictures", default="".join(PICTURES), help="some of abcde")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, help="a JSON file for the result")
    arguments = parser.parse_args()
    run = {"machine": describe(), "rates": rates(), "workloads": {}, "pictures": {}}
    for key in arguments.workloads:
        run["workloads"][key] = measure(key, repeats=arguments.repeats) | {"peak_bytes": memory(key)}
        keep(run, arguments.output)
    for key in arguments.pictures:
        run["pictures"][key] = drawn(key)
        keep(run, arguments.output)
    print(table(run))


def keep(run: dict, output: Path | None) -> None:
    """Write what was measured so far to a file, if one is named."""
    if output:
        with written_whole(output) as temporary:
            temporary.write_text(json.dumps(run, indent=1) + "\n")


if __name__ == "__main__":
    main()
