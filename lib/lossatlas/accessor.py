"""Measures, figures and scenes of a surface as methods of its Dataset: `surface.landscape`.

The methods call the functions of `geometry`, `figures` and `scenes`, and load these packages when they are first used.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lossatlas.geometry import Measure
    from lossatlas.scenes import Scene


@xr.register_dataset_accessor("landscape")
class Landscape:
    """What can be done with a surface: a Dataset over alpha and beta, as :func:`lossatlas.evaluate` returns it.

    Parameters
    ----------
    surface
        The Dataset.

    Examples
    --------
    >>> import lossatlas, numpy as np, xarray as xr
    >>> axis = np.linspace(-1, 1, 21)
    >>> bowl = 1 + np.add.outer(2 * axis**2, axis**2)
    >>> surface = xr.Dataset({"loss": (("alpha", "beta"), bowl)}, {"alpha": axis, "beta": axis})
    >>> surface.landscape.measures(["minima"]).minima.item()
    1.0
    """

    def __init__(self, surface: xr.Dataset) -> None:
        self._surface = surface

    def measures(
        self, which: Iterable[str | Measure] | None = None, *, variable: str = "loss", **options: float
    ) -> xr.Dataset:
        """Return measures of the surface, see :func:`lossatlas.geometry.measures`.

        Examples
        --------
        >>> import lossatlas, numpy as np, xarray as xr
        >>> axis = np.linspace(-1, 1, 21)
        >>> surface = xr.Dataset({"loss": ("alpha", 3 * axis**2)}, {"alpha": axis})
        >>> surface.landscape.measures(["sharpness"], radius=0.5).sharpness.round(6).item()
        0.75
        """
        from lossatlas import geometry

        return geometry.measures(self._surface, which, variable=variable, **options)

    def contour(self, **options: Any) -> Figure:
        """Draw filled contours of the surface, see :func:`lossatlas.figures.contour`.

        Examples
        --------
        >>> import lossatlas, numpy as np, xarray as xr
        >>> axis = np.linspace(-1, 1, 21)
        >>> bowl = 1 + np.add.outer(2 * axis**2, axis**2)
        >>> surface = xr.Dataset({"loss": (("alpha", "beta"), bowl)}, {"alpha": axis, "beta": axis})
        >>> surface.landscape.contour(title="A bowl").axes[0].get_title(loc="left")
        'A bowl'
        """
        from lossatlas import figures

        return figures.contour(self._surface, **options)

    def scene(self, **options: Any) -> Scene:
        """Draw the surface as a shaded 3-D scene, see :func:`lossatlas.scenes.scene`.

        Examples
        --------
        >>> import lossatlas, numpy as np, xarray as xr
        >>> axis = np.linspace(-1, 1, 21)
        >>> bowl = 1 + np.add.outer(2 * axis**2, axis**2)
        >>> surface = xr.Dataset({"loss": (("alpha", "beta"), bowl)}, {"alpha": axis, "beta": axis})
        >>> surface.landscape.scene(title="A bowl").title
        'A bowl'
        """
        from lossatlas import scenes

        return scenes.scene(self._surface, **options)

    def export(self, path: Path | str, **options: Any) -> Path:
        """Write the surface for ParaView as `.vts` or `.vtp`, see :func:`lossatlas.scenes.export`.

        Examples
        --------
        >>> import lossatlas, numpy as np, tempfile, xarray as xr
        >>> axis = np.linspace(-1, 1, 21)
        >>> bowl = 1 + np.add.outer(2 * axis**2, axis**2)
        >>> surface = xr.Dataset({"loss": (("alpha", "beta"), bowl)}, {"alpha": axis, "beta": axis})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     surface.landscape.export(f"{folder}/bowl.vts").name
        'bowl.vts'
        """
        from lossatlas import scenes

        return scenes.export(self._surface, path, **options)
