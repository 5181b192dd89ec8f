"""Where something is computed, and how that is recorded."""

from __future__ import annotations

import datetime
import json
import platform

import numpy as np
import torch
from torch import nn

from lossatlas._version import __version__


def pick_device(device: str | torch.device) -> torch.device:
    """Return the device; ``"auto"`` is CUDA if the machine has it, else the CPU.

    Raises ValueError for a device that cannot compute here.
    """
    if not isinstance(device, str | int | torch.device) or isinstance(device, bool):
        raise ValueError(f'device={device!r}: expected a device, such as "cpu" or "cuda:0", or "auto"')
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f'device={device!r} cannot be used here ({error}): try "auto" or "cpu"') from error
    return chosen


def circumstances(device: torch.device) -> dict[str, str]:
    """On what device, when and with which versions, as text attributes."""
    versions = {"lossatlas": __version__, "python": platform.python_version()}
    versions |= {"torch": torch.__version__, "numpy": np.__version__}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": f"{device.type} ({name}, {torch.get_num_threads()} threads)",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": json.dumps(versions),
    }


def provenance(model: nn.Module, device: torch.device) -> dict[str, str]:
    """Where and with what a result is made, as text attributes."""
    return {"model": type(model).__name__, **circumstances(device)}
