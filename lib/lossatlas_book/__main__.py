"""The commands behind the Makefile: `python -m lossatlas_book build`, from the book's root."""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import date
from pathlib import Path

from .checks import browser, measure, reproduce, screenshots, verify
from .console import Failure, step
from .notebooks import chapters, execute, launch, new_chapter, parameters
from .notebooks.papermill import run_papermill
from .site import build as site
from .site import serve


def build(root: Path) -> Path:
    """Execute what changed and build the site; returns its folder."""
    executed = execute.execute_all(root, root / "_build" / "executed", jobs=execute.at_once())
    return site.build(root, executed=executed)


def chapter(root: Path, name: str, *, params: str, profile: str) -> None:
    """Execute one chapter with other parameters into `_build/chapters/<name>/`, as notebook and page."""
    path = chapters.find(root, name)
    place = root / "_build" / "chapters" / name
    results = root / "_build" / "results" / profile
    values = parameters.with_results(root, parameters.profile(root, profile), results).get(name, {}) if profile else {}
    values |= parameters.validate(path, parameters.split(params))
    work = place.with_name(f".{name}.new")
    shutil.rmtree(work, ignore_errors=True)
    notebook = work / path.name
    with step("execute", name) as current:
        seconds = run_papermill(path, notebook, root=root, values=values, current=current)
        current.result = f"{len(seconds)} cells"
    try:
        page = site.build_page(root, name, notebook=notebook, html=work / "html")
    except Failure as failure:
        raise Failure(f"{failure}\n    (executed notebook: {notebook})") from failure
    site.swap(work, place)
    print(f"\nNotebook: {place / path.name}\nPage:     {place / page.relative_to(work)}")


def execute_profile(root: Path, names: list[str], *, profile: str, output: Path) -> None:
    """Execute chapters with a profile's values, all of it live, into a folder that is emptied first."""
    if output.exists() and not (output / ".profile").exists() and any(output.iterdir()):
        raise Failure(f"{output} has content that is not from an earlier run; name an empty or new folder")
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    (output / ".profile").write_text(profile)
    values = parameters.with_results(root, parameters.profile(root, profile), output / "results")
    execute.execute_all(root, output, names=names or sorted(values), values=values, always=True)


def check(root: Path) -> None:
    """Raise Failure with every notebook that cannot be committed as it is, and why."""
    found = [problem for path in chapters.chapters(root).values() for problem in chapters.problems(path)]
    if found:
        raise Failure("\n".join(found))
    print(f"{len(chapters.chapters(root))} notebooks: no outputs, one cell of parameters each")


def one_or_all(name: str) -> str:
    """Return the name of a chapter, or an empty text for all of them."""
    return "" if name == "all" else name


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    main = argparse.ArgumentParser(prog="python -m lossatlas_book", description=__doc__)
    commands = main.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="execute what changed, build the site")
    one = commands.add_parser("chapter", help="execute one chapter with other parameters")
    one.add_argument("name")
    one.add_argument("--params", default="", help='such as "grid_points=21 seeds=2"')
    one.add_argument("--profile", default="", help="parameters from book/profiles/PROFILE.yml")
    some = commands.add_parser("execute", help="execute chapters with a profile's parameters, from nothing")
    some.add_argument("names", nargs="*")
    some.add_argument("--profile", required=True)
    some.add_argument("--output", type=Path, help="default: _build/profiles/PROFILE")
    again = commands.add_parser("reproduce", help="compute chapters from nothing, compare with what is published")
    again.add_argument("name", nargs="?", default="", type=one_or_all, help="a chapter, or all of them")
    again.add_argument("--params", default="", help='such as "seeds=2"')
    verified = commands.add_parser("verify", help="evaluate stored surfaces again, repeat one training a chapter")
    verified.add_argument(
        "name", nargs="?", default="", type=one_or_all, help="a chapter, all, or today: the one whose turn it is"
    )
    verified.add_argument("--day", type=date.fromisoformat, default=date.today(), help="such as 2026-07-31")
    verified.add_argument("--full", action="store_true", help="every point, and a training whatever it takes")
    served = commands.add_parser("serve", help="the site on localhost")
    served.add_argument("--port", type=int, default=8000)
    new = commands.add_parser("new-chapter", help="write the skeleton of a chapter")
    new.add_argument("name")
    new.add_argument("--title", default="", help="its heading; by default its name")
    commands.add_parser("check", help="can the notebooks be committed?")
    commands.add_parser("launch", help="make the chapters of this checkout ready for Binder and Colab")
    commands.add_parser("browser", help="find or install a browser for the tests")
    commands.add_parser("measure", help="how heavy every page is, and how soon it is there")
    commands.add_parser("screenshots", help="every page as a picture, wide and narrow, light and dark")
    return main


def run(args: argparse.Namespace, root: Path) -> None:
    """Do what the command line says."""
    if not (root / "_toc.yml").exists():
        raise Failure(f"{root} is not the book's root (it has no _toc.yml); run the command from there")
    match args.command:
        case "build":
            print(f"\nOpen {build(root) / 'index.html'}")
        case "chapter":
            chapter(root, args.name, params=args.params, profile=args.profile)
        case "execute":
            output = args.output or root / "_build" / "profiles" / args.profile
            execute_profile(root, args.names, profile=args.profile, output=output.absolute())
        case "reproduce":
            reproduce.reproduce(root, args.name, params=args.params)
        case "verify":
            verify.verify(root, args.name, day=args.day, full=args.full)
        case "serve":
            html = root / "_build" / "html"
            serve.serve(html if (html / "index.html").exists() else build(root), port=args.port)
        case "new-chapter":
            path = new_chapter.create(root, args.name, title=args.title)
            print(f"{path} runs as it is; write its question into its first cell and its metadata, then: make book")
        case "check":
            check(root)
        case "launch":
            print(f"{len(launch.prepare(root))} chapters made ready for Binder and Colab")
        case "browser":
            browser.ensure(root)
        case "measure":
            measure.report(root)
        case "screenshots":
            screenshots.take(root)


def main(argv: list[str] | None = None) -> int:
    """Run a command; return its exit status."""
    args = parser().parse_args(argv)
    try:
        run(args, Path.cwd())
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted." if args.command != "serve" else "", file=sys.stderr)
        return 0 if args.command == "serve" else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
