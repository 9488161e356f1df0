"""The evaluation's own public binning, and the inputs of its classifiers and regressors: from the domain alone.

The binning makes small integers of every column, cut by the declared domain. It is not the codec of the models: a
method must not be evaluated by the bins it was fitted on. Numbers, integers and dates fall into equal-width bins of the
declared bounds (no extra bin for point masses), categories stay as they are, and missing is the last cell of every
column.

The inputs of classifiers and regressors are never fitted to data either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from dpsynth.data.columns import Category, Column, NumericColumn
from dpsynth.data.table.domain import Domain
from dpsynth.errors import DataError, SchemaError


def numbers(column: NumericColumn, frame: pd.DataFrame) -> np.ndarray:
    """Values on the column's value axis, float64 (n,), clamped to bounds and point masses; NaN where missing."""
    series = pd.Series(frame[column.name])
    reading = column.read(series)
    return np.where(reading.missing | series.isna().to_numpy(), np.nan, reading.values)


def unit(column: NumericColumn, frame: pd.DataFrame) -> np.ndarray:
    """Values on the declared range scaled to [0, 1], float64 (n,); NaN where missing.

    Always on the linear scale, whatever scale the column declares for the models.
    """
    span = column.stop - column.start
    return np.clip((numbers(column, frame) - column.start) / span, 0.0, 1.0)


def positions(column: Category, frame: pd.DataFrame) -> np.ndarray:
    """Positions in `column.values` of a category or boolean column, int64 (n,); -1 where missing.

    A value outside the domain counts as `other` where that is declared, and else as missing.
    """
    series = pd.Series(frame[column.name])
    reading = column.read(series)
    gone = reading.missing | series.isna().to_numpy()
    if column.other is None:
        gone |= reading.invalid
    return np.where(gone, -1, reading.values)


@dataclass(frozen=True)
class BinnedView:
    """Table -> cells: (n, D) int32 in [0, sizes[j]); the last cell of every column is "missing"."""

    domain: Domain
    bins: int = 32

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(
            1 + (len(column.values) if isinstance(column, Category) else self.bins) for column in self.domain.columns
        )

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Cells of every row, (n, D) int32 in Fortran order (columns are read one at a time)."""
        check(frame, self.domain)
        cells = np.empty((len(frame), len(self.domain.columns)), dtype=np.int32, order="F")
        for j, column in enumerate(self.domain.columns):
            cells[:, j] = self._cell(column, frame)
        return cells

    def _cell(self, column: Column, frame: pd.DataFrame) -> np.ndarray:
        if isinstance(column, Category):
            position = positions(column, frame)
            return np.where(position < 0, len(column.values), position)
        assert isinstance(column, NumericColumn)
        place = np.minimum(np.floor(unit(column, frame) * self.bins), self.bins - 1)
        return np.where(np.isnan(place), self.bins, place)


def check(frame: pd.DataFrame, domain: Domain) -> None:
    """Refuse what no metric can work on: an unfinished domain, no rows, or a missing column.

    Raises SchemaError or DataError.
    """
    if domain.undeclared:
        names = ", ".join(column.name for column in domain.undeclared)
        raise SchemaError(f"no declared bounds or categories yet for {names}; evaluate on the model's domain")
    if len(frame) == 0:
        raise DataError("a table to evaluate has no rows; give at least one row")
    absent = [name for name in domain.names if name not in frame.columns]
    if absent:
        raise DataError(f"a table to evaluate lacks the columns: {', '.join(absent)}; add them or change the schema")


# -------------------- Features --------------------------------------------------------------

NATIVE_CATEGORIES = 254  # scikit-learn's histogram boosting takes 255 codes at most; the last one is "all others"


@dataclass(frozen=True)
class Features:
    """All columns of a domain but the label, as inputs of a learner."""

    domain: Domain

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.domain.columns if column.name != self.domain.label)

    @property
    def categorical(self) -> np.ndarray:
        """Which columns of `raw` are categories, bool (features,)."""
        return np.array([isinstance(column, Category) for column in self.columns], dtype=bool)

    def raw(self, frame: pd.DataFrame) -> np.ndarray:
        """Values as they are and category codes, float64 (n, features); NaN where missing."""
        matrix = np.empty((len(frame), len(self.columns)))
        for j, column in enumerate(self.columns):
            if isinstance(column, Category):
                codes = np.minimum(positions(column, frame), NATIVE_CATEGORIES)
                matrix[:, j] = np.where(codes < 0, np.nan, codes)
            else:
                assert isinstance(column, NumericColumn)
                matrix[:, j] = numbers(column, frame)
        return matrix

    def one_hot(self, frame: pd.DataFrame) -> sparse.csr_matrix:
        """Sparse float64 (n, width): one-hot categories, numbers on [-1, 1] by their declared bounds.

        A missing number sits in the middle of its range and raises an indicator of its own; a missing
        category leaves its block empty.
        """
        blocks: list[sparse.csr_matrix] = []
        for column in self.columns:
            if isinstance(column, Category):
                codes = positions(column, frame)
                rows = np.flatnonzero(codes >= 0)
                shape = (len(frame), len(column.values))
                blocks.append(sparse.csr_matrix((np.ones(len(rows)), (rows, codes[rows])), shape=shape))
            else:
                assert isinstance(column, NumericColumn)
                values = 2.0 * unit(column, frame) - 1.0
                gone = np.isnan(values)
                blocks.append(sparse.csr_matrix(np.column_stack([np.where(gone, 0.0, values), gone])))
        return sparse.csr_matrix(sparse.hstack(blocks))
