"""samples.npz: three channels, equal blocks of classes, no pickle."""

import numpy as np
import pytest

from dpsynth.data import ImageDomain, Images
from dpsynth.reproductions.pe_files import blocks, write


@pytest.mark.parametrize("channels", [1, 3])
def test_classes_come_in_equal_blocks(channels, tmp_path):
    domain = ImageDomain(4, 5, channels, classes=("a", "b"))
    labels = np.array([1, 0, 1, 1, 0])
    pixels = np.random.default_rng(0).integers(0, 256, (5, channels, 4, 5)).astype(np.uint8)
    images = Images(pixels, labels, domain)
    assert list(blocks(images)) == [1, 4, 0, 2]
    with np.load(write(images, tmp_path / "samples.npz"), allow_pickle=False) as old:
        assert old["samples"].shape == (4, 4, 5, 3)
        assert list(old["additional_info"]) == ["a", "a", "b", "b"]
        np.testing.assert_array_equal(old["samples"][2, ..., 0], pixels[0, 0])
        np.testing.assert_array_equal(old["samples"][2, ..., 2], pixels[0, -1])


def test_without_classes_all_are_kept(tmp_path):
    images = Images(np.zeros((3, 1, 2, 2), dtype=np.uint8), None, ImageDomain(2, 2))
    with np.load(write(images, tmp_path / "samples.npz"), allow_pickle=False) as old:
        assert len(old["samples"]) == 3
