"""Is there a way across? Alignment of networks, curves between them, and the barriers along these."""

from lossatlas.connectivity.alignment import align, permute
from lossatlas.connectivity.barriers import barrier, curve_plane, path_on_plane
from lossatlas.connectivity.curves import connect
from lossatlas.connectivity.energy_paths import minimum_energy_path

__all__ = ["align", "barrier", "connect", "curve_plane", "minimum_energy_path", "path_on_plane", "permute"]
