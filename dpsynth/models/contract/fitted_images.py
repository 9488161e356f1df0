"""A fitted model of images: conditions on the class, and labels drawn evenly where nothing else is known."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.errors import ConfigError, SchemaError
from dpsynth.models.contract.fitted import Fitted, Generators


class FittedImages(Fitted[Images]):
    """A model whose samples are images; a method adds `_draw`, and `label_fractions` when it knows them."""

    domain: ImageDomain

    @property
    def label_fractions(self) -> np.ndarray:
        """(classes,) float64 fractions of the classes in a sample; even unless a method estimated them."""
        return np.full(max(len(self.domain.classes), 1), 1.0 / max(len(self.domain.classes), 1))

    @abstractmethod
    def _draw(self, labels: np.ndarray, generators: Generators) -> np.ndarray:
        """(n, channels, height, width) uint8 images of the classes `labels`, int64 (n,); all 0 without classes."""

    def _sample(self, n: int, seed: int | None, where: Mapping[str, Any]) -> Images:
        generators = Generators.seeded(seed)
        pixels = self._draw(labels := self._labels(n, generators, where), generators)
        return Images(pixels, labels if self.domain.classes else None, self.domain)

    def _labels(self, n: int, generators: Generators, where: Mapping[str, Any]) -> np.ndarray:
        """Class codes: the one asked for, else in proportion to the fractions (up to one image), in random order."""
        for name in where:
            if name != self.domain.label:
                raise ConfigError(f"where: images can be chosen by '{self.domain.label}' only, not by {name!r}")
        if where:
            try:
                return np.full(n, self.domain.code(where[self.domain.label]), dtype=np.int64)
            except SchemaError as error:
                raise ConfigError(f"where: {error}") from None
        points = (np.arange(n) + generators.numpy.random()) / max(n, 1)
        labels = np.searchsorted(np.cumsum(self.label_fractions)[:-1], points, side="right").astype(np.int64)
        return generators.numpy.permutation(labels)
