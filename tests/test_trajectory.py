import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas import vectors


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
