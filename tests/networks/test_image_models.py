"""Residual, VGG and densely connected networks: sizes as published, and what their parts do."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from lossatlas.networks.models import VGG9, DenseNet, ResNet
from lossatlas.networks.models.residual import BasicBlock


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_residual_networks_have_the_published_sizes(depth, millions):
    """He et al. 2016, table 6."""
    network = ResNet(depth=depth)
    assert parameters(network) / 1e6 == pytest.approx(millions, rel=0.02)
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == depth
    assert parameters(ResNet(depth=depth, shortcuts=False)) == parameters(network)


@pytest.mark.parametrize(("depth", "millions"), [(121, 6.96), (169, 12.5)])
def test_densely_connected_networks_have_the_published_sizes(depth, millions):
    """Huang et al. 2017: 7.0 and 12.5 million without the large classifier for 1000 classes."""
    assert parameters(DenseNet(depth=depth)) / 1e6 == pytest.approx(millions, rel=0.01)


def test_vgg_9_has_nine_weight_layers():
    layers = [m for m in VGG9().modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert [tuple(layer.weight.shape[:2]) for layer in layers] == [
        (64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (256, 4096), (10, 256)
    ]  # fmt: skip


def test_a_shortcut_adds_every_second_pixel_between_zeros():
    torch.manual_seed(0)
    images = torch.randn(2, 4, 6, 6)
    with_it, without = BasicBlock(4, 8, stride=2).eval(), BasicBlock(4, 8, stride=2, shortcut=False).eval()
    without.load_state_dict(with_it.state_dict())
    branch = with_it.bn2(with_it.conv2(F.relu(with_it.bn1(with_it.conv1(images)))))
    kept = torch.zeros(2, 8, 3, 3)
    kept[:, 2:6] = images[:, :, ::2, ::2]
    torch.testing.assert_close(with_it(images), F.relu(branch + kept))
    torch.testing.assert_close(without(images), F.relu(branch))


@pytest.mark.parametrize("width", [0.25, 2])
def test_a_width_scales_every_stage(width):
    network = ResNet(width=width)
    assert [network.layer1[0].conv1.out_channels, network.linear.in_features] == [16 * width, 64 * width]
    assert VGG9(width=width).output.in_features == 256 * width


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_weights_trained_by_others_fit(depth, pretrained):
    ResNet(depth=depth).load_state_dict(pretrained(f"resnet{depth}"))


@pytest.fixture
def pretrained():
    """The weights of a published network, from a folder of LOSSATLAS_DATA or the one beside it."""
    import os

    from safetensors.torch import load_file

    folders = [Path(folder) for folder in os.environ.get("LOSSATLAS_DATA", "").split(os.pathsep) if folder]
    places = [place for folder in folders for place in (folder, folder / "pretrained", folder.parent / "pretrained")]

    def load(name):
        for place in places:
            if (place / f"{name}.safetensors").is_file():
                return load_file(place / f"{name}.safetensors")
        pytest.skip(f"no folder of LOSSATLAS_DATA holds {name}.safetensors")

    return load


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ResNet(depth=21), "depth=21"),
        (lambda: ResNet(width=0), "width=0"),
        (lambda: VGG9((3, 4, 4)), "image"),
        (lambda: VGG9(width=-1), "width=-1"),
        (lambda: DenseNet(depth=100), "depth=100"),
        (lambda: DenseNet(depth=(2, 0)), "depth=0"),
        (lambda: DenseNet(growth=0), "growth=0"),
    ],
)
def test_impossible_sizes_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
