"""Coarser views of a column (age in decades, places by region) as further columns of codes.

A height maps the codes of a column to fewer codes through a public lookup table. Appended to the rows it is a
column like any other, so a marginal at a coarser height is a marginal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dpsynth.errors import ConfigError
from dpsynth.marginals.plan import MOST_CODES


@dataclass(frozen=True)
class Height:
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


def sizes_with(sizes: Sequence[int], heights: Sequence[Height]) -> tuple[int, ...]:
    """The sizes of the columns and of the heights after them; `ConfigError` for a table that does not fit."""
    result = list(sizes)
    for height in heights:
        if not 0 <= height.column < len(result):
            raise ConfigError(f"a height of column {height.column}: the columns before it are 0 to {len(result) - 1}")
        if len(height.groups) != result[height.column]:
            raise ConfigError(
                f"a height of column {height.column} maps {len(height.groups)} codes; the column has "
                f"{result[height.column]}"
            )
        if not 0 <= min(height.groups) <= max(height.groups) < MOST_CODES:
            raise ConfigError(f"a height of column {height.column} has a group outside 0 to {MOST_CODES - 1}")
        result.append(height.size)
    return tuple(result)


def append_heights(
    codes: np.ndarray, sizes: Sequence[int], heights: Sequence[Height]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """((rows, columns + heights) codes in Fortran order, their sizes); the given codes are copied.

    >>> codes, sizes = append_heights(np.array([[0], [3]], dtype=np.uint8), (4,), [Height(0, (0, 0, 1, 1))])
    >>> codes.tolist(), sizes
    ([[0, 0], [3, 1]], (4, 2))
    """
    appended = sizes_with(sizes, heights)
    dtype = np.promote_types(codes.dtype, np.uint8 if max(appended) <= 256 else np.uint16)
    wide = np.empty((len(codes), len(appended)), dtype=dtype, order="F")
    wide[:, : len(sizes)] = codes
    for position, height in enumerate(heights, start=len(sizes)):
        wide[:, position] = height.table[wide[:, height.column]]
    return wide, appended
