"""The final pool of an evolution of rows, weighted so that it agrees with everything that was released.

One-way histograms of released rows, and the cells in which others lie: what a reweighted pool must keep.

Weights for a pool of released individuals under which it agrees with everything that was released.

Every noisy histogram of an evolution cuts space into the cells of its candidates and says how many private rows lie in
each. The population alone remembers the last one; a large pool, weighted so that all histograms come out near what was
measured, uses what was paid for. It is post-processing, in the manner of reweighting public data to noisy answers (Liu
et al. 2021, arXiv 2102.08598):

    w_i proportional to exp(sum over histograms h of a[h, cell of i in h])
    minimise over a   sum over cells (n w(cell) - noisy)^2 / (2 noise^2) + a^2 / (2 freedom^2)

`freedom` is how far, as a logarithm, a weight may be expected to move: where noise is large, weights stay even.

The final pool of an evolution of rows: proposals, and variations of the population, weighted by all releases.

Post-processing: the pool is made of released rows, its weights of released histograms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dpsynth.models.pe.api import Batch, PEApi
from dpsynth.models.pe.generations import Population, VoteHistogram, apportioned
from dpsynth.models.pe.table_api import TableView
from dpsynth.privacy.mechanisms.nearest_votes import Points, nearest_candidates

BINS = 32  # of a column on an axis, of equal mass among the released rows


def margins(view: TableView, released: Batch, others: Batch) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For every column ((others,) int64 cells, (cells,) float64 fractions of the released rows)."""
    for j, column in enumerate(view.codec.columns):
        known, asked = (_states(batch, j) for batch in (released, others))
        size = column.size
        if view.on_axis[j]:
            inside = known < column.value_bins
            edges = _edges(released.genes["units"][inside, j])
            size += len(edges)
            known, asked = (
                np.where(
                    states < column.value_bins,
                    np.searchsorted(edges, batch.genes["units"][:, j], side="right"),
                    states + len(edges),
                )
                for states, batch in ((known, released), (asked, others))
            )
        yield asked, np.bincount(known, minlength=size) / max(len(known), 1)


def _states(batch: Batch, column: int) -> np.ndarray:
    return batch.genes["codes"][:, column].astype(np.int64)


def _edges(values: np.ndarray) -> np.ndarray:
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])) if len(values) else np.zeros(0)


# -------------------- Reweighting -----------------------------------------------------------

STEPS = 150
RATE = 0.1  # of Adam
NOISELESS = 1.0  # least noise, in rows: exact counts are met to about one row


@dataclass(frozen=True)
class Histogram:
    """Noisy counts, and where the pool stands in them.

    cells: (pool, k) int64, the k cells of each individual, -1 for none; it counts `fraction` in each. noisy: (cells,)
    float64, in rows. noise: standard deviation of a cell. freedom: see above.
    """

    cells: np.ndarray
    noisy: np.ndarray
    noise: float
    freedom: float
    fraction: float = 1.0


def reweighted(histograms: Sequence[Histogram], pool: int, rows: float) -> np.ndarray:
    """(pool,) float64 weights that add up to 1."""
    power = [np.zeros(len(h.noisy)) for h in histograms]
    first, second = ([np.zeros(len(a)) for a in power] for _ in range(2))
    weights = np.full(pool, 1 / pool)
    for step in range(1, STEPS + 1):
        pulls = []
        pull_of_each = np.zeros(pool)
        for h in histograms:
            noise = max(h.noise, NOISELESS)
            counts = h.fraction * rows * _summed(h.cells, weights, len(h.noisy))
            pulls.append(h.fraction * (counts - h.noisy) / noise**2)
            pull_of_each += _looked_up(h.cells, pulls[-1])
        pull_of_each -= weights @ pull_of_each  # weights add up to 1, so only differences move them
        for k, h in enumerate(histograms):
            slope = rows * _summed(h.cells, weights * pull_of_each, len(h.noisy)) + power[k] / h.freedom**2
            first[k] += 0.1 * (slope - first[k])
            second[k] += 0.001 * (slope**2 - second[k])
            ahead = first[k] / (1 - 0.9**step) / (np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8)
            power[k] -= RATE * ahead
        exponent = np.zeros(pool)
        for k, h in enumerate(histograms):
            exponent += _looked_up(h.cells, power[k])
        weights = np.exp(exponent - exponent.max())
        weights /= weights.sum()
    return weights


def _summed(cells: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """(size,) what the individuals of each cell weigh together."""
    return sum(np.bincount(column + 1, weights, minlength=size + 1)[1:] for column in cells.T)  # type: ignore[return-value]


def _looked_up(cells: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(pool,) sum of the values of each individual's cells."""
    return np.append(values, 0.0)[cells].sum(axis=1)


# -------------------- Table pool ------------------------------------------------------------

VOTED, KEPT = 0.5, 3.0  # freedom of a weight by the votes, and by the proposal's one-way histograms
MARGIN_NOISE = 10.0  # rows: how closely those histograms are met


@dataclass(frozen=True)
class TablePool:
    """members: released rows. proposal: those that a proposal model made, if there was one."""

    view: TableView
    members: Batch
    proposal: Batch | None

    @classmethod
    def of(
        cls,
        view: TableView,
        api: PEApi,
        population: Population,
        fractions: np.ndarray,
        proposal: Batch | None,
        variants: int,
        spread: float,
        generator: np.random.Generator,
    ) -> Self:
        """The proposal, and `variants` rows that stray from the population by `spread`, of labels in these shares."""
        labels = np.repeat(np.arange(len(fractions)), apportioned(variants, fractions))
        strayed = api.variation(population.draw(labels, generator), spread, generator)
        return cls(view, strayed if proposal is None else Batch.joined([proposal, strayed]), proposal)

    def weighted(
        self, vote_histograms: Sequence[VoteHistogram], rows: int, noise: float, nearest: int, fractions: np.ndarray
    ) -> tuple[Population, np.ndarray]:
        """(the pool with its weights, the fractions of its labels).

        rows: declared or noisy number of private rows. noise: of a vote. shares: of the labels, met where no proposal
        knows them better.
        """
        points = Points(self.view.points(self.members), self.members.labels)
        histograms = [
            Histogram(
                nearest_candidates(points, Points(vote_histogram.points, vote_histogram.labels), nearest),
                vote_histogram.noisy,
                noise,
                VOTED,
                1 / math.sqrt(nearest),
            )
            for vote_histogram in vote_histograms
        ]
        if self.proposal is not None:
            histograms += [
                Histogram(cells[:, None], part * rows, MARGIN_NOISE, KEPT)
                for cells, part in margins(self.view, self.proposal, self.members)
            ]
        else:
            histograms.append(Histogram(self.members.labels[:, None], fractions * rows, MARGIN_NOISE, KEPT))
        weights = reweighted(histograms, len(self.members), rows)
        known = np.bincount(self.members.labels, weights, minlength=len(fractions))
        within = np.maximum(known, np.finfo(np.float64).tiny)[self.members.labels]
        return Population(self.members, weights / within), known
