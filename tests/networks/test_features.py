"""What later columns see: everything that tells codes apart, and little that does not matter."""

import pytest
import torch

from dpsynth.networks.conditionals import Layout
from dpsynth.networks.flow import code_features


def test_categories_and_short_numeric_columns_are_one_hot():
    for layout in (Layout(40, torch.linspace(0, 1, 41), False), Layout(10, torch.linspace(0, 1, 9), True)):
        assert torch.equal(code_features(layout, 16), torch.eye(layout.size))


@pytest.mark.parametrize("bins", [17, 74, 128])
def test_long_numeric_columns_are_smooth_and_still_stated_apart(bins):
    layout = Layout(bins + 2, torch.linspace(0, 1, bins + 1), True)
    features = code_features(layout, 16)
    assert features.shape == (bins + 2, 18)
    distances = torch.cdist(features, features)
    near, far = distances[0, 1], distances[0, bins // 2]
    assert near < far
    assert distances[~torch.eye(bins + 2, dtype=torch.bool)].min() > 0.05
    assert torch.equal(features[bins:, :16], torch.zeros(2, 16))
    assert torch.equal(features[bins:, 16:], torch.eye(2))
    assert torch.equal(features[:bins, 16:], torch.zeros(bins, 2))
