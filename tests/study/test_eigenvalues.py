import datetime
import json

import numpy as np
import pytest

from lossatlas import curvature
from lossatlas.curvature import extremes
from lossatlas.datasets.load import fixed_sample
from lossatlas.directions import random_plane
from lossatlas.networks.training import Recipe
from lossatlas.study import Condition, RandomPlane, Slice, Study, eigenvalue_map
from lossatlas.study import eigenvalues as module
from lossatlas.study.files import write_dataset
from lossatlas.study.reevaluation import kept_tensors, stored_surfaces
from lossatlas_book.checks import verify
from lossatlas_book.console import Failure

QUICK = Condition("two layers", "digits", "feedforward", Recipe(learning_rate=0.1, epochs=2), {"depth": 2, "width": 8})
SLICE = Slice(RandomPlane(1), points=3, samples=50, split="train")


@pytest.fixture
def study(tmp_path):
    return Study("tiny", results=tmp_path / "data" / "results", device="cpu", progress=False)


def test_a_map_is_that_of_extremes_and_is_computed_once(study, monkeypatch):
    found = eigenvalue_map(study, QUICK, 0, slice=SLICE)
    model, data = study.model(QUICK, 0), fixed_sample(QUICK.data.train, 50)
    by_hand = extremes(model, random_plane(model, seed=1), data, alphas=[-1, 0, 1], device="cpu", progress=False)
    np.testing.assert_allclose(found.largest, by_hand.largest, rtol=1e-3)
    np.testing.assert_allclose(found.smallest, by_hand.smallest, rtol=1e-2, atol=1e-3)
    assert not list(study.store.root.glob("*.rows"))
    monkeypatch.setattr(curvature, "extremes", None)
    assert eigenvalue_map(study, QUICK, 0, slice=SLICE).largest.equals(found.largest)


def test_a_killed_map_resumes_at_its_last_row(study, monkeypatch):
    whole = eigenvalue_map(study, QUICK, 0, slice=SLICE)
    next(study.store.root.glob("eigenvalues-*.nc")).unlink()
    calls = []

    def dies(*args, **options):
        calls.append(options["resume"])
        extremes(*args, **{**options, "alphas": options["alphas"]})
        raise KeyboardInterrupt

    monkeypatch.setattr(curvature, "extremes", dies)
    with pytest.raises(KeyboardInterrupt):
        eigenvalue_map(study, QUICK, 0, slice=SLICE)
    assert calls[0].exists()
    monkeypatch.setattr(curvature, "extremes", extremes)
    again = eigenvalue_map(study, QUICK, 0, slice=SLICE)
    assert again.largest.equals(whole.largest) and not calls[0].exists()


def altered(study):
    path = next(study.store.root.glob("eigenvalues-*.nc"))
    (stored,), _ = stored_surfaces(study, kind=module.NAME)
    write_dataset(path, stored.surface.assign(largest=stored.surface.largest * 1.1))


def test_an_untouched_map_agrees_and_an_altered_one_differs(study):
    eigenvalue_map(study, QUICK, 0, slice=SLICE)
    (stored,), left_out = stored_surfaces(study, kind=module.NAME)
    assert not left_out and stored.condition == QUICK and stored.slice == SLICE
    with kept_tensors(study) as kept:
        assert module.check_map(kept, stored, points=9).verdict == "agrees"
        altered(study)
        (stored,), _ = stored_surfaces(study, kind=module.NAME)
        assert module.check_map(kept, stored, points=9).verdict == "differs"


def book(study, *, reads=()):
    """A book of one chapter, with its metadata."""
    root = study.store.root.parents[2]
    (root / "book").mkdir()
    notebook = {"cells": [], "metadata": {"lossatlas": {"reads": list(reads)}}, "nbformat": 4, "nbformat_minor": 5}
    (root / "book" / f"{study.chapter}.ipynb").write_text(json.dumps(notebook))
    return root


def test_the_command_checks_maps_with_the_weights_of_another_chapter(study, tmp_path, capsys):
    other = Study("theirs", results=tmp_path / "data" / "results", device="cpu", progress=False)
    other.train(QUICK, 0)
    reader = Study("tiny", results=tmp_path / "data" / "results", device="cpu", progress=False, reads=("theirs",))
    eigenvalue_map(reader, QUICK, 0, slice=SLICE)
    assert not list(reader.store.root.glob("*.safetensors"))
    root, day = book(reader, reads=["theirs/*"]), datetime.date(2026, 7, 31)
    verify.verify(root, "tiny", day=day)
    assert "3 of 9" in capsys.readouterr().out
    altered(reader)
    with pytest.raises(Failure, match=r"eigenvalues of two layers, seed 0.*differs"):
        verify.verify(root, "tiny", day=day)
