"""Up-sampling that averages undo."""

import torch
from torch.nn import functional as F

from dpsynth.models.pixels.fitted import upsampled


def test_averages_of_the_large_image_are_the_small_one():
    small = torch.randint(4, (5, 3, 7, 7), generator=torch.Generator().manual_seed(0)) / 3

    def gap(rounds):
        return float((F.avg_pool2d(upsampled(small, 14, 14, rounds), 2) - small).abs().mean())

    assert gap(0) > 0.05
    assert gap(3) < 0.02
    assert gap(30) < 0.002


def test_flat_images_stay_flat_and_full_size_ones_as_they_are():
    for value in (0.0, 0.4, 1.0):
        flat = torch.full((1, 1, 5, 4), value)
        torch.testing.assert_close(upsampled(flat, 13, 9), torch.full((1, 1, 13, 9), value))
    image = torch.rand(2, 1, 6, 6)
    assert torch.equal(upsampled(image, 6, 6), image)


def test_values_keep_to_the_range_at_any_ratio():
    small = torch.randint(2, (4, 1, 5, 7)).float()
    large = upsampled(small, 12, 11)
    assert large.shape == (4, 1, 12, 11)
    assert large.min() >= 0
    assert large.max() <= 1
