"""Fitted class-conditional generators, of tables and of images: a network, the fractions of the classes, and a view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.table.domain import Domain
from dpsynth.models.contract.fitted import Generators
from dpsynth.models.contract.fitted_images import FittedImages
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.shared.row_vectors import VectorView
from dpsynth.networks.generators import AffineGenerator, BlockDistributions, CosineImages, GeneratorShape

POOL = 4096  # draws among which those that meet a condition are chosen, at least
FRACTIONS = "label_fractions"


def table_generator(
    view: VectorView, shape: GeneratorShape, generator: torch.Generator | None = None
) -> AffineGenerator:
    """A network that writes the vectors of a view; `generator` makes its initial weights."""
    return AffineGenerator(shape, view.classes, BlockDistributions(view.sizes), generator)


def image_generator(
    view: ImageView, shape: GeneratorShape, waves: float, generator: torch.Generator | None = None
) -> AffineGenerator:
    """A network that writes images at the working resolution of a view, of `waves`, a fraction of the cosine waves."""
    classes = max(1, len(view.domain.classes))
    return AffineGenerator(shape, classes, CosineImages(view.shape, waves), generator)


class FittedTableGenerator(FittedTable):
    """A generator of the vectors of a `VectorView`. shares: (classes,) float64, of the classes in a sample."""

    def __init__(
        self,
        domain: Domain,
        bins: int,
        network: AffineGenerator,
        fractions: torch.Tensor,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.view, self.network, self.fractions = VectorView(domain, bins), network.to("cpu").eval(), fractions

    def config(self) -> dict[str, Any]:
        return {"bins": self.view.bins, "shape": asdict(self.network.shape)}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {**self.network.state_dict(), FRACTIONS: self.fractions}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        network = table_generator(VectorView(domain, config["bins"]), GeneratorShape(**config["shape"]))
        return cls(domain, config["bins"], *_loaded(network, tensors), statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        fixed, label = self.view.fixed(where)
        count = max(POOL, 4 * n) if fixed and n else n
        labels = np.full(count, label) if label is not None else self._labels(count, generators)
        vectors = self.network.draw(torch.from_numpy(labels.astype(np.int64)), generators.torch).numpy()
        if fixed:
            vectors, labels = self._meeting(fixed, vectors, labels, n, generators)
        return self.view.decode(vectors, labels, generators)

    def _labels(self, n: int, generators: Generators) -> np.ndarray:
        fractions = self.fractions.numpy()
        return generators.numpy.choice(len(fractions), n, p=fractions / fractions.sum())

    def _meeting(
        self, fixed: Mapping[int, int], vectors: np.ndarray, labels: np.ndarray, n: int, generators: Generators
    ) -> tuple[np.ndarray, np.ndarray]:
        """n of the draws, each as likely as it gives the codes asked for. Given z the columns are independent, so the
        other columns of a draw need no change; distributions are nowhere 0, so no condition is too rare."""
        if not n:
            return vectors[:0], labels[:0]
        distributions = self.view.distributions(vectors)
        logs = sum(np.log(np.maximum(distributions[block][:, code], 1e-300)) for block, code in fixed.items())
        weights = np.exp(logs - np.max(logs))
        chosen = generators.numpy.choice(len(vectors), n, p=weights / weights.sum())
        return vectors[chosen], labels[chosen]


class FittedImageGenerator(FittedImages):
    """A generator of images at a working resolution. shares: (classes,) float64, of the classes in a sample."""

    def __init__(
        self,
        domain: ImageDomain,
        size: int,
        waves: float,
        network: AffineGenerator,
        fractions: torch.Tensor,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.size, self.waves = size, waves
        self.view = ImageView(domain, size)
        self.network, self.fractions = network.to("cpu").eval(), fractions

    def config(self) -> dict[str, Any]:
        return {"size": self.size, "waves": self.waves, "shape": asdict(self.network.shape)}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {**self.network.state_dict(), FRACTIONS: self.fractions}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: ImageDomain,
        statement: Mapping[str, Any],
    ) -> Self:
        size, waves = config["size"], config["waves"]
        network = image_generator(ImageView(domain, size), GeneratorShape(**config["shape"]), waves)
        return cls(domain, size, waves, *_loaded(network, tensors), statement)

    @property
    def label_fractions(self) -> np.ndarray:
        return self.fractions.numpy() / self.fractions.numpy().sum()

    def _draw(self, labels: np.ndarray, generators: Generators) -> np.ndarray:
        units = self.network.draw(torch.from_numpy(labels), generators.torch)
        return self.view.pixels(units.numpy())


def _loaded(network: AffineGenerator, tensors: Mapping[str, torch.Tensor]) -> tuple[AffineGenerator, torch.Tensor]:
    """The network with the weights that were saved, and the fractions that were saved beside them."""
    network.load_state_dict({name: tensor for name, tensor in tensors.items() if name != FRACTIONS})
    return network, tensors[FRACTIONS]
