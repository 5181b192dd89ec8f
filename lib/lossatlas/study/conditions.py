"""Conditions: networks that are compared, each with its data and its training."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

import numpy as np

from lossatlas._checks import instance_of, one_of, set_fields, whole_number
from lossatlas.datasets.load import DATASETS, Dataset, load_dataset
from lossatlas.networks.models import MODELS
from lossatlas.networks.pretrained import PRETRAINED
from lossatlas.networks.training import Recipe

TRAINING_VERSION = 1  # raised whenever a change in models or training changes weights; part of every stored key

ADDED = {"schedule": "exponential", "augment": False}  # fields of a recipe that stored keys name only if they differ

DATA_OPTIONS = {"shakespeare": {"sequence_length"}}  # of load_dataset, by dataset

load = lru_cache(maxsize=4)(load_dataset)


def jsonable(value):
    """Return plain JSON values for NumPy scalars, arrays, tuples and paths.

    Examples
    --------
    >>> import numpy as np
    >>> jsonable({"grid": (np.float64(0.5), 1)})
    {'grid': [0.5, 1]}
    """
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


@dataclass(frozen=True)
class Condition:
    """Describe one thing that is compared: a network, its data and its training.

    Parameters
    ----------
    label
        What people call it. It is no part of a stored key.
    dataset
        One of ``DATASETS``.
    model
        One of ``MODELS``.
    recipe
        How the network is trained.
    options
        Options of the model, for example ``{"depth": 4}``.
    data_options
        Options of the dataset, for example ``{"sequence_length": 30}``.
    pretrained
        Name of published weights (see :func:`lossatlas.load_pretrained`), which replace the training.

    Raises
    ------
    ValueError
        If the dataset, the model or an option is unknown, an option is not a plain value, or ``recipe`` is not a
        :class:`~lossatlas.Recipe`.

    Examples
    --------
    >>> from lossatlas import Recipe
    >>> Condition("4 layers", "mnist", "feedforward", Recipe(), {"depth": 4}).name
    'feedforward-mnist-depth-4'
    """

    label: str
    dataset: str
    model: str
    recipe: Recipe
    options: Mapping = field(default_factory=dict)
    data_options: Mapping = field(default_factory=dict)
    pretrained: str | None = None

    def __post_init__(self) -> None:
        """Check the values and turn them into plain ones."""
        instance_of(self.label, "label", str, "text")
        one_of(self.dataset, "dataset", DATASETS)
        one_of(self.model, "model", MODELS)
        instance_of(self.recipe, "recipe", Recipe, "a lossatlas.Recipe")
        if self.pretrained is not None:
            one_of(self.pretrained, "pretrained", PRETRAINED)
        for name in ("options", "data_options"):
            given = getattr(self, name)
            instance_of(given, name, Mapping, "a mapping from an option's name to its value")
            plain = jsonable(MODELS[self.model].checked(given) if name == "options" else given)
            try:
                json.dumps(plain)
            except TypeError as error:
                raise ValueError(f"{name}={given!r}: expected numbers, text and lists only ({error})") from None
            set_fields(self, **{name: plain})
        unknown = set(self.data_options) - DATA_OPTIONS.get(self.dataset, set())
        if unknown:
            raise ValueError(f"data_options: {sorted(unknown)} not known to {self.dataset}")

    def __hash__(self) -> int:
        """Return a hash of the label and the request."""
        return hash((self.label, json.dumps(run_request(self, 0), sort_keys=True)))

    @classmethod
    def from_pretrained(cls, name: str, *, label: str) -> Condition:
        """Return the condition of a network that others trained; it has one training run, seed 0.

        Examples
        --------
        >>> Condition.from_pretrained("resnet20-cifar10", label="ResNet-20").name
        'resnet-cifar10-depth-20'
        """
        one_of(name, "name", PRETRAINED)
        return cls(label, "cifar10", "resnet", Recipe(), {"depth": PRETRAINED[name]}, pretrained=name)

    @property
    def data(self) -> Dataset:
        """The dataset, loaded when it is first needed."""
        return load(self.dataset, **self.data_options)

    @property
    def name(self) -> str:
        """A readable file name, the same in whatever order options are given; lists are named by their length."""
        options = {k: len(v) if isinstance(v, list) else v for k, v in sorted(self.options.items())}
        parts = [self.model, self.dataset, *(f"{key}-{value}" for key, value in options.items())]
        text = "-".join(str(part) for part in parts)
        return "".join(c if c.isalnum() or c in "._-" else "_" for c in text)


def run_request(condition: Condition, seed: int) -> dict:
    """Return the JSON document that names one training run in stored keys."""
    seed = whole_number(seed, "seed", least=0)
    named = {key: value for key, value in asdict(condition).items() if key not in ("label", "recipe", "pretrained")}
    named |= {"pretrained": condition.pretrained} if condition.pretrained else {"recipe": _named(condition.recipe)}
    return jsonable({**named, "seed": seed, "training_version": TRAINING_VERSION})


def _named(recipe: Recipe) -> dict:
    """Return the values of a recipe; later additions are left out if they are as if they did not exist."""
    values = asdict(recipe)
    return {key: value for key, value in values.items() if key not in ADDED or value != ADDED[key]}


def condition_of(run: Mapping, label: str = "") -> tuple[Condition, int]:
    """Return the condition and the seed that a run's request names.

    Raises
    ------
    ValueError
        If another version of this code wrote the request.
    """
    given = {key: value for key, value in run.items() if key not in ("seed", "training_version")}
    condition = Condition(label, **{**given, "recipe": Recipe(**given.get("recipe", {}))})
    if run_request(condition, run["seed"]) != run:
        raise ValueError(f"trained by version {run.get('training_version')}, this is {TRAINING_VERSION}")
    return replace(condition, label=label or condition.name), run["seed"]


def check_labels(conditions: Sequence[Condition]) -> None:
    """Raise ValueError if there are no conditions or two different ones have one label."""
    if not conditions:
        raise ValueError("conditions: empty; expected at least one")
    for condition in conditions:
        instance_of(condition, "conditions", Condition, "a lossatlas.study.Condition")
    for label, number in Counter(condition.label for condition in dict.fromkeys(conditions)).items():
        if number > 1:
            raise ValueError(f"conditions: {number} different ones have the label {label!r}; each needs its own")
