"""The commands of the Makefile, the environment they set up, and what they print."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from threading import Thread

import pytest

from books import ROOT
from lossatlas_book import console, environment
from lossatlas_book.console import Failure
from lossatlas_book.site import serve


def make(*arguments: str) -> subprocess.CompletedProcess:
    """make in the project's root, as called from a shell and not from the make that runs the tests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True)


def test_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = {name for name in re.findall(r"^([a-z-]+):", makefile, re.M) if not name.endswith("environment")}
    text = make("help").stdout
    assert {line.split()[0] for line in text.splitlines()} == targets
    assert {"book", "test", "serve", "chapter", "lint", "help"} <= targets
    assert all(len(line.split()) > 2 for line in text.splitlines())
    assert make().stdout == text


def test_without_a_python_make_says_so_in_one_line(tmp_path):
    done = make("environment", "PYTHON=", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0 and "Python 3.11 or newer" in done.stderr.splitlines()[0]
    assert not (tmp_path / "venv").exists()


def test_an_environment_that_fits_is_left_alone(tmp_path, capsys):
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(name)
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / environment.STAMP).write_text(json.dumps(environment._wanted(tmp_path, {"book", "test"})))
    environment.set_up(tmp_path, venv, {"book"})
    assert capsys.readouterr().out == ""
    (tmp_path / "pyproject.toml").write_text("changed")
    with pytest.raises(Failure, match="could not be installed"):  # there is nothing to install here
        environment.set_up(tmp_path, venv, {"book"})
    assert "failed" in capsys.readouterr().out


def test_another_build_of_torch_is_asked_for_and_where_it_cannot_be_had_the_ordinary_one_is_installed(
    tmp_path, capsys, monkeypatch
):
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(name)
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    reachable, commands = [False], []

    def run(command, log, *, current, on_line=None, cwd=None):
        commands.append([str(part) for part in command])
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("Resolving\nerror: no such host\n  caused by DNS\n")
        return int("--torch-backend" in command and not reachable[0])

    monkeypatch.setattr(environment, "run_logged", run)
    environment.set_up(tmp_path, venv, {"book"}, backend="cpu")
    backends = [command[command.index("--torch-backend") + 1] for command in commands if "--torch-backend" in command]
    assert backends == ["cpu"] and commands[-1][-2:] == ["-e", ".[book]"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "error: no such host" in lines[0] and "the ordinary build" in lines[0]

    for backend in ("cpu", ""):  # nothing changed
        commands.clear()
        environment.set_up(tmp_path, venv, {"book"}, backend=backend)
        assert commands == []
    reachable[0] = True
    environment.set_up(tmp_path, venv, {"book", "test"})  # what is added later is of the same build
    assert commands[-1][-4:] == ["-e", ".[book,test]", "--torch-backend", "cpu"]
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_downloads_are_shown_in_bytes_with_the_time_left():
    current = console.Step("environment", "")
    current.start -= 10
    downloads = environment.Downloads(current)
    for line in ("Downloading torch (1.0GiB)", "Downloading numpy (512.0MiB)", " Downloaded numpy"):
        downloads(line)
    assert current.detail == "downloading: 512 of 1536 MB, about 20 s left"
    downloads("Installed 168 packages in 355ms")
    assert downloads.packages == 168


def test_a_command_that_hangs_is_ended(tmp_path):
    with console.step("wait") as step:
        code = "import time; print('begun', flush=True); time.sleep(60)"
        command = [sys.executable, "-c", code]
        assert console.run_logged(command, tmp_path / "a.log", current=step, timeout=1.5) == 124
        assert step.elapsed < 30
    assert "begun" in (tmp_path / "a.log").read_text()


def test_durations_are_readable():
    assert [console.duration(s) for s in (0.04, 9.94, 12.4, 200)] == ["0.0 s", "9.9 s", "12 s", "3 min 20 s"]
    assert [console.duration(s) for s in (3599.4, 7500)] == ["59 min 59 s", "2 h 05 min"]


def test_the_site_is_served_on_this_machine_only(tmp_path):
    (tmp_path / "index.html").write_text("hello")
    with serve.server(tmp_path, port=0) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        host, port = running.server_address
        assert host == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.read() == b"hello"
        with pytest.raises(Failure, match=f"port {port}"):
            serve.server(tmp_path, port=port)
        running.shutdown()
