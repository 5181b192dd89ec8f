"""What colours and heights in a figure mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.ticker import MaxNLocator

from lossatlas._text import number
from lossatlas.figures.theme import MAP
from lossatlas.geometry.grid import grid_values, interpolator

BEYOND = "#a3a3a3"  # of what lies above the scale
DIGITS = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))  # of round values on a log scale, the most first


@dataclass(frozen=True)
class Scale:
    """From `low` to `high`; both are heights: log10 of the values where `log`, else the values.

    `cut`: finite values lie above `high`; `holes`: some are not finite.
    """

    low: float
    high: float
    log: bool
    cut: bool
    holes: bool

    @classmethod
    def over(
        cls,
        surfaces: Sequence[xr.Dataset],
        *,
        variable: str,
        log: bool,
        clip: float | None = None,
        clim: tuple[float, float] | None = None,
    ) -> Scale:
        """One scale for all surfaces: from the lowest value to the highest or to `clip`, or as `clim` says.

        Raises ValueError where that is no scale, or where there is nothing that it could show.
        """
        values = np.concatenate([grid_values(surface, variable)[1].ravel() for surface in surfaces])
        finite = values[np.isfinite(values)]
        shown = finite[finite > 0] if log else finite
        if not shown.size:
            kind = "positive value; draw it with log=False" if log and finite.size else "finite value to draw"
            raise ValueError(f"{variable} has no {kind}")
        lowest, highest = float(shown.min()), float(shown.max())
        if clip is not None and clim is not None:
            raise ValueError(f"clip={clip} beside clim={clim}: give one of them; clim cuts at its upper end")
        low, high = clim if clim is not None else (lowest, highest if clip is None else min(clip, highest))
        given = f"clim={clim}" if clim is not None else f"clip={clip}"
        if not np.isfinite([low, high]).all() or high < low or (high == low < highest) or (log and low <= 0):
            raise ValueError(
                f"{given}: expected finite{', positive' if log else ''} numbers that leave something to see "
                f"between {lowest:.4g} and {highest:.4g}"
            )
        bottom, top = (float(np.log10(v)) if log else float(v) for v in (low, high))
        top = top if top > bottom else bottom + 1  # a flat surface: any scale shows it
        return cls(bottom, top, log, cut=highest > high, holes=finite.size < values.size)

    @property
    def colours(self) -> Colormap:
        return mpl.colormaps[MAP].with_extremes(over=BEYOND)

    @property
    def norm(self) -> Normalize:
        return Normalize(self.low, self.high)

    def heights(self, values: np.ndarray) -> np.ndarray:
        """Where values stand on the scale; what a logarithm cannot take, at its low end; NaN for no value."""
        values = np.where(np.isfinite(values), values, np.nan)
        if not self.log:
            return values
        return np.log10(np.where(values <= 0, 10.0**self.low, values))

    def fine(self, surface: xr.Dataset, variable: str, resolution: int | None) -> tuple[np.ndarray, ...]:
        """Axes and heights of a surface on `resolution` points a side (None: its own).

        Interpolated in the height that is drawn. Raises ValueError for a line.
        """
        axes, values = grid_values(surface, variable)
        if len(axes) != 2:
            raise ValueError(f"{variable} is a line over alpha; draw it with profile")
        heights = self.heights(values)
        if resolution is None:
            return *axes, heights
        if resolution < 2:
            raise ValueError(f"interpolate_to={resolution!r}: expected 2 or more points a side, or None")
        fine = [np.linspace(axis[0], axis[-1], resolution) for axis in axes]
        return *fine, interpolator(axes, heights)(*np.meshgrid(*fine, indexing="ij"))

    def text(self, height: float, _position: int | None = None) -> str:
        """The value at a height, for a tick or a contour line."""
        return number(10.0**height if self.log else height)

    def round_heights(self, count: int) -> np.ndarray:
        """Heights of round values within the scale, about `count` of them or fewer."""
        low, high = (10.0**self.low, 10.0**self.high) if self.log else (self.low, self.high)
        even = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        even = even[(even >= low) & (even <= high)]
        if not self.log:
            return even
        decades = range(int(np.floor(self.low)), int(np.ceil(self.high)) + 1)
        for digits in DIGITS:
            found = [k + np.log10(d) for k in decades for d in digits]
            found = [height for height in found if self.low <= height <= self.high]
            if len(found) <= count:
                break
        found = np.array(found[:: max(1, -(-len(found) // count))])
        return found if len(found) >= 3 else np.log10(even[even > 0])

    def add_bar(self, axes, label: str, *, note: str = "", holes: str = "hatched", **options) -> None:
        """A colour bar beside the axes (one or an array), labelled, with what is special below the label.

        `holes` says how parts that are not finite look.
        """
        figure = np.ravel(axes)[0].get_figure(root=True)
        mappable = ScalarMappable(self.norm, self.colours)
        ticks = self.round_heights(7)
        extend = "max" if self.cut else "neither"
        bar = figure.colorbar(mappable, ax=axes, ticks=ticks, format=self.text, extend=extend, **options)
        notes = [
            "log scale" if self.log else "",
            note,
            f"grey: above {self.text(self.high)}" if self.cut else "",
            f"{holes}: not finite" if self.holes else "",
        ]
        bar.set_label("\n".join(filter(None, [label, ", ".join(filter(None, notes))])), linespacing=1.4)
        bar.outline.set_visible(False)
        bar.ax.minorticks_off()
