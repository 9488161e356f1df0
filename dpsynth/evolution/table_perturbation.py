"""The API for tables: rows drawn from a proposal, and rows whose cells are drawn anew or moved a little.

Operators of Tab-PE (arXiv 2606.08259): a category is drawn anew with probability `degree`, a number moves by up to
`degree` of its range. Beyond these:
    states     spikes and missing values are states of a cell, drawn anew like categories
    proposal   rows released by another model may stand for what is likely: cells are then drawn from rows of the same
               label instead of evenly, and numbers move among their ranks instead of on the axis, so that heaps such
               as 40 hours a week survive
    crossover  a changed cell may come from a mate, another individual of the same label; all such cells of a child
               come from one mate
"""

from __future__ import annotations

import numpy as np

from dpsynth.evolution.api import Provenance
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.table_view import TableView


class TablePerturbation:
    """Rows of the tables that `view` shows.

    proposal: released rows of the same view, or None for evenly drawn cells. crossover: share of the changed cells that
    come from a mate.
    """

    modality: str = "table"
    portable = True

    def __init__(self, view: TableView, proposal: Batch | None = None, crossover: float = 0.0) -> None:
        self.view, self.proposal, self.crossover = view, proposal, crossover
        self.provenance = Provenance("none")
        self._sorted = {} if proposal is None else {j: _axis_values(view, proposal, j) for j in self._axes}

    @property
    def _axes(self) -> list[int]:
        return [int(j) for j in np.flatnonzero(self.view.on_axis)]

    def random(self, labels: np.ndarray, generator: np.random.Generator) -> Batch:
        """Whole rows of the proposal with the same label, or cells drawn evenly."""
        if self.proposal is None:
            return self.view.tidy(labels, *self._even(len(labels), generator))
        rows = _partners(labels, self.proposal.labels, 1, generator)[:, 0]
        genes = self.proposal.genes
        return self.view.tidy(labels, genes["codes"][rows].copy(), genes["units"][rows].copy())

    def variation(self, batch: Batch, degree: float, generator: np.random.Generator) -> Batch:
        """A child of each row; the label stays."""
        codes, units = batch.genes["codes"].copy(), batch.genes["units"].copy()
        shape = codes.shape
        if not codes.size or degree == 0:
            return self.view.tidy(batch.labels, codes, units)
        stays = self.view.on_axis & (codes < self._value_codes)  # numbers that may move on their axis
        if self.proposal is None:
            new_codes, new_units = self._even(len(codes), generator)
            moved = np.clip(units + generator.uniform(-degree, degree, shape), 0.0, 1.0)
            # As in Tab-PE a number only moves: a value that becomes a value again is not drawn anew.
            new_units = np.where(stays & (new_codes < self._value_codes), moved, new_units)
        else:
            # Every cell from another row of the proposal, so that columns are independent given the label.
            rows, columns = _partners(batch.labels, self.proposal.labels, shape[1], generator), np.arange(shape[1])
            new_codes, new_units = (self.proposal.genes[name][rows, columns] for name in ("codes", "units"))
            moved = self._moved_ranks(units, degree, generator)
        drawn = generator.random(shape) < degree
        if self.crossover:
            mates = _partners(batch.labels, batch.labels, 1, generator)[:, 0]
            crossed = generator.random(shape) < self.crossover
            new_codes = np.where(crossed, codes[mates], new_codes)
            new_units = np.where(crossed, units[mates], new_units)
        units = np.where(drawn, new_units, np.where(stays, moved, units))
        return self.view.tidy(batch.labels, np.where(drawn, new_codes, codes), units)

    @property
    def _value_codes(self) -> np.ndarray:
        return np.array([column.value_bins for column in self.view.codec.columns])

    def _even(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Every state alike, and every position."""
        codes = generator.integers(0, self.view.sizes, (n, len(self.view.sizes)), dtype=np.int64)
        return codes.astype(np.int32), generator.random(codes.shape)

    def _moved_ranks(self, units: np.ndarray, degree: float, generator: np.random.Generator) -> np.ndarray:
        """Positions whose rank among the proposal's values moved by up to `degree` of all ranks."""
        moved = units.copy()
        for j in self._axes:
            values = self._sorted[j]
            if not len(values):
                continue
            low, high = (np.searchsorted(values, units[:, j], side=side) for side in ("left", "right"))
            rank = low + generator.random(len(units)) * (high - low)  # evenly among equal values
            rank += generator.uniform(-degree, degree, len(units)) * len(values)
            moved[:, j] = values[np.clip(np.floor(rank).astype(np.int64), 0, len(values) - 1)]
        return moved


def _axis_values(view: TableView, proposal: Batch, column: int) -> np.ndarray:
    """Sorted positions of the proposal's cells that are values."""
    inside = proposal.genes["codes"][:, column] < view.codec.columns[column].value_bins
    return np.sort(proposal.genes["units"][inside, column])


def _partners(labels: np.ndarray, pool: np.ndarray, columns: int, generator: np.random.Generator) -> np.ndarray:
    """(n, columns) int64 positions in the pool, evenly among those of the same label; among all where there is none."""
    chosen = np.zeros((len(labels), columns), dtype=np.int64)
    for label in np.unique(labels):
        places, own = np.flatnonzero(labels == label), np.flatnonzero(pool == label)
        members = own if len(own) else np.arange(len(pool))
        chosen[places] = members[generator.integers(0, len(members), (len(places), columns))]
    return chosen
