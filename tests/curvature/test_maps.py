"""Eigenvalues over a plane, planes along eigenvectors."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import lossatlas as la
from hessians import full_hessian, small_data, small_network
from lossatlas import curvature, vectors
from lossatlas.curvature import continuation, maps
from lossatlas.curvature.lanczos import lanczos


@pytest.fixture
def setting():
    model = small_network()
    return model, la.random_plane(model, seed=2), small_data()


GRID = np.linspace(-1, 1, 5)


def test_the_ratio_is_that_of_the_full_matrix_at_every_point(setting):
    model, plane, data = setting
    found = curvature.extremes(model, plane, data, alphas=GRID, betas=GRID[:3], device="cpu", progress=False)
    moved = small_network()
    for alpha in GRID:
        for beta in GRID[:3]:
            moved.load_state_dict(plane.at(alpha, beta), strict=False)
            values = np.linalg.eigvalsh(full_hessian(moved, data, F.cross_entropy))
            point = found.sel(alpha=alpha, beta=beta)
            assert float(point.ratio) == pytest.approx(abs(values[0] / values[-1]), abs=0.01)
            assert abs(float(point.smallest) - values[0]) <= 0.01 * abs(values).max()
            assert abs(float(point.largest) - values[-1]) <= 0.05 * abs(values).max()
            assert float(point.loss) == pytest.approx(F.cross_entropy(moved(data[0]), data[1]).item(), rel=1e-9)


def test_a_neighbours_eigenvectors_save_most_products():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    data = la.load_dataset("digits")
    la.fit(model, data, recipe=la.Recipe(epochs=3), progress=False)
    plane = la.random_plane(model, seed=0)
    grid = np.linspace(-0.5, 0.5, 21)
    options = {"alphas": [0.0], "betas": grid, "device": "cpu", "progress": False}
    sample = tuple(part[:200] for part in data.test)
    warm = curvature.extremes(model, plane, sample, **options)
    cold = curvature.extremes(model, plane, sample, warm=False, **options)
    np.testing.assert_allclose(warm.ratio, cold.ratio, atol=0.02)
    assert int(warm.products[:, 1:].sum()) < 0.6 * int(cold.products[:, 1:].sum())


def test_finished_rows_are_kept_and_another_call_is_refused(setting, tmp_path, monkeypatch):
    model, plane, data = setting
    options = {"alphas": GRID, "betas": GRID[:2], "device": "cpu", "progress": False}
    whole = curvature.extremes(model, plane, data, **options)
    row, done = maps._row, []

    def stopping(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(args[4])
        return row(*args)

    path = tmp_path / "map.resume"
    monkeypatch.setattr(maps, "_row", stopping)
    with pytest.raises(KeyboardInterrupt):
        curvature.extremes(model, plane, data, resume=path, **options)
    monkeypatch.setattr(maps, "_row", lambda *args: done.append(args[4]) or row(*args))
    found = curvature.extremes(model, plane, data, resume=path, **options)
    assert sorted(done) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(found.ratio, whole.ratio)
    with pytest.raises(ValueError, match="resume"):
        curvature.extremes(model, la.random_plane(model, seed=3), data, resume=path, **options)


def test_a_loss_is_known_again_by_what_it_does_and_not_by_where_it_lies(setting, tmp_path, monkeypatch):
    model, plane, data = setting

    def smoothed(by):
        return lambda outputs, targets: F.cross_entropy(outputs, targets, label_smoothing=by)

    options = {"alphas": GRID[:2], "resume": tmp_path / "map.resume", "device": "cpu", "progress": False}
    first = curvature.extremes(model, plane, data, loss=smoothed(0.1), **options)
    monkeypatch.setattr(maps, "_row", None)  # nothing is computed again
    again = curvature.extremes(model, plane, data, loss=smoothed(0.1), **options)
    np.testing.assert_array_equal(again.ratio, first.ratio)
    with pytest.raises(ValueError, match="resume"):
        curvature.extremes(model, plane, data, loss=smoothed(0.2), **options)


def test_a_loss_that_is_not_finite_leaves_a_hole(setting):
    model, plane, data = setting
    far = la.Plane(plane.origin, vectors.scale(1e200, plane.delta), plane.eta)
    found = curvature.extremes(model, far, data, alphas=[0, 1e150], betas=[-1, 0], device="cpu", progress=False)
    assert np.isfinite(found.ratio[0]).all() and np.isnan(found.ratio[1]).all()


def test_lanczos_restarts_and_ends_when_the_space_is_exhausted():
    generator = np.random.default_rng(0)
    values = np.concatenate([[-4.0], generator.uniform(-1, 1, 300), [9.0]])
    start = generator.standard_normal(len(values))
    found = lanczos(lambda v: values * v, start, enough=lambda a, b, ra, rb: ra + rb < 1e-6, most=900, basis=12)
    np.testing.assert_allclose(found.values[[0, -1]], [-4, 9], atol=1e-6)
    alone = lanczos(lambda v: 3 * v, start, enough=lambda *_: False)
    assert alone.products == 1 and alone.values == pytest.approx([3.0])


BULKS = {
    "zeros": lambda draw: np.zeros(20_000),
    "around zero": lambda draw: draw.uniform(-0.3, 0.3, 20_000),
    "positive": lambda draw: draw.uniform(4.7, 5.3, 20_000),
    "negative": lambda draw: np.full(20_000, -1.0),
}


@pytest.mark.parametrize("bulk", BULKS)
@pytest.mark.parametrize("size", [3, 5, 20])
def test_a_random_start_finds_an_eigenvalue_beside_very_many_others(bulk, size):
    generator = np.random.default_rng(size)
    values = np.concatenate([[-size, 100.0], generator.uniform(-0.5, 5, 200), BULKS[bulk](generator)])

    class Diagonal:
        shape = len(values), len(values)

        def move_to(self, parameters, buffers):
            return 1.0

        def product(self, vector):
            return values * vector

    options = {"enough": maps._enough(0.01), "tolerance": 0.01, "generator": generator}
    table = continuation.follow(Diagonal(), [({}, {})] * 3, **options)
    np.testing.assert_allclose(table[:, 0], -size, atol=0.5)
    np.testing.assert_allclose(table[:, 1], 100, atol=5)
    assert 20 < table[0, -1] < 60 and (table[1:, -1] < 12).all()


@pytest.mark.parametrize("directions", [("largest", "second"), ("largest", "smallest"), ("smallest", "second")])
def test_a_hessian_plane_has_the_eigenvalues_as_curvatures(directions):
    model, data = small_network(), small_data()
    plane = curvature.hessian_plane(model, data, directions=directions, tolerance=0, device="cpu", progress=False)
    values = np.linalg.eigvalsh(full_hessian(model, data, F.cross_entropy))
    names = {"largest": values[-1], "second": values[-2], "smallest": values[0]}
    np.testing.assert_allclose(plane.description["eigenvalues"], [names[d] for d in directions], atol=1e-8)
    matrix = full_hessian(model, data, F.cross_entropy)
    for direction, name in zip(plane.directions, directions, strict=True):
        flat = vectors.flatten(direction).numpy()
        assert flat @ matrix @ flat == pytest.approx(names[name], abs=1e-8)


def test_a_plane_along_eigenvectors_sees_them_and_a_random_one_next_to_nothing():
    model, data = small_network(), small_data()
    pairs = curvature.eigenpairs(model, data, 2, which="largest", tolerance=0, device="cpu", progress=False)
    plane = curvature.hessian_plane(model, data, tolerance=0, device="cpu", progress=False)
    assert curvature.share_seen(plane, pairs).attrs["share"] == pytest.approx(1)
    random = la.random_plane(model, seed=0)
    seen = curvature.share_seen(random, pairs)
    basis = np.linalg.qr(np.stack([vectors.flatten(d).numpy() for d in random.directions], axis=1))[0]
    expected = [((basis.T @ vectors.flatten(v).numpy()) ** 2).sum() for v in pairs.vectors]
    np.testing.assert_allclose(seen.seen, expected)


def test_a_damaged_resume_file_is_refused(setting, tmp_path):
    model, plane, data = setting
    path = tmp_path / "map.resume"
    options = {"alphas": GRID[:2], "resume": path, "device": "cpu", "progress": False}
    curvature.extremes(model, plane, data, **options)
    content = path.read_bytes()
    with np.load(path) as file:
        held = dict(file)
    held["rows"][0, 0, 0] *= -1
    with open(path, "wb") as file:
        np.savez(file, **held)
    with pytest.raises(ValueError, match=r"resume=.*: is damaged"):
        curvature.extremes(model, plane, data, **options)
    flipped = bytearray(content)
    flipped[content.index(held["numbers"].tobytes())] ^= 1
    for wrong in (content[: len(content) // 2], b"", b"not ours", bytes(flipped)):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match="resume="):
            curvature.extremes(model, plane, data, **options)
