"""Rows of a table as Private Evolution sees them, and the API that draws and varies them.

A row is a state and a position for each column, and a point among which votes are cast. Everything follows from the
domain, which is public.

The API for tables: rows drawn from a proposal, and rows whose cells are drawn anew or moved a little.

Operators of Tab-PE (arXiv 2606.08259): a category is drawn anew with probability `degree`, a number moves by up to
`degree` of its range. Beyond these:
    states     point masses and missing values are states of a cell, drawn anew like categories
    proposal   rows released by another model may stand for what is likely: cells are then drawn from rows of the same
               label instead of evenly, and numbers move among their ranks instead of on the axis, so that heaps such
               as 40 hours a week survive
    crossover  a changed cell may come from a mate, another individual of the same label; all such cells of a child
               come from one mate
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, NumericColumn
from dpsynth.data.table.codec import Codec, ColumnCodes, Encoded
from dpsynth.data.table.domain import Domain
from dpsynth.models.pe.api import Batch, Provenance

ONE_HOT = 1 / 3  # weight of categories beside numbers scaled to [0, 1], as in Tab-PE (arXiv 2606.08259)
MOST_GROUPS = 100  # codes of a label by which rows are grouped; a label with more is a column like the others


class TableView:
    """The rows of `domain` as batches with two genes.

    codes: (n, D) int32 state of each cell: a category, or 0 for a value on the column's axis, then one code for each
    point mass, and one for missing. units: (n, D) float64 position on the axis (linear or log as declared), where it
    counts. The label column's code is also the individual's label; without a categorical label all rows are one group.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.codec = Codec(domain, bins=1)  # one value bin: a code tells a value from point masses and missing
        self.sizes = np.array(self.codec.sizes)
        self.on_axis = np.array([column.on_axis and column.value_bins > 0 for column in self.codec.columns])
        place = None if domain.label is None else domain.position(domain.label)
        if place is not None and not isinstance(domain.columns[place], Category):
            place = None
        self.label = None if place is None or self.sizes[place] > MOST_GROUPS else place
        self.groups = 1 if self.label is None else int(self.sizes[self.label])

    def batch(self, frame: pd.DataFrame) -> Batch:
        """The rows of a frame that fits the domain."""
        encoded = self.codec.encode(frame)
        assert encoded.units is not None
        codes = encoded.codes.astype(np.int32)
        labels = np.zeros(len(codes), dtype=np.int64) if self.label is None else codes[:, self.label].astype(np.int64)
        return Batch(labels, {"codes": codes, "units": encoded.units})

    def frame(self, batch: Batch) -> pd.DataFrame:
        """The rows of a batch: the inverse of `batch`."""
        return self.codec.decode(Encoded(batch.genes["codes"], batch.genes["units"]))

    def tidy(self, labels: np.ndarray, codes: np.ndarray, units: np.ndarray) -> Batch:
        """A batch of changed cells: positions moved to the middle of their value, labels put into their column."""
        if self.label is not None:
            codes[:, self.label] = labels
        for j in np.flatnonzero(self.on_axis):
            low, high = self.codec.columns[j].cell_ends(codes[:, j], np.clip(units[:, j], 0.0, 1.0 - 1e-12))
            units[:, j] = (low + high) / 2
        return Batch(labels, {"codes": codes, "units": units})

    def points(self, batch: Batch) -> np.ndarray:
        """(n, d) float32 in [0, 1]: numbers on their axis, and one-hot states of weight 1/3; without the label."""
        codes, units = batch.genes["codes"], batch.genes["units"]
        parts = [np.zeros((len(batch), 1), dtype=np.float32)]  # a table may have nothing but its label
        for j, column in enumerate(self.codec.columns):
            if j == self.label:
                continue
            if self.on_axis[j]:
                at = np.where(codes[:, j] < column.value_bins, units[:, j], self._places[j][codes[:, j]])
                parts.append(at[:, None].astype(np.float32))
            if column.size > 1:
                hot = np.arange(column.size) == codes[:, j, None]
                parts.append(hot.astype(np.float32) * np.float32(ONE_HOT))
        return np.concatenate(parts, axis=1)

    @cached_property
    def _places(self) -> dict[int, np.ndarray]:
        """Of every column on an axis the (size,) position of each state: point masses where they lie, missing
        halfway."""
        return {int(j): _places(self.codec.columns[j]) for j in np.flatnonzero(self.on_axis)}


def _places(column: ColumnCodes) -> np.ndarray:
    places = np.full(column.size, 0.5)
    numeric_column = column.column
    if isinstance(numeric_column, NumericColumn) and numeric_column.point_masses:
        plain = ColumnCodes(numeric_column.replace(point_masses=()), 1)
        values = numeric_column.write(
            np.array(numeric_column.point_mass_values), np.zeros(len(numeric_column.point_masses), dtype=bool)
        )
        _, places[list(column.point_mass_codes)] = plain.encode(plain.column.read(values))
    return places


# -------------------- Table perturbation ----------------------------------------------------


class TablePerturbation:
    """Rows of the tables that `view` shows.

    proposal: released rows of the same view, or None for evenly drawn cells. crossover: fraction of the changed cells
    that come from a mate.
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
