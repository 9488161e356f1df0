"""Rows of one table with the views that metrics look at, and the baselines they are compared with.

Each view is computed once and shared by all metrics. The baselines are tables to measure against: rows that know the
domain only, and rows that know every column by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from dpsynth.data.columns import Category, NumericColumn
from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.encoding import BinnedView, Features, check, positions, unit


def uniform_rows(domain: Domain, rows: int, generator: np.random.Generator, bins: int = 32) -> pd.DataFrame:
    """Rows drawn uniformly over the declared domain: what anyone can write down without seeing data.

    Every cell of the binned view is about equally likely, "missing" included where it is declared.
    """
    columns: dict[str, pd.Series] = {}
    for column in domain.columns:
        if isinstance(column, Category):
            cells = len(column.values)
            values = generator.integers(cells, size=rows)
        else:
            assert isinstance(column, NumericColumn)
            cells = bins
            if column.step is None:
                values = generator.uniform(column.start, column.stop, size=rows)
            else:
                values = column.value(generator.integers(column.count, size=rows))
        missing = np.zeros(rows, dtype=bool)
        if column.missing:
            missing = generator.integers(cells + 1, size=rows) == cells
        columns[column.name] = column.write(values, missing)
    return pd.DataFrame(columns)


def independent_rows(frame: pd.DataFrame, rows: int, generator: np.random.Generator) -> pd.DataFrame:
    """`rows` rows with every column drawn by itself from the frame's: its one-way marginals, and no dependence.

    Without replacement as long as the frame lasts. It is computed from real rows without noise: a yardstick, never
    to be released.
    """
    columns = {}
    for name in frame.columns:
        chosen = np.concatenate([generator.permutation(len(frame)) for _ in range(-(-rows // len(frame)))])[:rows]
        columns[name] = frame[name].iloc[chosen].reset_index(drop=True)
    return pd.DataFrame(columns)


# -------------------- Sample ----------------------------------------------------------------

View = TypeVar("View")
WIDEST = 64  # coordinates of one category


@dataclass(eq=False)
class Sample:
    """A table in a complete domain. Rows taken from a sample share its views, so a view is computed once for a
    table however often its rows are drawn again.

    Raises SchemaError or DataError for an unfinished domain, no rows, or a missing column.
    """

    frame: pd.DataFrame
    domain: Domain
    bins: int = 32
    _parent: Sample | None = None
    _index: np.ndarray | None = None
    _views: dict[str, Any] = field(default_factory=dict)
    _lock: Any = field(default_factory=RLock)

    def __post_init__(self) -> None:
        if self._parent is None:
            check(self.frame, self.domain)

    def __len__(self) -> int:
        return len(self.frame)

    def rows(self, index: np.ndarray) -> Sample:
        """The rows at the positions `index`, int64 (m,), in that order."""
        return Sample(self.frame.iloc[index], self.domain, self.bins, self, index)

    def head(self, rows: int) -> Sample:
        """The first `rows` rows; the sample itself when it has no more."""
        return self if rows >= len(self) else self.rows(np.arange(rows))

    @classmethod
    def joined(cls, samples: Sequence[Sample]) -> Sample:
        """All rows of some samples of one domain, in order."""
        frame = pd.concat([sample.frame for sample in samples], ignore_index=True)
        return cls(frame, samples[0].domain, samples[0].bins)

    def uniform(self, rows: int, generator: np.random.Generator) -> Sample:
        """Rows drawn uniformly over the domain (sample.py)."""
        return Sample(uniform_rows(self.domain, rows, generator, self.bins), self.domain, self.bins)

    def independent(self, rows: int, generator: np.random.Generator) -> Sample:
        """Rows with every column drawn by itself from these (sample.py)."""
        return Sample(independent_rows(self.frame, rows, generator), self.domain, self.bins)

    @property
    def contents(self) -> list[bytes]:
        """Every row as bytes: equal rows have equal ones, and missing equals missing."""
        table = np.ascontiguousarray(np.nan_to_num(self.units, nan=-1.0) + 0.0)  # no -0.0, which has other bytes
        return [row.tobytes() for row in table]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of cells of every column in `codes`; the last cell is "missing"."""
        return BinnedView(self.domain, self.bins).sizes

    @property
    def codes(self) -> np.ndarray:
        """Cells of every row by the declared domain alone, (n, D) int32 in [0, sizes[j])."""
        return self._view("codes", lambda: BinnedView(self.domain, self.bins).codes(self.frame))

    @property
    def units(self) -> np.ndarray:
        """(n, D) float64: numbers and dates on the declared range scaled to [0, 1], positions of categories as
        they are; NaN where missing."""
        return self._view("units", self._all_units)

    @property
    def coordinates(self) -> np.ndarray:
        """(n, width) float64 for distances: numbers scaled to [0, 1] by the declared range (missing: .5 and an
        indicator of its own), and points for categories of which any two are 1 apart (nearly, if there are many)."""
        with self._lock:  # from the shared `units`, for these rows alone: a whole table's one-hot may not fit in memory
            if "coordinates" not in self._views:
                self._views["coordinates"] = self._all_coordinates()
            return self._views["coordinates"]

    @property
    def raw(self) -> np.ndarray:
        """Values and category codes of all columns but the label, float64 (n, features); NaN where missing."""
        return self._view("raw", lambda: Features(self.domain).raw(self.frame))

    @property
    def one_hot(self) -> sparse.csr_matrix:
        """Sparse float64 (n, width) of all columns but the label, for linear models."""
        return self._view("one_hot", lambda: Features(self.domain).one_hot(self.frame))

    def _view(self, name: str, compute: Callable[[], View]) -> View:
        with self._lock:
            if name not in self._views:
                parent = self._parent
                self._views[name] = compute() if parent is None else getattr(parent, name)[self._index]
            return self._views[name]

    def _all_units(self) -> np.ndarray:
        matrix = np.empty((len(self.frame), len(self.domain.columns)), order="F")
        for j, column in enumerate(self.domain.columns):
            if isinstance(column, Category):
                codes = positions(column, self.frame)
                matrix[:, j] = np.where(codes < 0, np.nan, codes)
            else:
                assert isinstance(column, NumericColumn)
                matrix[:, j] = unit(column, self.frame)
        return matrix

    def _all_coordinates(self) -> np.ndarray:
        blocks: list[np.ndarray] = []
        for column, values in zip(self.domain.columns, self.units.T, strict=True):
            gone = np.isnan(values)
            if isinstance(column, Category):
                vectors = _category_vectors(len(column.values) + column.missing)
                block = vectors[np.where(gone, len(vectors) - 1, values).astype(np.int64)]
            else:
                block = np.column_stack([np.where(gone, 0.5, values), gone] if column.missing else [values])
            blocks.append(block)
        return np.column_stack(blocks)


def _category_vectors(count: int) -> np.ndarray:
    """(count, width) points 1 apart: one-hot, or nearly so on WIDEST fixed random directions when there are many."""
    if count <= WIDEST:
        return np.sqrt(0.5) * np.eye(count)
    vectors = np.random.default_rng([count, WIDEST]).normal(size=(count, WIDEST))
    return np.sqrt(0.5) * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
