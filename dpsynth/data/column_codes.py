"""The codes of one column: which values share a code, and the maps between values, codes and units.

Layout: value bins 0 .. value_bins-1, then one code per spike, then one for missing. Everything here is
public: it follows from the declared column and the greatest number of bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Column, Quantity, Reading


@dataclass(frozen=True)
class ColumnCodes:
    """The code layout of one declared column, and the maps between its values, codes and units."""

    column: Column
    bins: int

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def on_axis(self) -> bool:
        """Whether the value bins lie on an axis, one after the other; categories do not."""
        return isinstance(self.column, Quantity)

    @cached_property
    def _quantity(self) -> Quantity | None:
        return self.column if isinstance(self.column, Quantity) else None

    @cached_property
    def _inner(self) -> np.ndarray:
        """Ticks of the spikes within the bounds, ascending; taken out of the lattice."""
        quantity = self._quantity
        if quantity is None or quantity.step is None:
            return np.zeros(0, dtype=np.int64)
        return quantity.tick(np.array(quantity.inner_spikes, dtype=np.float64))

    @cached_property
    def cells(self) -> int | None:
        """Number of lattice values without spikes; None for a continuum and for categories."""
        if self._quantity is None or self._quantity.step is None:
            return None
        return self._quantity.count - len(self._inner)

    @cached_property
    def _cuts(self) -> np.ndarray | None:
        """(value_bins + 1,) int64 first cell of each bin, and the end; None where there is no lattice."""
        if self.cells is None:
            return None
        if self.cells <= self.bins:
            return np.arange(self.cells + 1)
        cuts = np.rint(self._from_axis(np.arange(self.bins + 1) / self.bins)).astype(np.int64)
        cuts[0], cuts[-1] = 0, self.cells
        return np.unique(cuts)

    @cached_property
    def edges(self) -> np.ndarray:
        """(value_bins + 1,) float64 bin edges on the unit interval, from 0 to 1, strictly rising."""
        if isinstance(self.column, Category):
            return np.arange(self.value_bins + 1) / self.size
        if self._cuts is None:
            return np.arange(self.bins + 1) / self.bins
        return self._to_axis(self._cuts.astype(np.float64))

    @cached_property
    def values_in_bin(self) -> np.ndarray | None:
        """(value_bins,) int64 number of distinct values of each bin; None for categories and continua."""
        return None if self._cuts is None else np.diff(self._cuts)

    @cached_property
    def value_bins(self) -> int:
        if isinstance(self.column, Category):
            return len(self.column.values)
        return self.bins if self._cuts is None else len(self._cuts) - 1

    @cached_property
    def spike_codes(self) -> tuple[int, ...]:
        """Codes of the declared spikes, in their declared order."""
        spikes = 0 if self._quantity is None else len(self._quantity.spikes)
        return tuple(range(self.value_bins, self.value_bins + spikes))

    @cached_property
    def missing_code(self) -> int | None:
        return self.value_bins + len(self.spike_codes) if self.column.missing else None

    @cached_property
    def size(self) -> int:
        return self.value_bins + len(self.spike_codes) + int(self.column.missing)

    # The axis: cell numbers (or distances from the low bound) <-> the unit interval, linear or logarithmic.

    @cached_property
    def _origin_and_length(self) -> tuple[float, float]:
        quantity = self._quantity
        assert quantity is not None
        if quantity.step is None:
            return quantity.start, quantity.stop - quantity.start
        assert self.cells is not None
        return max(quantity.start / quantity.step, 1.0), float(self.cells)

    def _to_axis(self, distance: np.ndarray) -> np.ndarray:
        origin, length = self._origin_and_length
        if self._quantity is not None and self._quantity.scale == "log":
            return np.log1p(distance / origin) / np.log1p(length / origin)
        return distance / length

    def _from_axis(self, units: np.ndarray) -> np.ndarray:
        origin, length = self._origin_and_length
        if self._quantity is not None and self._quantity.scale == "log":
            return origin * np.expm1(units * np.log1p(length / origin))
        return units * length

    def encode(self, reading: Reading) -> tuple[np.ndarray, np.ndarray]:
        """((n,) int64 codes, (n,) float64 units) of legal values."""
        values, quantity = reading.values, self._quantity
        if quantity is None:
            codes = values if self.missing_code is None else np.where(reading.missing, self.missing_code, values)
            return codes, (codes + 0.5) / self.size
        spiked = [(code, values == spike) for code, spike in zip(self.spike_codes, quantity.spike_values, strict=True)]
        inside = np.clip(values, quantity.start, quantity.stop)
        if self._cuts is None:
            units = np.clip(self._to_axis(inside - quantity.start), 0.0, 1.0)
            codes = np.clip(np.searchsorted(self.edges, units, side="right") - 1, 0, self.value_bins - 1)
        else:
            ticks = quantity.tick(inside)
            cells = (ticks - np.searchsorted(self._inner, ticks)).astype(np.float64)
            cells = np.minimum(cells, self._cuts[-1] - 1)  # a spike at the high bound; it gets its own code below
            codes = np.searchsorted(self._cuts, cells, side="right") - 1
            units = (self._to_axis(cells) + self._to_axis(cells + 1)) / 2
        if self.missing_code is not None:
            spiked.append((self.missing_code, reading.missing))
        for code, where in spiked:
            codes, units = np.where(where, code, codes), np.where(where, (code + 0.5) / self.size, units)
        return codes, units

    def cell_ends(self, codes: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """((n,), (n,)) float64: the stretch of the axis that stands for each lattice value.

        Both ends are the unit itself where there is none: on a continuum, for categories, spikes and missing.
        """
        if self._cuts is None:
            return units, units
        cells = np.floor(self._from_axis(units))
        of_value = codes < self.value_bins
        low, high = (np.where(of_value, self._to_axis(cell), units) for cell in (cells, cells + 1))
        return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)

    def decode(self, codes: np.ndarray, units: np.ndarray | None, generator: np.random.Generator | None) -> pd.Series:
        """The series of codes and units. Without units: a value of the bin, drawn or the middle one."""
        codes = np.clip(codes.astype(np.int64), 0, self.size - 1)
        missing = codes == self.missing_code if self.missing_code is not None else np.zeros(len(codes), dtype=bool)
        quantity = self._quantity
        if quantity is None:
            return self.column.write(np.where(missing, 0, codes), missing)
        bins = np.minimum(codes, self.value_bins - 1)
        if units is not None:
            units = np.where(np.isfinite(units), units, (self.edges[bins] + self.edges[bins + 1]) / 2)
        if self._cuts is None:
            low, high = self.edges[bins], self.edges[bins + 1]
            if units is None:
                units = low + (high - low) * (0.5 if generator is None else generator.random(len(codes)))
            values = quantity.start + self._from_axis(np.clip(units, low, high))
            values = np.clip(values, quantity.start, quantity.stop)
        else:
            first, last = self._cuts[bins], self._cuts[bins + 1] - 1
            if units is None:
                cells = (first + last) // 2 if generator is None else generator.integers(first, last, endpoint=True)
            else:
                cells = np.clip(np.floor(self._from_axis(np.clip(units, 0.0, 1.0))).astype(np.int64), first, last)
            values = quantity.value(self._to_ticks(cells))
        for code, spike in zip(self.spike_codes, quantity.spike_values, strict=True):
            values = np.where(codes == code, spike, values)
        return self.column.write(values, missing)

    def _to_ticks(self, cells: np.ndarray) -> np.ndarray:
        """Cells are ticks without the spikes between them: put the spikes back."""
        before = self._inner - np.arange(len(self._inner))  # cells that lie below each spike
        return cells + np.searchsorted(before, cells, side="right")
