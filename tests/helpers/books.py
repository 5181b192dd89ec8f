"""What the tests of lossatlas_book share: a tiny book, and what its chapters printed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = """\
grid_points = 11  # points along each side [3 to 101]
radii = [0.25, 0.5]  # of the circles [0 to 10]
rate = 1e-3  # learning rate [0 to 10]
dataset = "digits"  # digits or mnist
deep = False  # the deep network too
seeds = (0, 1)  # of the runs [0 to 9]
results = "data/results"  # folder of the stored results
"""


def write_notebook(path: Path, *sources: str, parameters: str | None = PARAMETERS) -> Path:
    """A notebook as it is committed: a title, the parameters, code cells, no outputs."""
    cells = [new_markdown_cell(f"# {path.stem}")]
    if parameters is not None:
        cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells += [new_code_cell(source) for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def configure(book: Path, *, url: str = "") -> None:
    """Give a book the real configuration, with a repository of its own or none."""
    text, count = re.subn(r'(?m)^  url: ".*"$', f'  url: "{url}"', (ROOT / "_config.yml").read_text())
    assert count == 1
    (book / "_config.yml").write_text(text)


def printed(path: Path) -> str:
    """All that an executed notebook printed."""
    cells = nbformat.read(path, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def wait_until(true: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
