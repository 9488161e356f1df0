"""Points of images: each by itself, in [-1, 1], and as far apart as their definitions say."""

import numpy as np
import pytest
import torch

from dpsynth.data import ImageDomain
from dpsynth.errors import ConfigError
from dpsynth.models.pe.image_apis import AT_ONCE, ImagePoints, LowFrequencies, blurred, cosines

DOMAIN = ImageDomain(12, 16)


def pixels(n: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, channels, 12, 16)).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["pixels", "dct", "random"])
def test_an_image_has_the_same_point_in_any_company(kind, channels):
    """Bit by bit, so that a vote cannot depend on how many other rows there are."""
    points = ImagePoints(ImageDomain(12, 16, channels), kind, size=8)
    images = pixels(AT_ONCE + 5, channels)
    together = points(images)
    assert together.dtype == np.float32
    assert np.abs(together).max() <= 1
    for some in (slice(0, 1), slice(3, 7), slice(AT_ONCE - 2, None)):
        np.testing.assert_array_equal(points(images[some]), together[some])
    assert points(images[:0]).shape == (0, together.shape[1])


def test_blurring_keeps_the_mean_of_a_flat_image_and_brings_neighbours_near():
    flat = torch.full((1, 1, 6, 6), 0.3)
    torch.testing.assert_close(blurred(flat), flat)
    strokes = torch.zeros(3, 1, 8, 8)
    strokes[0, 0, :, 3] = strokes[1, 0, :, 4] = strokes[2, 0, :, 7] = 1
    sharp, soft = (torch.cdist(x.flatten(1), x.flatten(1)) for x in (strokes, blurred(strokes)))
    assert sharp[0, 1] == sharp[0, 2]
    assert soft[0, 1] < soft[0, 2]


def test_the_cosine_transform_is_orthonormal():
    basis = cosines(8)
    torch.testing.assert_close(basis @ basis.T, torch.eye(8, dtype=torch.float64))
    one, two = torch.randint(0, 10, (2, 1, 3, 8, 8))
    frequencies = LowFrequencies((3, 8, 8), 9)
    kept = (frequencies(one) - frequencies(two)).norm() / 4 * 8
    torch.testing.assert_close(kept, ((one - two) / 9).double().norm())
    assert frequencies(torch.full((1, 3, 8, 8), 9))[0, 0] == pytest.approx(2)  # a white image lies 1/2 above grey


def test_the_declared_resolution_wins():
    assert ImagePoints(ImageDomain(12, 16, size=4), "pixels", size=8)(pixels(1)).shape == (1, 12)


@pytest.mark.parametrize(
    ("kind", "weights", "word"),
    [("fourier", None, "embedding"), ("inception", None, "inception"), ("pixels", "x.safetensors", "inception"),
     ("inception", "/nowhere/x.safetensors", "never downloaded")],
)  # fmt: skip
def test_mistakes_are_named(kind, weights, word):
    with pytest.raises(ConfigError, match=word):
        ImagePoints(DOMAIN, kind, weights=weights)
