"""Networks that were trained by others."""

import hashlib
import io

import pytest
import safetensors.torch
import torch

import lossatlas as la
from lossatlas.networks import pretrained
from lossatlas.networks.models import ResNet


@pytest.fixture
def published(monkeypatch, tmp_path) -> bytes:
    """A checkpoint of random weights in the place of the published one, in the published form."""
    monkeypatch.delenv("LOSSATLAS_DATA", raising=False)
    state = ResNet(depth=20).state_dict()
    checksum = hashlib.sha256(safetensors.torch.save(state)).hexdigest()
    monkeypatch.setitem(pretrained.PUBLISHED, 20, (pretrained.PUBLISHED[20][0], checksum))
    stream = io.BytesIO()
    checkpoint = {"state_dict": {f"module.{name}": value for name, value in state.items()}, "best_prec1": 10.0}
    torch.save(checkpoint, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def test_the_published_checkpoint_is_fetched_once_and_standardizes_its_pixels(monkeypatch, tmp_path, published):
    asked = []
    monkeypatch.setattr(pretrained, "download", lambda url, folder: asked.append(url) or published)
    networks = [la.load_pretrained("resnet20-cifar10", root=tmp_path) for _ in range(2)]
    assert asked == [f"{pretrained.ADDRESS}/resnet20-12fca82f.th"] and not networks[0].training
    plain = ResNet(depth=20).eval()
    plain.load_state_dict(networks[1].state_dict())
    images = torch.rand(4, 3, 32, 32)
    mean, deviation = torch.tensor(pretrained.MEAN), torch.tensor(pretrained.DEVIATION)
    channels_last = (images.permute(0, 2, 3, 1) - mean) / deviation
    with torch.no_grad():
        torch.testing.assert_close(networks[0](images), plain(channels_last.permute(0, 3, 1, 2)))


def test_other_weights_are_refused(monkeypatch, tmp_path, published):
    monkeypatch.setattr(pretrained, "download", lambda url, folder: published)
    monkeypatch.setitem(pretrained.PUBLISHED, 20, (pretrained.PUBLISHED[20][0], "0" * 64))
    with pytest.raises(la.DatasetUnavailable, match=r"(?s)network 'resnet20-cifar10'.*sha256.*expected 000.*Put these"):
        la.load_pretrained("resnet20-cifar10", root=tmp_path)


def test_what_a_checkpoint_would_execute_is_refused(monkeypatch, tmp_path, published):
    class Malicious:
        def __reduce__(self):
            return (tmp_path.joinpath("executed").touch, ())

    stream = io.BytesIO()
    torch.save({"state_dict": Malicious()}, stream)
    monkeypatch.setattr(pretrained, "download", lambda url, folder: stream.getvalue())
    with pytest.raises(la.DatasetUnavailable, match="weights_only"):
        la.load_pretrained("resnet20-cifar10", root=tmp_path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.data
def test_resnet56_has_its_published_accuracy():
    images, labels = la.load_dataset("cifar10").test
    network = la.load_pretrained("resnet56-cifar10")
    with torch.inference_mode():
        right = sum(
            (network(x).argmax(1) == y).sum() for x, y in zip(images.split(500), labels.split(500), strict=True)
        )
    assert abs(float(right) / len(images) - 0.934) <= 0.003
