"""A fitted population of rows: drawn by weight, varied a little, and made to meet conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.domain import Domain
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.generations import Population
from dpsynth.evolution.selection import evenly, whole_shares
from dpsynth.evolution.table_perturbation import TablePerturbation
from dpsynth.evolution.table_view import TableView
from dpsynth.models.fitted import Generators
from dpsynth.models.fitted_table import FittedTable

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
        label_shares: np.ndarray,
        degree: float,
        crossover: float = 0.0,
        proposed: bool = False,
        provenance: str = "none",
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.population, self.label_shares, self.degree = population, label_shares, degree
        self.view, self.provenance = TableView(domain), provenance
        self.proposed = proposed
        self.api = TablePerturbation(self.view, population.members if proposed else None, crossover)

    def config(self) -> dict[str, Any]:
        settings = {"degree": self.degree, "crossover": self.api.crossover, "proposed": self.proposed}
        return {**settings, "provenance": self.provenance}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {**self.population.tensors(), "label_shares": torch.from_numpy(self.label_shares)}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        shares, population = tensors["label_shares"].numpy(), Population.restore(tensors)
        named = (config["degree"], config["crossover"], config["proposed"], config["provenance"])
        return cls(domain, population, shares, *named, statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        draw, members = generators.numpy, self.population.members
        shares = self.population.weights * self.label_shares[members.labels]
        if where:
            asked = self.view.batch(self._asked(where))
            shares = self._meeting(shares, [self.domain.position(name) for name in where], asked)
            labels = members.labels
        else:
            labels = np.repeat(np.arange(len(self.label_shares)), whole_shares(n, self.label_shares))
        chosen = (
            members.take(draw.permutation(evenly(shares, n, draw))) if where else self.population.draw(labels, draw)
        )
        return self.view.frame(self.api.variation(chosen.take(draw.permutation(n)), self.degree, draw))

    def _asked(self, where: Mapping[str, Any]) -> pd.DataFrame:
        """One row with the values asked for, and anything elsewhere."""
        return self._exact(self.view.frame(self.population.members.take(np.zeros(1, dtype=np.int64))), where)

    def _meeting(self, shares: np.ndarray, columns: list[int], asked: Batch) -> np.ndarray:
        """The shares of the members that meet the conditions, or of the `ENOUGH` that are nearest to it."""
        genes, wanted = self.population.members.genes, asked.genes
        other_state = genes["codes"][:, columns] != wanted["codes"][:, columns]
        apart = np.where(self.view.on_axis[columns], abs(genes["units"][:, columns] - wanted["units"][:, columns]), 0.0)
        distance = np.where(other_state, 1.0, apart).sum(axis=1)
        least = np.sort(distance)[min(ENOUGH, len(distance)) - 1]
        kept = np.where(distance <= least, shares, 0.0)
        return kept if kept.sum() > 0 else (distance <= least) / len(distance)
