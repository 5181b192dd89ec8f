"""Verification must find what was altered: each test changes one thing that is stored, or how it was made."""

from __future__ import annotations

import datetime
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
import xarray as xr
from safetensors import safe_open
from safetensors.torch import load_file

from lossatlas import geometry
from lossatlas.networks.training import Recipe
from lossatlas.study import Condition, PathPlane, RandomPlane, Slice, Study, conditions, reevaluation, retraining
from lossatlas.study import study as study_module
from lossatlas.study.conditions import run_request
from lossatlas.study.files import write_dataset, write_tensors
from lossatlas_book.checks import verify
from lossatlas_book.console import Failure

RECIPE = Recipe(learning_rate=0.1, batch_size=20, epochs=6)
QUICK = Condition("two layers", "digits", "feedforward", RECIPE, {"depth": 2, "width": 16})
LONGER = replace(QUICK, label="longer", recipe=replace(RECIPE, epochs=7))
SLICE = Slice(points=7, samples=50)
FIRST = Slice(RandomPlane(1, layers=("layers.0",)), points=7, samples=50, split="train")
SEEDS = range(4)
RESULTS = Path(__file__).parents[2] / "data" / "results"


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> Path:
    """Results of a small chapter; never changed."""
    folder = tmp_path_factory.mktemp("results")
    study = Study("tiny", results=folder, device="cpu", progress=False)
    study.surfaces([QUICK], SEEDS, slices=[SLICE])
    study.surface(QUICK, 0, slice=FIRST)
    study.history(LONGER, 0)
    for seconds, condition in ((1.0, QUICK), (2.0, LONGER)):  # on a busy machine the shorter may take longer
        for seed in SEEDS:
            rewrite(history_path(study, condition, seed), lambda history, s=seconds: history.attrs.update(seconds=s))
    return folder


@pytest.fixture
def study(computed, tmp_path) -> Study:
    shutil.copytree(computed, tmp_path / "results")
    return Study("tiny", results=tmp_path / "results", device="cpu", progress=False)


def history_path(study: Study, condition: Condition, seed: int) -> Path:
    return study.store.path(f"history-{condition.name}", run_request(condition, seed), ".nc")


def surface_path(study: Study, seed: int = 0, slice: Slice = SLICE) -> Path:
    return study.store.root / f"{study.surface(QUICK, seed, slice=slice).attrs['key']}.nc"


def rewrite(path: Path, change) -> None:
    """Change a stored Dataset in place, if it exists, as if it had been computed so."""
    if path.exists():
        dataset = xr.load_dataset(path, engine="h5netcdf")
        change(dataset)
        path.unlink()
        write_dataset(path, dataset)


def checks(study: Study, **options) -> dict[Slice, reevaluation.Check]:
    """The checks of the surfaces of seed 0, by slice."""
    found, left_out = reevaluation.stored_surfaces(study)
    assert left_out == {}
    with reevaluation.kept_tensors(study) as kept:
        return {s.slice: reevaluation.check_surface(kept, s, **options) for s in found if s.seed == 0}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# surfaces


def test_a_request_is_read_back(study):
    stored = reevaluation.read(surface_path(study, slice=FIRST))
    assert (stored.condition, stored.seed, stored.slice) == (QUICK, 0, FIRST)
    assert stored.name.startswith("two layers, seed 0, 50 train, plane 1, layers.0, ±1 (")


def test_untouched_results_agree_and_stay_untouched(study):
    before = contents(study.store.root)
    found = checks(study)
    assert [(c.verdict, c.points, c.of) for c in found.values()] == [("agrees", 49, 49)] * 2
    assert all(check.worst < 1e-6 for check in found.values())
    assert contents(study.store.root) == before


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda s: s.loss.__setitem__((3, 2), s.loss[3, 2] * (1 + 5e-5)), "agrees"),
        (lambda s: s.loss.__setitem__((3, 2), s.loss[3, 2] * (1 + 2e-4)), "differs"),
        (lambda s: s.loss.__setitem__((3, 2), np.nan), "differs"),
        (lambda s: s.loss.__setitem__((3, 2), np.inf), "differs"),
        (lambda s: s.accuracy.__setitem__((0, 6), s.accuracy[0, 6] + 0.02), "agrees"),  # one sample of 50
        (lambda s: s.accuracy.__setitem__((0, 6), s.accuracy[0, 6] + 0.04), "differs"),
        (lambda s: s.attrs.update(origin_loss=s.attrs["origin_loss"] + 1e-3), "differs"),
    ],
)
def test_an_altered_surface_is_found(study, change, verdict):
    rewrite(surface_path(study), change)
    found = checks(study)
    assert found[SLICE].verdict == verdict
    assert found[FIRST].verdict == "agrees"


def test_of_an_adaptive_surface_the_evaluated_points_are_compared(study):
    slice = Slice(points=31, samples=50, tolerance=0.2)
    path = surface_path(study, slice=slice)
    evaluated = study.surface(QUICK, 0, slice=slice).evaluated.values
    assert 25 < evaluated.sum() < 31**2
    check = checks(study)[slice]
    assert (check.verdict, check.points, check.of) == ("agrees", evaluated.sum(), 31**2)
    for known, verdict in ((False, "agrees"), (True, "differs")):
        row, column = np.argwhere(evaluated == known)[0]
        rewrite(path, lambda s, at=(row, column): s.loss.__setitem__(at, 2 * s.loss[at]))
        assert checks(study)[slice].verdict == verdict


@pytest.mark.parametrize("seed", range(20))
def test_a_part_of_an_adaptive_surface_holds_an_evaluated_point(seed):
    evaluated = np.zeros((31, 31), bool)
    evaluated[3, 17] = True
    axis = np.linspace(-1, 1, 31)
    surface = xr.Dataset({"evaluated": (("alpha", "beta"), evaluated)}, {"alpha": axis, "beta": axis})
    part = reevaluation.drawn_part(surface, 0.01, np.random.default_rng(seed))
    assert part.evaluated.any() and part.evaluated.size <= 36


def test_what_rounding_decides_is_counted_and_the_rest_is_compared(study, monkeypatch):
    compute = reevaluation._Kept.compute_surface

    def chaotic(*args, **options):
        surface = compute(*args, **options)
        surface["loss"] = surface.loss + (surface.alpha > 0.5) * (2 + np.sin(1e8 * surface.alpha))
        return surface

    monkeypatch.setattr(reevaluation._Kept, "compute_surface", chaotic)
    far = int((SLICE.alphas > 0.5).sum()) * SLICE.points
    for check in checks(study).values():
        assert (check.verdict, check.rounded) == ("agrees", far) and check.worst < 1e-6
    rewrite(surface_path(study), lambda s: s.loss.__setitem__((0, 0), 1.01 * s.loss[0, 0]))
    found = checks(study)[SLICE]
    assert (found.verdict, found.rounded) == ("differs", far) and found.worst == pytest.approx(0.01, rel=0.02)
    monkeypatch.setattr(reevaluation, "ROUNDING", -1.0)  # nothing is left to compare
    assert checks(study)[SLICE].verdict == "differs"


def test_a_variable_that_is_not_there_now_is_a_difference(study):
    stored = study.surface(QUICK, 0, slice=SLICE)
    assert reevaluation.compare(stored, stored) == (0.0, True)
    assert not reevaluation.compare(stored, stored.drop_vars("accuracy"))[1]
    assert not reevaluation.compare(stored.drop_vars("accuracy"), stored)[1]


def test_not_finite_values_agree_with_the_same_alone():
    def surface(*values):
        return xr.Dataset({"loss": ("alpha", list(values))}, attrs={"origin_loss": 1.0})

    inf, nan = math.inf, math.nan
    assert reevaluation.compare(surface(1, inf, nan, -inf), surface(1, inf, nan, -inf)) == (0.0, True)
    for other in (surface(1, nan, nan, -inf), surface(1, inf, inf, -inf), surface(1, -inf, nan, -inf)):
        assert not reevaluation.compare(surface(1, inf, nan, -inf), other)[1]
    assert (
        reevaluation.compare(surface(0.0), surface(5e-8))[1]
        and not reevaluation.compare(surface(0.0), surface(2e-7))[1]
    )


def rewrite_tensors(path: Path, change) -> None:
    """Replace stored tensors, as if they had been computed so."""
    with safe_open(path, "pt") as file:
        request = json.loads(file.metadata()["request"])
    write_tensors(path, {name: change(tensor) for name, tensor in load_file(path).items()}, request=request)


def alter_weights(path: Path) -> None:
    rewrite_tensors(path, lambda tensor: tensor + 0.01)


def other_shape(path: Path) -> None:
    rewrite_tensors(path, lambda _: torch.zeros(3))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (alter_weights, "differs"),
        (Path.unlink, "missing or cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "missing or cannot be read"),
        (other_shape, "state_dict"),
    ],
)
def test_spoiled_weights_are_found_and_nothing_is_trained_or_moved(study, spoil, words):
    spoil(study.weights_path(QUICK, 0))
    before = contents(study.store.root)
    for check in checks(study).values():
        assert words in check.verdict
        assert check.verdict == "differs" or check.points == 0
    assert contents(study.store.root) == before


def test_a_part_is_drawn_by_key_and_seed_and_finds_what_lies_in_it(study):
    found = checks(study, share=0.3, seed=3)[SLICE]
    assert (found.points, found.of, found.verdict) == (25, 49, "agrees")
    draws = [reevaluation.rows_of(51, 0.2, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])
    assert len(draws[0]) == 11 and (np.diff(draws[0]) > 0).all() and draws[0].max() <= 50
    assert len(reevaluation.rows_of(51, 1e-6, np.random.default_rng(0))) == reevaluation.FEWEST
    rewrite(surface_path(study), lambda s: s.loss.__imul__(1.01))  # wherever the part lies
    assert checks(study, share=0.3, seed=3)[SLICE].verdict == "differs"


def test_results_of_another_version_or_under_another_name_are_left_out_with_the_reason(study, monkeypatch):
    path = surface_path(study)
    rewrite(path, lambda s: s.attrs.update(request=s.attrs["request"].replace('"points": 7', '"points": 9')))
    surface_path(study, 1).write_bytes(b"nothing")
    rewrite(surface_path(study, 2), lambda s: s.attrs.pop("request"))
    found, left_out = reevaluation.stored_surfaces(study)
    assert len(found) == 2
    reasons = sorted(reason.removeprefix("cannot be read (")[:11] for reason in left_out.values())
    assert reasons == ["it does not", "it has no d", "its request"]
    monkeypatch.setattr(reevaluation, "COMPUTING_VERSION", -1)
    other = surface_path(study, 3)
    with pytest.raises(ValueError, match="computed by version"):
        reevaluation.read(other)
    monkeypatch.setattr(conditions, "TRAINING_VERSION", -1)
    with pytest.raises(ValueError, match="trained by version"):
        reevaluation.read(other)


def test_surfaces_under_a_path_are_verified_from_their_directions(tmp_path):
    study = Study("tiny", results=tmp_path, device="cpu", progress=False)
    condition = replace(QUICK, recipe=replace(RECIPE, checkpoint_every=0))
    slice = Slice(PathPlane("PCA + PCA"), alpha=(-1.0, 1.5), beta=(-0.5, 0.5), points=6, samples=50)
    study.surface(condition, 0, slice=slice)
    assert [check.verdict for check in checks(study).values()] == ["agrees"]
    (plane,) = study.store.root.glob("pca-plane-*.safetensors")
    rewrite_tensors(plane, lambda tensor: tensor * 1.01)
    assert [check.verdict for check in checks(study).values()] == ["differs"]
    plane.unlink()
    assert "missing" in checks(study)[slice].verdict


# trainings


def repeats(study: Study) -> dict[str, retraining.Repeat]:
    condition, histories = retraining.cheapest(study)
    found, _ = reevaluation.stored_surfaces(study)
    rows = retraining.repeat(study, condition, histories, retraining.first_test_surface(condition, found))
    return {row.measure: row for row in rows}


def test_the_cheapest_training_with_enough_seeds_gives_its_measures_again(study):
    condition, histories = retraining.cheapest(study)
    assert (condition.recipe.epochs, set(histories)) == (6, set(SEEDS))
    before = contents(study.store.root)
    rows = repeats(study)
    assert set(rows) == {"final training loss", "final test loss", "non-convex share", "roughness"}
    assert {row.verdict for row in rows.values()} == {"agrees"}
    for row in rows.values():
        assert row.repeated == pytest.approx(row.stored, rel=1e-3)
    assert contents(study.store.root) == before
    for seed in (1, 2):
        history_path(study, QUICK, seed).unlink()
    assert retraining.cheapest(study) is None


def test_another_training_is_found(study, monkeypatch):
    def forgetful(model, data, *, recipe, **options):
        return fit(model, data, recipe=replace(recipe, learning_rate=recipe.learning_rate / 10), **options)

    fit = study_module.fit
    monkeypatch.setattr(study_module, "fit", forgetful)
    assert repeats(study)["final test loss"].verdict == "differs"


def test_the_interval_holds_one_more_seed_99_times_in_100():
    draws = np.random.default_rng(0).normal(3.0, 2.0, (10_000, 6))
    inside = 0
    for *seeds, more in draws:
        low, high = retraining.spread(seeds)
        inside += low <= more <= high
    assert inside / len(draws) == pytest.approx(0.99, abs=0.004)


def test_without_any_spread_rounding_is_no_difference():
    assert retraining.spread([0.5, 0.5, 0.5]) == pytest.approx((0.495, 0.505))
    assert retraining.spread([0.0, 0.0, 0.0], least=0.01) == (-0.01, 0.01)
    assert retraining.Repeat("roughness", 0.5, math.nan, 0.495, 0.505, 3).verdict == "differs"


def test_an_expensive_surface_is_thinned_for_all_seeds_alike(study):
    for seed in SEEDS:
        rewrite(surface_path(study, seed), lambda s: s.attrs.update(seconds=4 * retraining.SURFACE_SECONDS))
    rows = repeats(study)
    thin = study.surface(QUICK, 0, slice=SLICE).isel(alpha=slice(None, None, 2), beta=slice(None, None, 2))
    assert rows["roughness"].stored == geometry.roughness(thin)
    assert rows["roughness"].repeated == pytest.approx(rows["roughness"].stored, rel=1e-3)


def test_weights_must_be_there_for_what_pages_show_and_are_used_where_they_are(tmp_path):
    def stored(label, seed, points):
        surface = xr.Dataset({"loss": (("alpha", "beta"), np.zeros((points, points)))})
        return reevaluation.Stored(tmp_path, surface, label, seed, SLICE)

    (tmp_path / "measured 1").touch()
    kept = SimpleNamespace(weights_path=lambda label, seed: tmp_path / f"{label} {seed}")
    shown, other, coarse, kept_coarse = (
        stored(*one) for one in (("shown", 0, 51), ("shown", 1, 51), ("measured", 0, 11), ("measured", 1, 11))
    )
    assert reevaluation.to_verify(kept, [shown, other, coarse, kept_coarse]) == [shown, kept_coarse]
    assert reevaluation.to_verify(kept, []) == []


# the command


@pytest.fixture
def root(study, tmp_path) -> Path:
    """A book of one chapter whose results are those of `study`."""
    (tmp_path / "book").mkdir()
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "book" / "tiny.ipynb")
    (tmp_path / "data").mkdir()
    (tmp_path / "results").rename(tmp_path / "data" / "results")
    return tmp_path


DAY = datetime.date(2026, 7, 31)


def test_the_command_prints_what_was_compared_and_what_could_not_be(root, capsys):
    verify.verify(root, "", day=DAY)
    said = capsys.readouterr().out
    assert said.count("49 of 49") == 2 and "two layers, seed 0, 50 test, plane 0" in said
    assert "not verified: 3 surfaces of other seeds or coarser grids" in said
    assert "final test loss" in said and "Everything that was compared agrees." in said


def test_the_command_fails_with_every_surface_that_differs(root, capsys):
    results = root / "data" / "results"
    study = Study("tiny", results=results, device="cpu", progress=False)
    rewrite(surface_path(study), lambda s: s.loss.__imul__(1.01))
    surface_path(study, 1).write_bytes(b"nothing")
    with pytest.raises(Failure, match=r"(?s)2 results could.*tiny: surface-.*cannot be read.*plane 0.*: differs"):
        verify.verify(root, "today", day=DAY)
    assert re.search(r"plane 0, ±1 \(\w+\) +49 of 49 +1e-02 .* differs", capsys.readouterr().out)


def test_a_budget_leaves_the_expensive_surfaces_in_part(root, monkeypatch, capsys):
    monkeypatch.setattr(verify, "SURFACE_SECONDS", 0.0)
    monkeypatch.setattr(verify, "TRAINING_SECONDS", 0.5)
    verify.verify(root, "tiny", day=DAY)
    said = capsys.readouterr().out
    assert said.count("25 of 49") == 2
    assert "no training repeated: the cheapest, two layers, took 1.0 s" in said
    verify.verify(root, "tiny", day=DAY, full=True)
    assert capsys.readouterr().out.count("49 of 49") == 2


def test_every_chapter_has_its_day(root):
    results = root / "data" / "results"
    for name in ("other", "third", "plain"):
        nbformat.write(nbformat.v4.new_notebook(), root / "book" / f"{name}.ipynb")
        shutil.copytree(results / "tiny", results / name)
    for path in (results / "plain").glob("surface-*"):
        path.unlink()
    days = [verify.chosen(root, "today", day=DAY + datetime.timedelta(n)) for n in range(3)]
    assert sorted(days) == [["other"], ["third"], ["tiny"]]
    assert verify.chosen(root, "", day=DAY) == ["other", "third", "tiny"]
    with pytest.raises(Failure, match="unknown chapter 'depht'"):
        verify.chosen(root, "depht", day=DAY)
    shutil.rmtree(results)
    with pytest.raises(Failure, match="nothing to verify"):
        verify.chosen(root, "", day=DAY)


def test_every_surface_in_the_project_says_how_to_evaluate_it_again():
    stored = sorted(RESULTS.glob("*/surface-*.nc"))
    assert stored and [reevaluation.read(path).path for path in stored] == stored
