"""The variations of MNIST, against turns by quarters, a slow loop and the digits that they are made of."""

import pytest
import torch

from lossatlas.datasets import DatasetUnavailable, load_dataset
from lossatlas.datasets.variations import LUMA, VARIATIONS, crops, turned, varied


def drawn(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_quarter_turn_is_that_of_rot90(quarters):
    images = drawn(2, 1, 7, 7)
    found = turned(images, torch.full((2,), quarters * torch.pi / 2))
    torch.testing.assert_close(found, images.rot90(quarters, (2, 3)), atol=1e-5, rtol=0)


def test_turning_there_and_back_keeps_the_middle_of_a_smooth_image():
    axis = torch.linspace(-1, 1, 29)
    image = torch.exp(-((axis[:, None] - 0.2) ** 2 + axis**2) * 8)[None, None]
    angle = torch.tensor([0.7])
    back = turned(turned(image, angle), -angle)
    assert (back - image).abs().max() < 0.05 and (turned(image, angle) - image).abs().max() > 0.1


def test_crops_lie_in_the_photographs():
    photographs = drawn(3, 3, 5, 6)
    found = crops(photographs, (20, 1, 4, 4), torch.Generator().manual_seed(1))
    grey = sum(share * photographs[:, channel] for channel, share in enumerate(LUMA))
    places = [grey[i, y : y + 4, x : x + 4] for i in range(3) for y in range(2) for x in range(3)]
    hits = [[torch.allclose(one[0], place) for place in places].index(True) for one in found]
    assert len(set(hits)) > 5


def test_a_pixel_is_the_brighter_of_digit_and_background_and_the_seed_decides():
    digits = (drawn(50, 1, 8, 8) > 0.8).float()
    noisy = varied(VARIATIONS["mnist-rand"], digits, seed=0)
    assert (noisy[digits == 1] == 1).all() and 0.4 < noisy[digits == 0].mean() < 0.6
    assert torch.equal(noisy, varied(VARIATIONS["mnist-rand"], digits, seed=0))
    assert not torch.equal(noisy, varied(VARIATIONS["mnist-rand"], digits, seed=1))
    photographs = 0.5 * drawn(4, 3, 10, 10)
    behind = varied(VARIATIONS["mnist-img"], digits, photographs, seed=0)
    assert (behind[digits == 1] == 1).all() and behind[digits == 0].max() <= 0.5
    with pytest.raises(ValueError, match="photographs=None"):
        varied(VARIATIONS["mnist-img"], digits, seed=0)


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist-rot", "mnist-img"])
def test_real_variations_have_the_digits_and_labels_of_mnist(name):
    try:
        plain, data = load_dataset("mnist"), load_dataset(name)
    except DatasetUnavailable as error:
        pytest.skip(str(error))
    for before, after in ((plain.train, data.train), (plain.test, data.test)):
        assert torch.equal(before[1], after[1]) and before[0].shape == after[0].shape
        assert after[0].min() >= 0 and after[0].max() <= 1
    if not VARIATIONS[name].rotated:
        assert (data.train[0] >= plain.train[0]).all()
    if name == "mnist-rot":
        ink = data.train[0].sum((1, 2, 3)) / plain.train[0].sum((1, 2, 3))
        assert 0.95 < ink.median() < 1.05
    assert name == data.name and "Larochelle" in data.citation
