"""Higher or lower precision than that of the weights, and what the lower does to a surface."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lossatlas.evaluation.adaptive_schedule import mean_values
from lossatlas.evaluation.runner import Runner
from lossatlas.evaluation.schedule import Outcome, sums
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.work import Work

TOLERANCE = 0.01  # of the surface's range: a larger error is warned of
CHECKED = 32  # points that are evaluated in full precision too, and of a large grid …
SHARE = 0.02  # … so many of all


def arithmetic(
    precision: str | None, dtype: torch.dtype, device: torch.device
) -> tuple[torch.dtype, torch.dtype | None]:
    """Return the type that weights and data are held in, and the lower one of products, if any.

    ``dtype`` is that of the weights as given. Raises ValueError for an unknown ``precision`` and where this machine
    has no such arithmetic.
    """
    own = str(dtype).removeprefix("torch.")
    if precision in (None, own):
        return dtype, None
    if dtype != torch.float32 or precision not in ("float64", "bfloat16"):
        expected = f'None or "{own}"' + ', "float64" or "bfloat16"' * (dtype == torch.float32)
        raise ValueError(f"precision={precision!r}: expected {expected} for weights of type {own}")
    if precision == "float64":
        return torch.float64, None
    on_cuda = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    on_cpu = device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if not (on_cuda or on_cpu):
        raise ValueError(f'precision="bfloat16": this machine\'s {device.type} has no such arithmetic')
    return dtype, torch.bfloat16


def in_last_digits(values: np.ndarray, precision: str, *, steps: int) -> np.ndarray:
    """Coordinates changed by so many steps in their last digit: how much that moves a loss shows what rounding does."""
    near = np.asarray(values, "float64" if precision == "float64" else "float32")
    return (near + steps * np.spacing(np.abs(near))).astype(np.float64)


def checked_points(values: np.ndarray) -> np.ndarray:
    """Return indices of a few points: half of them the highest, where rounding weighs most, the others random.

    The lowest is among them. The same for the same values.
    """
    order = np.argsort(np.where(np.isfinite(values), values, -np.inf))
    finite = order[len(order) - int(np.isfinite(values).sum()) :]
    half = math.ceil(min(len(values), max(CHECKED, round(SHARE * len(values)))) / 2)
    drawn = np.random.default_rng(0).choice(len(values), half, replace=False)
    return np.unique(np.concatenate([finite[:1], finite[-half:], drawn]))


def precision_error(work: Work, found: Outcome, points: Tensor) -> float:
    """Return the largest change that the lower precision made at a few points, as a share of the loss's range.

    ``points`` (n, d) and ``found`` are of the grid and, last, of θ*. Points that are not finite in both precisions
    are left out; NaN where none is left. Warns where it is above 1 %.
    """
    values = mean_values(found.sums)[0]
    chosen = checked_points(values)
    if work.plain is not None:
        work = replace(work, plain=replace(work.plain, half=None))
    samples = found.strategy.samples if work.batch_norm != "running" else max(1, min(128, found.strategy.samples // 2))
    full = replace(work, sweep=replace(work.sweep, half=None))
    expected = mean_values(sums(full, Runner(full.sweep, Strategy(samples)), points[chosen]).cpu().numpy())[0]
    finite = values[np.isfinite(values)]
    both = np.isfinite(values[chosen]) & np.isfinite(expected)
    if not both.any() or np.ptp(finite) == 0:
        return float("nan")
    error = float(np.abs(values[chosen] - expected)[both].max() / np.ptp(finite))
    if error > TOLERANCE:
        said = f'precision="bfloat16" changes this surface by up to {100 * error:.1f} % of its range'
        warnings.warn(said, stacklevel=3)
    return error
