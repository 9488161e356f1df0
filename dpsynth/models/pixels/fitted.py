"""A fitted autoregressive model of pixels: images of a class, and the log probability of images.

Small images made large again so that their averages stay what they were.

Smooth interpolation alone blurs: averaged down again, its result is not the small image it came from. Iterative
back-projection (Irani and Peleg 1991) adds the difference back until it is, which keeps edges sharp. Public: nothing
here is learned.

A fitted autoregressive distribution of pixels: draws images of a class, and gives the log probability of images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.image.images import Images
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Generators, below
from dpsynth.models.contract.fitted_images import FittedImages
from dpsynth.models.shared.class_rejection import RejectionClassifier
from dpsynth.networks.pixel_grid import PixelGrid
from dpsynth.networks.pixel_network import PixelCNN, PixelMADE, PixelNetwork

ROUNDS = 3  # of back-projection


def upsampled(units: Tensor, height: int, width: int, rounds: int = ROUNDS) -> Tensor:
    """(n, channels, h, w) in [0, 1] -> (n, channels, height, width) in [0, 1]; images of that size stay as they are."""
    if units.shape[2:] == (height, width):
        return units
    large = F.interpolate(units, (height, width), mode="bicubic", align_corners=False).clamp_(0, 1)
    for _ in range(rounds):
        missing = units - F.adaptive_avg_pool2d(large, (units.shape[2], units.shape[3]))
        large = (large + F.interpolate(missing, (height, width), mode="nearest")).clamp_(0, 1)
    return large


# -------------------- Fitted pixels ---------------------------------------------------------

Kind = Literal["conv", "dense"]
IMAGES_AT_ONCE = 4096


@dataclass(frozen=True)
class PixelShape:
    """The public shape of a network over pixels, and how images are drawn from it; see `PixelMAF`."""

    size: int
    neighbours: int
    levels: int
    network: Kind
    width: int
    above: int
    beside: int
    layers: int
    reach: int
    hidden: int
    temperature: float
    tries: int

    def view(self, domain: ImageDomain) -> ImageView:
        return ImageView(domain, self.size, self.levels)

    def grid(self, domain: ImageDomain) -> PixelGrid:
        view = self.view(domain)
        return PixelGrid.of(view.shape, view.levels, self.neighbours)

    def build(
        self, domain: ImageDomain, table: Tensor, means: Tensor, generator: torch.Generator | None
    ) -> PixelNetwork:
        """A new network over the pixels of `domain`, starting at the distribution of `table`."""
        grid = self.grid(domain)
        if self.network == "dense":
            return PixelMADE(grid, table, self.hidden, self.layers, generator)
        return PixelCNN(grid, table, means, self.width, self.above, self.beside, self.layers, self.reach, generator)


class FittedPixels(FittedImages):
    """A network over pixels, and a classifier of its draws when there are classes to evaluate by.

    table, means: see `PixelNetwork` and `PixelCNN`.
    """

    def __init__(
        self,
        domain: ImageDomain,
        shape: PixelShape,
        network: PixelNetwork,
        table: Tensor,
        means: Tensor,
        classifier: RejectionClassifier | None,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.shape, self.network, self.classifier = shape, network.eval(), classifier
        self.table, self.means = table, means
        self.view, self.grid = shape.view(domain), network.grid

    def config(self) -> dict[str, Any]:
        return {"shape": asdict(self.shape), "evaluated": self.classifier is not None}

    def tensors(self) -> dict[str, Tensor]:
        evaluated = {} if self.classifier is None else self.classifier.state_dict(prefix="classifier.")
        return {"table": self.table, "means": self.means, **self.network.state_dict(prefix="network."), **evaluated}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        domain: ImageDomain,
        statement: Mapping[str, Any],
    ) -> Self:
        shape = PixelShape(**config["shape"])
        network = shape.build(domain, tensors["table"], tensors["means"], None)
        network.load_state_dict(below("network.", tensors))
        classifier = None
        if config["evaluated"]:
            classifier = RejectionClassifier(shape.view(domain).shape, len(domain.classes))
            classifier.load_state_dict(below("classifier.", tensors))
        return cls(domain, shape, network, tensors["table"], tensors["means"], classifier, statement)

    def log_density(self, images: Images) -> np.ndarray:
        """(n,) log probability of the working-resolution codes of images given their class, in nats, under the
        network; which draws the classifier keeps does not enter. Raises `ConfigError` for images of another kind."""
        if images.domain.shape != self.domain.shape or images.domain.classes != self.domain.classes:
            raise ConfigError("log_density: these images have another size or other classes than the model's")
        grids = self.grid.flatten(torch.from_numpy(self.view.codes(images.pixels)))
        labels = torch.zeros(len(grids), dtype=torch.int64)
        if images.labels is not None:
            labels = torch.from_numpy(images.labels)
        return self.network.log_probabilities(grids, labels).numpy()

    def _draw(self, labels: np.ndarray, generators: Generators) -> np.ndarray:
        wanted = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))

        def draw(some: Tensor) -> Tensor:
            return self.network.sample(some, generators.torch, self.shape.temperature)

        if self.classifier is None:
            return self._native(draw(wanted))
        return self._native(self.classifier.kept(draw, self._units, wanted, self.shape.tries))

    def _native(self, grids: Tensor) -> np.ndarray:
        """(n, channels, height, width) uint8 of codes (n, h, w).

        Two levels are smoothed only: at 0 and 1 there is no room for back-projection, which then makes blocks.
        """
        rounds = 0 if self.grid.levels == 2 else ROUNDS
        pixels = np.empty((len(grids), *self.domain.shape), dtype=np.uint8)
        for start in range(0, len(grids), IMAGES_AT_ONCE):
            units = self._units(grids[start : start + IMAGES_AT_ONCE])
            large = upsampled(units, self.domain.height, self.domain.width, rounds)
            pixels[start : start + IMAGES_AT_ONCE] = large.mul(255).round_().to(torch.uint8).numpy()
        return pixels

    def _units(self, grids: Tensor) -> Tensor:
        return self.grid.unflatten(grids).float() / max(self.grid.levels - 1, 1)
