"""resume= and Ctrl-C: what is done stays done, whatever happens, and only what was asked is gone on with."""

import copy
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.evaluation import schedule
from lossatlas.evaluation.journal import open_journal
from lossatlas.evaluation.kernels.cached_layers import CachedLayers
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.work import Work
from networks import odd_net, slow_request

GRID = np.linspace(-1, 1, 7)

SCRIPT = """
import sys, time
from lossatlas import evaluate
from lossatlas.evaluation import schedule
from networks import slow_request
schedule.CHUNK_SECONDS = schedule.LONGEST_CHUNK = 0.05
try:
    evaluate(**slow_request(0.05), resume=sys.argv[1])
except KeyboardInterrupt as stopped:
    print(time.time(), stopped)
"""


def start(path):
    """An evaluation in a process of its own, some chunks of it done."""
    paths = os.pathsep.join([str(Path(__file__).parents[1] / "helpers"), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    end = time.monotonic() + 300
    while lines(path) < 5:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.01)
    return process


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_killed_at_any_moment_it_goes_on_to_the_same_bits(tmp_path):
    path, whole = tmp_path / "surface.resume", tmp_path / "whole.resume"
    with start(path) as process:
        process.send_signal(signal.SIGKILL)
    kept = path.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    first, chunks = kept.splitlines()[0], len(json.loads(kept.splitlines()[0])["chunks"])
    assert 4 <= kept.count(b"\n") - 1 < chunks
    path.write_bytes(kept + b'{"chunk": 9, "sums": [[0.')  # what a kill in the middle of a line leaves
    whole.write_bytes(first + b"\n")  # the same strategy from the first chunk on
    one, two = (la.evaluate(**slow_request(0), resume=file) for file in (path, whole))
    assert one.loss.values.tobytes() == two.loss.values.tobytes()
    assert one.accuracy.values.tobytes() == two.accuracy.values.tobytes()
    assert path.read_bytes().startswith(kept)
    found = [json.loads(line)["chunk"] for line in path.read_text().splitlines()[1:]]
    assert sorted(found) == list(range(chunks)), "every chunk once, those before the kill not again"


def test_ctrl_c_stops_soon_and_says_how_to_go_on(tmp_path):
    path = tmp_path / "surface.resume"
    with start(path) as process:
        before = time.time()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    when, message = out.strip().split(" ", 1)
    assert err == "" and float(when) - before < 2
    done, chunks = lines(path) - 1, len(json.loads(path.read_text().splitlines()[0])["chunks"])
    assert message == (
        f"evaluate was stopped; {done} of {chunks} chunks are kept in {path}. "
        f"The same call with resume={str(path)!r} resumes there"
    )


def test_ctrl_c_without_a_file_says_how_to_keep_what_is_done():
    request = slow_request(0)
    passes = []

    def stopped(outputs, targets):
        passes.append(1)
        if len(passes) > 3:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(outputs, targets, reduction="none")

    with pytest.raises(KeyboardInterrupt, match=r"nothing is kept\. With resume=PATH, the same call would resume"):
        la.evaluate(**request, loss=stopped)


@pytest.fixture
def asked():
    torch.manual_seed(1)
    model = odd_net()
    return {
        "model": model,
        "plane": la.random_plane(model, seed=3),
        "data": (torch.randn(40, 6), torch.randint(0, 3, (40,))),
        "alphas": GRID,
    }


def evaluated(asked, path):
    asked = {"progress": False, "resume": path, **asked}
    return la.evaluate(asked.pop("model"), asked.pop("plane"), asked.pop("data"), **asked)


class OtherCode(type(odd_net())):
    """The same layers and the same name, called in another way."""

    def forward(self, x):
        return super().forward(torch.tanh(x))


OtherCode.__name__, OtherCode.__qualname__ = "OddNet", "OddNet"


def other_code(asked):
    asked["model"].__class__ = OtherCode


def other_weights(asked):
    asked["model"] = odd_net(7)


def other_loss(asked):
    def cross_entropy(outputs, targets):
        return 2 * nn.functional.cross_entropy(outputs, targets, reduction="none")

    asked["loss"] = cross_entropy


def per_class(*weights):
    def weighted(outputs, targets):
        return torch.tensor(weights)[targets] * nn.functional.cross_entropy(outputs, targets, reduction="none")

    return weighted


def other_predict(factor):
    return lambda model, inputs: factor * model(inputs)


CHANGES = {
    "another model (OddNet, ": other_weights,
    "another model or loss (their code": other_code,
    "another plane (kind random plane, seed 3": lambda a: a.update(plane=la.random_plane(a["model"], seed=4)),
    "another grid (7 from -1 to 1 × 7 from -1 to 1": lambda a: a.update(alphas=GRID[:-1]),
    "another data (40 samples, ": lambda a: a.update(data=(a["data"][0] + 1e-3, a["data"][1])),
    "another loss (cross_entropy; now mse)": lambda a: a.update(
        data=(a["data"][0], nn.functional.one_hot(a["data"][1], 3).float()), loss="mse"
    ),
    "another batch_norm (running; now batch)": lambda a: a.update(batch_norm="batch"),
    "another loss (cross_entropy; now cross_entropy, ": other_loss,
    "another predict (None; now <lambda>, ": lambda a: a.update(predict=other_predict(1)),
}


@pytest.mark.parametrize("message", CHANGES)
def test_something_else_is_refused_by_name(tmp_path, asked, message):
    path = tmp_path / "kept"
    evaluated(asked, path)
    before = path.read_bytes()
    CHANGES[message](asked)
    with pytest.raises(ValueError, match="holds another") as caught:
        evaluated(asked, path)
    assert message in str(caught.value) and str(path) in str(caught.value)
    assert path.read_bytes() == before


LOSSES = [
    per_class(1.0, 1.0, 1.0),
    per_class(1.0, 1.0, 1.0001),
    nn.CrossEntropyLoss(reduction="none"),
    nn.CrossEntropyLoss(reduction="none", label_smoothing=0.001),
    nn.CrossEntropyLoss(reduction="none", weight=torch.tensor([1.0, 1.0, 1.0001])),
    functools.partial(nn.functional.cross_entropy, reduction="none"),
    functools.partial(nn.functional.cross_entropy, reduction="none", label_smoothing=0.001),
]


def test_losses_that_differ_in_what_they_hold_are_different(tmp_path, asked):
    """Every one of them by its own file, and refused by the file of every other."""
    for i, loss in enumerate(LOSSES):
        evaluated({**asked, "loss": loss}, tmp_path / f"{i}")
        evaluated({**asked, "loss": copy.deepcopy(loss)}, tmp_path / f"{i}")
    for i in range(len(LOSSES)):
        for j, loss in enumerate(LOSSES):
            if i != j:
                with pytest.raises(ValueError, match="another loss"):
                    evaluated({**asked, "loss": loss}, tmp_path / f"{i}")


def test_values_tell_losses_apart_whose_code_looks_the_same(tmp_path, asked):
    path = tmp_path / "kept"
    asked["loss"] = Hidden(1.0)
    evaluated(asked, path)
    asked["loss"] = Hidden(1.01)
    with pytest.raises(ValueError, match="holds another model or loss"):
        evaluated(asked, path)


class Hidden:
    """A loss whose state Python does not show."""

    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, outputs, targets):
        return self.factor * nn.functional.cross_entropy(outputs, targets, reduction="none")


def test_a_finished_file_answers_at_once(tmp_path, asked, monkeypatch):
    path = tmp_path / "folder" / "kept"
    surface = evaluated(asked, path)
    monkeypatch.setattr(schedule, "sums", None)
    monkeypatch.setattr(schedule, "choose", None)
    assert evaluated(asked, path).identical(surface)


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"format": "another"}\n', b"[]\n"])
def test_a_file_of_another_kind_is_left_alone(tmp_path, asked, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="the file there is not one that evaluate began"):
        evaluated(asked, path)
    assert path.read_bytes() == content
    with pytest.raises(ValueError, match="a folder, expected a file"):
        evaluated(asked, tmp_path)


def test_a_damaged_line_is_named(tmp_path, asked, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_SECONDS", 1e-9)
    path = tmp_path / "kept"
    evaluated(asked, path)
    parts = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*parts[:2], parts[2][:10] + b"\n", *parts[3:]]))
    with pytest.raises(ValueError, match="line 3 is damaged"):
        evaluated(asked, path)


def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path, asked, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_SECONDS", 1e-9)
    path = tmp_path / "kept"
    surface = evaluated(asked, path)
    whole = path.read_bytes()
    header = json.loads(whole.splitlines()[0])
    request = {key: header[key] for key in ("request", "values")}
    expected = open_journal(path, request)
    assert len(expected.done) > 3
    noticed = 0
    for place in np.random.default_rng(0).integers(0, 8 * len(whole), 300):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        try:
            found = open_journal(path, request)
        except ValueError as error:
            noticed += "resume=" in str(error)
            continue
        assert all(np.array_equal(found.done[n], expected.done[n]) for n in found.done)
        assert (found.strategy, found.chunks) == (expected.strategy, expected.chunks)
    assert noticed > 280
    path.write_bytes(whole)
    assert evaluated(asked, path).identical(surface)


@pytest.mark.parametrize("points", [1, 4])
@pytest.mark.parametrize("seconds", [1e-6, 0.1, 0.3, 1.0, 4.0, 40.0])
@pytest.mark.parametrize("row", [1, 7, 51])
def test_chunks_hold_every_point_once_and_keep_passes_as_they_are(points, seconds, row):
    total = row * 9 + 1
    parts = schedule.chunks(total, row, Strategy(10, points), seconds)
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(total))
    for part in parts[1:]:
        assert part.start % points == 0
        if points == 1 and part.stop - part.start < row:
            assert part.start // row == (part.stop - 1) // row or part is parts[-1], "short chunks stay in a row"
    longest = max(part.stop - part.start for part in parts)
    assert longest * seconds <= schedule.LONGEST_CHUNK + (points + 1) * seconds


def test_chunks_and_one_pass_give_the_same_bits(asked):
    """What local, resumed and distributed runs rest on."""
    model, plane, data = asked["model"], asked["plane"], asked["data"]
    from lossatlas.evaluation.metrics import make_quantities
    from networks import make_sweep

    points = torch.cartesian_prod(torch.linspace(-1, 1, 7), torch.linspace(-1, 1, 7))
    for strategy in (Strategy(13, 1, 1, (CachedLayers(),)), Strategy(40, 6), Strategy(16, 5, 1, (CachedLayers(),))):
        work = Work(make_sweep(model, plane, make_quantities("cross_entropy"), None), [data])
        runner = schedule.as_before(work, strategy, points)
        whole = schedule.sums(work, runner, points)
        for seconds in (0.1, 1.0, 3.0):
            parts = schedule.chunks(len(points), 7, strategy, seconds)
            assert len(parts) > 1 or seconds < 1
            pieces = [schedule.sums(work, schedule.as_before(work, strategy, points), points[part]) for part in parts]
            assert torch.equal(torch.cat(pieces, dim=1), whole)


def test_nothing_of_this_is_written_where_nothing_is_asked(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluated(asked, None)
    assert not os.listdir(Path.cwd())
