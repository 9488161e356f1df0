"""Counting with numpy: short and slow, the reference that the other kernels are tested against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dpsynth.errors import DataError
from dpsynth.marginals.plan import Clique, cells_of

_ROWS = 262_144  # at once, so that the 64-bit indices stay small


class NumpyTally:
    """Counts of several sets of columns, added up over blocks of rows."""

    def __init__(self, scans: Sequence[Clique], sizes: Sequence[int]) -> None:
        self.scans, self.sizes = tuple(scans), tuple(sizes)
        self._totals = [np.zeros(cells_of(scan, sizes), dtype=np.int64) for scan in self.scans]

    def add(self, codes: np.ndarray) -> None:
        """Count (rows, columns) unsigned codes; `DataError` naming the position of a column with a code too large."""
        for start in range(0, len(codes), _ROWS):
            block = codes[start : start + _ROWS]
            for j in sorted({j for scan in self.scans for j in scan}):
                if block[:, j].max() >= self.sizes[j]:
                    raise DataError(beyond(j, self.sizes[j]))
            for scan, total in zip(self.scans, self._totals, strict=True):
                shape = tuple(self.sizes[j] for j in scan)
                index = np.ravel_multi_index([block[:, j].astype(np.int64) for j in scan], shape)
                total += np.bincount(index, minlength=len(total))

    def totals(self) -> list[np.ndarray]:
        """Flat int64 counts of each scan, in row-major order of its columns."""
        return self._totals


def beyond(column: int, size: int) -> str:
    """What to say of a code that its column does not have."""
    return f"column {column} has a code beyond its size {size}; encode the rows with the codec that the sizes came from"
