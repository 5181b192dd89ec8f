"""From executed chapters to the static site: stage the sources, run Jupyter Book, put the pages in place."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat
import yaml

from ..console import ANSI, Failure, run_logged, step, tail
from ..notebooks import chapters
from ..notebooks.records import digest
from .executed import again, tidy, title
from .pages import NOTEBOOKS, PREVIEWS

BUILD = "from jupyter_book.cli.main import main; main()"
MAX_WARNINGS = 20
INCLUDED = ("CONTRIBUTING.md", "ARCHITECTURE.md")  # by pages of the book


def stage(root: Path, source: Path, *, executed: Mapping[str, Path]) -> None:
    """Lay out in `source` what Jupyter Book reads: configuration, pages, executed chapters, their files."""
    from . import assets, cells, front_page, gallery, viewer  # here, because the library takes seconds to import

    shutil.rmtree(source, ignore_errors=True)
    skip = shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints", "profiles")
    book = source / "book"  # Sphinx puts what is in its _static into the site's _static, which is above the pages
    shutil.copytree(root / "book", book, ignore=skip)
    for path in (root / name for name in ("_config.yml", "_toc.yml", *INCLUDED)):
        if path.exists():
            shutil.copy(path, source)
    (source / NOTEBOOKS).mkdir()
    scenes, previews = {}, {}
    for name, path in executed.items():
        notebook = tidy(chapters.read(path))
        nbformat.write(assets.light(notebook), source / NOTEBOOKS / f"{name}.ipynb")
        notebook.cells.append(again(root, name, notebook=notebook))
        try:
            cells.arrange(notebook, name)
            shown = assets.publish(notebook, book, address=f"book/{name}.ipynb")
        except ValueError as error:
            raise Failure(f"{path}: {error}") from error
        previews[f"book/{name}"] = assets.preview(shown)
        scenes[name] = gallery.find(shown, name, chapter=title(notebook) or name, source=book)
        nbformat.write(notebook, book / f"{name}.ipynb")
    shown = [scene for found in scenes.values() for scene in found]
    (book / "gallery.html").write_text(gallery.render(shown, source=book), encoding="utf-8")
    (source / front_page.ANSWERS).write_text(front_page.open_questions(root), encoding="utf-8")
    (source / front_page.COVERS).write_text(front_page.covers(root, scenes, source=book), encoding="utf-8")
    (source / PREVIEWS).write_text(json.dumps(previews), encoding="utf-8")
    viewer.publish_viewer(book / "_static")


def run_jupyter_book(source: Path, html: Path, *, log: Path, strict: bool) -> int:
    """Build `source` afresh and put the result at `html`, whose old content stays when the build fails.

    Returns the number of pages. With `strict`, any warning is a failure.
    """
    with step("site") as current:

        def progress(line: str) -> None:
            if found := re.search(r"(reading sources|writing output)\W+(\d+)%", ANSI.sub("", line)):
                current.update(f"{found[1]}, {found[2]}%")

        work = source.with_name(f"{source.name}-build")
        shutil.rmtree(work, ignore_errors=True)
        command = [sys.executable, "-c", BUILD, "build", source, "--path-output", work, "--all", "-n"]
        command += ["-W", "--keep-going"] if strict else []
        if run_logged(command, log, current=current, on_line=progress):
            lines = ANSI.sub("", log.read_text(encoding="utf-8")).replace(f"{source}{os.sep}", "").splitlines()
            said = [line for line in lines if re.search(r"(WARNING|ERROR|CRITICAL|[Ee]rror): ", line)]
            shown = "\n".join(f"    {line}" for line in said[:MAX_WARNINGS])
            raise Failure(f"Jupyter Book warned:\n{shown}\n    (whole log: {log})" if said else tail(log))
        swap(work / "_build" / "html", html)
        shutil.rmtree(work)
        pages = len([page for page in (html / "book").rglob("*.html")])
        current.result = f"{pages} page{'s'[: pages != 1]}"
    return pages


def swap(new: Path, place: Path) -> None:
    """Put a folder in another's place; the old one goes last."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        os.replace(place, old)
    os.replace(new, place)
    shutil.rmtree(old, ignore_errors=True)


def build(root: Path, *, executed: Mapping[str, Path]) -> Path:
    """Build the whole site into `_build/html/`, unless it is there and nothing of it changed."""
    html, record = root / "_build" / "html", root / "_build" / "html.json"
    pages = (file for file in (root / "book").rglob("*") if file.is_file() and file.suffix != ".ipynb")
    library = Path(__file__).parents[2] / "lossatlas" / "figures" / "templates"
    code = [*Path(__file__).parents[1].rglob("*.py"), *Path(__file__).parent.rglob("*.html"), *library.glob("*.html")]
    config = (root / name for name in ("_config.yml", "_toc.yml", "constraints.txt", *INCLUDED))
    answers = (root / "data" / "results").glob("*/answer.txt")
    config = [path for path in (*config, *sorted(answers)) if path.exists()]
    inputs = digest([*config, *sorted(pages), *sorted(code), *executed.values()])
    if _recorded(record) == inputs and (html / "index.html").exists():
        with step("site") as current:
            current.result = "unchanged"
        return html
    source = root / "_build" / "source"
    with step("pages") as current:
        stage(root, source, executed=executed)
        current.result = f"{len(executed)} executed chapters laid out"
    run_jupyter_book(source, html, log=root / "_build" / "logs" / "site.log", strict=True)
    record.write_text(json.dumps(inputs))
    return html


def _recorded(record: Path) -> str | None:
    try:
        return json.loads(record.read_text())
    except (OSError, ValueError):
        return None


def build_page(root: Path, name: str, *, notebook: Path, html: Path) -> Path:
    """Build one executed chapter as a book of its own into `html` and return the page.

    Links to other chapters have nowhere to go here, so warnings do not stop it.
    """
    source = root / "_build" / "logs" / f"{name}-source"
    stage(root, source, executed={name: notebook})
    (source / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": f"book/{name}"}))
    run_jupyter_book(source, html, log=root / "_build" / "logs" / f"{name}-page.log", strict=False)
    shutil.rmtree(source)
    return html / "book" / f"{name}.html"
