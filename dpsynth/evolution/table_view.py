"""Rows of a table as Private Evolution sees them: states and positions, and points among which votes are cast.

Everything follows from the domain, which is public.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from dpsynth.data.codec import Codec, Encoded
from dpsynth.data.column_codes import ColumnCodes
from dpsynth.data.columns import Category, Quantity
from dpsynth.data.domain import Domain
from dpsynth.evolution.batch import Batch

ONE_HOT = 1 / 3  # weight of categories beside numbers scaled to [0, 1], as in Tab-PE (arXiv 2606.08259)
MOST_GROUPS = 100  # codes of a label by which rows are grouped; a label with more is a column like the others


class TableView:
    """The rows of `domain` as batches with two genes.

    codes: (n, D) int32 state of each cell: a category, or 0 for a value on the column's axis, then one code for each
    spike, and one for missing. units: (n, D) float64 position on the axis (linear or log as declared), where it counts.
    The label column's code is also the individual's label; without a categorical label all rows are one group.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.codec = Codec(domain, bins=1)  # one value bin: a code tells a value from spikes and missing
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
        """Of every column on an axis the (size,) position of each state: spikes where they lie, missing halfway."""
        return {int(j): _places(self.codec.columns[j]) for j in np.flatnonzero(self.on_axis)}


def _places(column: ColumnCodes) -> np.ndarray:
    places = np.full(column.size, 0.5)
    quantity = column.column
    if isinstance(quantity, Quantity) and quantity.spikes:
        plain = ColumnCodes(quantity.replace(spikes=()), 1)
        values = quantity.write(np.array(quantity.spike_values), np.zeros(len(quantity.spikes), dtype=bool))
        _, places[list(column.spike_codes)] = plain.encode(plain.column.read(values))
    return places
