"""pyproject.toml, constraints.txt and environment.yml name one and the same set of packages."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LINES = (ROOT / "constraints.txt").read_text().splitlines()


def pins() -> dict[str, str]:
    """Name and version of every pin that holds for this interpreter."""
    found = {}
    for line in LINES:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", line
            found[canonicalize_name(requirement.name)] = specifier.version
    return found


def wanted(*extras: str) -> list[Requirement]:
    """The packages that some extras ask for; those that an extra takes from another extra are among them."""
    found: list[Requirement] = []
    for extra in extras:
        for requirement in map(Requirement, EXTRAS[extra]):
            found += wanted(*requirement.extras) if requirement.name == PROJECT["name"] else [requirement]
    return found


def declared() -> list[Requirement]:
    """Everything that pyproject.toml asks for, extras included."""
    return [*map(Requirement, PROJECT["dependencies"]), *wanted(*EXTRAS)]


def names(requirements: list[Requirement]) -> set[str]:
    return {requirement.name for requirement in requirements}


def needed() -> set[str]:
    """Names of all packages that the project and its extras need, directly or not, on this machine."""
    todo = [(requirement, "") for requirement in declared()]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                todo += [(Requirement(text), wanted) for text in metadata.requires(name) or []]
    return {name for name, _ in seen}


@pytest.mark.parametrize("requirement", sorted(set(declared()), key=str), ids=str)
def test_every_dependency_is_pinned_to_a_version_it_allows(requirement):
    version = pins().get(canonicalize_name(requirement.name))
    assert version, f"{requirement.name} has no pin"
    assert requirement.specifier.contains(version)


def test_what_is_installed_is_what_is_pinned():
    pinned = pins()
    packages = needed()
    assert len(packages) > 100  # the walk over the packages' own requirements went somewhere
    wrong = {
        name: (metadata.version(name), pinned.get(name))
        for name in packages
        if Version(metadata.version(name)).public != pinned.get(name)
    }
    assert not wrong, "installed, pinned"


def test_conda_installs_the_same_set():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip[0] == "-c constraints.txt"
    (project,) = pip[1:]
    named = re.fullmatch(r"-e \.\[([\w,]+)\]", project)[1].split(",")
    assert names(wanted(*named)) == names(wanted(*EXTRAS))
    others = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    assert {re.match(r"[\w-]+", entry)[0] for entry in others} == {"python", "pip", "make", "git"}


def test_make_installs_all_extras():
    makefile = (ROOT / "Makefile").read_text()
    named = re.search(r"^test-environment: setup = (.*)$", makefile, re.M)[1].split()
    assert names(wanted(*named)) == names(wanted(*EXTRAS))
    assert re.search(r"^environment: setup = (.*)$", makefile, re.M)[1].split() == ["book"]


def test_the_lowest_python_is_the_same_everywhere():
    lowest = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"]).groups()
    assert re.search(r"version_info < \((\d+), (\d+)\)", (ROOT / "Makefile").read_text()).groups() == lowest
    for file in ("environment.yml", ".github/workflows/book.yml"):
        found = re.search(r'python(?:-version: "|=)(\d+)\.(\d+)', (ROOT / file).read_text())
        assert found.groups() == lowest, file


def test_automation_runs_the_commands_of_the_readme():
    readme = (ROOT / "README.md").read_text()
    for file in (".ci/run", ".github/workflows/book.yml"):
        called = set(re.findall(r"\bmake \w+", (ROOT / file).read_text()))
        assert called == {"make lint", "make book", "make verify", "make test"}, file
        assert all(command in readme for command in called)


def test_the_buttons_open_the_branch_that_automation_writes():
    jobs = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text())["jobs"]
    commands = [step["run"] for step in jobs["launch"]["steps"] if "run" in step]
    branch = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["branch"]
    assert re.search(r"git push --force origin HEAD:refs/heads/(\S+)", commands[-1])[1] == branch
    assert "python -m lossatlas_book launch" in commands[-2]


def sources() -> list[Path]:
    """The project's text files, as git sees them."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_no_file_names_a_package_index_or_a_machine():
    hosts = [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("debian", "org")]
    folders = ["work", "root", "home/[a-z]+", "Users"]
    pattern = "|".join(
        [*(rf"\b{name}\.{end}\b" for name, end in hosts), *(rf"(?<![\w.~:)}}]){'/'}{f}/" for f in folders)]
    )
    found = []
    for path in sources():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in re.finditer(pattern, text)]
    assert not found


def test_constraints_hold_no_address():
    assert not [line for line in LINES if "/" in line or "@" in line or line.startswith("-")]
