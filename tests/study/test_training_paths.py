import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

import lossatlas as la
from lossatlas import figures, vectors
from lossatlas.directions import random_walk, random_walk_shares
from lossatlas.networks.training import Recipe
from lossatlas.study import Condition, PathPlane, Study, path_measures, training_paths
from lossatlas.study import study as study_module
from lossatlas.study.planes import PATH_PLANES as PLANES

WALKED = Condition(
    "two layers",
    "digits",
    "feedforward",
    Recipe("sgd", learning_rate=0.1, epochs=6, checkpoint_every=0),
    {"depth": 2, "width": 8},
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study("test", results=tmp_path_factory.mktemp("paths"), device="cpu", progress=False)


@pytest.fixture(scope="module")
def path(study):
    return training_paths.measure(study, WALKED, 0, draws=40, samples=100)


@pytest.fixture(scope="module")
def run():
    data = la.load_dataset("digits")
    model = la.build_model("feedforward", data, seed=0, depth=2, width=8)
    return la.fit(model, data, recipe=WALKED.recipe, seed=0, progress=False)


def matrix_of(run):
    rows = [[(point[n] - run.params[n]).flatten() for n in point if point[n].dim() >= 2] for point in run.checkpoints]
    return torch.stack([torch.cat(row) for row in rows]).double().numpy()


def test_the_differences_hold_the_whole_geometry_of_the_path(path, run):
    matrix = matrix_of(run)
    kept = path.differences.to_numpy()
    assert kept.shape == (7, 6)
    np.testing.assert_allclose(kept @ kept.T, matrix @ matrix.T, atol=1e-10)
    np.testing.assert_allclose(path.distance, np.linalg.norm(matrix, axis=1))
    np.testing.assert_allclose(path.singular, np.linalg.svd(matrix, compute_uv=False)[:6], rtol=1e-10)
    assert path.epoch.values.tolist() == list(range(7))


def test_coordinates_on_the_pca_plane_are_those_of_the_singular_vectors(path, run):
    matrix = matrix_of(run)
    left, singular, _ = np.linalg.svd(matrix, full_matrices=False)
    seen = path.sel(plane="PCA + PCA")
    for i, name in enumerate(("alpha", "beta")):
        by_hand = left[:, i] * singular[i]
        sign = np.sign(by_hand @ seen[name].to_numpy())
        np.testing.assert_allclose(seen[name], sign * by_hand, atol=2e-3 * singular[0])  # kept in half precision
    held = path_measures.variance_held(path).sel(plane="PCA + PCA")
    assert float(held) == pytest.approx((singular[:2] ** 2).sum() / (singular**2).sum(), abs=1e-4)
    drawn = training_paths.on_plane(path, "PCA + PCA")
    assert drawn.attrs["explained_variance_alpha"] == pytest.approx(singular[0] ** 2 / (singular**2).sum(), abs=1e-4)
    assert set(drawn.data_vars) == {"alpha", "beta"} and "epoch" in drawn.coords


def test_losses_are_those_of_the_checkpoints_and_of_the_points_on_the_plane(path, run, study):
    data = la.load_dataset("digits")
    inputs, targets = la.fixed_sample(data.train, 100)
    model = la.build_model("feedforward", data, seed=0, depth=2, width=8)
    for i in (0, 3, 6):
        model.load_state_dict(run.checkpoints[i])
        with torch.no_grad():
            loss = torch.nn.functional.cross_entropy(model(inputs), targets).item()
        assert float(path.train_loss[i]) == pytest.approx(loss, rel=1e-5)
    plane = PathPlane(PLANES[1]).draw(study, WALKED, 0)
    seen = path.sel(plane=PLANES[1]).isel(step=2)
    model.load_state_dict(plane.at(float(seen.alpha), float(seen.beta)))
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(model(inputs), targets).item()
    assert float(seen.plane_loss) == pytest.approx(loss, rel=1e-5)


def test_random_directions_have_the_cosines_that_theory_gives(path):
    assert float((path.cosine**2).mean()) * path.attrs["n_weights"] == pytest.approx(1, abs=0.6)
    assert path.attrs["n_weights"] == 64 * 8 + 8 * 10
    # The shadow of the start on the first direction is its length times their cosine.
    np.testing.assert_allclose(path.shadow[0], path.distance[0] * path.cosine, rtol=1e-4)
    np.testing.assert_allclose(path.shadow[:, 0], path.sel(plane=PLANES[0]).alpha_dot, atol=1e-5)


def test_paths_of_several_runs_are_one_dataset(study, path):
    wider = replace(WALKED, options={"depth": 2, "width": 12}, label="wider")
    paths = training_paths.measure_runs(study, [WALKED, wider], [0, 3], draws=40, samples=100)
    assert paths.condition.values.tolist() == ["two layers", "wider"] and paths.seed.values.tolist() == [0, 3]
    assert paths.n_weights.values.tolist() == [[592, 592], [888, 888]] and paths.attrs["plane_seed"] == 0
    one = paths.sel(condition="two layers", seed=0)
    for name in path.data_vars:
        np.testing.assert_array_equal(one[name], path[name])
    np.testing.assert_array_equal(one.epoch, path.epoch)
    xr.testing.assert_identical(
        training_paths.on_plane(one, PLANES[1]).alpha.variable, training_paths.on_plane(path, PLANES[1]).alpha.variable
    )
    slices = [training_paths.slice_around(found, PLANES[2], points=4, samples=50) for found in (one, path)]
    assert slices[0] == slices[1]
    longer = replace(WALKED, recipe=replace(WALKED.recipe, epochs=7), label="longer")
    with pytest.raises(ValueError, match="conditions: the checkpoints of 'longer' are at other epochs"):
        training_paths.measure_runs(study, [WALKED, longer], [0], draws=40, samples=100)


def test_random_walks_have_the_steps_of_the_paths_and_the_variance_that_theory_gives(path):
    steps = np.linalg.norm(np.diff(path.differences, axis=0), axis=1)
    paths = path.assign(n_weights=10**5).expand_dims(condition=["SGD"], seed=[2])
    walks = path_measures.random_walks(paths).isel(condition=0)
    walk = walks.sel(seed=2)
    np.testing.assert_allclose(np.linalg.norm(np.diff(walk.differences, axis=0), axis=1), steps, rtol=1e-5)
    by_hand = random_walk(steps, dimensions=10**5, seed=2)
    np.testing.assert_allclose(
        walk.differences @ walk.differences.T.rename(step="other"), by_hand @ by_hand.T, atol=1e-5
    )
    np.testing.assert_array_equal(walk.shadow, by_hand[:, :40])
    held = float(path_measures.variance_held(walk).sel(plane="PCA + PCA"))
    assert held == pytest.approx(random_walk_shares(steps)[:2].sum(), abs=0.01)
    shares = path_measures.walk_shares(paths).sel(condition="SGD", seed=2)
    np.testing.assert_array_equal(shares, random_walk_shares(steps))
    by_loop = [
        np.hypot(*(by_hand[-1] - by_hand[0])[i : i + 2])
        / sum(np.hypot(*step[i : i + 2]) for step in np.diff(by_hand, axis=0))
        for i in range(0, 40, 2)
    ]
    assert float(path_measures.straightness(walk)) == pytest.approx(np.mean(by_loop), rel=1e-5)
    singular = np.linalg.svd(by_hand, compute_uv=False)
    drawn = training_paths.on_plane(walk, "PCA + PCA")
    assert drawn.attrs["explained_variance_beta"] == pytest.approx(singular[1] ** 2 / (singular**2).sum(), abs=1e-5)


def test_nothing_is_trained_again_and_surfaces_come_back_from_what_is_stored(path, study, monkeypatch):
    slices = [training_paths.slice_around(path, plane, points=4, samples=50) for plane in PLANES]
    first = [study.surface(WALKED, 0, slice=slice) for slice in slices]

    def never(*_, **__):
        raise AssertionError("trained although it is stored")

    monkeypatch.setattr(study_module, "fit", never)
    again = Study("test", results=study.results, device="cpu", progress=False)
    xr.testing.assert_identical(training_paths.measure(again, WALKED, 0, draws=40, samples=100), path)
    for slice, surface in zip(slices, first, strict=True):
        xr.testing.assert_identical(again.surface(WALKED, 0, slice=slice), surface)
        fresh = again.compute_surface(WALKED, 0, slice=slice)
        np.testing.assert_allclose(fresh.loss, surface.loss, rtol=1e-6)
        request = json.loads(surface.attrs["request"])["slice"]
        assert request["plane"]["directions"] == slice.plane.directions and request["alpha"] == list(slice.alpha)
        assert surface.alpha.attrs["units"] == "distance in weights"
        seen = path.sel(plane=slice.plane.directions)
        for name in ("alpha", "beta"):
            assert surface[name][0] < seen[name].min() and surface[name][-1] > seen[name].max()


def test_directions_have_length_one_and_move_no_bias(study, path):
    for kind in PLANES:
        plane = PathPlane(kind).draw(study, WALKED, 0)
        for direction in plane.directions:
            assert vectors.norm(direction) == pytest.approx(1, abs=1e-3)
            assert all(not tensor.any() for tensor in direction.values() if tensor.dim() < 2)
    assert abs(vectors.cosine(plane.delta, plane.eta)) < 1e-3
    with pytest.raises(ValueError, match="directions='diagonal'"):
        PathPlane("diagonal")


def test_paths_stand_beside_each_other_on_axes_of_their_own(path):
    small, large = (training_paths.on_plane(path, plane) for plane in (PLANES[0], PLANES[2]))
    figure = figures.path_panels({"small": small, "large": large}, marks=3)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["small", "large"]
    for ax, one in zip(figure.axes, (small, large), strict=True):
        for limits, name in ((ax.get_xlim(), "alpha"), (ax.get_ylim(), "beta")):
            assert limits[0] < one[name].min() and one[name].max() < limits[1]
        texts = [text.get_text() for text in ax.texts]
        assert texts[0] == "epoch 0" and texts[-1] == "6"
    assert "small: a path of 7 points from α = " in figure.alt and "large: " in figure.alt
    with pytest.raises(ValueError, match="paths: empty"):
        figures.path_panels({})
