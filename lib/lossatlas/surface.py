"""From a network, a plane and data to one labelled surface."""

from __future__ import annotations

import contextlib
import copy
import datetime
import json
import platform
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lossatlas import batches, engine, losses, vectors
from lossatlas.directions import Line, Plane
from lossatlas.progress import bar as progress_bar
from lossatlas.runner import Sweep

COMPUTING_VERSION = 1  # raised whenever a change here or in the engine changes values; part of every stored key


def pick_device(device: str | torch.device) -> torch.device:
    """``"auto"`` is CUDA where there is one, else the CPU. Raises ValueError for a device that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f'device={device!r} cannot be used here ({error}): try "auto" or "cpu"') from error
    return chosen


def check_grid(values: Sequence[float], name: str) -> np.ndarray:
    """A grid as a float64 array. Raises ValueError unless it has two or more finite, increasing values."""
    grid = np.asarray(values, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2:
        raise ValueError(f"{name}: shape {grid.shape}, expected one dimension with at least 2 points")
    if not np.isfinite(grid).all():
        bad = int(np.flatnonzero(~np.isfinite(grid))[0])
        raise ValueError(f"{name}[{bad}] = {grid[bad]}: every grid value must be finite")
    if (np.diff(grid) <= 0).any():
        bad = int(np.flatnonzero(np.diff(grid) <= 0)[0])
        raise ValueError(f"{name}: not increasing at index {bad} ({grid[bad]:g} then {grid[bad + 1]:g})")
    return grid


@contextlib.contextmanager
def same_random_state() -> Iterator[None]:
    """Leave the global random states of torch (all devices), NumPy and Python as they were found."""
    python, numpy_state = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)


def provenance(model: nn.Module, device: torch.device) -> dict[str, str]:
    """Where and with what a result is made, as text attributes."""
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "model": type(model).__name__,
        "device": f"{device.type} ({name}, {torch.get_num_threads()} threads)",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": json.dumps(versions),
    }


def evaluate(
    model: nn.Module,
    plane: Plane | Line,
    data: tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]],
    *,
    loss: str | Callable[[Tensor, Tensor], Tensor] = "cross_entropy",
    alphas: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> xr.Dataset:
    """Loss (and accuracy) of a network on every point of a grid in weight space.

    ``f(α, β) = L(θ* + α·δ + β·η)`` (Li et al. 2018, equation 1), the mean over the samples, accumulated in
    float64, with the model in eval mode.

    - ``model``: any module; it gives the architecture and the buffers, and is left exactly as it was.
    - ``plane``: a :class:`Plane`, or a :class:`Line` for a one-dimensional profile; it gives the weights.
    - ``data``: (inputs, targets), or an iterable of such batches (a DataLoader too), gone through once.
    - ``loss``: ``"cross_entropy"``, ``"mse"``, ``"bce_with_logits"``, or a callable
      ``(outputs, targets) -> losses`` giving one value a sample or the mean of the batch.
    - ``alphas``, ``betas``: increasing coordinates; 51 from −1 to 1 by default, ``betas`` as ``alphas``.
    - ``device``: ``"auto"`` is CUDA where there is one; ``progress``: a bar with the time left, on stderr.

    Returns a Dataset with ``loss`` (dimensions ``alpha`` and ``beta``, or ``alpha`` alone) and, for classification,
    ``accuracy``; non-finite losses are kept and counted in ``attrs["n_nonfinite"]``; ``attrs["origin_loss"]`` is
    L(θ*). Raises ValueError that names the argument for anything it cannot take.
    """
    if not isinstance(plane, Plane | Line):
        raise ValueError(f"plane: got {type(plane).__name__}, expected a Plane or a Line (see random_plane)")
    losses.loss_name(loss)
    alphas = check_grid(np.linspace(-1, 1, 51) if alphas is None else alphas, "alphas")
    if isinstance(plane, Line):
        if betas is not None:
            raise ValueError("betas: given for a Line, which has only alphas")
        grid = {"alpha": alphas}
    else:
        grid = {"alpha": alphas, "beta": alphas if betas is None else check_grid(betas, "betas")}
    vectors.check_same_shape(vectors.parameters_of(model), plane.origin, what="plane")
    device = pick_device(device)
    coordinates = np.stack(np.meshgrid(*grid.values(), indexing="ij"), axis=-1).reshape(-1, len(grid))
    coordinates = np.concatenate([coordinates, np.zeros((1, len(grid)))])  # θ* itself, last

    start = time.perf_counter()
    with same_random_state():
        private = copy.deepcopy(model).to(device).eval().requires_grad_(False)
        dtype = next(iter(plane.origin.values())).dtype
        origin, *directions = (
            {name: tensor.to(device) for name, tensor in vector.items()} for vector in (plane.origin, *plane.directions)
        )
        private.load_state_dict(origin, strict=False)
        sweep = Sweep(private, origin, tuple(directions), losses.make_score(loss))
        blocks = list(batches.blocks(batches.checked(private, loss, batches.read(data), device)))
        samples = sum(len(targets) for _, targets in blocks)
        points = torch.tensor(coordinates, dtype=dtype, device=device)
        total = samples * len(points)
        with progress_bar(total=total, description="surface", unit=" evaluations", show=progress) as bar:
            runner, _ = engine.tuned(sweep, blocks, points)
            sums = engine.sums(runner, blocks, points, bar.update)

    shape = [len(values) for values in grid.values()]
    mean, accuracy = (sums / samples).cpu().numpy()
    variables = {"loss": (tuple(grid), mean[:-1].reshape(shape))}
    if not np.isnan(accuracy).all():
        variables["accuracy"] = (tuple(grid), accuracy[:-1].reshape(shape), {"units": "share of samples"})
    unit = {"filter": "filter-normalized step", "layer": "layer-normalized step"}.get(
        plane.facts.get("normalize"), "step along the direction"
    )
    coords = {name: (name, values, {"units": unit}) for name, values in grid.items()}
    attrs = {
        "loss_name": losses.loss_name(loss),
        "origin_loss": float(mean[-1]),
        "n_samples": samples,
        "n_nonfinite": int((~np.isfinite(mean[:-1])).sum()),
        "normalize": str(plane.facts.get("normalize")),
        "plane": json.dumps({key: value for key, value in plane.facts.items() if key != "singular_values"}),
        "seed": str(plane.facts.get("seed", "")),
        "strategy": str(runner.strategy),
        "precision": str(dtype).removeprefix("torch."),
        "seconds": round(time.perf_counter() - start, 3),
        **provenance(model, device),
    }
    return xr.Dataset(variables, coords=coords, attrs=attrs)
