"""Is there a way across? Alignment of networks, curves between them, and the barriers along these."""

from lossatlas.connectivity.alignment import align, permute

__all__ = ["align", "permute"]
