"""Rows of a table as codes and as numbers in the unit interval, with the exact way back.

A codec is made from a domain alone and never sees data, so bins and codes are public. Codes of a column
are laid out as

    value bins 0 .. value_bins-1, then one code per spike, then one for missing

For a category the value bins are its values. For a quantity they have equal width on the declared (linear
or log) axis, snapped to the lattice of possible values, so that every bin holds a known number of values
and none is empty; spikes within the bounds are taken out of the lattice first. The unit interval is the
same axis cut into one cell per lattice value; a value stands in the middle of its cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.column_codes import ColumnCodes
from dpsynth.data.columns.raw import series_of
from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError, SchemaError

MOST_CODES = 65_535


@dataclass(frozen=True)
class Encoded:
    """n rows of D columns.

    codes  (n, D) uint8 or uint16, codes[:, j] in [0, sizes[j])
    units  (n, D) float64 in [0, 1]: the position of a value on its axis; (code + .5) / size for
           categories, spikes and missing. None when only the codes are known.
    """

    codes: np.ndarray
    units: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.codes)


class Codec:
    """Both views of the tables of one domain. `bins` is the most value bins that a quantity gets.

    Raises `SchemaError` for bounds or categories still to be bought, and for a column of more than 65,535
    codes.
    """

    def __init__(self, domain: Domain, bins: int = 64):
        if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or not 1 <= bins <= MOST_CODES:
            raise ConfigError(f"bins must be a whole number from 1 to {MOST_CODES}, got {bins!r}")
        if domain.undeclared:
            names = ", ".join(column.name for column in domain.undeclared)
            raise SchemaError(f"columns with private bounds or categories must be completed first: {names}")
        self.domain, self.bins = domain, int(bins)
        self.columns = tuple(ColumnCodes(column, self.bins) for column in domain)
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
