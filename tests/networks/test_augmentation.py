import torch

from lossatlas.networks.augmentation import shift_and_flip


def every_position(image, padding):
    """All shifts of one image (C, H, W) and their mirror images, cut out one by one."""
    _, height, width = image.shape
    padded = torch.zeros(image.shape[0], height + 2 * padding, width + 2 * padding)
    padded[:, padding : padding + height, padding : padding + width] = image
    cut = [
        padded[:, top : top + height, left : left + width]
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
    ]
    return torch.stack([*cut, *(image.flip(2) for image in cut)])


def test_every_image_is_one_of_its_shifts_and_every_shift_occurs():
    image = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    found = shift_and_flip(image.repeat(2000, 1, 1, 1), torch.Generator().manual_seed(1), padding=1)
    positions = every_position(image, 1)
    same = (found[:, None] == positions).flatten(2).all(2)  # image by position
    assert same.sum(1).eq(1).all()
    counts = same.sum(0)
    assert counts.min() > 60 and counts.max() < 170  # of 111 expected


def test_the_generator_decides_and_the_memory_format_stays():
    images = torch.rand(6, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    one, same = (shift_and_flip(images, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one, same) and one.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(one, shift_and_flip(images, torch.Generator().manual_seed(3)))
