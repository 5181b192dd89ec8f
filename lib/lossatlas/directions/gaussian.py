"""Random directions: Gaussian, scaled to the weights that they are added to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossatlas import vectors
from lossatlas._checks import flag, one_of
from lossatlas.directions import checks
from lossatlas.directions.checkpoints import Network, read
from lossatlas.directions.moving import masked_parameters, moving_parameters
from lossatlas.directions.scaling import NORMALIZATIONS, scaled_to
from lossatlas.directions.subspaces import STEP, Box, Line, Plane
from lossatlas.vectors import Params, Point

UNITS = {"filter": "filter-normalized step", "layer": "layer-normalized step", None: STEP}


def _drawn(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return Gaussian numbers in the shape and dtype of a tensor; zeros for one of whole numbers."""
    if not checks.movable(tensor):
        return torch.zeros_like(tensor)
    dtype = torch.complex128 if tensor.is_complex() else torch.float64
    return torch.randn(tensor.shape, generator=generator, dtype=dtype).to(tensor)


def _direction(network: Network, generator: torch.Generator, *, normalize, scale, layers, include_biases) -> Params:
    """Return one direction; arguments are checked."""
    origin = network.parameters
    moving = moving_parameters(network.source, origin, layers, include_biases)
    drawn = {name: _drawn(tensor, generator) for name, tensor in origin.items()}
    theta = dict(origin)
    for name, mask in masked_parameters(origin, network.buffers):
        drawn[name], theta[name] = drawn[name] * mask, theta[name] * mask
    direction = scaled_to(drawn, theta, normalize)
    return {name: scale * tensor if name in moving else torch.zeros_like(tensor) for name, tensor in direction.items()}


def _options(normalize, scale, layers, include_biases) -> dict:
    """Return the checked options that all random directions share, as a description holds them."""
    one_of(normalize, "normalize", NORMALIZATIONS)
    return {
        "normalize": normalize,
        "scale": checks.scale_of(scale),
        "layers": checks.names(layers, "layers"),
        "include_biases": flag(include_biases, "include_biases"),
    }


def random_direction(
    model: Point,
    *,
    generator: torch.Generator,
    normalize: str | None = "filter",
    scale: float = 1.0,
    layers: Sequence[str] | None = None,
    include_biases: bool = False,
) -> Params:
    """Return one Gaussian direction, normalized, times ``scale``.

    It is drawn in float64 on the CPU, so that a seed means the same direction on every device and precision.
    Parameters that do not move are zero; complex parameters get complex numbers.

    Parameters
    ----------
    model : Module or dict of str to Tensor
        A network, its parameters or its state dict.
    generator : torch.Generator
        A generator of the CPU.
    normalize, scale, layers, include_biases
        See :func:`random_plane`.

    Returns
    -------
    dict of str to Tensor
        The direction, in the names, shapes and dtypes of the parameters.

    Raises
    ------
    ValueError
        For an argument that is none of these, or if nothing would move.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> direction = random_direction(torch.nn.Linear(3, 2), generator=generator)
    >>> {name: bool(tensor.any()) for name, tensor in direction.items()}
    {'weight': True, 'bias': False}
    """
    options = _options(normalize, scale, layers, include_biases)
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise ValueError(f"generator={generator!r}: expected a torch.Generator of the CPU")
    network = read(model, "model")
    checks.check_finite(network.parameters, "model")
    return _direction(network, generator, **options)


def _draw(model: Point, number: int, seed: int, options: dict) -> tuple[Network, list[Params], dict]:
    """Return a copy of a network, several directions drawn one after the other, and how they were drawn."""
    described = {"seed": checks.seed_of(seed), **options}
    given = read(model, "model")
    checks.check_finite(given.parameters, "model")
    generator = torch.Generator().manual_seed(described["seed"])
    directions = [_direction(given, generator, **options) for _ in range(number)]
    for direction in directions:
        if not any(bool(tensor.any()) for tensor in direction.values()):
            raise ValueError(
                f"normalize={options['normalize']!r}, layers={options['layers']!r}: the weights that would move are "
                "all zero, and so is a direction scaled to them; normalize=None moves them"
            )
    copied = Network(vectors.copy_of(given.parameters), vectors.copy_of(given.buffers), given.source)
    return copied, directions, described


def random_plane(
    model: Point,
    *,
    seed: int = 0,
    normalize: str | None = "filter",
    scale: float = 1.0,
    layers: Sequence[str] | None = None,
    include_biases: bool = False,
) -> Plane:
    """Draw the plane through a model's weights along two Gaussian directions.

    The module that owns a parameter decides whether it moves:

    +------------------------------------+---------------------------------------+------------------------------------+
    | owner                              | moves                                 | moves with ``include_biases`` only |
    +====================================+=======================================+====================================+
    | ``Linear``, ``Conv*d``,            | ``weight``                            | ``bias``                           |
    | ``ConvTranspose*d``, ``Bilinear``  |                                       |                                    |
    +------------------------------------+---------------------------------------+------------------------------------+
    | ``Embedding``, ``EmbeddingBag``    | ``weight``, a token's row a filter    |                                    |
    +------------------------------------+---------------------------------------+------------------------------------+
    | ``RNN``, ``LSTM``, ``GRU``, cells  | ``weight_ih``, ``weight_hh``,         | ``bias_ih``, ``bias_hh``           |
    |                                    | ``weight_hr``                         |                                    |
    +------------------------------------+---------------------------------------+------------------------------------+
    | ``MultiheadAttention``             | ``in_proj_weight`` and the others of  | ``in_proj_bias``, ``bias_k``,      |
    |                                    | q, k and v, ``out_proj.weight``       | ``bias_v``, ``out_proj.bias``      |
    +------------------------------------+---------------------------------------+------------------------------------+
    | ``BatchNorm*d``, ``LayerNorm``,    |                                       | ``weight``, ``bias``, whatever     |
    | ``GroupNorm``, ``InstanceNorm*d``, |                                       | their shape                        |
    | ``RMSNorm``, ``SyncBatchNorm``;    |                                       |                                    |
    | classes named ``...Norm``          |                                       |                                    |
    +------------------------------------+---------------------------------------+------------------------------------+
    | weights that are parametrized      | what the optimizer moves: the         | ``original`` and the like of a     |
    | (``weight_norm``,                  | magnitude and direction of            | bias                               |
    | ``spectral_norm``) or pruned       | ``weight_norm``, ``original``,        |                                    |
    |                                    | ``weight_orig`` where its mask is 1   |                                    |
    +------------------------------------+---------------------------------------+------------------------------------+
    | ``PReLU``                          |                                       | ``weight``                         |
    +------------------------------------+---------------------------------------+------------------------------------+
    | other modules                      | parameters with two dimensions longer | others, such as scales of shape    |
    |                                    | than 1, and matrices that are not     | (1, C, 1, 1), and parameters       |
    |                                    | named as a scale or shift             | without dimensions                 |
    +------------------------------------+---------------------------------------+------------------------------------+

    Complex parameters move along complex directions. Whole numbers and quantized tensors never move. In a
    parameter dict the owners are not known, and names and shapes decide, as for other modules.

    Parameters
    ----------
    model : Module or dict of str to Tensor
        θ*: a network, its parameters or its state dict. A network's buffers stay its own, whichever model the plane
        is evaluated with.
    seed : int
        The same seed gives the same plane on every device.
    normalize : {"filter", "layer", None}
        How directions are scaled to the weights: see :func:`lossatlas.directions.normalize_direction`.
    scale : float
        Multiplies both directions afterwards.
    layers : sequence of str, optional
        Move only these layers or parameters (see :func:`weight_layers`); None moves all.
    include_biases : bool
        Move what the last column names, too.

    Returns
    -------
    Plane
        Its axes count normalized steps; its description holds the arguments.

    Raises
    ------
    ValueError
        For an argument that is none of these, for an unknown layer, for weights that are not finite, or if nothing
        would move.

    References
    ----------
    Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 4.

    Examples
    --------
    >>> plane = random_plane(torch.nn.Linear(3, 2), seed=1)
    >>> plane
    Plane(alpha, beta; 8 weights; {'kind': 'random plane', 'seed': 1, 'normalize': 'filter', 'scale': 1.0, \
'layers': None, 'include_biases': False})
    >>> plane.axes[0].units
    'filter-normalized step'
    """
    network, directions, description = _draw(model, 2, seed, _options(normalize, scale, layers, include_biases))
    return Plane(
        network.parameters,
        directions[0],
        directions[1],
        {"kind": "random plane", **description},
        units=UNITS[normalize],
        buffers=network.buffers,
    )


def random_line(
    model: Point,
    *,
    seed: int = 0,
    normalize: str | None = "filter",
    scale: float = 1.0,
    layers: Sequence[str] | None = None,
    include_biases: bool = False,
) -> Line:
    """Draw the line through a model's weights along the δ of :func:`random_plane` with the same arguments.

    Parameters
    ----------
    model, seed, normalize, scale, layers, include_biases
        See :func:`random_plane`.

    Returns
    -------
    Line
        Its axis counts normalized steps.

    Raises
    ------
    ValueError
        As :func:`random_plane` does.

    Examples
    --------
    >>> model = torch.nn.Linear(3, 2)
    >>> bool((random_line(model, seed=4).delta["weight"] == random_plane(model, seed=4).delta["weight"]).all())
    True
    """
    network, directions, description = _draw(model, 1, seed, _options(normalize, scale, layers, include_biases))
    return Line(
        network.parameters,
        directions[0],
        {"kind": "random line", **description},
        units=UNITS[normalize],
        buffers=network.buffers,
    )


def random_box(
    model: Point,
    *,
    seed: int = 0,
    normalize: str | None = "filter",
    scale: float = 1.0,
    layers: Sequence[str] | None = None,
    include_biases: bool = False,
) -> Box:
    """Draw the box along three Gaussian directions, of which the first two are those of :func:`random_plane`.

    Parameters
    ----------
    model, seed, normalize, scale, layers, include_biases
        See :func:`random_plane`.

    Returns
    -------
    Box
        Its axes count normalized steps.

    Raises
    ------
    ValueError
        As :func:`random_plane` does.

    Examples
    --------
    >>> [axis.name for axis in random_box(torch.nn.Linear(3, 2)).axes]
    ['alpha', 'beta', 'gamma']
    """
    network, directions, description = _draw(model, 3, seed, _options(normalize, scale, layers, include_biases))
    return Box(
        network.parameters,
        directions,
        {"kind": "random box", **description},
        units=UNITS[normalize],
        buffers=network.buffers,
    )
