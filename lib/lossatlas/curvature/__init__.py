"""How the loss bends: eigenvalues of the Hessian at a point, along a plane, and over it."""

from lossatlas.curvature.hessian import LossHessian, loss_hessian
from lossatlas.curvature.maps import extremes
from lossatlas.curvature.paths import eigenvalues_along
from lossatlas.curvature.planes import hessian_plane, share_seen
from lossatlas.curvature.shaped import shaped_subspace
from lossatlas.curvature.spectrum import Eigenpairs, eigenpairs, spectrum, trace
from lossatlas.curvature.worst_case import worst_line

__all__ = [
    "Eigenpairs",
    "LossHessian",
    "eigenpairs",
    "eigenvalues_along",
    "extremes",
    "hessian_plane",
    "loss_hessian",
    "shaped_subspace",
    "share_seen",
    "spectrum",
    "trace",
    "worst_line",
]
