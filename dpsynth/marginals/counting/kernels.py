"""Counting with numpy, the reference of the other kernels, and with torch on any of its devices.

The one with numpy is short and slow: the others are tested against it. With torch, a mixed-radix index per row and
table, then `torch.bincount` in 64-bit integers: exact, in whatever order a device adds. Rows that already lie on the
device stay there; others travel one chunk at a time, as the bytes they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dpsynth.errors import ConfigError, DataError
from dpsynth.marginals.counting.plan import Clique, cells_of

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


# -------------------- Torch kernel ----------------------------------------------------------

_ROWS_OF_TORCH = 2**18  # at once: each column takes 2 MiB as 64-bit codes


class TorchTally:
    """Counts of several sets of columns, added up over blocks of rows on `device`."""

    def __init__(self, scans: Sequence[Clique], sizes: Sequence[int], device: str | torch.device = "cpu") -> None:
        self.scans, self.sizes = tuple(scans), tuple(sizes)
        try:
            self.device = torch.device(device)
            self._totals = [
                torch.zeros(cells_of(scan, sizes), dtype=torch.int64, device=self.device) for scan in self.scans
            ]
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"device {device!r} cannot be used ({reason}); choose cpu, cuda or mps") from None

    def add(self, codes: np.ndarray | torch.Tensor) -> None:
        """Count (rows, columns) codes; `DataError` naming the position of a column with an illegal code."""
        rows = codes if isinstance(codes, torch.Tensor) else _tensor(codes)
        for start in range(0, len(rows), _ROWS_OF_TORCH):
            block = rows[start : start + _ROWS_OF_TORCH].to(self.device)
            columns: dict[int, torch.Tensor] = {}
            for j in sorted({j for scan in self.scans for j in scan}):
                columns[j] = block[:, j].to(torch.int64)
                if bool((columns[j].max() >= self.sizes[j]) | (columns[j].min() < 0)):
                    raise DataError(beyond(j, self.sizes[j]))
            for scan, total in zip(self.scans, self._totals, strict=True):
                index = columns[scan[0]]
                for j in scan[1:]:
                    index = index * self.sizes[j] + columns[j]
                total += torch.bincount(index, minlength=len(total))

    def totals(self) -> list[np.ndarray]:
        """Flat int64 counts of each scan, in row-major order of its columns."""
        return [total.cpu().numpy() for total in self._totals]


def _tensor(codes: np.ndarray) -> torch.Tensor:
    """The same memory as a tensor, in either order; read-only arrays are copied, as torch has no such thing."""
    whole = codes.T if codes.flags.f_contiguous else np.ascontiguousarray(codes)
    whole = whole if whole.flags.writeable else whole.copy()
    return torch.from_numpy(whole).T if codes.flags.f_contiguous else torch.from_numpy(whole)
