import subprocess
import sys

import pytest
import xarray as xr

import lossatlas  # noqa: F401  (registers the accessor)
from lossatlas import geometry, scenes
from shapes import bowl, surface_of


def test_the_accessor_is_registered_and_no_reading_package_loads_torch():
    packages = "lossatlas.geometry, lossatlas.evidence, lossatlas.figures, lossatlas.scenes"
    code = (
        f"import sys, xarray, lossatlas; xarray.Dataset().landscape; import {packages}; print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_its_methods_are_the_functions_of_the_packages(tmp_path):
    surface = surface_of(bowl)
    xr.testing.assert_identical(surface.landscape.measures(radius=0.5), geometry.measures(surface, radius=0.5))
    assert surface.landscape.contour(title="A bowl").axes[0].get_title(loc="left") == "A bowl"
    scene = surface.landscape.scene(clip=1.5, title="A bowl")
    assert scene.frame == scenes.scene(surface, clip=1.5).frame and scene.title == "A bowl"
    path = surface.landscape.export(tmp_path / "bowl.vts")
    assert path.read_bytes() == scenes.export(surface, tmp_path / "other.vts").read_bytes()


def test_a_dataset_that_is_no_surface_is_refused():
    history = xr.Dataset({"loss": ("epoch", [1.0, 0.5])})
    for method in ("measures", "contour", "scene"):
        with pytest.raises(ValueError, match="alpha"):
            getattr(history.landscape, method)()
