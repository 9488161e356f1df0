"""From keys to positions: whose row is whose, which rows of a person are used, and in which order.

All of it is a function of one person's rows and the secret key, so two databases that differ in one person differ
afterwards in that person's rows and nothing else, whatever stands in them (`data/selection.py` has the argument):

- a row belongs to the row above whose key it holds; where there is none (an orphan), it belongs to nobody and is left
  out, with everything that belongs to it;
- of the rows of one parent, the `most` with the smallest values of F(key, (key of the parent, content of the row, equal
  rows of this parent before it)) are used, F a pseudo-random function;
- rows of a parent are ordered by their order column, and where that says nothing, by F.

None of this raises an error or makes a number that is shown outside of `private/`. Keys that name no row or two rows
are refused when the tables are read, before any budget is spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from dpsynth.data.columns.raw import absent, as_text, distinct, series_of
from dpsynth.data.selection import Selection, occurrences
from dpsynth.errors import DataError

_BETWEEN = "\x1f"  # the texts of a composite key


@dataclass(frozen=True)
class Keys:
    """The keys of the rows of one file as texts; `none` marks rows in which a part of it is missing."""

    texts: np.ndarray
    none: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame, columns: Sequence[str]) -> Keys:
        """(n,) texts: whole numbers and texts that are written alike are the same key."""
        parts, none = [], np.zeros(len(frame), dtype=bool)
        for name in columns:
            series = series_of(frame, name).reset_index(drop=True)
            codes, values = distinct(series)
            words = np.array([*map(as_text, values), ""], dtype=object)[codes]
            parts.append(words)
            none |= absent(series) | (words == "")
        if len(parts) == 1:
            return cls(parts[0], none)
        joined = [_BETWEEN.join(each) for each in zip(*parts, strict=True)]
        return cls(np.array(joined, dtype=object), none)

    def refuse_twice(self, table: str, columns: Sequence[str], missing: bool) -> None:
        """`DataError` when two rows have the same key, or, unless `missing` ones are allowed, one has none."""
        named = ", ".join(f"'{name}'" for name in columns)
        if self.none.any() and not missing:
            row = int(np.flatnonzero(self.none)[0]) + 1
            raise DataError(f"table '{table}': key {named} is missing, first in row {row:,}; every row needs its key")
        twice = pd.Series(self.texts).duplicated().to_numpy() & ~self.none
        if twice.any():
            later = int(np.flatnonzero(twice)[0])
            first = int(np.flatnonzero(self.texts == self.texts[later])[0])
            shown = str(self.texts[later]).replace(_BETWEEN, ", ")[:40]
            raise DataError(
                f"table '{table}': key {named} is no key: {shown!r} stands in row {first + 1:,} and row {later + 1:,}; "
                "remove one of them, or name other columns as key"
            )

    def positions_in(self, above: Keys) -> np.ndarray:
        """(n,) int64 row of `above` that has the same key, -1 for none."""
        found = pd.Index(above.texts[~above.none]).get_indexer(pd.Index(self.texts))
        rows = np.append(np.flatnonzero(~above.none), -1)[found]
        return np.where(self.none, -1, rows).astype(np.int64)


def thinned(selection: Selection, owners: np.ndarray, names: np.ndarray, contents: np.ndarray, most: int) -> np.ndarray:
    """(n,) bool: at most `most` rows of each parent, and none that belongs to nobody.

    Args:
        owners: (n,) int64 number of each row's parent in `names`, -1 for none.
        names: (p, 2) uint64 digests of the parents' keys.
        contents: (n, 2) uint64 digests of the rows.
        most: At least 1.
    """
    used = owners >= 0
    crowded = used.copy()
    crowded[used] = np.bincount(owners[used], minlength=len(names))[owners[used]] > most
    rows = np.flatnonzero(crowded)
    draws = _draws(selection, "most rows", owners[rows], names, contents[rows])
    order = np.lexsort((draws, owners[rows]))
    owner = owners[rows][order]
    rank = ranks(owner)
    used[rows[order[rank >= most]]] = False
    return used


def ordered(
    selection: Selection, owners: np.ndarray, names: np.ndarray, contents: np.ndarray, values: np.ndarray | None
) -> np.ndarray:
    """(n,) int64 permutation: rows by parent, and within a parent by `values`, or by F where these say nothing.

    values: (n,) float64 of the order column, or None. Other arguments as in `thinned`, all rows with a parent.
    """
    by = np.zeros(len(owners)) if values is None else values
    together = pd.DataFrame({"owner": owners, "by": by}).duplicated(keep=False).to_numpy()
    draws = np.zeros(len(owners), dtype=np.uint64)
    tied = np.flatnonzero(together)
    draws[tied] = _draws(selection, "row order", owners[tied], names, contents[tied])
    return np.lexsort((draws, by, owners))


def ranks(owners: np.ndarray) -> np.ndarray:
    """(n,) int64: how many rows of the same parent stand before each row; rows are sorted by parent."""
    if not len(owners):
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    return np.arange(len(owners)) - np.repeat(starts, np.diff(np.r_[starts, len(owners)]))


def _draws(
    selection: Selection, purpose: str, owners: np.ndarray, names: np.ndarray, contents: np.ndarray
) -> np.ndarray:
    """(n,) uint64 values of F for rows of parents."""
    if not len(owners):
        return np.zeros(0, dtype=np.uint64)
    items = np.column_stack([names[owners], contents])
    return cast(np.ndarray, selection.draws(purpose, np.column_stack([items, occurrences(items)])))
