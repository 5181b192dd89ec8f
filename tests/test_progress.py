import subprocess
import sys

from lossatlas._progress import bar


def test_a_bar_can_be_sent_to_a_file(tmp_path, monkeypatch, capsys):
    place = tmp_path / "bars"
    monkeypatch.setenv("LOSSATLAS_PROGRESS", str(place))
    with bar(total=4, description="surface", unit=" points") as running:
        for _ in range(4):
            running.update()
    assert "surface" in place.read_text() and "0.00/4.00" in place.read_text()
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_silent_on_request_and_by_the_environment(capsys):
    with bar(total=2, description="quiet", unit=" points", show=False) as running:
        running.update(2)
    assert capsys.readouterr() == ("", "")
    code = "from lossatlas._progress import bar\nwith bar(total=1, description='x', unit='') as b: b.update()"
    said = subprocess.run(
        [sys.executable, "-c", code], env={"TQDM_DISABLE": "1", "PATH": ""}, capture_output=True, text=True, check=True
    )
    assert said.stdout == "" and said.stderr == ""
