"""A fitted population of images: drawn by weight, and varied where the API can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch

from dpsynth.data.image_domain import ImageDomain
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.generations import Population
from dpsynth.evolution.image_apis import portable_api
from dpsynth.models.fitted import Generators
from dpsynth.models.fitted_images import FittedImages

AT_ONCE = 4096  # images made together
SHOWN = 10  # images of a class kept of every iteration


class History:
    """Some candidates of each class, from most noisy votes to fewest, of every iteration: released, like the votes.

    Spread evenly over the order of the votes, so that they show all candidates and not the best alone.
    """

    def __init__(self, labels: int, domain: ImageDomain) -> None:
        self.pictures = np.zeros((0, labels, SHOWN, *domain.shape), dtype=np.uint8)

    def add(self, step: int, candidates: Batch) -> None:
        """`candidates`: in the order of their votes."""
        shown = np.zeros((1, *self.pictures.shape[1:]), dtype=np.uint8)
        for label in range(shown.shape[1]):
            own = candidates.genes["pixels"][candidates.labels == label]
            some = min(SHOWN, len(own))
            shown[0, label, :some] = own[np.arange(some) * len(own) // max(some, 1)]
        self.pictures = np.concatenate([self.pictures[:step], shown])


class EvolvedImages(FittedImages):
    """A released population and, by name, the simulator that varies it.

    api: "glyphs" or "faces", or None: samples are then the members themselves. degree: how far a drawn image may stray
    from the member it comes from. shares: (labels,) float64 of the classes in a sample. history: some candidates of
    every iteration, (iterations, labels, images, channels, height, width) uint8, for a picture of the evolution.
    """

    def __init__(
        self,
        domain: ImageDomain,
        population: Population,
        shares: np.ndarray,
        api: str | None,
        degree: float,
        provenance: str,
        history: np.ndarray,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.population, self.shares, self.degree = population, shares, degree
        self.name, self.provenance, self.history = api, provenance, history
        self.api = None if api is None else portable_api(api, domain)

    @property
    def label_shares(self) -> np.ndarray:
        return self.shares

    def config(self) -> dict[str, Any]:
        return {"api": self.name, "degree": self.degree, "provenance": self.provenance}

    def tensors(self) -> dict[str, torch.Tensor]:
        kept = {"label_shares": self.shares, "history": self.history}
        return {**self.population.tensors(), **{name: torch.from_numpy(array) for name, array in kept.items()}}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: ImageDomain,
        statement: Mapping[str, Any],
    ) -> Self:
        population, shares = Population.restore(tensors), tensors["label_shares"].numpy()
        named = (config["api"], config["degree"], config["provenance"])
        return cls(domain, population, shares, *named, tensors["history"].numpy(), statement)

    def _draw(self, labels: np.ndarray, generators: Generators) -> np.ndarray:
        chosen, pixels = self.population.draw(labels, generators.numpy), []
        for start in range(0, max(len(labels), 1), AT_ONCE):
            part = chosen.take(np.arange(start, min(start + AT_ONCE, len(labels))))
            if self.api is not None:
                part = self.api.variation(part, self.degree, generators.numpy)
            pixels.append(part.genes["pixels"])
        return np.concatenate(pixels)
