"""The Hessian of a mean loss, known by its products with vectors alone.

``H = ∂²L/∂θ²`` of a network with a million weights has 10¹² entries. Its product with a vector costs about as much as
four evaluations of the loss (Pearlmutter, Neural Computation 6, 1994), which is all that eigenvalues, densities and
traces need.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossatlas import vectors
from lossatlas._checks import one_of
from lossatlas.directions import checks
from lossatlas.evaluation import arguments, batches, metrics, module_state, original
from lossatlas.evaluation.devices import pick_device
from lossatlas.evaluation.plain_loop import PlainLoop, Predicting
from lossatlas.evaluation.preparation import check_named_targets
from lossatlas.evaluation.probing import checked_values
from lossatlas.evaluation.random_state import RandomState, owned_generators, same_random_state
from lossatlas.networks import losses
from lossatlas.vectors import Params

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # curvlinops calls parts of PyTorch that are deprecated
        from curvlinops import HessianLinearOperator
except ImportError as error:
    raise ImportError("lossatlas.curvature needs curvlinops (pip install 'lossatlas[curvature]')") from error

COORDINATES = ("weights", "filters")
NOT_DIFFERENTIABLE = "loss: does not depend on the parameters through operations that can be differentiated"


class _Numerators(nn.Module):
    """A model that returns what its loss adds up over a batch. ``random`` is the state that every pass begins with."""

    def __init__(
        self, model: nn.Module, quantity: metrics.Quantity, predict: Callable | None, random: RandomState | None
    ):
        super().__init__()
        self.model, self.quantity, self.random = model, quantity, random
        self.predict = predict or (lambda model, inputs: model(inputs))

    def forward(self, held: dict[str, Any]) -> Tensor:
        """Return the numerator of a batch, (1,)."""
        return self.parts(held["batch"])[0].reshape(1)

    def parts(self, batch: batches.Batch) -> tuple[Tensor, float]:
        """Return the numerator and the weight of a batch."""
        inputs, targets = batch
        value = self.quantity(self.predict(self.model, inputs), targets)
        numerator, weight = metrics.add_up(value, batches.samples_in(batch))
        return numerator, float(weight)

    @contextmanager
    def same_random_numbers(self) -> Iterator[None]:
        """Let a pass over the data draw the numbers that every other one draws, and nothing beside it notice."""
        if self.random is None:
            yield
            return
        with same_random_state(*(generator for generator, _ in self.random.owned)):
            self.random.restore()
            yield


class _Total(nn.Module):
    """The loss that curvlinops asks for, of numerators that are already added up."""

    reduction = "sum"

    def forward(self, numerators: Tensor, _: Tensor) -> Tensor:
        """Return the sum."""
        return numerators.sum()


class LossHessian(HessianLinearOperator):
    """A Hessian as a linear operator: ``hessian @ vector`` and everything that curvlinops does with operators.

    Products differentiate the gradient along a vector, by reverse mode twice, which every differentiable model and
    loss supports. The gradient's graph of a batch serves all vectors of a product at once.

    Attributes
    ----------
    names : tuple of str
        The parameters that the Hessian is taken by.
    weight : float
        What the sums over the data are divided by, most often the number of samples.
    scaling : Tensor or None
        One factor per weight, shape (n,): the operator is ``S·H·S`` with ``S = diag(scaling)``.
    products : int
        How many products with vectors have been computed.
    """

    def __init__(
        self,
        numerators: _Numerators,
        params: Mapping[str, nn.Parameter],
        held: Sequence[batches.Batch],
        scaling: Tensor | None = None,
    ):
        self.names, self.products = tuple(params), 0
        self.like: Params = dict(params)
        for parameter in params.values():
            parameter.requires_grad_(True)
        data = [({"batch": batch}, torch.zeros(1)) for batch in held]
        super().__init__(
            numerators,
            _Total(),
            list(params.values()),
            data,
            check_deterministic=False,
            num_data=len(data),
            batch_size_fn=lambda _: 1,
        )
        self.numerators, self.held = numerators, held
        self.loss, self.weight = self._mean_loss()
        self.scaling = scaling
        self._scales = None if scaling is None else list(vectors.unflatten(scaling, self.like).values())

    def _mean_loss(self) -> tuple[float, float]:
        """Return the mean loss at the present weights, and the weight that sums are divided by."""
        with torch.no_grad(), self.numerators.same_random_numbers():
            sums = [self.numerators.parts(batch) for batch in self.held]
        weight = sum(weight for _, weight in sums)
        return float(sum(numerator for numerator, _ in sums)) / weight, weight

    def move_to(self, params: Params, buffers: Params | None = None) -> float:
        """Take the Hessian at other weights from now on, and return the mean loss there."""
        own = {**dict(self.numerators.model.named_parameters()), **dict(self.numerators.model.named_buffers())}
        with torch.no_grad():
            for name, tensor in {**params, **(buffers or {})}.items():
                own[name].copy_(tensor)
        self.loss, self.weight = self._mean_loss()
        return self.loss

    def product(self, vector: np.ndarray) -> np.ndarray:
        """Return the product with a vector (n,) in float64."""
        given = torch.as_tensor(vector, dtype=self.dtype, device=self.device)
        return (self @ given).detach().cpu().double().numpy()

    def _matmat(self, matrix: list[Tensor]) -> list[Tensor]:
        """Return the product with a matrix, in curvlinops' list form: columns along the last dimension."""
        self.products += matrix[0].shape[-1]
        if self._scales is not None:
            matrix = [scale[..., None] * part for scale, part in zip(self._scales, matrix, strict=True)]
        with self.numerators.same_random_numbers():
            result = [part / self.weight for part in super()._matmat(matrix)]
        if self._scales is not None:
            result = [scale[..., None] * part for scale, part in zip(self._scales, result, strict=True)]
        return result

    def _matmat_batch(self, X: dict, y: Tensor, M: list[Tensor]) -> list[Tensor]:
        """Return the product of one batch's Hessian with a matrix."""
        with torch.enable_grad():
            total = self._loss_func(self._model_func(X), y)
            if not total.requires_grad:
                raise ValueError(NOT_DIFFERENTIABLE)
            gradient = torch.autograd.grad(
                total, self._params, create_graph=True, allow_unused=True, materialize_grads=True
            )
            columns = []
            for k in range(M[0].shape[-1]):
                along = [(g, m[..., k]) for g, m in zip(gradient, M, strict=True) if g.requires_grad]
                if not along:  # a loss that is linear in the weights
                    columns.append([torch.zeros_like(p) for p in self._params])
                    continue
                dot = torch.stack([(g * m.to(g.dtype)).sum() for g, m in along]).sum()
                product = torch.autograd.grad(
                    dot, self._params, retain_graph=True, allow_unused=True, materialize_grads=True
                )
                columns.append([part.detach() for part in product])
        return [torch.stack(parts, dim=-1) for parts in zip(*columns, strict=True)]

    def as_params(self, vector: np.ndarray | Tensor) -> Params:
        """Return a vector (n,) of the operator's space as a parameter dict."""
        flat = torch.as_tensor(vector)
        return {
            name: part.to(self.like[name].dtype).clone() for name, part in vectors.unflatten(flat, self.like).items()
        }


def filter_scaling(params: Mapping[str, Tensor]) -> Tensor:
    """Return the norm of every weight's own filter, (n,): the unit that filter-normalized pictures count in.

    A parameter with fewer than two dimensions does not move in them, so that its factor is 0.
    """
    parts = []
    for tensor in params.values():
        tensor = tensor.detach()
        norms = vectors.filter_norms(tensor) if tensor.dim() >= 2 else tensor.new_zeros(())
        parts.append(norms.expand(tensor.shape).flatten())
    return torch.cat(parts)


def loss_hessian(
    model: nn.Module,
    data,
    *,
    loss: str | Callable = "cross_entropy",
    layers: Sequence[str] | None = None,
    coordinates: str = "weights",
    predict: Callable | None = None,
    device: str | torch.device = "auto",
) -> LossHessian:
    """Return the Hessian of a model's mean loss on data, in eval mode.

    Parameters
    ----------
    model : torch.nn.Module
        It is copied and stays as it is.
    data : (inputs, targets) or an iterable of such batches
        As :func:`lossatlas.evaluate` takes them.
    loss : str or callable
        As ``evaluate`` takes it.
    layers : sequence of str, optional
        Names, or beginnings of names, of the parameters that the Hessian is taken by; all by default.
    coordinates : {"weights", "filters"}
        ``"filters"`` takes the Hessian in the coordinates of filter-normalized pictures: a step of length 1 in a
        filter is as long as the filter itself. Parameters with fewer than two dimensions stand still there.
    predict : callable, optional
        ``(model, inputs) -> outputs``.
    device : str or torch.device
        ``"auto"`` is CUDA if there is a device, else the CPU.

    Returns
    -------
    LossHessian
        A linear operator of shape (n, n), n the number of weights.

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    Examples
    --------
    >>> model = nn.Linear(2, 1, bias=False)
    >>> inputs = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> hessian = loss_hessian(model, (inputs, torch.zeros(2, 1)), loss="mse", device="cpu")
    >>> hessian @ torch.eye(2)  # (2 / N)·XᵀX
    tensor([[1., 0.],
            [0., 4.]])
    """
    module_state.check_model(model)
    losses.loss_name(loss)
    arguments.check_predict(predict)
    one_of(coordinates, "coordinates", COORDINATES)
    place, named = pick_device(device), checks.names(layers, "layers")
    private = module_state.own_copy(model)
    private = private.to(place).eval().requires_grad_(False)
    params = _chosen(private, named)
    random = RandomState.now(*owned_generators(model, private, predict, loss))
    held = [batches.move(batch, place) for batch in batches.read(data)]
    quantity = metrics.make_quantities(loss, data=held)[0]
    try:
        draws = _check_values(private, params, quantity, held, loss, predict, random)
    finally:
        random.restore()
    scaling = filter_scaling(params) if coordinates == "filters" else None
    numerators = _Numerators(private, quantity, predict, random if draws else None)
    if not isinstance(loss, str) or predict is not None:
        with torch.no_grad():
            if original.changes_with(model, lambda: float(numerators.parts(held[0])[0])):
                raise ValueError(
                    "loss: it or predict uses the model itself, but the Hessian differentiates a copy; expected "
                    "functions of the outputs (and of the model that predict is given)"
                )
    return LossHessian(numerators, params, held, scaling)


def _chosen(model: nn.Module, layers: Sequence[str] | None) -> dict[str, nn.Parameter]:
    """Return the parameters that the Hessian is taken by. Raise ValueError unless they are real and of one dtype."""
    own = {name: parameter for name, parameter in model.named_parameters() if parameter.is_floating_point()}
    if not own:
        raise ValueError(f"model: {type(model).__name__} has no parameters of real floating-point numbers")
    missing = [layer for layer in layers or () if not any(_named(name, layer) for name in own)]
    if missing or layers == []:
        raise ValueError(f"layers={missing!r}: no parameter has such a name; expected some of {list(own)}")
    found = {n: p for n, p in own.items() if layers is None or any(_named(n, layer) for layer in layers)}
    if len({parameter.dtype for parameter in found.values()}) > 1:
        raise ValueError("model: its parameters have several dtypes; choose those of one dtype by layers")
    return found


def _named(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")


def _check_values(
    model: nn.Module,
    params: Mapping[str, nn.Parameter],
    quantity: metrics.Quantity,
    held: Sequence[batches.Batch],
    loss: str | Callable,
    predict: Callable | None,
    random: RandomState,
) -> bool:
    """Call everything on the first batch, and return whether it draws random numbers.

    Raises
    ------
    ValueError
        If the model cannot take the inputs or the loss the outputs, or if the loss has no gradient.
    """
    called = model if predict is None else Predicting(model, predict).eval()
    loop = PlainLoop(called, dict(params), (), (quantity,), gradient_norm=True, name=type(model).__name__)
    check_named_targets(loss, loop, held)
    for parameter in params.values():
        parameter.requires_grad_(True)
    random.restore()
    [value] = checked_values(loop, held[0])
    metrics.form_of(quantity, value, batches.samples_in(held[0]))
    if not metrics.add_up(value, 1)[0].requires_grad:
        raise ValueError(NOT_DIFFERENTIABLE)
    return random.changed()


def check_finite_loss(hessian: LossHessian) -> None:
    """Raise ValueError if the loss is not finite, so that it has no Hessian."""
    if not np.isfinite(hessian.loss):
        raise ValueError(f"loss: {hessian.loss:g} at the weights of model on data; expected a finite number")
