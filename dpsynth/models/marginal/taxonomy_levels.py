"""Coarser levels of a column (age in decades, diagnoses by chapter), for use as parents.

Level h of a number joins 2^h neighbouring value bins. The levels of a category are the groups of its hierarchy, the
closest first; without one it has level 0 only. Point masses and missing keep codes of their own at every level. A level
maps the codes of a column to fewer codes through a public lookup table: levels follow from the codec and the domain
compression, so they need not be saved. Appended to the rows a level is a column like any other, so a marginal at a
coarser level is a marginal (Zhang et al. 2017, section 5.3, calls this a taxonomy tree).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from dpsynth.data.columns.hierarchy import Path
from dpsynth.data.table.codec import Codec
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.encoded_files import EncodedFiles
from dpsynth.marginals.counting.plan import MOST_CODES
from dpsynth.models.marginal.method import EncodedRows, MappedFiles
from dpsynth.models.shared.domain_compression import DomainCompression, paths_of


@dataclass(frozen=True)
class CoarserColumn:
    """Codes of `column`, an earlier column, grouped: code c becomes groups[c]."""

    column: int
    groups: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of groups."""
        return max(self.groups) + 1

    @cached_property
    def table(self) -> np.ndarray:
        """The lookup table as uint8 or uint16."""
        return np.asarray(self.groups, dtype=np.uint8 if self.size <= 256 else np.uint16)


def sizes_with(sizes: Sequence[int], levels: Sequence[CoarserColumn]) -> tuple[int, ...]:
    """The sizes of the columns and of the levels after them; `ConfigError` for a table that does not fit."""
    result = list(sizes)
    for level in levels:
        if not 0 <= level.column < len(result):
            raise ConfigError(f"a level of column {level.column}: the columns before it are 0 to {len(result) - 1}")
        if len(level.groups) != result[level.column]:
            raise ConfigError(
                f"a level of column {level.column} maps {len(level.groups)} codes; the column has "
                f"{result[level.column]}"
            )
        if not 0 <= min(level.groups) <= max(level.groups) < MOST_CODES:
            raise ConfigError(f"a level of column {level.column} has a group outside 0 to {MOST_CODES - 1}")
        result.append(level.size)
    return tuple(result)


def append_levels(
    codes: np.ndarray, sizes: Sequence[int], levels: Sequence[CoarserColumn]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """((rows, columns + levels) codes in Fortran order, their sizes); the given codes are copied.

    >>> codes, sizes = append_levels(np.array([[0], [3]], dtype=np.uint8), (4,), [ColumnLevel(0, (0, 0, 1, 1))])
    >>> codes.tolist(), sizes
    ([[0, 0], [3, 1]], (4, 2))
    """
    appended = sizes_with(sizes, levels)
    dtype = np.promote_types(codes.dtype, np.uint8 if max(appended) <= 256 else np.uint16)
    wide = np.empty((len(codes), len(appended)), dtype=dtype, order="F")
    wide[:, : len(sizes)] = codes
    for position, level in enumerate(levels, start=len(sizes)):
        wide[:, position] = level.table[wide[:, level.column]]
    return wide, appended


# -------------------- Levels -----------------------------------------------------------------

LEAST_BINS = 2


class ColumnLevel(NamedTuple):
    """A column at a level of its taxonomy."""

    column: int
    level: int


def _grouped(paths: Sequence[Path]) -> list[np.ndarray]:
    """For each depth of a hierarchy, from the closest groups to the widest, the group of each code; a code in no group
    is one of its own. Depths that join nothing more are left out."""
    found: list[np.ndarray] = []
    fewest = len(paths)
    for depth in range(max(map(len, paths), default=0), 0, -1):
        names = [path[:depth] or (None, code) for code, path in enumerate(paths)]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        if len(numbers) < fewest:
            fewest = len(numbers)
            found.append(np.array([numbers[name] for name in names]))
    return found


class TaxonomyLevels:
    """All levels of the merged codes of a table.

    maps: for every level the (merged codes,) code it sees. sizes: codes of every level. positions: the column of
    `codes` that holds it.
    """

    def __init__(self, codec: Codec, compression: DomainCompression, coarsen: bool = True) -> None:
        self.maps = {ColumnLevel(j, 0): np.arange(size) for j, size in enumerate(compression.sizes)}
        for j, column in enumerate(codec.columns):
            if not coarsen:
                continue
            if not column.on_axis:
                for level, joined in enumerate(_grouped(paths_of(column, compression.maps[j])), start=1):
                    self.maps[ColumnLevel(j, level)] = joined
                continue
            bins, size = int(compression.maps[j][: column.value_bins].max()) + 1, compression.sizes[j]
            for level in range(1, math.ceil(math.log2(bins / LEAST_BINS)) + 1):
                joined = np.arange(bins) >> level
                rest = np.arange(joined[-1] + 1, joined[-1] + 1 + size - bins)
                self.maps[ColumnLevel(j, level)] = np.concatenate([joined, rest])
        self.sizes = {column_level: int(m.max()) + 1 for column_level, m in self.maps.items()}
        self.positions = {column_level: k for k, column_level in enumerate(self.maps)}

    def codes(self, rows: EncodedRows) -> np.ndarray | EncodedFiles:
        """(rows, levels) codes, column-major, or files that are seen so. Private."""
        if isinstance(rows.codes, EncodedFiles):
            seen = [
                (column_level.column, m[rows.compression.maps[column_level.column]])
                for column_level, m in self.maps.items()
            ]
            return MappedFiles.of(rows.codes, seen)
        above = [
            CoarserColumn(column_level.column, tuple(m.tolist()))
            for column_level, m in self.maps.items()
            if column_level.level
        ]
        return append_levels(rows.codes, rows.sizes, above)[0] if above else rows.codes

    def fitting(self, columns: Sequence[int], cells: float) -> tuple[ColumnLevel, ...] | None:
        """Levels of `columns` with at most `cells` cells together: the widest is coarsened until they fit. None if they
        never do."""
        taxonomy_levels = [ColumnLevel(j, 0) for j in columns]
        while math.prod(self.sizes[column_level] for column_level in taxonomy_levels) > cells:
            higher = [k for k, (j, level) in enumerate(taxonomy_levels) if ColumnLevel(j, level + 1) in self.maps]
            if not higher:
                return None
            widest = max(higher, key=lambda k: self.sizes[taxonomy_levels[k]])
            taxonomy_levels[widest] = ColumnLevel(taxonomy_levels[widest].column, taxonomy_levels[widest].level + 1)
        return tuple(taxonomy_levels)
