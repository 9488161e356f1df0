"""The public grid on which the values of a numeric column are first counted: from the declared column alone.

Its cells are fine where code books let values crowd: cells of equal width on the declared axis, cells whose width grows
with the distance from 0 (four or so for each doubling), and single values that tables are known to repeat: 0, the
bounds, at which values are clamped, powers of ten and the number below each (99, 999: often codes for "unknown"), of
both signs. A column of few values has a cell for each.
"""

from __future__ import annotations

import math

import numpy as np

from dpsynth.data.columns import Date, Datetime, NumericColumn
from dpsynth.data.table.codec import CONTINUUM, ColumnCodes

EQUAL_WIDTH = 64  # cells of equal width
GROWING = 96  # about the cells of growing width on each side of the origin
FEW = 128  # places of a column that all get a cell
NEAREST = 2**16  # places from the origin of a continuum to the first cell of growing width


def grid(column: ColumnCodes) -> np.ndarray:
    """(cells + 1,) int64 ascending places from 0 to `column.places` at which the cells begin, and the end."""
    numeric, places = column.column, column.places
    assert isinstance(numeric, NumericColumn), "categories have no value axis"
    if places <= FEW:
        return np.arange(places + 1)
    found = [np.array([0, places]), _equal_width(column)]
    if not isinstance(numeric, Date | Datetime):
        singles = column.place(np.array(_repeated(numeric.start, numeric.stop)))
        found += [singles, singles + 1]
    zero = origin(column)
    if zero is not None:
        distances = _growing(places, 1 if column.cells is not None else NEAREST)
        found += [np.array([zero, zero + 1]), zero + distances, zero + 1 - distances]
    edges = np.unique(np.concatenate(found).astype(np.int64))
    return edges[(edges >= 0) & (edges <= places)]


def origin(column: ColumnCodes) -> int | None:
    """The place of 0, or of the bound next to it; None where distances from it mean nothing (dates, a log axis)."""
    numeric = column.column
    assert isinstance(numeric, NumericColumn), "categories have no value axis"
    if isinstance(numeric, Date | Datetime) or (column.cells is None and numeric.scale == "log"):
        return None
    return int(column.place(np.array([min(max(0.0, numeric.start), numeric.stop)]))[0])


def _equal_width(column: ColumnCodes) -> np.ndarray:
    """Edges of equal width on the declared axis, linear or log."""
    if column.cells is None:
        return np.arange(EQUAL_WIDTH + 1) * (CONTINUUM // EQUAL_WIDTH)
    return np.rint(column.from_axis(np.arange(EQUAL_WIDTH + 1) / EQUAL_WIDTH)).astype(np.int64)


def _growing(places: int, nearest: int) -> np.ndarray:
    """Distances that grow by a constant factor, from `nearest` to `places`."""
    doublings = math.log2(places / nearest)
    steps = math.ceil(doublings * min(max(GROWING / doublings, 2.0), 4.0))
    return np.unique(np.rint(nearest * 2.0 ** (np.arange(steps + 1) * doublings / steps)).astype(np.int64))


def _repeated(low: float, high: float) -> list[float]:
    """Single values that are counted by themselves."""
    powers = [10.0**k for k in range(1, 16)]
    values = [0.0, 1.0, low, high, *powers, *(power - 1 for power in powers)]
    return sorted({signed for value in values for signed in (value, -value) if low <= signed <= high})
