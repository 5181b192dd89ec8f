import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import lossatlas as la
from lossatlas import _files, evidence, vectors
from lossatlas.networks.training import Recipe
from lossatlas.study import Condition, RandomPlane, Slice, Study, conditions, publishing
from lossatlas.study import study as study_module

QUICK = Condition(
    "two layers",
    "digits",
    "feedforward",
    Recipe("sgd", learning_rate=0.1, epochs=2),
    {"depth": 2, "width": 8},
)
SLICE = Slice(points=5, samples=50)


@pytest.fixture
def study(tmp_path):
    return Study("test", results=tmp_path, device="cpu", progress=False)


def test_a_surface_from_nothing_is_what_the_steps_by_hand_give(study):
    found = study.surface(QUICK, 3, slice=SLICE)
    data = la.load_dataset("digits")
    model = la.build_model("feedforward", data, seed=3, depth=2, width=8)
    la.fit(model, data, recipe=QUICK.recipe, seed=3, progress=False)
    split = la.datasets.fixed_sample(data.test, 50)
    by_hand = la.evaluate(model, la.random_plane(model), split, alphas=np.linspace(-1, 1, 5), progress=False)
    np.testing.assert_allclose(found.loss, by_hand.loss, rtol=1e-5)
    assert found.attrs["n_samples"] == 50 and found.attrs["training_seed"] == 3 and found.attrs["split"] == "test"


def test_what_is_stored_is_not_computed_again(study, monkeypatch):
    first = study.surfaces([QUICK], [0, 1], slices=[SLICE])
    history = study.history(QUICK, 0)

    def never(*_, **__):
        raise AssertionError("computed although it is stored")

    monkeypatch.setattr(study_module, "fit", never)
    monkeypatch.setattr(study_module, "evaluate", never)
    again = study.surfaces([QUICK], [0, 1], slices=[SLICE])
    assert set(again) == {("two layers", 0, SLICE), ("two layers", 1, SLICE)}
    for key in first:
        xr.testing.assert_identical(first[key], again[key])
    xr.testing.assert_identical(study.history(QUICK, 0), history)


def test_a_history_that_is_asked_for_first_says_how_it_was_made(study):
    assert {"created", "device", "versions", "seconds"} <= set(study.history(QUICK, 0).attrs)
    assert {"created", "device", "versions"} <= set(study.history(QUICK, 0).attrs)  # as stored


def test_results_of_another_chapter_are_read_and_only_what_it_lacks_is_computed(study, tmp_path, monkeypatch):
    theirs = study.surfaces([QUICK], [0, 1], slices=[SLICE])
    before = sorted(path.name for path in (tmp_path / "test").iterdir())
    reader = Study("reader", results=tmp_path, device="cpu", progress=False, reads=("test",))
    monkeypatch.setattr(study_module, "fit", None)  # nothing is trained again
    xr.testing.assert_identical(reader.surface(QUICK, 1, slice=SLICE), theirs["two layers", 1, SLICE])
    xr.testing.assert_identical(reader.history(QUICK, 1), study.history(QUICK, 1))
    assert not (tmp_path / "reader").exists()
    for seed in (0, 1):  # the weights of seed 1 are kept in the cache
        finer = reader.surface(QUICK, seed, slice=Slice(points=9, samples=50))
        np.testing.assert_allclose(finer.loss[::2, ::2], theirs["two layers", seed, SLICE].loss, rtol=1e-6)
    assert len(list((tmp_path / "reader").iterdir())) == 2
    assert sorted(path.name for path in (tmp_path / "test").iterdir()) == before


def test_the_label_is_for_people_and_everything_else_is_in_the_key(study):
    one = study.surface(QUICK, 0, slice=SLICE)
    renamed = Condition("another word", **{k: v for k, v in vars(QUICK).items() if k != "label"})
    assert study.surface(renamed, 0, slice=SLICE).attrs["key"] == one.attrs["key"]
    wider = Condition(QUICK.label, QUICK.dataset, QUICK.model, QUICK.recipe, {"depth": 2, "width": 9})
    assert study.surface(wider, 0, slice=SLICE).attrs["key"] != one.attrs["key"]
    assert study.surface(QUICK, 0, slice=Slice(RandomPlane(1), points=5, samples=50)).attrs["key"] != one.attrs["key"]


def test_weights_of_the_first_seed_are_beside_the_surfaces_those_of_others_in_the_cache(study, tmp_path):
    for seed in (0, 1):
        params = study.params(QUICK, seed)
        stored = vectors.parameters_of(study.model(QUICK, seed))
        assert all(torch.equal(params[name], stored[name]) for name in params)
    assert len(list((tmp_path / "test").glob("*.safetensors"))) == 1
    assert len(list((tmp_path / "cache" / "test").glob("*.safetensors"))) == 1


def test_a_stored_surface_can_be_evaluated_again(study):
    stored = study.surface(QUICK, 0, slice=SLICE)
    fresh = study.compute_surface(QUICK, 0, slice=SLICE)
    np.testing.assert_allclose(fresh.loss, stored.loss, rtol=1e-6)


def test_class_shares_are_counted_once(study, monkeypatch):
    shares = study.class_shares(QUICK)
    targets = la.load_dataset("digits").test[1]
    for label in range(10):
        assert float(shares.sel(label=label)) == pytest.approx((targets == label).float().mean().item())
    monkeypatch.setattr(conditions, "load", None)
    xr.testing.assert_identical(study.class_shares(QUICK), shares)


def test_other_measurements_are_kept_by_their_request(study):
    calls = []

    def compute():
        calls.append(1)
        return xr.Dataset({"norm": float(vectors.norm(study.params(QUICK, 0)))})

    first = study.result("norm", QUICK, 0, compute=compute, power=2)
    xr.testing.assert_identical(first, study.result("norm", QUICK, 0, compute=compute, power=2))
    assert len(calls) == 1
    study.result("norm", QUICK, 0, compute=compute, power=1)
    assert len(calls) == 2


def test_a_notebook_in_its_own_folder_finds_the_results_of_the_project(study, tmp_path, monkeypatch):
    study.publish([], answer="yes")
    (tmp_path / "book").mkdir()
    monkeypatch.chdir(tmp_path / "book")
    monkeypatch.setattr(_files, "PROJECT", tmp_path.parent)
    assert Study("test", results=tmp_path.name).store.root == study.store.root
    assert publishing.answers(tmp_path.name) == {"test": "yes"}
    mine = tmp_path / "book" / tmp_path.name / "test"
    mine.mkdir(parents=True)
    assert Study("test", results=tmp_path.name).store.root.resolve() == mine
    assert Study("test", results="new").store.root == Path("new", "test")


def test_verdicts_are_published_for_the_findings(study, tmp_path):
    effect = evidence.difference([1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.1, 2.2, 2.3, 2.4])
    verdicts = evidence.judge([evidence.Claim("b is more", "figure 1", "roughness", "greater", effect)])
    study.publish(verdicts)
    place = tmp_path / "test" / publishing.CLAIMS
    before = place.stat().st_mtime_ns
    study.publish(verdicts)
    assert place.stat().st_mtime_ns == before
    assert publishing.published(tmp_path) == {"test": verdicts}
    assert publishing.published(tmp_path / "nowhere") == {} and publishing.answers(tmp_path) == {}
    study.publish(verdicts, answer="b is more.")
    assert publishing.answers(tmp_path) == {"test": "b is more."}


def test_networks_with_batch_normalization_come_back_with_their_statistics(study):
    condition = Condition("small", "digits", "resnet", Recipe(epochs=1, steps=3), {"depth": 8, "width": 0.25})
    images = condition.data.test[0][:20]
    run = study.train(condition, 0)
    fresh = la.build_model("resnet", condition.data, seed=5, depth=8, width=0.25)
    fresh.load_state_dict({**run.params, **run.buffers})
    with torch.no_grad():
        assert torch.equal(study.model(condition, 0)(images), fresh.eval()(images))
    assert set(study.params(condition, 0)) == set(vectors.parameters_of(fresh))


def test_keys_of_recipes_from_before_schedules_are_the_same():
    plain = conditions.run_request(QUICK, 0)["recipe"]
    assert "schedule" not in plain and "augment" not in plain
    cosine = Condition("c", "digits", "feedforward", Recipe(schedule="cosine"), {"depth": 2})
    request = conditions.run_request(cosine, 0)
    assert request["recipe"]["schedule"] == "cosine"
    assert conditions.condition_of(request, "c") == (cosine, 0)


def test_a_pretrained_network_is_a_condition_with_one_run(study):
    condition = Condition.from_pretrained("resnet20-cifar10", label="ResNet-20")
    request = conditions.run_request(condition, 0)
    assert request["pretrained"] == "resnet20-cifar10" and "recipe" not in request
    assert conditions.condition_of(request, "ResNet-20") == (condition, 0)
    with pytest.raises(ValueError, match="seed=1: resnet20-cifar10 has one training run"):
        study.model(condition, 1)
    with pytest.raises(ValueError, match="was trained by others"):
        study.train(condition, 0)


def test_a_stored_run_is_found_in_whatever_order_its_options_were_given(tmp_path):
    options = {"width": 0.5, "shortcuts": False, "depth": 20}
    given = Condition("plain", "cifar10", "resnet", Recipe(), options)
    stored, seed = conditions.condition_of(json.loads(json.dumps(conditions.run_request(given, 3), sort_keys=True)))
    where = Study("residual", results=tmp_path)
    assert list(stored.options) != list(options) and stored.name == given.name
    assert where.weights_path(stored, seed) == where.weights_path(given, 3)
