"""Where images stand when they are voted for: points from fixed, public maps. Nothing is fitted, nothing downloaded.

    pixels     the image at a small working resolution, a little blurred: strokes that lie beside each other are near
    dct        its low frequencies (orthonormal cosine transform), coarse ones weighing more
    random     means and maxima over quarters of the image of two layers of fixed random convolutions
    inception  pooled features of torchvision's inception_v3, from a local file of weights

An encoder fitted to private images would be a release of its own, so there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.image_view import ImageView
from dpsynth.errors import ConfigError

Kind = Literal["pixels", "dct", "random", "inception"]
AT_ONCE = 256  # images embedded together, always so many: an image's point must not depend on how many others there are
FREQUENCIES = 8  # lowest in each direction
RANDOM_WIDTH = 32  # channels of the random convolutions

Features = Callable[[torch.Tensor], torch.Tensor]  # (n, channels, h, w) in [0, 1] -> (n, d), about [-1, 1]


class ImagePoints:
    """The points of images of `domain`.

    kind: see above. size: working resolution, unless the domain declares one. weights: of `inception`, a .safetensors
    file with a state dict of torchvision's inception_v3.
    """

    def __init__(self, domain: ImageDomain, kind: Kind = "pixels", size: int = 14, weights: str | None = None) -> None:
        if kind not in get_args(Kind):
            raise ConfigError(f"model.embedding={kind}: choose {', '.join(get_args(Kind))}")
        if (kind == "inception") != (weights is not None):
            raise ConfigError("model.inception: name a local .safetensors file, with model.embedding=inception only")
        self.view = ImageView(domain, size=None if kind == "inception" else size)
        self._features = _features(kind, self.view.shape[0], weights)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(n, d) float32 points in [-1, 1] of (n, channels, height, width) uint8 images, each by itself."""
        parts = []
        with torch.no_grad():
            for start in range(0, max(len(pixels), 1), AT_ONCE):
                units = torch.zeros(AT_ONCE, *self.view.shape)
                part = self.view.units(pixels[start : start + AT_ONCE])
                units[: len(part)] = torch.from_numpy(part)
                parts.append(self._features(units).clamp_(-1.0, 1.0)[: len(part)])
        return torch.cat(parts).float().numpy()


def _features(kind: Kind, channels: int, weights: str | None) -> Features:
    if kind == "pixels":
        return lambda images: blurred(images).flatten(1)
    if kind == "dct":
        return low_frequencies
    if kind == "random":
        return RandomFeatures(channels).eval()
    return _inception(str(weights))


def blurred(images: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) images under the 3 x 3 binomial kernel, edges repeated."""
    line = torch.tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(images.shape[1], 1, 3, 3)
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, kernel, groups=images.shape[1])


def low_frequencies(images: torch.Tensor) -> torch.Tensor:
    """(n, c k k) lowest coefficients of the orthonormal DCT-II of images in [0, 1], k at most `FREQUENCIES`.

    Scaled by sqrt(h w) / 4, so that a contrast over the whole image comes near 1; beyond that it is cut off by the
    caller. Parseval: distances are those of the images without their high frequencies.
    """
    height, width = images.shape[2:]
    rows, columns = cosines(height), cosines(width)
    found = rows @ (images - 0.5) @ columns.T
    return (found * (4 / math.sqrt(height * width))).flatten(1)


def cosines(length: int) -> torch.Tensor:
    """(k, length) float32 first rows of the orthonormal DCT-II."""
    frequency, place = torch.arange(min(length, FREQUENCIES))[:, None], torch.arange(length) + 0.5
    basis = torch.cos(math.pi / length * frequency * place) * math.sqrt(2 / length)
    basis[0] /= math.sqrt(2)
    return basis


class RandomFeatures(nn.Module):
    """Two random convolutions, fixed by a seed, pooled over a 3 x 3 grid. (n, c, h, w) in [0, 1] -> (n, 9 x 32)."""

    def __init__(self, channels: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.layers = nn.ModuleList()
        for before in (channels, RANDOM_WIDTH):
            layer = skip_init(nn.Conv2d, before, RANDOM_WIDTH, 3, padding=1)
            weight, bias = layer.parameters()
            nn.init.orthogonal_(weight, gain=2**0.5, generator=generator)
            nn.init.uniform_(bias, -0.1, 0.1, generator=generator)
            self.layers.append(layer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images * 2 - 1
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
        return torch.tanh(functional.adaptive_avg_pool2d(x, 3).flatten(1))


def _inception(path: str) -> Features:
    from safetensors.torch import load_file
    from torchvision.models import inception_v3

    if not (path.endswith(".safetensors") and Path(path).is_file()):
        raise ConfigError(f"model.inception={path}: no such .safetensors file; weights are never downloaded")
    network = inception_v3(weights=None, init_weights=False, aux_logits=True)
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"model.inception={path}: not the weights of torchvision's inception_v3: {reason}") from error
    network.fc = nn.Identity()  # type: ignore[assignment]  # the 2048 pooled features
    network.eval()
    mean, spread = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def extract(images: torch.Tensor) -> torch.Tensor:
        coloured = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        large = functional.interpolate(coloured, size=(299, 299), mode="bilinear", antialias=True)
        return torch.tanh(network((large - mean) / spread))  # pooled features are mostly below 1

    return extract
