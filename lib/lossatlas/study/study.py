"""The results of one chapter: trained networks and surfaces, read from the store or computed and kept there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from torch import nn

from lossatlas import vectors
from lossatlas._checks import instance_of, one_of, path_like
from lossatlas._files import in_project
from lossatlas._progress import bar as progress_bar
from lossatlas.datasets.load import fixed_sample
from lossatlas.evaluation.surface import COMPUTING_VERSION, evaluate, pick_device, provenance
from lossatlas.evidence import Claim, Verdict, judge
from lossatlas.geometry import Measure
from lossatlas.networks.models import build_model
from lossatlas.networks.pretrained import load_pretrained
from lossatlas.networks.training import Run, fit
from lossatlas.study.conclusions import Conclusion, check_verdicts
from lossatlas.study.conditions import Condition, check_labels, jsonable, run_request
from lossatlas.study.labelled import collect_results, measure_slices, stack_histories
from lossatlas.study.publishing import publish
from lossatlas.study.slices import SPLITS, Slice
from lossatlas.study.store import Store
from lossatlas.vectors import Params


@dataclass(frozen=True)
class Study:
    """Hold the results of one chapter: ``results/<chapter>`` keeps them and grows with every new request.

    The folder is that of the working directory, or the project's if only the project has one.

    Parameters
    ----------
    chapter
        Name of the folder: letters, digits and . _ + - only.
    results
        Folder of all chapters.
    device
        As in :func:`lossatlas.evaluate`.
    progress
        Whether progress bars are shown.
    kept_seeds
        The weights of these training seeds are kept beside the surfaces, those of others in ``results/cache``.
    reads
        Other chapters whose stored results are read as well: what they have is not computed again.
    """

    chapter: str
    results: Path | str = "data/results"
    device: str = "auto"
    progress: bool = True
    kept_seeds: tuple[int, ...] = (0,)
    reads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the values."""
        instance_of(self.reads, "reads", (list, tuple), "a list of chapters")
        for argument, name in (("chapter", self.chapter), *(("reads", name) for name in self.reads)):
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*", name):
                raise ValueError(f"{argument}={name!r}: expected letters, digits and . _ + - only, no path")
        path_like(self.results, "results")
        instance_of(self.kept_seeds, "kept_seeds", Sequence, "a sequence of seeds")

    @cached_property
    def store(self) -> Store:
        """Where the results are kept."""
        folder = in_project(Path(self.results) / self.chapter)
        return Store(folder, tuple(folder.parent / name for name in self.reads))

    def _weights_store(self, seed: int) -> Store:
        cache = self.store.root.parent / "cache"
        reads = (*self.store.reads, *(cache / name for name in self.reads))
        return Store(self.store.root if seed in self.kept_seeds else cache / self.chapter, reads)

    def weights_path(self, condition: Condition, seed: int) -> Path:
        """Return where the trained weights are stored, or would be."""
        return self._weights_store(seed).path(condition.name, run_request(condition, seed), ".safetensors")

    def train(self, condition: Condition, seed: int) -> Run:
        """Train once more, store the history and the final weights, and return the whole path.

        Raises
        ------
        ValueError
            If others trained the network.
        """
        if condition.pretrained:
            raise ValueError(f"condition={condition.label!r}: {condition.pretrained} was trained by others")
        data, request = condition.data, run_request(condition, seed)
        model = build_model(condition.model, data, seed=seed, **condition.options)
        device = pick_device(self.device)
        run = fit(model, data, recipe=condition.recipe, seed=seed, device=device, progress=self.progress)
        run = replace(run, history=run.history.assign_attrs(provenance(model, device)))
        self._weights_store(seed).put_tensors(condition.name, request, run.state)
        self.store.result(f"history-{condition.name}", request, lambda: run.history)
        return run

    def history(self, condition: Condition, seed: int) -> xr.Dataset:
        """Return the losses over the epochs of one training run (see :class:`lossatlas.Run`)."""
        request = run_request(condition, seed)
        return self.store.result(f"history-{condition.name}", request, lambda: self.train(condition, seed).history)

    def params(self, condition: Condition, seed: int) -> Params:
        """Return the trained weights."""
        return vectors.parameters_of(self.model(condition, seed))

    def model(self, condition: Condition, seed: int) -> nn.Module:
        """Return the trained network in eval mode, with its running statistics."""
        if condition.pretrained:
            if seed != 0:
                raise ValueError(f"seed={seed!r}: {condition.pretrained} has one training run, seed 0")
            return load_pretrained(condition.pretrained)
        state = self._weights_store(seed).tensors(condition.name, run_request(condition, seed))
        if state is None:
            state = self.train(condition, seed).state
        model = build_model(condition.model, condition.data, seed=seed, **condition.options)
        model.load_state_dict(state)
        return model.eval()

    def surface(self, condition: Condition, seed: int, *, slice: Slice) -> xr.Dataset:
        """Return the surface around one trained network on a slice."""
        instance_of(slice, "slice", Slice, "a lossatlas.study.Slice")
        request = surface_request(condition, seed, slice)
        surface = self.store.result(
            f"surface-{condition.name}", request, lambda: self.compute_surface(condition, seed, slice=slice)
        )
        return surface.assign_attrs(condition=_label(condition, slice))  # labels are no part of the request

    def compute_surface(
        self,
        condition: Condition,
        seed: int,
        *,
        slice: Slice,
        alphas: Sequence[float] | np.ndarray | None = None,
        betas: Sequence[float] | np.ndarray | None = None,
    ) -> xr.Dataset:
        """Evaluate the same surface now, from the weights, whatever surface is stored.

        ``alphas`` and ``betas`` replace the coordinates of the slice.
        """
        data, plane = condition.data, slice.plane.draw(self, condition, seed)
        adaptive: dict[str, Any] = {}
        if slice.tolerance is not None:
            adaptive = {"method": "adaptive", "tolerance": slice.tolerance, "error_scale": "log"}
        surface = evaluate(
            self.model(condition, seed),
            plane,
            fixed_sample(getattr(data, slice.split), slice.samples),
            alphas=list(slice.alphas if alphas is None else alphas),
            betas=list(slice.betas if betas is None else betas),
            loss=data.loss,
            device=self.device,
            progress=self.progress,
            precision=slice.precision,
            **adaptive,
        )
        return surface.assign_attrs(
            dataset=condition.dataset,
            split=slice.split,
            training_seed=seed,
            condition=_label(condition, slice),
        )

    def result(
        self, name: str, condition: Condition, seed: int, *, compute: Callable[[], xr.Dataset], **request
    ) -> xr.Dataset:
        """Return anything else that is measured on one training run, kept under ``name`` and ``request``.

        What ``compute`` does must be decided by the condition, the seed and ``request`` alone.
        """
        document = {"run": run_request(condition, seed), "measure": name, "request": jsonable(request)}
        return self.store.result(f"{name}-{condition.name}", document, compute)

    def collect(
        self,
        name: str,
        conditions: Sequence[Condition],
        seeds: Sequence[int],
        *,
        compute: Callable[[Condition, int], xr.Dataset],
        **request,
    ) -> xr.Dataset:
        """Return results of every run (see :meth:`result`) as one Dataset over condition, seed and their dimensions.

        ``compute(condition, seed)`` is called for those that are not stored. Attributes in which all agree are kept.

        Raises
        ------
        ValueError
            If two conditions have the same label, there are no seeds, or two results have different coordinates.
        """
        return collect_results(self, name, conditions, seeds, compute, **request)

    def tensors(
        self, name: str, condition: Condition, seed: int, *, compute: Callable[[], Params], **request
    ) -> Params:
        """Return tensors that belong to one training run, such as directions; kept beside its weights."""
        document = {"run": run_request(condition, seed), "measure": name, "request": jsonable(request)}
        found = self._weights_store(seed).tensors(f"{name}-{condition.name}", document, compute)
        assert found is not None  # they are computed if they are not stored
        return found

    def publish(self, verdicts: Sequence[Verdict], *, answer: str = "") -> None:
        """Keep the chapter's verdicts, and its answer in words, beside its results."""
        publish(self.store.root, verdicts, answer=answer)

    def conclude(
        self,
        claims: Sequence[Claim],
        *,
        expects: Mapping[str, Sequence[str]] | None = None,
        answer: str = "",
    ) -> Conclusion:
        """Judge the claims of the chapter, publish the verdicts and return them, to be shown as a table.

        Parameters
        ----------
        claims
            All claims of the chapter: p-values are corrected for their number.
        expects
            What the prose of the chapter says, for example ``{"supported": ["deeper is rougher"]}``; claims that are
            not named must be inconclusive. None checks nothing. With too few seeds for verdicts nothing is checked.
        answer
            The chapter's answer in words, for the front page: a sentence or two without markup.

        Raises
        ------
        UnexpectedVerdict
            If the data say something else than ``expects``; the verdicts are published before.
        """
        verdicts = judge(claims)
        self.publish(verdicts, answer=answer)
        if expects is not None:
            check_verdicts(verdicts, expects)
        return Conclusion(tuple(verdicts))

    def histories(self, conditions: Sequence[Condition], seeds: Sequence[int]) -> xr.Dataset:
        """Return the histories of all runs as one Dataset.

        Returns
        -------
        Dataset
            The variables of a history over ``condition`` (labels), ``seed`` and ``epoch``, and ``seconds`` over
            condition and seed. Epochs that a run did not reach are NaN.

        Raises
        ------
        ValueError
            If two conditions have the same label, or there are no seeds.
        """
        return stack_histories(self, conditions, seeds)

    def measure(
        self,
        conditions: Sequence[Condition],
        seeds: Sequence[int],
        slices: Sequence[Slice] | Mapping[str, Slice],
        measures: Iterable[str | Measure] | None = None,
        **options: float,
    ) -> xr.Dataset:
        """Return measures of the surfaces of every condition, seed and slice as one Dataset.

        Parameters
        ----------
        conditions, seeds
            The training runs.
        slices
            Where the surfaces are taken. Their planes are called by their own labels, or by the keys of a mapping.
        measures
            Names of registered measures, or :class:`~lossatlas.geometry.Measure` records; by default all that apply.
        options
            Options of the measures, such as ``radius``.

        Returns
        -------
        Dataset
            A variable a measure over ``condition``, ``seed``, ``plane`` and ``split``; NaN for a plane and split that
            no slice combines.

        Raises
        ------
        ValueError
            If two conditions or two slices have the same labels, or a measure or an option is unknown.
        """
        return measure_slices(self, conditions, seeds, slices, measures, **options)

    def class_shares(self, condition: Condition, *, split: str = "test") -> xr.DataArray:
        """Return the share of each class among the targets of a split, over ``label``."""
        one_of(split, "split", SPLITS)

        def count() -> xr.Dataset:
            labels, counts = np.unique(getattr(condition.data, split)[1].numpy(), return_counts=True)
            shares = ("label", counts / counts.sum())
            return xr.Dataset({"share": shares}, {"label": labels.astype(int)})

        request = jsonable({"dataset": condition.dataset, "data_options": condition.data_options, "split": split})
        return self.store.result(f"classes-{condition.dataset}", request, count).share

    def surfaces(
        self, conditions: Sequence[Condition], seeds: Sequence[int], *, slices: Sequence[Slice]
    ) -> dict[tuple[str, int, Slice], xr.Dataset]:
        """Return the surfaces of every condition, seed and slice, by (label, seed, slice), with one bar over all.

        Raises
        ------
        ValueError
            If two conditions have the same label.
        """
        check_labels(conditions)
        requests = [(c, seed, s) for c in conditions for seed in seeds for s in slices]
        found = {}
        with progress_bar(total=len(requests), description=self.chapter, unit=" surfaces", show=self.progress) as bar:
            for condition, seed, slice in requests:
                found[condition.label, seed, slice] = self.surface(condition, seed, slice=slice)
                bar.update()
        return found


def surface_request(condition: Condition, seed: int, slice: Slice) -> dict:
    """Return the JSON document that names one surface in its stored key."""
    run = run_request(condition, seed)
    return {"run": run, "slice": slice.request(), "computing_version": COMPUTING_VERSION}


def _label(condition: Condition, slice: Slice) -> str:
    """Return what people call the condition of a surface, with the plane if that is not random."""
    return condition.label if slice.plane.kind == "random" else f"{condition.label}, {slice.plane.label}"
