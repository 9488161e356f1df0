"""The named networks that turn images into features. Nothing is downloaded.

A distance between feature distributions means nothing without the name of the network: every score states it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from dpsynth.errors import ConfigError

AT_ONCE = 256  # images that pass through a network together


def features(images: np.ndarray, network: str = "random_conv") -> np.ndarray:
    """(n, width) float64 features of images, (n, channels, height, width) float32 in [0, 1], under a named network.

    network: "random_conv", or the path of an Inception-v3 state dict of torchvision as a .safetensors file.
    Batches always have `AT_ONCE` images, so that an image has the same features whatever it is computed with.
    """
    extractor = _extractor(network, images.shape[1])
    parts: list[torch.Tensor] = []
    with torch.no_grad():
        for start in range(0, max(len(images), 1), AT_ONCE):
            batch = torch.zeros(AT_ONCE, *images.shape[1:])
            part = torch.from_numpy(images[start : start + AT_ONCE])
            batch[: len(part)] = part
            parts.append(extractor(batch)[: len(part)])
    return torch.cat(parts).double().numpy()


def title(network: str) -> str:
    """What a network is called in the meaning of a score."""
    return "random convolutions" if network == "random_conv" else "Inception"


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
