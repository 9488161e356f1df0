"""Images with the views that metrics look at, and the named networks that describe them.

A distance between feature distributions means nothing without the name of the network that made them: every score
states it. Nothing is downloaded.

`ImageSample` is the image counterpart of `Sample`, and a table of pixels is read as one. Images taken from a sample
share its pool, so the features of an image are computed once however often it is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from dpsynth.data.columns import Category, Integer
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError, DataError
from dpsynth.metrics.framework.sample import Sample

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


# -------------------- Image sample ----------------------------------------------------------


@dataclass(eq=False)
class _Pool:
    """All images of a sample and of those taken from it, and the features found so far by network."""

    pixels: np.ndarray
    labels: np.ndarray | None
    found: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    lock: Any = field(default_factory=RLock)

    def features(self, index: np.ndarray, network: str) -> np.ndarray:
        with self.lock:
            values, known = self.found.get(network, (None, np.zeros(len(self.pixels), dtype=bool)))
            new = np.unique(index[~known[index]])
            if len(new) or values is None:
                added = features(units(self.pixels[new]), network)
                if values is None:
                    values = np.empty((len(self.pixels), added.shape[1]), dtype=np.float32)
                values[new], known[new] = added, True
                self.found[network] = values, known
            return values[index].astype(np.float64)


class ImageSample:
    """Images in a domain. pixels: (n, channels, height, width) uint8; labels: int64 (n,), -1 for missing, or None.

    Raises DataError for no images.
    """

    def __init__(self, pixels: np.ndarray, labels: np.ndarray | None, domain: ImageDomain) -> None:
        if not len(pixels):
            raise DataError("there are no images to compare")
        self.domain = domain
        self._pool, self._index = _Pool(pixels, labels), np.arange(len(pixels))

    @classmethod
    def of(cls, images: Images) -> ImageSample:
        return cls(images.pixels, images.labels, images.domain)

    def __len__(self) -> int:
        return len(self._index)

    def rows(self, index: np.ndarray) -> ImageSample:
        """The images at the positions `index`, int64 (m,), in that order."""
        taken = object.__new__(ImageSample)
        taken.domain, taken._pool, taken._index = self.domain, self._pool, self._index[index]
        return taken

    def head(self, rows: int) -> ImageSample:
        """The first `rows` images; the sample itself when it has no more."""
        return self if rows >= len(self) else self.rows(np.arange(rows))

    @classmethod
    def joined(cls, samples: Sequence[ImageSample]) -> ImageSample:
        """All images of some samples of one domain, in order."""
        labels = [sample.labels for sample in samples]
        known = [each for each in labels if each is not None]
        pixels = np.concatenate([sample.pixels for sample in samples])
        return cls(pixels, np.concatenate(known) if len(known) == len(labels) else None, samples[0].domain)

    @property
    def pixels(self) -> np.ndarray:
        """(n, channels, height, width) uint8."""
        return self._pool.pixels[self._index]

    @property
    def labels(self) -> np.ndarray | None:
        """Class codes, int64 (n,), -1 for missing; None where images have no classes."""
        return None if self._pool.labels is None else self._pool.labels[self._index]

    @property
    def units(self) -> np.ndarray:
        """(n, channels, height, width) float32 in [0, 1]."""
        return units(self.pixels)

    @property
    def coordinates(self) -> np.ndarray:
        """(n, channels * height * width) float64 in [0, 1]: images as points, for distances between their pixels."""
        return self.pixels.reshape(len(self), -1) / 255

    @property
    def contents(self) -> list[bytes]:
        """Pixels and class of every image as bytes: equal images have equal ones."""
        labels = np.full(len(self), -1) if self.labels is None else self.labels
        return [image.tobytes() + label.tobytes() for image, label in zip(self.pixels, labels, strict=True)]

    def features(self, network: str) -> np.ndarray:
        """(n, width) float64 features under a named network (sample.py)."""
        return self._pool.features(self._index, network)

    def labelled(self) -> ImageSample | None:
        """The images that have a class; None when there are none."""
        if self.labels is None or not (self.labels >= 0).any():
            return None
        return self.rows(np.flatnonzero(self.labels >= 0))

    def uniform(self, rows: int, generator: np.random.Generator) -> ImageSample:
        """Images of noise: every pixel and every label drawn evenly by itself."""
        pixels = generator.integers(0, 256, (rows, *self.domain.shape), dtype=np.uint8)
        labels = generator.integers(0, len(self.domain.classes), rows) if self.domain.classes else None
        return ImageSample(pixels, labels, self.domain)

    def independent(self, rows: int, generator: np.random.Generator) -> ImageSample:
        """Every pixel, and the label, shuffled by itself over all images: the brightness of each place, and nothing
        of what belongs together. A yardstick from real images, never to be released."""
        index = np.arange(rows) % len(self)
        flat = generator.permuted(self.pixels.reshape(len(self), -1)[index], axis=0)
        labels = None if self.labels is None else generator.permutation(self.labels[index])
        return ImageSample(flat.reshape(rows, *self.domain.shape), labels, self.domain)


def units(pixels: np.ndarray) -> np.ndarray:
    """uint8 pixels as float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)


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


def image_sample(rows: Sample | ImageSample) -> ImageSample | None:
    """Images as they are, or the rows of a table of pixels as images of 256 levels between the declared bounds (missing
    ones black); None for any other table."""
    if isinstance(rows, ImageSample):
        return rows
    shape = image_shape(rows.domain)
    if shape is None:
        return None
    columns = {column.name: j for j, column in enumerate(rows.domain.columns)}
    order = [columns[f"pixel_{row}_{column}"] for row in range(shape[0]) for column in range(shape[1])]
    pixels = np.round(np.nan_to_num(rows.units[:, order]) * 255).astype(np.uint8).reshape(-1, 1, *shape)
    name = rows.domain.label
    label = None if name is None else rows.domain[name]
    if not isinstance(label, Category):
        return ImageSample(pixels, None, ImageDomain(*shape))
    codes = rows.units[:, columns[label.name]]
    labels = np.where(np.isnan(codes), -1, codes).astype(np.int64)
    return ImageSample(pixels, labels, ImageDomain(*shape, classes=label.values))
