"""Rows of a table as codes and as numbers in the unit interval, column by column, with the exact way back.

The codes of one column: which values share a code, and the maps between values, codes and units.

Layout: value bins 0 .. value_bins-1, then one code per point mass, then one for missing. Everything here is
public: it follows from the declared column and the greatest number of bins, or from cuts that were released.

Rows of a table as codes and as numbers in the unit interval, with the exact way back.

A codec is made from a domain, and from cuts where bins were estimated privately. It never sees data, so bins and codes
are public. Codes of a column are laid out as

    value bins 0 .. value_bins-1, then one code per point mass, then one for missing

For a category the value bins are its values. For a numeric column they have equal width on the declared (linear
or log) axis, snapped to the lattice of possible values, so that every bin holds a known number of values
and none is empty; point masses within the bounds are taken out of the lattice first. The unit interval is the
same axis cut into one cell per lattice value; a value stands in the middle of its cell.

Places: the lattice values of a column are numbered from 0, without its point masses; a continuum has 2^40 places of
equal width on its axis. Cuts are ascending places. A bin of one place is a single value: on a continuum the one with
the fewest decimals that the place holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Column, NumericColumn, Reading
from dpsynth.data.columns.raw import series_of
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError, SchemaError

CONTINUUM = 2**40  # places of a continuum


@dataclass(frozen=True)
class ColumnCodes:
    """The code layout of one declared column, and the maps between its values, codes and units.

    given: cuts of the value bins, ascending places from 0 to `places`; None for `bins` bins of equal width.
    """

    column: Column
    bins: int
    given: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.given is None:
            return
        cuts = np.array(self.given, dtype=np.int64)
        if not (len(cuts) > 1 and cuts[0] == 0 and cuts[-1] == self.places and (np.diff(cuts) > 0).all()):
            raise ConfigError(f"column '{self.name}': cuts must rise from 0 to {self.places}")

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def on_axis(self) -> bool:
        """Whether the value bins lie on an axis, one after the other; categories do not."""
        return isinstance(self.column, NumericColumn)

    @cached_property
    def _numeric_column(self) -> NumericColumn | None:
        return self.column if isinstance(self.column, NumericColumn) else None

    @cached_property
    def _inner(self) -> np.ndarray:
        """Ticks of the point masses within the bounds, ascending; taken out of the lattice."""
        numeric_column = self._numeric_column
        if numeric_column is None or numeric_column.step is None:
            return np.zeros(0, dtype=np.int64)
        return numeric_column.tick(np.array(numeric_column.inner_point_masses, dtype=np.float64))

    @cached_property
    def cells(self) -> int | None:
        """Number of lattice values without point masses; None for a continuum and for categories."""
        if self._numeric_column is None or self._numeric_column.step is None:
            return None
        return self._numeric_column.count - len(self._inner)

    @cached_property
    def places(self) -> int:
        """Number of places on the value axis; 0 for categories."""
        if not self.on_axis:
            return 0
        return CONTINUUM if self.cells is None else self.cells

    @cached_property
    def _cuts(self) -> np.ndarray | None:
        """(value_bins + 1,) int64 first cell of each bin, and the end; None where there is no lattice."""
        if self.cells is None:
            return None
        if self.given is not None:
            return np.array(self.given, dtype=np.int64)
        if self.cells <= self.bins:
            return np.arange(self.cells + 1)
        cuts = np.rint(self.from_axis(np.arange(self.bins + 1) / self.bins)).astype(np.int64)
        cuts[0], cuts[-1] = 0, self.cells
        return np.unique(cuts)

    @cached_property
    def edges(self) -> np.ndarray:
        """(value_bins + 1,) float64 bin edges on the unit interval, from 0 to 1, strictly rising."""
        if isinstance(self.column, Category):
            return np.arange(self.value_bins + 1) / self.size
        if self._cuts is not None:
            return self._to_axis(self._cuts.astype(np.float64))
        if self.given is not None:
            return np.array(self.given, dtype=np.float64) / CONTINUUM
        return np.arange(self.bins + 1) / self.bins

    @cached_property
    def cut_places(self) -> np.ndarray:
        """(value_bins + 1,) int64 place at which each value bin begins, and the end."""
        if self._cuts is not None:
            return self._cuts
        return np.rint(self.edges * CONTINUUM).astype(np.int64)

    @cached_property
    def values_in_bin(self) -> np.ndarray | None:
        """(value_bins,) int64 number of distinct values of each bin; None for categories and continua."""
        return None if self._cuts is None else np.diff(self._cuts)

    @cached_property
    def value_bins(self) -> int:
        if isinstance(self.column, Category):
            return len(self.column.values)
        if self.given is not None:
            return len(self.given) - 1
        return self.bins if self._cuts is None else len(self._cuts) - 1

    @cached_property
    def ends(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The (first, last) values of every value bin of a numeric column, as texts of a CSV file.

        On a continuum the last one is the edge to the next bin, which belongs to that.
        """
        numeric_column = self._numeric_column
        assert numeric_column is not None, "categories have no order of bins"
        if self._cuts is None:
            edges = numeric_column.start + self.from_axis(self.edges)
            low, high = edges[:-1], edges[1:]
        else:
            low, high = (numeric_column.value(self._to_ticks(cells)) for cells in (self._cuts[:-1], self._cuts[1:] - 1))
        return self.texts(low), self.texts(high)

    @cached_property
    def point_mass_texts(self) -> tuple[str, ...]:
        """The declared point masses, as texts of a CSV file."""
        return self.texts(np.array(self._numeric_column.point_mass_values)) if self._numeric_column else ()

    def texts(self, values: np.ndarray) -> tuple[str, ...]:
        """Values on the axis as texts of a CSV file."""
        written = self.column.write(values, np.zeros(len(values), dtype=bool))
        return tuple(str(value) for value in self.column.text(written))

    @cached_property
    def point_mass_codes(self) -> tuple[int, ...]:
        """Codes of the declared point masses, in their declared order."""
        point_masses = 0 if self._numeric_column is None else len(self._numeric_column.point_masses)
        return tuple(range(self.value_bins, self.value_bins + point_masses))

    @cached_property
    def missing_code(self) -> int | None:
        return self.value_bins + len(self.point_mass_codes) if self.column.missing else None

    @cached_property
    def size(self) -> int:
        return self.value_bins + len(self.point_mass_codes) + int(self.column.missing)

    # The axis: cell numbers (or distances from the low bound) <-> the unit interval, linear or logarithmic.

    @cached_property
    def _origin_and_length(self) -> tuple[float, float]:
        numeric_column = self._numeric_column
        assert numeric_column is not None
        if numeric_column.step is None:
            return numeric_column.start, numeric_column.stop - numeric_column.start
        assert self.cells is not None
        return max(numeric_column.start / numeric_column.step, 1.0), float(self.cells)

    def _to_axis(self, distance: np.ndarray) -> np.ndarray:
        origin, length = self._origin_and_length
        if self._numeric_column is not None and self._numeric_column.scale == "log":
            return np.log1p(distance / origin) / np.log1p(length / origin)
        return distance / length

    def from_axis(self, units: np.ndarray) -> np.ndarray:
        """Distances from the low bound (lattice values, or units of the value) of units on the axis."""
        origin, length = self._origin_and_length
        if self._numeric_column is not None and self._numeric_column.scale == "log":
            return origin * np.expm1(units * np.log1p(length / origin))
        return units * length

    def encode(self, reading: Reading) -> tuple[np.ndarray, np.ndarray]:
        """((n,) int64 codes, (n,) float64 units) of legal values."""
        values, numeric_column = reading.values, self._numeric_column
        if numeric_column is None:
            codes = values if self.missing_code is None else np.where(reading.missing, self.missing_code, values)
            return codes, (codes + 0.5) / self.size
        at_point_masses = [
            (code, values == point_mass)
            for code, point_mass in zip(self.point_mass_codes, numeric_column.point_mass_values, strict=True)
        ]
        inside = np.clip(values, numeric_column.start, numeric_column.stop)
        if self._cuts is None:
            units = np.clip(self._to_axis(inside - numeric_column.start), 0.0, 1.0)
            codes = np.clip(np.searchsorted(self.edges, units, side="right") - 1, 0, self.value_bins - 1)
        else:
            ticks = numeric_column.tick(inside)
            cells = (ticks - np.searchsorted(self._inner, ticks)).astype(np.float64)
            cells = np.minimum(cells, self._cuts[-1] - 1)  # a point mass at the high bound; it gets its own code below
            codes = np.searchsorted(self._cuts, cells, side="right") - 1
            units = (self._to_axis(cells) + self._to_axis(cells + 1)) / 2
        if self.missing_code is not None:
            at_point_masses.append((self.missing_code, reading.missing))
        for code, where in at_point_masses:
            codes, units = np.where(where, code, codes), np.where(where, (code + 0.5) / self.size, units)
        return codes, units

    def place(self, values: np.ndarray) -> np.ndarray:
        """(n,) int64 place of values within the bounds; that of a point mass is the place after it."""
        column = self._numeric_column
        assert column is not None, "categories have no places"
        inside = np.clip(values, column.start, column.stop)
        if self.cells is None:
            units = np.clip(self._to_axis(inside - column.start), 0.0, 1.0)
            return np.minimum(np.floor(units * CONTINUUM), CONTINUUM - 1).astype(np.int64)
        ticks = column.tick(inside)
        return np.minimum(ticks - np.searchsorted(self._inner, ticks), self.cells - 1)

    def places_and_others(self, reading: Reading) -> tuple[np.ndarray, np.ndarray]:
        """((n,) int64 places, (n,) int64 others) of legal values: others is -1 for a value on the axis, else the
        number of its point mass, or that after the last one for missing."""
        column = self._numeric_column
        assert column is not None, "categories have no places"
        others = np.full(len(reading.values), -1, dtype=np.int64)
        for number, point_mass in enumerate(column.point_mass_values):
            others[reading.values == point_mass] = number
        if self.column.missing:
            others[reading.missing] = len(column.point_mass_values)
        return self.place(reading.values), others

    @cached_property
    def _single_values(self) -> np.ndarray:
        """(value_bins,) the value of each bin of one place on a continuum, NaN for wider bins."""
        column = self._numeric_column
        assert column is not None
        found = np.full(self.value_bins, np.nan)
        if self.given is None:
            return found
        cuts = np.array(self.given, dtype=np.int64)
        for k in np.flatnonzero(np.diff(cuts) == 1):
            middle = column.start + float(self.from_axis(np.array((cuts[k] + 0.5) / CONTINUUM)))
            for decimals in range(-18, 18):
                value = min(max(round(middle, decimals), column.start), column.stop)
                if self.place(np.array([value]))[0] == cuts[k]:
                    found[k] = value
                    break
            else:
                found[k] = middle
        return found

    def cell_ends(self, codes: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """((n,), (n,)) float64: the stretch of the axis that stands for each lattice value.

        Both ends are the unit itself where there is none: on a continuum, for categories, point masses and missing.
        """
        if self._cuts is None:
            return units, units
        cells = np.floor(self.from_axis(units))
        of_value = codes < self.value_bins
        low, high = (np.where(of_value, self._to_axis(cell), units) for cell in (cells, cells + 1))
        return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)

    def decode(self, codes: np.ndarray, units: np.ndarray | None, generator: np.random.Generator | None) -> pd.Series:
        """The series of codes and units. Without units: a value of the bin, drawn or the middle one."""
        codes = np.clip(codes.astype(np.int64), 0, self.size - 1)
        missing = codes == self.missing_code if self.missing_code is not None else np.zeros(len(codes), dtype=bool)
        numeric_column = self._numeric_column
        if numeric_column is None:
            return self.column.write(np.where(missing, 0, codes), missing)
        bins = np.minimum(codes, self.value_bins - 1)
        if units is not None:
            units = np.where(np.isfinite(units), units, (self.edges[bins] + self.edges[bins + 1]) / 2)
        if self._cuts is None:
            low, high = self.edges[bins], self.edges[bins + 1]
            if units is None:
                units = low + (high - low) * (0.5 if generator is None else generator.random(len(codes)))
            values = numeric_column.start + self.from_axis(np.clip(units, low, high))
            values = np.clip(values, numeric_column.start, numeric_column.stop)
            if self.given is not None:
                single = self._single_values[bins]
                values = np.where(np.isnan(single), values, single)
        else:
            first, last = self._cuts[bins], self._cuts[bins + 1] - 1
            if units is None:
                cells = (first + last) // 2 if generator is None else generator.integers(first, last, endpoint=True)
            else:
                cells = np.clip(np.floor(self.from_axis(np.clip(units, 0.0, 1.0))).astype(np.int64), first, last)
            values = numeric_column.value(self._to_ticks(cells))
        for code, point_mass in zip(self.point_mass_codes, numeric_column.point_mass_values, strict=True):
            values = np.where(codes == code, point_mass, values)
        return self.column.write(values, missing)

    def _to_ticks(self, cells: np.ndarray) -> np.ndarray:
        """Cells are ticks without the point masses between them: put the point masses back."""
        before = self._inner - np.arange(len(self._inner))  # cells that lie below each point mass
        return cells + np.searchsorted(before, cells, side="right")


# -------------------- Codec -----------------------------------------------------------------

MOST_CODES = 65_535


@dataclass(frozen=True)
class Encoded:
    """n rows of D columns.

    codes  (n, D) uint8 or uint16, codes[:, j] in [0, sizes[j])
    units  (n, D) float64 in [0, 1]: the position of a value on its axis; (code + .5) / size for
           categories, point masses and missing. None when only the codes are known.
    """

    codes: np.ndarray
    units: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.codes)


class Codec:
    """Both views of the tables of one domain.

    bins: the most value bins that a numeric column gets. cuts: for some numeric columns, the ascending places at which
    their bins begin, and the end; these have other bins than `bins` says.

    Raises `SchemaError` for bounds or categories still to be estimated privately, and for a column of more than 65,535
    codes.
    """

    def __init__(self, domain: Domain, bins: int = 64, cuts: Mapping[str, Sequence[int] | np.ndarray] | None = None):
        if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or not 1 <= bins <= MOST_CODES:
            raise ConfigError(f"bins must be a whole number from 1 to {MOST_CODES}, got {bins!r}")
        if domain.undeclared:
            names = ", ".join(column.name for column in domain.undeclared)
            raise SchemaError(f"columns with private bounds or categories must be completed first: {names}")
        self.domain, self.bins = domain, int(bins)
        self.cuts = {name: tuple(int(place) for place in places) for name, places in (cuts or {}).items()}
        self.columns = tuple(ColumnCodes(column, self.bins, self.cuts.get(column.name)) for column in domain)
        self.sizes: tuple[int, ...] = tuple(column.size for column in self.columns)
        for column in self.columns:
            if column.size > MOST_CODES:
                raise SchemaError(
                    f"column '{column.name}' has {column.size} codes, more than {MOST_CODES}; "
                    "group its categories, list fewer and declare 'other', or use fewer bins"
                )
        self.dtype = np.dtype(np.uint8 if max(self.sizes) <= 256 else np.uint16)

    def under(self, domain: Domain) -> Codec:
        """The codec of the same recipe for `domain`: this one, unless bounds or categories were completed since."""
        return self if domain == self.domain else Codec(domain, self.bins)

    def edges(self, name: str) -> np.ndarray:
        """(value_bins + 1,) float64 bin edges of a column on the unit interval."""
        return self[name].edges

    def values_in_bin(self, name: str) -> np.ndarray | None:
        """(value_bins,) int64 distinct values of each bin; None for categories and continua."""
        return self[name].values_in_bin

    def __getitem__(self, name: str) -> ColumnCodes:
        return self.columns[self.domain.position(name)]

    def encode(self, frame: pd.DataFrame) -> Encoded:
        """Both views of a frame that has the domain's columns. Never raises on a value."""
        codes = np.empty((len(frame), len(self.columns)), dtype=self.dtype, order="F")
        units = np.empty((len(frame), len(self.columns)), dtype=np.float64, order="F")
        for j, column in enumerate(self.columns):
            reading = column.column.read(series_of(frame, column.name), self.domain.missing_values)
            codes[:, j], units[:, j] = column.encode(reading)
        return Encoded(np.ascontiguousarray(codes), np.ascontiguousarray(units))

    def encode_value(self, name: str, value: Any) -> tuple[int, float]:
        """(code, unit) of one legal value of a column."""
        column = self[name]
        codes, units = column.encode(column.column.read(pd.Series([value], dtype=object), self.domain.missing_values))
        return int(codes[0]), float(units[0])

    def decode(self, encoded: Encoded, generator: np.random.Generator | None = None) -> pd.DataFrame:
        """The frame of an encoding: exact when units are present, else a value drawn evenly within each bin.

        Codes beyond the range and units outside their bin (or NaN) are moved to the nearest legal ones.
        Without units and without a generator every bin gives its middle value.
        """
        units = encoded.units
        return pd.DataFrame(
            {
                column.name: column.decode(encoded.codes[:, j], None if units is None else units[:, j], generator)
                for j, column in enumerate(self.columns)
            }
        )
