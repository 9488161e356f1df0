"""The networks that judge images: their published depths and sizes, any size of image, and no global randomness."""

import pytest
import torch
from torch import nn

from dpsynth.metrics.image.evaluation_networks import lenet, resnet, resnext, small_cnn, wide_resnet

MAKERS = {"cnn": small_cnn, "lenet": lenet, "resnet": resnet, "resnext": resnext, "wrn": wide_resnet}
SHALLOW = {"resnet": {"blocks": 1}, "resnext": {"blocks": 1}, "wrn": {"blocks": 1}}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 9, 17)])
def test_every_network_names_classes_of_images_of_any_size(name, shape):
    before = torch.get_rng_state()
    model = MAKERS[name](shape, 4, torch.Generator().manual_seed(0), **SHALLOW.get(name, {}))
    logits = model(torch.rand(2, *shape, generator=torch.Generator().manual_seed(1)))
    assert logits.shape == (2, 4)
    assert torch.isfinite(logits).all()
    assert torch.equal(torch.get_rng_state(), before)
    again = MAKERS[name](shape, 4, torch.Generator().manual_seed(0), **SHALLOW.get(name, {}))
    assert all(map(torch.equal, model.parameters(), again.parameters()))


@pytest.mark.parametrize(
    ("name", "layers", "millions"), [("resnet", 110, 1.7), ("resnext", 29, 34.4), ("wrn", 40, 8.9)]
)
def test_the_large_networks_have_the_published_depth_and_size(name, layers, millions):
    """1.7 million: He et al., table 6; 8.9: Zagoruyko and Komodakis, table 4; 34.4: Xie et al., table 7."""
    model = MAKERS[name]((3, 32, 32), 10, torch.Generator().manual_seed(0))
    shortcuts = sum(isinstance(layer, nn.Conv2d) for block in model.children() for layer in _shortcut(block))
    weighted = sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in model.modules())
    assert weighted - shortcuts in (layers, layers - 2)  # the depth of WRN-40 counts two of its three shortcuts
    assert sum(each.numel() for each in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def _shortcut(block):
    return block.shortcut.modules() if hasattr(block, "shortcut") else ()
