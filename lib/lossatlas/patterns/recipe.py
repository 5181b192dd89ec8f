"""How a pattern is fitted."""

from __future__ import annotations

from dataclasses import dataclass

from lossatlas._checks import flag, real_number, set_fields, whole_number


@dataclass(frozen=True)
class PatternRecipe:
    """Describe how a plane is fitted to a picture.

    Parameters
    ----------
    updates
        Steps of Adam.
    learning_rate
        Of Adam.
    cells
        Cells of each colour that an update draws.
    batch_size
        Samples that an update draws.
    threshold
        A white cell counts with a loss of at most this, so that no cell gains by a loss without bound.
    clip
        Bound on the norm of the gradient; None for no bound.
    scale
        The scale that multiplies both directions, at the start; it is learned.
    skip_interior
        Whether cells whose eight neighbours have the same colour are left out.
    centre_scales
        Whether the scales of normalization layers start with zero mean in the directions. Without it,
        orthogonalization makes many of them negative.

    Raises
    ------
    ValueError
        If a value is out of range.

    References
    ----------
    Skorokhodov and Burtsev, "Loss Landscape Sightseeing with Multi-Point Optimization", 2019, section 3 and
    appendices A to C. The defaults are published there, apart from ``updates``.

    Examples
    --------
    >>> PatternRecipe(cells=20).threshold
    2.5
    """

    updates: int = 5000
    learning_rate: float = 3e-4
    cells: int = 50
    batch_size: int = 512
    threshold: float = 2.5
    clip: float | None = 100.0
    scale: float = 0.1
    skip_interior: bool = True
    centre_scales: bool = True

    def __post_init__(self) -> None:
        """Check the values and turn them into plain numbers."""
        whole = {name: whole_number(getattr(self, name), name, least=1) for name in ("updates", "cells", "batch_size")}
        real = {
            name: real_number(getattr(self, name), name, above=0) for name in ("learning_rate", "threshold", "scale")
        }
        flags = {name: flag(getattr(self, name), name) for name in ("skip_interior", "centre_scales")}
        clip = None if self.clip is None else real_number(self.clip, "clip", above=0)
        set_fields(self, **whole, **real, **flags, clip=clip)
