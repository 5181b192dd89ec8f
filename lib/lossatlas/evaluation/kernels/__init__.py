"""Transforms that make a pass faster, one in each file, and the operations that they use.

``TRANSFORMS`` lists them in the order in which they are applied and reported. The engine tries the first ones
together and then each without the others; those that take seconds to prepare are tried last.
"""

from __future__ import annotations

from lossatlas.evaluation.kernels.cached_layers import CachedLayers
from lossatlas.evaluation.kernels.channels_last import ChannelsLast
from lossatlas.evaluation.kernels.compiling import Compiled
from lossatlas.evaluation.kernels.onednn import OneDNN
from lossatlas.evaluation.kernels.pooled_layers import PooledLayers
from lossatlas.evaluation.kernels.recurrent import RecurrentSteps
from lossatlas.evaluation.kernels.tracing import Traced
from lossatlas.evaluation.strategies import Transform

TRANSFORMS: tuple[Transform, ...] = (
    CachedLayers(),
    PooledLayers(),
    ChannelsLast(),
    RecurrentSteps(),
    OneDNN(),
    Traced(),
    Compiled(),
)
