"""What a chapter asks for: train this, map that. Kept in the store, computed only where it is not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import xarray as xr
from torch import nn

from lossatlas import directions
from lossatlas._files import in_project, write_whole
from lossatlas._progress import bar as progress_bar
from lossatlas.datasets.load import Dataset, fixed_sample, load_dataset
from lossatlas.evaluation.surface import COMPUTING_VERSION, evaluate, pick_device, provenance
from lossatlas.evidence.claims import Verdict, from_records, to_records
from lossatlas.networks.models import build_model
from lossatlas.networks.training import Recipe, Run, fit
from lossatlas.study.store import Store, jsonable
from lossatlas.vectors import Params

TRAINING_VERSION = 1  # raised whenever a change in models or training changes weights; part of every stored key

CLAIMS, ANSWER = "claims.json", "answer.txt"  # the verdicts of a chapter and its answer in words, in its folder

load = lru_cache(maxsize=4)(load_dataset)


@dataclass(frozen=True)
class Condition:
    """One thing that is compared: a network, what it is trained on and how. ``label`` is for people."""

    label: str
    dataset: str
    model: str
    recipe: Recipe
    options: Mapping = field(default_factory=dict)  # of the model
    data_options: Mapping = field(default_factory=dict)  # of the dataset

    @property
    def data(self) -> Dataset:
        return load(self.dataset, **self.data_options)

    @property
    def name(self) -> str:
        """A readable file name; lists by their length."""
        options = {k: len(v) if isinstance(v, list | tuple) else v for k, v in self.options.items()}
        parts = [self.model, self.dataset, *(f"{key}-{value}" for key, value in options.items())]
        text = "-".join(str(part) for part in parts)
        return "".join(c if c.isalnum() or c in "._-" else "_" for c in text)


@dataclass(frozen=True)
class Slice:
    """Where a surface is taken: a random plane (by seed) and a square grid on it.

    ``extent``: the grid runs from −extent to extent, ``points`` along each side; ``samples`` of ``split``
    (a fixed sample, None for all); ``precision`` as in :func:`lossatlas.evaluate`, the rest as in
    :func:`lossatlas.random_plane`.
    """

    extent: float = 1.0
    points: int = 51
    split: str = "test"
    samples: int | None = None
    plane_seed: int = 0
    normalize: str | None = "filter"
    scale: float = 1.0
    layers: tuple[str, ...] | None = None
    precision: str | None = None

    @property
    def asked(self) -> dict:
        """What names it in a stored key: a precision only where one is given."""
        return {key: value for key, value in asdict(self).items() if (key, value) != ("precision", None)}

    @property
    def alphas(self) -> np.ndarray:
        return np.linspace(-self.extent, self.extent, self.points)


def published(results: Path | str = "data/results") -> dict[str, list[Verdict]]:
    """The verdicts that each chapter published, by the chapter's name."""
    paths = sorted(in_project(results).glob(f"*/{CLAIMS}"))
    return {path.parent.name: from_records(json.loads(path.read_text(encoding="utf-8"))) for path in paths}


def answers(results: Path | str = "data/results") -> dict[str, str]:
    """The answer in words that each chapter published, by the chapter's name."""
    paths = sorted(in_project(results).glob(f"*/{ANSWER}"))
    return {path.parent.name: path.read_text(encoding="utf-8").strip() for path in paths}


@dataclass(frozen=True)
class Study:
    """The results of one chapter: ``results/<chapter>`` holds what is stored, and grows as more is asked.

    The folder is that of the working directory, or the project's where only the project has one.

    The weights of ``kept_seeds`` are kept beside their surfaces, those of the others in ``results/cache``.
    """

    chapter: str
    results: Path | str = "data/results"
    device: str = "auto"
    progress: bool = True
    kept_seeds: tuple[int, ...] = (0,)

    @cached_property
    def store(self) -> Store:
        return Store(in_project(Path(self.results) / self.chapter))

    def _weights_store(self, seed: int) -> Store:
        return self.store if seed in self.kept_seeds else Store(self.store.root.parent / "cache" / self.chapter)

    @staticmethod
    def _request(condition: Condition, seed: int) -> dict:
        asked = {key: value for key, value in asdict(condition).items() if key != "label"}
        return jsonable({**asked, "seed": seed, "training_version": TRAINING_VERSION})

    def weights_path(self, condition: Condition, seed: int) -> Path:
        """Where the trained weights are stored, or would be."""
        return self._weights_store(seed).path(condition.name, self._request(condition, seed), ".safetensors")

    def train(self, condition: Condition, seed: int) -> Run:
        """Train once more and store the history and the final weights; the whole path is returned."""
        data, request = condition.data, self._request(condition, seed)
        model = build_model(condition.model, data, seed=seed, **condition.options)
        device = pick_device(self.device)
        run = fit(model, data, recipe=condition.recipe, seed=seed, device=device, progress=self.progress)
        history = run.history.assign_attrs(provenance(model, device))
        self._weights_store(seed).put_tensors(condition.name, request, run.params)
        self.store.result(f"history-{condition.name}", request, lambda: history)
        return run

    def history(self, condition: Condition, seed: int) -> xr.Dataset:
        """Losses over the epochs of one training run (see :class:`lossatlas.networks.training.Run`)."""
        request = self._request(condition, seed)
        return self.store.result(f"history-{condition.name}", request, lambda: self.train(condition, seed).history)

    def params(self, condition: Condition, seed: int) -> Params:
        """The trained weights."""
        request = self._request(condition, seed)
        stored = self._weights_store(seed).tensors(condition.name, request)
        return self.train(condition, seed).params if stored is None else stored

    def model(self, condition: Condition, seed: int) -> nn.Module:
        """The trained network."""
        model = build_model(condition.model, condition.data, seed=seed, **condition.options)
        model.load_state_dict(self.params(condition, seed))
        return model.eval()

    def surface(self, condition: Condition, seed: int, *, slice: Slice) -> xr.Dataset:
        """The surface around one trained network."""
        request = {
            "run": self._request(condition, seed),
            "slice": jsonable(slice.asked),
            "computing_version": COMPUTING_VERSION,
        }
        surface = self.store.result(
            f"surface-{condition.name}", request, lambda: self.compute_surface(condition, seed, slice=slice)
        )
        return surface.assign_attrs(condition=condition.label)  # labels are no part of what was asked

    def compute_surface(
        self,
        condition: Condition,
        seed: int,
        *,
        slice: Slice,
        alphas: Sequence[float] | None = None,
        betas: Sequence[float] | None = None,
    ) -> xr.Dataset:
        """The same, evaluated now from the weights, whatever surface is stored.

        ``alphas`` and ``betas`` are other coordinates than the slice's own, some of its points perhaps.
        """
        model = self.model(condition, seed)
        plane = directions.random_plane(
            model, seed=slice.plane_seed, normalize=slice.normalize, scale=slice.scale, layers=slice.layers
        )
        alphas = slice.alphas if alphas is None else alphas
        options = {"alphas": alphas, "betas": betas, "precision": slice.precision}
        return self.evaluate_on(model, plane, condition, seed, slice=slice, **options)

    def evaluate_on(
        self,
        model: nn.Module,
        plane: directions.Plane,
        condition: Condition,
        seed: int,
        *,
        slice: Slice,
        alphas: Sequence[float],
        betas: Sequence[float] | None = None,
        precision: str | None = None,
    ) -> xr.Dataset:
        """A condition's network on any plane; of ``slice``, only its ``split`` and ``samples`` count here."""
        data = condition.data
        split = fixed_sample(getattr(data, slice.split), slice.samples)
        options = {"loss": data.loss, "device": self.device, "progress": self.progress, "precision": precision}
        surface = evaluate(model, plane, split, alphas=alphas, betas=betas, **options)
        return surface.assign_attrs(
            dataset=condition.dataset, split=slice.split, training_seed=seed, condition=condition.label
        )

    def result(
        self, name: str, condition: Condition, seed: int, *, compute: Callable[[], xr.Dataset], **asked
    ) -> xr.Dataset:
        """Anything else that is measured on one training run, kept under ``name`` and what was ``asked``.

        What ``compute`` does must be decided by the condition, the seed and ``asked`` alone.
        """
        request = {"run": self._request(condition, seed), "measure": name, "asked": jsonable(asked)}
        return self.store.result(f"{name}-{condition.name}", request, compute)

    def tensors(self, name: str, condition: Condition, seed: int, *, compute: Callable[[], Params], **asked) -> Params:
        """The same for tensors that belong to one training run, such as directions; kept beside its weights."""
        request = {"run": self._request(condition, seed), "measure": name, "asked": jsonable(asked)}
        return self._weights_store(seed).tensors(f"{name}-{condition.name}", request, compute)

    def publish(self, verdicts: Sequence[Verdict], *, answer: str = "") -> None:
        """Keep the chapter's verdicts, and its answer in words, beside its results: see :func:`published`."""
        texts = {CLAIMS: json.dumps(to_records(verdicts), indent=1) + "\n", ANSWER: answer and answer + "\n"}
        for name, text in texts.items():
            if text:
                write_whole(self.store.root / name, text.encode())

    def class_shares(self, condition: Condition, *, split: str = "test") -> xr.DataArray:
        """The share of each class among the targets of a split, over ``label``."""

        def count() -> xr.Dataset:
            labels, counts = np.unique(getattr(condition.data, split)[1].numpy(), return_counts=True)
            shares = ("label", counts / counts.sum())
            return xr.Dataset({"share": shares}, {"label": labels.astype(int)})

        request = jsonable({"dataset": condition.dataset, "data_options": condition.data_options, "split": split})
        return self.store.result(f"classes-{condition.dataset}", request, count).share

    def surfaces(
        self, conditions: Sequence[Condition], seeds: Sequence[int], *, slices: Sequence[Slice]
    ) -> dict[tuple[str, int, Slice], xr.Dataset]:
        """The surfaces of every condition, seed and slice, by (label, seed, slice), with one bar over all."""
        asked = [(condition, seed, slice) for condition in conditions for seed in seeds for slice in slices]
        found = {}
        with progress_bar(total=len(asked), description=self.chapter, unit=" surfaces", show=self.progress) as bar:
            for condition, seed, slice in asked:
                found[condition.label, seed, slice] = self.surface(condition, seed, slice=slice)
                bar.update()
        return found
