"""From values to heights and colours, in 2-D and in 3-D.

A height is what is drawn: the value itself, its logarithm, or its symmetric logarithm. Surfaces of losses are drawn
by the logarithm. A surface with values at or below zero has none (a log-likelihood, an energy, a loss that reaches
zero). It is drawn by the value itself, or by a symmetric logarithm, which is close to linear around zero and
below it, if its largest value lies two decades above that part. The picture says so.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

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
DIGITS: tuple[tuple[float, ...], ...] = (
    (1, 1.5, 2, 3, 5, 7),
    (1, 2, 5),
    (1, 3),
    (1,),
)  # of round values on a log scale, the most first
DECADES = 4  # at most so many lie between the linear part of a symmetric logarithm and the largest value
LINE = 44  # characters of a line beside a colour bar


@dataclass(frozen=True)
class Transform:
    """How values become heights.

    Parameters
    ----------
    kind
        "linear"; "log" for log10(v); or "symlog" for sign(v)·log10(1 + |v|/t), which is close to linear from -t to t.
    threshold
        The t of "symlog".
    nonpositive
        Whether the kind was chosen because values at or below zero have no logarithm.

    Examples
    --------
    >>> Transform("symlog", 0.1).heights(np.array([-0.9, 0.0, 9.9]))
    array([-1.,  0.,  2.])
    """

    kind: str
    threshold: float = 0.0
    nonpositive: bool = False

    @classmethod
    def of(cls, values: np.ndarray, *, log: bool) -> Transform:
        """Return the transform for these values; `log` asks for the logarithm if all of them have one.

        Examples
        --------
        >>> Transform.of(np.array([0.1, 1.0]), log=True).kind
        'log'
        >>> Transform.of(np.array([-3.0, 20.0]), log=True).kind
        'linear'
        >>> Transform.of(np.array([-0.2, 0.3, 5000.0]), log=True)
        Transform(kind='symlog', threshold=0.5, nonpositive=True)
        """
        finite = values[np.isfinite(values)]
        if not log or not finite.size:
            return cls("linear")
        if finite.min() > 0:
            return cls("log")
        sizes = np.abs(finite[finite != 0])
        if not sizes.size:
            return cls("linear", nonpositive=True)
        largest = float(sizes.max())
        # Zero is an arbitrary value of most such surfaces: no cliff may stand there, so all below it is linear.
        linear = max(float(np.quantile(sizes, 0.1)), largest * 10.0**-DECADES, -float(finite.min()))
        unit = 10.0 ** np.floor(np.log10(linear))
        threshold = float(f"{unit * np.ceil(linear / unit - 1e-9):.1g}")
        if largest < 100 * threshold:
            return cls("linear", nonpositive=True)
        return cls("symlog", threshold, nonpositive=True)

    def heights(self, values: np.ndarray) -> np.ndarray:
        """Return the heights of values; NaN for those that are not finite or have no logarithm."""
        values = np.where(np.isfinite(values), values, np.nan)
        if self.kind == "log":
            return np.log10(np.where(values > 0, values, np.nan))
        if self.kind == "symlog":
            return np.sign(values) * np.log10(1 + np.abs(values) / self.threshold)
        return values

    def values(self, heights: np.ndarray) -> np.ndarray:
        """Return the values at heights."""
        heights = np.asarray(heights, dtype=float)
        if self.kind == "log":
            return 10.0**heights
        if self.kind == "symlog":
            return np.sign(heights) * self.threshold * (10.0 ** np.abs(heights) - 1)
        return heights

    def height(self, value: float) -> float:
        """Return the height of one value."""
        return float(self.heights(np.array(float(value))))

    def value(self, height: float) -> float:
        """Return the value at one height."""
        return float(self.values(np.array(float(height))))

    def round_heights(self, low: float, high: float, count: int) -> np.ndarray:
        """Return the heights of round values from `low` to `high`, about `count` of them or fewer.

        Examples
        --------
        >>> scale = Transform("log")
        >>> scale.values(scale.round_heights(-2, 1, 4))
        array([ 0.01,  0.1 ,  1.  , 10.  ])
        """
        ends = self.value(low), self.value(high)
        even = np.asarray(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(*ends))
        slack = 1e-9 * (ends[1] - ends[0])
        even = even[(even >= ends[0] - slack) & (even <= ends[1] + slack)]
        if self.kind == "linear":
            return even
        found = np.empty(0)
        for digits in DIGITS:
            found = self.heights(self._round_values(ends, np.array(digits)))
            found = found[(found >= low - 1e-9) & (found <= high + 1e-9)]
            if len(found) <= count:
                break
        found = found[:: max(1, -(-len(found) // count))]
        return found if len(found) >= 3 else self.heights(even[even > 0] if self.kind == "log" else even)

    def _round_values(self, ends: tuple[float, float], digits: np.ndarray) -> np.ndarray:
        """Return round values around the range, in increasing order; zero and both signs on a symmetric scale."""
        least = ends[0] if self.kind == "log" else self.threshold
        most = max(abs(end) for end in ends)
        powers = range(int(np.floor(np.log10(least))), int(np.ceil(np.log10(max(most, least)))) + 1)
        sizes = np.array([digit * 10.0**power for power in powers for digit in digits])
        return sizes if self.kind == "log" else np.concatenate([-sizes[::-1], [0.0], sizes])

    @property
    def words(self) -> str:
        """What a reader must know of the scale, empty if nothing."""
        within = f"linear from {number(-self.threshold)} to {number(self.threshold)}"
        name = {"log": "log scale", "symlog": f"symmetric log scale, {within}", "linear": "linear scale"}[self.kind]
        if self.nonpositive:
            return f"{name}, because some values are at or below 0"
        return "" if self.kind == "linear" else name


def limits(
    values: np.ndarray,
    transform: Transform,
    *,
    variable: str,
    clip: float | None = None,
    clim: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Return the lowest and the highest height to draw.

    Parameters
    ----------
    values
        All values that are drawn on one scale.
    transform
        How they become heights.
    variable
        Their name, for errors.
    clip
        The value above which the picture is cut, by default the highest.
    clim
        The values at both ends, instead of `clip`.

    Raises
    ------
    ValueError
        If no value is finite, or nothing would be left to see.

    Examples
    --------
    >>> limits(np.array([0.1, 1.0, 1000.0]), Transform("log"), variable="loss", clip=10)
    (-1.0, 1.0)
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError(f"{variable} has no finite value to draw")
    lowest, highest = float(finite.min()), float(finite.max())
    if clip is not None and clim is not None:
        raise ValueError(f"clip={clip} beside clim={clim}: give one of them; clim cuts at its upper end")
    given = f"clim={clim!r}" if clim is not None else f"clip={clip!r}"
    positive = ", positive" if transform.kind == "log" else ""
    expected = f"finite{positive} numbers that leave something to see between {lowest:.4g} and {highest:.4g}"
    try:
        if clim is not None:
            low, high = (float(value) for value in clim)
        else:
            low, high = lowest, highest if clip is None else min(float(clip), highest)
    except (TypeError, ValueError):
        raise ValueError(f"{given}: expected {'two ' if clim is not None else ''}{expected}") from None
    beyond = not np.isfinite([low, high]).all() or (transform.kind == "log" and low <= 0)
    if beyond or high < low or (high == low < highest):
        raise ValueError(f"{given}: expected {expected}")
    bottom, top = transform.height(low), transform.height(high)
    return bottom, top if top > bottom else bottom + 1  # a flat surface: any scale shows it


@dataclass(frozen=True)
class ColourScale:
    """Colours for the heights from `low` to `high`.

    Parameters
    ----------
    transform
        How values become heights.
    low, high
        The heights at both ends.
    cut_below, cut_above
        Whether finite values lie beyond an end. Those above are grey, those below have the lowest colour.
    holes
        Whether some values are not finite.
    """

    transform: Transform
    low: float
    high: float
    cut_below: bool = False
    cut_above: bool = False
    holes: bool = False

    @classmethod
    def over(
        cls,
        surfaces: Sequence[xr.Dataset],
        *,
        variable: str,
        log: bool,
        clip: float | None = None,
        clim: tuple[float, float] | None = None,
    ) -> ColourScale:
        """Return one scale for all surfaces: from the lowest value to the highest or to `clip`, or as `clim` says.

        Raises
        ------
        ValueError
            If nothing would be left to see.
        """
        values = np.concatenate([grid_values(surface, variable)[1].ravel() for surface in surfaces])
        finite = values[np.isfinite(values)]
        transform = Transform.of(values, log=log)
        low, high = limits(values, transform, variable=variable, clip=clip, clim=clim)
        heights = transform.heights(finite)
        slack = 1e-9 * (high - low)
        return cls(
            transform,
            low,
            high,
            cut_below=bool((heights < low - slack).any()),
            cut_above=bool((heights > high + slack).any()),
            holes=finite.size < values.size,
        )

    @property
    def colours(self) -> Colormap:
        """The colour map."""
        return mpl.colormaps[MAP].with_extremes(over=BEYOND)

    @property
    def norm(self) -> Normalize:
        """From heights to shares of the colour map."""
        return Normalize(self.low, self.high)

    @property
    def extend(self) -> str:
        """The ends of the colour bar that stand for more than the scale, as Matplotlib names them."""
        ends = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}
        return ends[self.cut_below, self.cut_above]

    def refine(
        self, surface: xr.Dataset, variable: str, resolution: int | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return alphas, betas and heights of a surface on `resolution` points a side (None: on its own grid).

        Interpolated in the height that is drawn.

        Raises
        ------
        ValueError
            If the variable is a line, or `resolution` is below 2.
        """
        axes, values = grid_values(surface, variable)
        if len(axes) != 2:
            raise ValueError(f"{variable} is a line over alpha; draw it with profile")
        heights = self.transform.heights(values)
        if resolution is None:
            return axes[0], axes[1], heights
        if isinstance(resolution, bool) or not isinstance(resolution, Integral) or resolution < 2:
            raise ValueError(f"interpolate_to={resolution!r}: expected 2 or more points a side, or None")
        alphas, betas = (np.linspace(axis[0], axis[-1], resolution) for axis in axes)
        return alphas, betas, interpolator(axes, heights)(*np.meshgrid(alphas, betas, indexing="ij"))

    def text(self, height: float, _position: int | None = None) -> str:
        """Return the value at a height, for a tick or a contour line."""
        return number(self.transform.value(height))

    def round_heights(self, count: int) -> np.ndarray:
        """Return heights of round values within the scale, about `count` of them or fewer."""
        return self.transform.round_heights(self.low, self.high, count)

    def notes(self, *, holes: str) -> list[str]:
        """Return what a reader must know; `holes` says how parts look whose values are not finite."""
        said = [
            self.transform.words,
            f"darkest: {self.text(self.low)} and below" if self.cut_below else "",
            f"grey: above {self.text(self.high)}" if self.cut_above else "",
            f"{holes}: not finite" if self.holes else "",
        ]
        return [note for note in said if note]

    def add_bar(self, axes: Any, label: str, *, note: str = "", holes: str = "hatched", **options: Any) -> None:
        """Draw a colour bar beside the axes (one or an array), with a label and the notes below it."""
        figure = np.ravel(axes)[0].get_figure(root=True)
        mappable = ScalarMappable(self.norm, self.colours)
        ticks = self.round_heights(7)
        bar = figure.colorbar(mappable, ax=axes, ticks=ticks, format=self.text, extend=self.extend, **options)
        notes = ", ".join([*([note] if note else []), *self.notes(holes=holes)])
        bar.set_label("\n".join([label, *textwrap.wrap(notes, LINE)]), linespacing=1.4)
        bar.outline.set_visible(False)
        bar.ax.minorticks_off()
