"""A fitted autoregressive law of pixels: draws images of a class, and tells the log probability of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.image_view import ImageView
from dpsynth.data.images import Images
from dpsynth.errors import ConfigError
from dpsynth.models.fitted import Generators, below
from dpsynth.models.fitted_images import FittedImages
from dpsynth.models.image_judge import ImageJudge
from dpsynth.networks.pixel_cnn import PixelCNN
from dpsynth.networks.pixel_grid import PixelGrid
from dpsynth.networks.pixel_made import PixelMADE
from dpsynth.networks.pixel_network import PixelNetwork
from dpsynth.networks.upsampling import ROUNDS, upsampled

Kind = Literal["conv", "dense"]
IMAGES_AT_ONCE = 4096


@dataclass(frozen=True)
class PixelShape:
    """The public shape of a network over pixels, and how images are drawn from it; see `PixelMAF`."""

    size: int
    levels: int
    neighbours: int
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
        """A new network over the pixels of `domain`, starting at the law of `table`."""
        grid = self.grid(domain)
        if self.network == "dense":
            return PixelMADE(grid, table, self.hidden, self.layers, generator)
        return PixelCNN(grid, table, means, self.width, self.above, self.beside, self.layers, self.reach, generator)


class FittedPixels(FittedImages):
    """A network over pixels, and a judge of its draws when there are classes to judge by.

    table, means: see `PixelNetwork` and `PixelCNN`.
    """

    def __init__(
        self,
        domain: ImageDomain,
        shape: PixelShape,
        network: PixelNetwork,
        table: Tensor,
        means: Tensor,
        judge: ImageJudge | None,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.shape, self.network, self.judge = shape, network.eval(), judge
        self.table, self.means = table, means
        self.view, self.grid = shape.view(domain), network.grid

    def config(self) -> dict[str, Any]:
        return {"shape": asdict(self.shape), "judged": self.judge is not None}

    def tensors(self) -> dict[str, Tensor]:
        judged = {} if self.judge is None else self.judge.state_dict(prefix="judge.")
        return {"table": self.table, "means": self.means, **self.network.state_dict(prefix="network."), **judged}

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
        judge = None
        if config["judged"]:
            judge = ImageJudge(shape.view(domain).shape, len(domain.classes))
            judge.load_state_dict(below("judge.", tensors))
        return cls(domain, shape, network, tensors["table"], tensors["means"], judge, statement)

    def log_density(self, images: Images) -> np.ndarray:
        """(n,) log probability of the working-resolution codes of images given their class, in nats, under the
        network; which draws the judge keeps does not enter. Raises `ConfigError` for images of another kind."""
        if images.domain.shape != self.domain.shape or images.domain.classes != self.domain.classes:
            raise ConfigError("log_density: these images have another size or other classes than the model's")
        grids = self.grid.flatten(torch.from_numpy(self.view.codes(images.pixels)))
        labels = torch.zeros(len(grids), dtype=torch.int64)
        if images.labels is not None:
            labels = torch.from_numpy(images.labels)
        return self.network.log_probabilities(grids, labels).numpy()

    def _draw(self, labels: np.ndarray, generators: Generators) -> np.ndarray:
        wanted = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))
        grids = self._drawn(wanted, generators.torch)
        if self.judge is not None:
            for _ in range(self.shape.tries - 1):
                refused = (self._judged(grids) != wanted).nonzero().squeeze(1)
                if not len(refused):
                    break
                grids[refused] = self._drawn(wanted[refused], generators.torch)
        return self._native(grids)

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

    def _drawn(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        return self.network.sample(labels, generator, self.shape.temperature)

    def _judged(self, grids: Tensor) -> Tensor:
        assert self.judge is not None
        return self.judge.classes_of(self._units(grids))

    def _units(self, grids: Tensor) -> Tensor:
        return self.grid.unflatten(grids).float() / max(self.grid.levels - 1, 1)
