"""Inputs of the classifiers and regressors that judge a table: made from the domain, never fitted to data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from dpsynth.data.columns import Category, Column, Quantity
from dpsynth.data.domain import Domain
from dpsynth.metrics.binned import numbers, positions, unit

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
                assert isinstance(column, Quantity)
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
                assert isinstance(column, Quantity)
                values = 2.0 * unit(column, frame) - 1.0
                gone = np.isnan(values)
                blocks.append(sparse.csr_matrix(np.column_stack([np.where(gone, 0.0, values), gone])))
        return sparse.csr_matrix(sparse.hstack(blocks))
