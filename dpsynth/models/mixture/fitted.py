"""A fitted mixture of Gaussians of each class: draws standardised images, and gives them the scale of their class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.models.contract.fitted import Generators
from dpsynth.models.contract.fitted_images import FittedImages

AT_ONCE = 2048  # images drawn together


class FittedImageMixture(FittedImages):
    """x = mean + scale * (leading directions * (centre + F z) + remaining directions * deviations * z'), cut to [0, 1].

    parts, all float64, for C classes of K clusters, p pixels, d leading and r remaining directions:
        fractions (C,), weights (C, K), centres (C, K, d), factors (C, d, d), mean and scale (C, p), directions (d, p),
        remaining (r, p), already times their deviations
    """

    NAMES = ("fractions", "weights", "centres", "factors", "mean", "scale", "directions", "remaining")

    def __init__(
        self,
        domain: ImageDomain,
        size: int,
        parts: Mapping[str, Tensor],
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.size, self.view = size, ImageView(domain, size)
        self.parts = {name: parts[name].to("cpu", torch.float64) for name in self.NAMES}

    def config(self) -> dict[str, Any]:
        return {"size": self.size}

    def tensors(self) -> dict[str, Tensor]:
        return self.parts

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        domain: ImageDomain,
        statement: Mapping[str, Any],
    ) -> Self:
        fitted = cls(domain, config["size"], tensors, statement)
        fitted._check_shapes()
        return fitted

    def _check_shapes(self) -> None:
        """Raises ValueError for parts that do not fit together or the domain, as of a file that was changed."""
        classes, pixels = max(1, len(self.domain.classes)), math.prod(self.view.shape)
        clusters, directions = self.parts["centres"].shape[1:]
        remaining = len(self.parts["remaining"])
        expected = {
            "fractions": (classes,),
            "weights": (classes, clusters),
            "centres": (classes, clusters, directions),
            "factors": (classes, directions, directions),
            "mean": (classes, pixels),
            "scale": (classes, pixels),
            "directions": (directions, pixels),
            "remaining": (remaining, pixels),
        }
        for name, shape in expected.items():
            if tuple(self.parts[name].shape) != shape:
                raise ValueError(f"{name} has the shape {tuple(self.parts[name].shape)}, not {shape}")

    @property
    def label_fractions(self) -> np.ndarray:
        fractions = self.parts["fractions"].numpy()
        return fractions / fractions.sum()

    def _draw(self, labels: np.ndarray, generators: Generators) -> np.ndarray:
        pixels = np.empty((len(labels), *self.domain.shape), np.uint8)
        for start in range(0, len(labels), AT_ONCE):
            codes = torch.from_numpy(labels[start : start + AT_ONCE])
            units = self._units(codes, generators.torch).reshape(len(codes), *self.view.shape)
            pixels[start : start + AT_ONCE] = self.view.pixels(units.numpy())
        return pixels

    def _units(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(n, pixels) float32 in [0, 1]."""
        parts = self.parts

        def noise(width: int) -> Tensor:
            return torch.randn(len(labels), width, generator=generator, dtype=torch.float64)

        points = torch.rand(len(labels), 1, generator=generator, dtype=torch.float64)
        bounds = parts["weights"].cumsum(1)[labels]
        clusters = (points * bounds[:, -1:] >= bounds[:, :-1]).sum(1)
        leading = noise(parts["centres"].shape[2])
        for label in labels.unique().tolist():
            own = labels == label
            leading[own] = leading[own] @ parts["factors"][label].T
        leading += parts["centres"][labels, clusters]
        standardised = leading @ parts["directions"] + noise(len(parts["remaining"])) @ parts["remaining"]
        return (parts["mean"][labels] + parts["scale"][labels] * standardised).clamp_(0, 1).float()
