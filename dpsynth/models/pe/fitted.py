"""A fitted population of rows or of images: drawn by weight, varied a little, and made to meet conditions.

Images are varied where the API can be made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.table.domain import Domain
from dpsynth.models.contract.fitted import Generators
from dpsynth.models.contract.fitted_images import FittedImages
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.pe.api import Batch
from dpsynth.models.pe.generations import Population, apportioned, evenly
from dpsynth.models.pe.image_apis import portable_api
from dpsynth.models.pe.table_api import TablePerturbation, TableView

ENOUGH = 20  # members that meet the conditions; with fewer, the nearest to meeting them stand in


class EvolvedTable(FittedTable):
    """A released population, its labels' shares, and the API that varies it.

    degree: how far a drawn row may stray from the member it comes from. crossover: of `TablePerturbation`.
    proposed: cells are drawn anew from the members, not evenly.
    provenance: of the API that made the population.
    """

    def __init__(
        self,
        domain: Domain,
        population: Population,
        label_fractions: np.ndarray,
        degree: float,
        crossover: float = 0.0,
        proposed: bool = False,
        provenance: str = "none",
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.population, self.label_fractions, self.degree = population, label_fractions, degree
        self.view, self.provenance = TableView(domain), provenance
        self.proposed = proposed
        self.api = TablePerturbation(self.view, population.members if proposed else None, crossover)

    def config(self) -> dict[str, Any]:
        settings = {"degree": self.degree, "crossover": self.api.crossover, "proposed": self.proposed}
        return {**settings, "provenance": self.provenance}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {**self.population.tensors(), "label_fractions": torch.from_numpy(self.label_fractions)}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        fractions, population = tensors["label_fractions"].numpy(), Population.restore(tensors)
        named = (config["degree"], config["crossover"], config["proposed"], config["provenance"])
        return cls(domain, population, fractions, *named, statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        draw, members = generators.numpy, self.population.members
        fractions = self.population.weights * self.label_fractions[members.labels]
        if where:
            asked = self.view.batch(self._asked(where))
            fractions = self._meeting(fractions, [self.domain.position(name) for name in where], asked)
            labels = members.labels
        else:
            labels = np.repeat(np.arange(len(self.label_fractions)), apportioned(n, self.label_fractions))
        chosen = (
            members.take(draw.permutation(evenly(fractions, n, draw))) if where else self.population.draw(labels, draw)
        )
        return self.view.frame(self.api.variation(chosen.take(draw.permutation(n)), self.degree, draw))

    def _asked(self, where: Mapping[str, Any]) -> pd.DataFrame:
        """One row with the values asked for, and anything elsewhere."""
        return self._exact(self.view.frame(self.population.members.take(np.zeros(1, dtype=np.int64))), where)

    def _meeting(self, fractions: np.ndarray, columns: list[int], asked: Batch) -> np.ndarray:
        """The fractions of the members that meet the conditions, or of the `ENOUGH` that are nearest to it."""
        genes, wanted = self.population.members.genes, asked.genes
        other_state = genes["codes"][:, columns] != wanted["codes"][:, columns]
        apart = np.where(self.view.on_axis[columns], abs(genes["units"][:, columns] - wanted["units"][:, columns]), 0.0)
        distance = np.where(other_state, 1.0, apart).sum(axis=1)
        least = np.sort(distance)[min(ENOUGH, len(distance)) - 1]
        kept = np.where(distance <= least, fractions, 0.0)
        return kept if kept.sum() > 0 else (distance <= least) / len(distance)


# -------------------- Evolved images --------------------------------------------------------

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
        fractions: np.ndarray,
        api: str | None,
        degree: float,
        provenance: str,
        history: np.ndarray,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.population, self.fractions, self.degree = population, fractions, degree
        self.name, self.provenance, self.history = api, provenance, history
        self.api = None if api is None else portable_api(api, domain)

    @property
    def label_fractions(self) -> np.ndarray:
        return self.fractions

    def config(self) -> dict[str, Any]:
        return {"api": self.name, "degree": self.degree, "provenance": self.provenance}

    def tensors(self) -> dict[str, torch.Tensor]:
        kept = {"label_fractions": self.fractions, "history": self.history}
        return {**self.population.tensors(), **{name: torch.from_numpy(array) for name, array in kept.items()}}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: ImageDomain,
        statement: Mapping[str, Any],
    ) -> Self:
        population, fractions = Population.restore(tensors), tensors["label_fractions"].numpy()
        named = (config["api"], config["degree"], config["provenance"])
        return cls(domain, population, fractions, *named, tensors["history"].numpy(), statement)

    def _draw(self, labels: np.ndarray, generators: Generators) -> np.ndarray:
        chosen, pixels = self.population.draw(labels, generators.numpy), []
        for start in range(0, max(len(labels), 1), AT_ONCE):
            part = chosen.take(np.arange(start, min(start + AT_ONCE, len(labels))))
            if self.api is not None:
                part = self.api.variation(part, self.degree, generators.numpy)
            pixels.append(part.genes["pixels"])
        return np.concatenate(pixels)
