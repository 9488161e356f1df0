"""The features of an image: its own only, bounded, and blind to what they should not see."""

import pytest
import torch

from dpsynth.models.shared.class_rejection import ORIENTATIONS, oriented_gradients


@pytest.mark.parametrize("shape", [(1, 14, 14), (3, 8, 8), (1, 1, 1), (1, 2, 9), (1, 28, 28)])
def test_any_size_gives_finite_features_of_bounded_norm(shape):
    images = torch.rand(5, *shape)
    images[0], images[1] = 0, 1
    features = oriented_gradients(images)
    assert torch.isfinite(features).all()
    assert (features.norm(dim=1) <= 1.25**0.5 + 1e-5).all()
    torch.testing.assert_close(oriented_gradients(images[2:3]), features[2:3])


def test_an_edge_falls_into_its_own_direction():
    """A bright right half has edges that point right, and turned by a quarter they point down."""
    image = torch.zeros(1, 1, 8, 8)
    image[..., 2:6, 4:] = 1
    for turns, expected in ((0, 0), (-1, ORIENTATIONS // 4)):
        inside = torch.rot90(image, turns, (2, 3))
        edges = oriented_gradients(inside)[0, : ORIENTATIONS * 16].view(ORIENTATIONS, 16)
        assert int(edges[:, [5, 6, 9, 10]].sum(1).argmax()) == expected


def test_brightness_and_contrast_hardly_matter():
    image = torch.rand(1, 1, 14, 14)
    edges = [oriented_gradients(x)[0, :392] for x in (image, 0.5 * image)]
    assert float((edges[0] * edges[1]).sum()) > 0.95
