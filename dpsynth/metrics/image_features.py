"""Images of a table, and the named networks that turn images into features. Nothing is downloaded.

A distance between feature distributions means nothing without the name of the network: every score states it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from dpsynth.data.columns import Category, Integer
from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.metrics.sample import Sample

Images = np.ndarray  # (n, channels, height, width) float32 in [0, 1]
AT_ONCE = 512  # images that pass through a network together


def image_shape(domain: Domain) -> tuple[int, int] | None:
    """(height, width) when the columns are the pixels pixel_0_0 ... of one image each, and perhaps a label."""
    found = [re.fullmatch(r"pixel_(\d+)_(\d+)", column.name) for column in domain.columns if not column.label]
    if not found or not all(found):
        return None
    places = [(int(match[1]), int(match[2])) for match in found if match]
    height, width = (max(place[axis] for place in places) + 1 for axis in (0, 1))
    whole = sorted(places) == [(row, column) for row in range(height) for column in range(width)]
    integers = all(isinstance(column, Integer) for column in domain.columns if not column.label)
    return (height, width) if whole and integers else None


def images_of(sample: Sample) -> Images:
    """The rows of a table of pixels as images, (n, 1, height, width) float32; 0 and 1 are the declared bounds."""
    shape = image_shape(sample.domain)
    assert shape is not None, "asked for tables of pixels only"
    columns = {column.name: j for j, column in enumerate(sample.domain.columns)}
    order = [columns[f"pixel_{row}_{column}"] for row in range(shape[0]) for column in range(shape[1])]
    return np.nan_to_num(sample.units[:, order]).astype(np.float32).reshape(-1, 1, *shape)


def labels_of(sample: Sample) -> np.ndarray | None:
    """Class numbers of the rows, int64 (n,), -1 where missing; None without a categorical label."""
    label = sample.domain.label
    if label is None or not isinstance(sample.domain[label], Category):
        return None
    values = sample.units[:, sample.domain.names.index(label)]
    return np.where(np.isnan(values), -1, values).astype(np.int64)


def features(images: Images, network: str = "random_conv") -> np.ndarray:
    """(n, width) float64 features of images under a named network.

    network: "random_conv", or the path of an Inception-v3 state dict of torchvision as a .safetensors file.
    """
    extractor = _extractor(network, images.shape[1])
    with torch.no_grad():
        parts = [extractor(torch.from_numpy(images[i : i + AT_ONCE])) for i in range(0, len(images), AT_ONCE)]
    return torch.cat(parts).double().numpy()


def check_network(network: str) -> None:
    """Raises ConfigError for a network that is not there."""
    if network != "random_conv" and not (network.endswith(".safetensors") and Path(network).is_file()):
        raise ConfigError(
            f"metrics.image_features: {network!r} is neither random_conv nor an existing .safetensors file "
            "with the weights of torchvision's inception_v3"
        )


@lru_cache(maxsize=4)
def _extractor(network: str, channels: int) -> Callable[[torch.Tensor], torch.Tensor]:
    if network == "random_conv":
        return RandomConvolutions(channels).eval()
    check_network(network)
    return _inception(network)


class RandomConvolutions(nn.Module):
    """Three random convolution layers, orthogonal and fixed by a seed, pooled to 64 means and 64 maxima.

    Random features separate distributions of images about as well as trained ones do when both are far from photos
    (Naeem et al. 2020, arXiv 2002.09797, section 4.2), need no weights, and favour no data set.
    """

    def __init__(self, channels: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        widths = (channels, 32, 64, 64)
        self.layers = nn.ModuleList()
        for before, after in pairwise(widths):
            layer = skip_init(nn.Conv2d, before, after, 3, padding=1)  # drawn here only, never globally
            weight, bias = layer.parameters()
            nn.init.orthogonal_(weight, gain=2**0.5, generator=generator)
            nn.init.uniform_(bias, -0.1, 0.1, generator=generator)
            self.layers.append(layer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, channels, height, width) -> (n, 128)."""
        x = images * 2 - 1
        for depth, layer in enumerate(self.layers):
            x = functional.relu(layer(x))
            if depth < 2 and min(x.shape[-2:]) >= 4:
                x = functional.avg_pool2d(x, 2)
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


def _inception(path: str) -> Callable[[torch.Tensor], torch.Tensor]:
    from safetensors.torch import load_file
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, init_weights=False, aux_logits=True)
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise ConfigError(
            f"metrics.image_features: {path} does not hold the weights of torchvision's inception_v3: "
            f"{str(error).splitlines()[0]}"
        ) from error
    network.fc = nn.Identity()  # type: ignore[assignment]  # the 2048 pooled features
    network.eval()
    mean, spread = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def extract(images: torch.Tensor) -> torch.Tensor:
        coloured = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        large = functional.interpolate(coloured, size=(299, 299), mode="bilinear", antialias=True)
        return network((large - mean) / spread)

    return extract
