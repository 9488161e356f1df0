"""Tables to measure against: rows that know the domain only, and rows that know every column by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Quantity
from dpsynth.data.domain import Domain


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
            assert isinstance(column, Quantity)
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
