"""The final pool of an evolution of rows: proposals, and variations of the population, weighted by all releases.

Post-processing: the pool is made of released rows, its weights of released histograms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dpsynth.evolution.api import PEApi
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.generations import Ballot, Population
from dpsynth.evolution.reweighting import Histogram, reweighted
from dpsynth.evolution.selection import whole_shares
from dpsynth.evolution.table_margins import margins
from dpsynth.evolution.table_view import TableView
from dpsynth.privacy.nearest_votes import Points, nearest_candidates

VOTED, KEPT = 0.5, 3.0  # freedom of a weight by the votes, and by the proposal's one-way histograms
MARGIN_NOISE = 10.0  # rows: how closely those histograms are met


@dataclass(frozen=True)
class TablePool:
    """members: released rows. proposal: those that a seed model made, if there was one."""

    view: TableView
    members: Batch
    proposal: Batch | None

    @classmethod
    def of(
        cls,
        view: TableView,
        api: PEApi,
        population: Population,
        shares: np.ndarray,
        proposal: Batch | None,
        variants: int,
        spread: float,
        generator: np.random.Generator,
    ) -> Self:
        """The proposal, and `variants` rows that stray from the population by `spread`, of labels in these shares."""
        labels = np.repeat(np.arange(len(shares)), whole_shares(variants, shares))
        strayed = api.variation(population.draw(labels, generator), spread, generator)
        return cls(view, strayed if proposal is None else Batch.joined([proposal, strayed]), proposal)

    def weighted(
        self, ballots: Sequence[Ballot], rows: int, noise: float, nearest: int, shares: np.ndarray
    ) -> tuple[Population, np.ndarray]:
        """(the pool with its weights, the shares of its labels).

        rows: declared or noisy number of private rows. noise: of a vote. shares: of the labels, met where no proposal
        knows them better.
        """
        points = Points(self.view.points(self.members), self.members.labels)
        histograms = [
            Histogram(
                nearest_candidates(points, Points(ballot.points, ballot.labels), nearest),
                ballot.noisy,
                noise,
                VOTED,
                1 / math.sqrt(nearest),
            )
            for ballot in ballots
        ]
        if self.proposal is not None:
            histograms += [
                Histogram(cells[:, None], part * rows, MARGIN_NOISE, KEPT)
                for cells, part in margins(self.view, self.proposal, self.members)
            ]
        else:
            histograms.append(Histogram(self.members.labels[:, None], shares * rows, MARGIN_NOISE, KEPT))
        weights = reweighted(histograms, len(self.members), rows)
        known = np.bincount(self.members.labels, weights, minlength=len(shares))
        within = np.maximum(known, np.finfo(np.float64).tiny)[self.members.labels]
        return Population(self.members, weights / within), known
