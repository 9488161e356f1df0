"""A fixed number of random rows of a long table that comes in blocks: every row has the same chance, none comes twice.

Each row draws a uniform number; the rows with the smallest ones are the sample. So it can be taken in one pass, holds
little more than the sample, and follows from the seed and the number of rows before each.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dpsynth.data.table.tabular_files import joined

_MORE = 1.5  # the most rows that are held, in samples


class RowSample:
    """At most `most` of the rows that are added, in their order.

    Args:
        most: Rows of the sample; fewer when fewer are added, and then all of them.
        seed: Of the draw; equal seeds and equal rows give the same sample.
    """

    def __init__(self, most: int, seed: int = 0) -> None:
        self.most, self.rows = most, 0
        self._generator = np.random.default_rng(seed)
        self._bound = np.inf
        self._frames: list[pd.DataFrame] = []
        self._draws: list[np.ndarray] = []

    def add(self, frame: pd.DataFrame) -> None:
        """The next rows; every block has the same columns, of any dtypes."""
        draws = self._generator.random(len(frame))
        self.rows += len(frame)
        kept = draws < self._bound
        self._frames.append(frame if kept.all() else frame.loc[kept])
        self._draws.append(draws[kept])
        if sum(map(len, self._draws)) > _MORE * self.most:
            self._prune()

    def frame(self) -> pd.DataFrame:
        """The sample of all rows so far."""
        self._prune()
        return self._frames[0]

    @property
    def partial(self) -> bool:
        """Whether rows were left out."""
        return self.rows > self.most

    def _prune(self) -> None:
        draws = np.concatenate(self._draws)
        rows = np.arange(len(draws))
        if len(draws) > self.most:
            rows = np.sort(np.argpartition(draws, self.most - 1)[: self.most])
            self._bound = float(draws[rows].max())
        whole = joined(self._frames) if len(self._frames) > 1 else self._frames[0]
        self._frames, self._draws = [whole.iloc[rows].reset_index(drop=True)], [draws[rows]]
