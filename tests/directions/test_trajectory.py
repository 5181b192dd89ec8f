import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas import vectors
from lossatlas.directions import principal, random_direction, random_walk, random_walk_shares, trajectory


def oblique_plane(seed=0):
    torch.manual_seed(seed)
    origin, delta, eta = ({"w": torch.randn(6, 5, dtype=torch.float64)} for _ in range(3))
    eta = vectors.axpy(0.8, delta, eta)  # far from orthogonal
    return la.plane_from_directions(origin, delta, eta)


def test_points_of_the_plane_come_back_at_their_coordinates():
    plane = oblique_plane()
    places = [(0.3, -1.2), (2.0, 0.5), (0.0, 0.0)]
    found = la.project([plane.at(a, b) for a, b in places], plane, steps=[10, 20, 30])
    np.testing.assert_allclose(np.stack([found.alpha, found.beta], 1), places, atol=1e-12)
    np.testing.assert_allclose(found.captured, 1, atol=1e-7)
    assert found.step.values.tolist() == [10, 20, 30]


def test_coordinates_are_least_squares_and_captured_is_pythagoras():
    plane = oblique_plane(1)
    torch.manual_seed(5)
    points = [{"w": plane.origin["w"] + torch.randn(6, 5)} for _ in range(4)]
    found = la.project(points, plane)
    basis = np.stack([d["w"].flatten().numpy() for d in plane.directions], axis=1)
    for i, point in enumerate(points):
        offset = (point["w"] - plane.origin["w"]).flatten().numpy()
        solution, residual, *_ = np.linalg.lstsq(basis, offset, rcond=None)
        np.testing.assert_allclose([found.alpha[i], found.beta[i]], solution)
        outside = np.sqrt(residual[0]) / np.linalg.norm(offset)
        assert float(found.captured[i]) ** 2 + outside**2 == pytest.approx(1)


def test_a_path_on_its_own_pca_plane_reports_the_explained_variance():
    torch.manual_seed(2)
    checkpoints = [{"w": torch.randn(5, 5, dtype=torch.float64)} for _ in range(6)]
    plane = la.pca_plane(checkpoints)
    found = la.project(checkpoints, plane)
    total = sum(float(((c["w"] - checkpoints[-1]["w"]) ** 2).sum()) for c in checkpoints)
    assert float((found.alpha**2).sum()) / total == pytest.approx(found.attrs["explained_variance_alpha"])
    assert float((found.beta**2).sum()) / total == pytest.approx(found.attrs["explained_variance_beta"])


def test_bad_paths():
    plane = oblique_plane()
    with pytest.raises(ValueError, match="checkpoints: empty"):
        la.project([], plane)
    with pytest.raises(ValueError, match="steps: 1 given for 2"):
        la.project([plane.origin] * 2, plane, steps=[0])
    with pytest.raises(ValueError, match="checkpoint 0 differs at parameter 'w'"):
        la.project([{"w": torch.zeros(3, 3)}], plane)
    flat = la.plane_from_directions(plane.origin, plane.delta, vectors.scale(2, plane.delta))
    with pytest.raises(ValueError, match="span no plane"):
        la.project([plane.origin], flat)


def test_the_order_of_names_in_the_dicts_does_not_matter():
    torch.manual_seed(4)
    points = [{"b": torch.randn(3, 2), "a": torch.randn(4, 5)} for _ in range(4)]
    plane = la.pca_plane(points)
    turned = [{name: direction[name] for name in ("a", "b")} for direction in plane.directions]
    backwards = la.plane_from_directions({name: plane.origin[name] for name in ("a", "b")}, *turned)
    one, other = la.project(points, plane), la.project(points, backwards)
    for name in ("alpha", "beta", "captured"):
        np.testing.assert_allclose(other[name], one[name], atol=1e-6)


def test_dot_products_are_least_squares_only_where_the_basis_is_orthogonal():
    torch.manual_seed(6)
    points = [{"w": torch.randn(6, 5, dtype=torch.float64)} for _ in range(5)]
    plane = la.pca_plane(points)
    found = la.project(points, plane)
    np.testing.assert_allclose(trajectory.dot_products(points, plane).T, [found.alpha, found.beta], atol=1e-12)
    plane = oblique_plane()
    at = trajectory.dot_products([plane.at(1, 0)], plane)[0]
    overlap = vectors.dot(plane.delta, plane.eta) / vectors.dot(plane.eta, plane.eta)
    np.testing.assert_allclose(at, [1, overlap])  # least squares gives (1, 0)


def test_a_random_walk_has_the_lengths_it_was_given_and_the_shares_of_theory():
    lengths = np.linspace(3, 1, 12)
    walk = random_walk(lengths, dimensions=100_000, seed=3)
    assert walk.shape == (13, 100_000) and not walk[-1].any()
    np.testing.assert_allclose(np.linalg.norm(np.diff(walk, axis=0), axis=1), lengths, rtol=1e-3)
    singular = np.linalg.svd(walk[:-1].astype(float), compute_uv=False)
    np.testing.assert_allclose(singular**2 / (singular**2).sum(), random_walk_shares(lengths), rtol=0.02)


def test_shares_of_a_walk_of_equal_steps_are_those_of_brownian_motion():
    # Seen from its end, Brownian motion has the Karhunen-Loève eigenvalues 1/((k - 1/2)π)²: of the sum 1/2.
    shares = random_walk_shares(np.ones(2000))
    k = np.arange(1, 6)
    np.testing.assert_allclose(shares[:5], 2 / ((k - 0.5) * np.pi) ** 2, rtol=2e-3)


def test_effective_dimensions_give_the_spread_of_the_cosine():
    torch.manual_seed(7)
    origin = {"w": torch.randn(8, 30) * torch.logspace(-1, 1, 8)[:, None], "v": torch.randn(5, 8), "b": torch.randn(5)}
    vector = {"w": torch.randn(8, 30) * torch.logspace(1, -1, 8)[:, None], "v": torch.randn(5, 8), "b": torch.zeros(5)}
    generator = torch.Generator().manual_seed(0)
    for normalize in ("filter", None):
        drawn = [random_direction(origin, generator=generator, normalize=normalize) for _ in range(4000)]
        mean_square = np.mean([vectors.cosine(direction, vector) ** 2 for direction in drawn])
        n = trajectory.effective_dimensions(origin, vector) if normalize else 8 * 30 + 5 * 8
        assert mean_square * n == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("second", [0.5, 1e-3, 1e-6, 1e-9])
def test_a_small_second_direction_is_found_as_the_whole_decomposition_finds_it(second):
    """The Gram matrix alone would lose a second singular value of less than 1e-8 of the first."""
    random = np.random.default_rng(8)
    left = np.linalg.qr(random.standard_normal((9, 9)))[0]
    right = np.linalg.qr(random.standard_normal((40, 9)))[0].T
    rows = left @ np.diag([1, second, *[second / 10] * 7]) @ right
    points = [{"w": torch.from_numpy(row.reshape(8, 5))} for row in (*rows, np.zeros(40))]
    for center in (False, True):
        plane = la.pca_plane(points, center=center)
        expected = np.linalg.svd(rows - rows.mean(0) * center, full_matrices=False)
        np.testing.assert_allclose(plane.description["singular_values"][:2], expected[1][:2], rtol=1e-6)
        for direction, component in zip(plane.directions, expected[2], strict=False):
            along = float(direction["w"].flatten().numpy() @ component)
            assert abs(along) == pytest.approx(1, abs=1e-10)
        assert abs(vectors.dot(plane.delta, plane.eta)) < 1e-12
        places = la.project(points, plane)
        assert places.alpha[0] > 0 and places.beta[0] > -1e-12


def test_complex_paths_span_the_plane_of_their_real_and_imaginary_parts():
    torch.manual_seed(9)
    points = [{"w": torch.randn(4, 3, dtype=torch.complex128)} for _ in range(6)]
    as_real = [{"w": torch.view_as_real(point["w"]).reshape(4, 6)} for point in points]
    plane, expected = la.pca_plane(points), la.pca_plane(as_real)
    for one, other in zip(plane.directions, expected.directions, strict=True):
        torch.testing.assert_close(torch.view_as_real(one["w"]).reshape(4, 6), other["w"])
    np.testing.assert_allclose(la.project(points, plane).alpha, la.project(as_real, expected).alpha, atol=1e-12)


def test_a_path_in_chunks_is_a_path_at_once(monkeypatch):
    torch.manual_seed(10)
    points = [{"w": torch.randn(9, 7), "v": torch.randn(3, 2)} for _ in range(5)]
    whole = la.pca_plane(points)
    monkeypatch.setattr(principal, "CHUNK", 20)
    for one, other in zip(la.pca_plane(points).directions, whole.directions, strict=True):
        torch.testing.assert_close(one, other)


MEMORY = """
import threading, time, torch, lossatlas as la
start = {"w": torch.randn(1000, 500)}
path = [{"w": start["w"] + i * torch.randn(1000, 500)} for i in range(40)]
la.pca_plane([{"w": p["w"][:9]} for p in path])
here = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
before, seen = here(), []
watching = threading.Thread(target=lambda: [(seen.append(here()), time.sleep(0.001)) for _ in iter(lambda: done, True)])
done = False
watching.start()
la.pca_plane(path)
done = True
watching.join()
print((max(seen) - before) / (40 * 1000 * 500 * 4))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_pca_plane_needs_less_than_the_memory_of_its_path():
    command = [sys.executable, "-c", MEMORY]
    assert float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) < 1
