"""The extreme eigenvalues of the full Hessian at every point of a plane."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
import xarray as xr
from torch import nn

from lossatlas._checks import flag, real_number, whole_number
from lossatlas._files import write_whole
from lossatlas._progress import bar as progress_bar
from lossatlas.curvature.continuation import COLUMNS, follow, how_computed
from lossatlas.curvature.hessian import LossHessian, loss_hessian
from lossatlas.directions import Plane
from lossatlas.evaluation import arguments, batches, identity, module_state
from lossatlas.evaluation.devices import pick_device

STOPPING = 2  # version of the rule by which an iteration stops: rows of another version are not continued


def extremes(
    model: nn.Module,
    plane: Plane,
    data,
    *,
    alphas: Sequence[float],
    betas: Sequence[float] | None = None,
    loss: str | Callable = "cross_entropy",
    predict: Callable | None = None,
    tolerance: float = 0.01,
    warm: bool = True,
    seed: int = 0,
    device: str | torch.device = "auto",
    resume: str | os.PathLike | None = None,
    client=None,
    progress: bool = True,
) -> xr.Dataset:
    """Return λmin, λmax and the convexity ratio `|λmin/λmax|` of the full Hessian over a plane.

    Every row of the grid is a unit of work: its first point starts Lanczos' iteration at random, each further one
    from the eigenvectors of its neighbour. The iteration stops when its residuals bound the error of the ratio by
    ``tolerance``. A random start also needs enough products to find λmin. An extreme eigenvalue that is new at a
    point, in a direction of its own, may be found some points later. Rows do not depend on each other, so that a
    resumed or distributed run gives the same values.

    Parameters
    ----------
    model : torch.nn.Module
        It gives the architecture and the buffers, and stays as it is.
    plane : Plane
        It gives the weights.
    data, loss, predict, device
        As in :func:`loss_hessian`.
    alphas, betas : sequence of float
        Increasing coordinates; ``betas`` as ``alphas`` if not given.
    tolerance : float
        Largest error of the ratio, or of λmin in units of λmax if that is larger.
    warm : bool
        Whether a point starts from its neighbour's eigenvectors; without it every point starts at random.
    seed : int
        Of the random starts.
    resume : path, optional
        A file that keeps finished rows. The same call continues with the rest.
    client : dask.distributed.Client, optional
        Its workers compute rows.
    progress : bool
        Whether to show a bar with the time left.

    Returns
    -------
    Dataset
        ``smallest``, ``largest``, ``ratio``, ``loss``, the residuals of both eigenvalues and the ``products`` with
        the Hessian, over ``alpha`` and ``beta``. Points whose loss is not finite are NaN.

    Raises
    ------
    ValueError
        Naming the argument that does not fit, such as a ``resume`` file of another call.

    References
    ----------
    Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018, section 6 and figure 7.

    Examples
    --------
    >>> import lossatlas as la
    >>> model = nn.Linear(3, 1, bias=False)
    >>> data = torch.diag(torch.tensor([1.0, 2.0, 3.0])), torch.zeros(3, 1)
    >>> plane = la.random_plane(model, seed=0)
    >>> found = extremes(model, plane, data, alphas=[-1, 1], loss="mse", device="cpu", progress=False)
    >>> found.largest.values.round(2)
    array([[6., 6.],
           [6., 6.]])
    """
    arguments.check_plane(plane)
    if not isinstance(plane, Plane):
        raise ValueError(f"plane: got {type(plane).__name__}, expected a Plane")
    module_state.check_model(model)
    plane = plane.for_model(model)
    grid = {"alpha": arguments.check_grid(alphas, "alphas", least=1)}
    grid["beta"] = grid["alpha"] if betas is None else arguments.check_grid(betas, "betas", least=1)
    tolerance = real_number(tolerance, "tolerance", above=0, below=1)
    warm, seed, progress = flag(warm, "warm"), whole_number(seed, "seed", least=0), flag(progress, "progress")
    resume = arguments.check_resume(resume)
    arguments.check_client(client)
    options = {"loss": loss, "predict": predict, "tolerance": tolerance, "warm": warm, "seed": seed}
    start, shape = time.perf_counter(), (len(grid["alpha"]), len(grid["beta"]))
    place = pick_device("cpu" if client is not None else device)
    hessian = loss_hessian(model, data, loss=loss, predict=predict, device=place)
    held = hessian.held
    kept = _Kept(resume, _identity(model, plane, grid, held, options) if resume else "", shape)
    left = [row for row in range(shape[0]) if row not in kept.rows]
    with progress_bar(total=shape[0] * shape[1], description="curvature", unit=" points", show=progress) as bar:
        bar.skip(shape[1] * len(kept.rows))
        for row, values in _rows(client, hessian, model, plane, held, grid, left, options, device):
            kept.add(row, values)
            bar.update(shape[1])
    table = np.stack([kept.rows[row] for row in range(shape[0])])
    variables = {name: (("alpha", "beta"), table[..., n]) for n, name in enumerate(COLUMNS)}
    found = xr.Dataset(
        variables, {axis.name: (axis.name, grid[axis.name], {"units": axis.units}) for axis in plane.axes}
    )
    found["ratio"] = abs(found.smallest / found.largest)
    return found.assign_attrs(
        tolerance=tolerance,
        seconds=round(time.perf_counter() - start, 3),
        **how_computed(found, hessian, model, place),
    )


def _rows(client, hessian, model, plane, held, grid, left, options, device) -> Iterator[tuple[int, np.ndarray]]:
    """Yield finished rows: number and values (n_beta, columns)."""
    if client is None:
        for row in left:
            yield row, _row(hessian, plane, grid["alpha"][row], grid["beta"], row, options)
        return
    from distributed import as_completed

    shared = client.scatter((model, plane, held, options, device), hash=False)
    futures = {client.submit(_row_elsewhere, shared, grid["alpha"][n], grid["beta"], n, pure=False): n for n in left}
    for future in as_completed(list(futures)):
        yield futures[future], future.result()
        future.release()


def _row_elsewhere(shared, alpha: float, betas: np.ndarray, row: int) -> np.ndarray:
    model, plane, held, options, device = shared
    hessian = loss_hessian(model, held, loss=options["loss"], predict=options["predict"], device=device)
    return _row(hessian, plane, alpha, betas, row, options)


def _row(hessian: LossHessian, plane: Plane, alpha: float, betas: np.ndarray, row: int, options: dict) -> np.ndarray:
    """Return the columns at the points of one row, (n_beta, columns)."""
    generator = np.random.default_rng([options["seed"], row])
    points = ((plane.at(float(alpha), float(beta)), plane.buffers_at(float(alpha), float(beta))) for beta in betas)
    tolerance, warm = options["tolerance"], options["warm"]
    enough = _enough(tolerance)
    return follow(hessian, points, enough=enough, tolerance=tolerance, generator=generator, warm=warm)


def _enough(tolerance: float) -> Callable[[float, float, float, float], bool]:
    def enough(smallest: float, largest: float, below: float, above: float) -> bool:
        """Whether the residuals, which bound the errors of the eigenvalues, bound that of the ratio."""
        scale = max(abs(largest), abs(smallest))
        ratio = abs(smallest) / abs(largest) if largest else np.inf
        return below <= tolerance * scale / 2 and above * min(ratio, 1) <= tolerance * scale / 2 and above <= scale / 10

    return enough


def _identity(model: nn.Module, plane: Plane, grid: dict, held: Sequence[batches.Batch], options: dict) -> str:
    """Return a fingerprint of everything that decides the values."""
    functions = {name: identity.describe_function(options[name]) for name in ("loss", "predict")}
    words = repr((STOPPING, repr(model), sorted((options | functions).items())))
    subspace = plane.origin, plane.directions, plane.buffers, plane.buffer_directions
    axes = [torch.from_numpy(values) for values in grid.values()]
    tensors = [subspace, dict(model.named_buffers()), axes, *map(batches.tensors_in, held)]
    return identity.fingerprint(tensors, words)


class _Kept:
    """Finished rows, in memory and in a file if one is named."""

    def __init__(self, path: Path | None, request: str, shape: tuple[int, int]):
        self.path, self.request = path, request
        self.rows: dict[int, np.ndarray] = {}
        if self.path and self.path.exists():
            try:
                with np.load(self.path, allow_pickle=False) as file:
                    known, digest = str(file["identity"]), str(file["digest"])
                    numbers, rows = file["numbers"], file["rows"]
            except (OSError, KeyError, EOFError, ValueError, BadZipFile) as error:
                raise ValueError(f"resume={str(path)!r}: is not a file of this function ({error})") from error
            if digest != _digest(numbers, rows):
                raise ValueError(f"resume={str(path)!r}: is damaged; remove it")
            if known != request:
                raise ValueError(f"resume={str(path)!r}: holds another model, plane, grid, data or loss")
            self.rows = dict(zip(numbers.tolist(), rows, strict=True))
            if any(rows.shape != (shape[1], len(COLUMNS)) for rows in self.rows.values()):
                raise ValueError(f"resume={str(path)!r}: its rows have another shape")

    def add(self, row: int, values: np.ndarray) -> None:
        """Take a finished row, and keep it."""
        self.rows[row] = values
        if self.path:
            buffer = io.BytesIO()
            numbers = np.array(sorted(self.rows))
            rows = np.stack([self.rows[n] for n in numbers])
            np.savez(buffer, identity=self.request, digest=_digest(numbers, rows), numbers=numbers, rows=rows)
            write_whole(self.path, buffer.getvalue())


def _digest(numbers: np.ndarray, rows: np.ndarray) -> str:
    return identity.fingerprint([torch.from_numpy(numbers), torch.from_numpy(rows)])
