"""Exact counts of many marginals of encoded rows, in memory, out of core or on many machines.

    counts = Engine().count(codes, sizes, [(0, 1), (2, 5, 7)])
    counts[0, 1]     # int64, shaped (sizes[0], sizes[1])

Counting is exact and NOT private: only mechanisms in privacy/ may use the result, and they add the noise.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from dpsynth.errors import ConfigError, DataError
from dpsynth.marginals.counting.encoded_files import EncodedFiles
from dpsynth.marginals.counting.kernels import NumpyTally, TorchTally
from dpsynth.marginals.counting.numba_kernel import NumbaTally
from dpsynth.marginals.counting.plan import CELLS_CAP, MOST_CELLS, MOST_CODES, Clique, CountingPlan, make_plan

Codes = np.ndarray | torch.Tensor | EncodedFiles
EngineName = Literal["numba", "numpy", "torch", "dask"]


@dataclass(frozen=True)
class Engine:
    """How to count; public configuration that a model can hold.

    engine      numba (default), torch, numpy (the slow reference) or dask (several processes or machines)
    threads     of numba, also on each worker of dask; None: as many as this process may use
    cells_cap   requests are merged into tables of at most so many cells; 0 merges nothing
    most_cells  requests with more cells together are refused, naming their columns
    address     of a Dask scheduler; None starts one within this process
    device      of torch
    """

    engine: EngineName = "numba"
    threads: int | None = None
    cells_cap: int = CELLS_CAP
    most_cells: int = MOST_CELLS
    address: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.engine not in get_args(EngineName):
            raise ConfigError(f"engine {self.engine!r} is not known; choose {', '.join(get_args(EngineName))}")
        if self.threads is not None and (isinstance(self.threads, bool) or self.threads < 1):
            raise ConfigError(f"threads must be a positive whole number or None, got {self.threads!r}")

    def count(self, codes: Codes, sizes: Sequence[int], requests: Sequence[Sequence[int]]) -> dict[Clique, np.ndarray]:
        """Exact int64 counts of each request, shaped by the sizes of its columns in the order they are named.

        codes     (rows, columns) integers, codes[:, j] in [0, sizes[j]): an array (fastest as uint8 or uint16 in
                  Fortran order, each column contiguous), a tensor, or `EncodedFiles`, which stream
        requests  tuples of distinct column positions; () asks for the number of rows

        Raises `ConfigError` for requests that name no column or have too many cells, `DataError` naming a column
        with a code that it does not have.
        """
        self._check_shape(codes, sizes)
        names = codes.domain.names if isinstance(codes, EncodedFiles) else None
        plan = make_plan(
            sizes, requests, rows=len(codes), cells_cap=self.cells_cap, most_cells=self.most_cells, names=names
        )
        return plan.project(self._totals(codes, plan)) if plan.scans else {}

    def _totals(self, codes: Codes, plan: CountingPlan) -> list[np.ndarray]:
        threads = self.threads or available_threads()
        if self.engine == "dask":
            from dpsynth.marginals.counting.distributed import totals_on_workers

            source = codes if isinstance(codes, EncodedFiles) else encoded_array(codes, plan)
            return totals_on_workers(source, plan, self.address, threads)
        if self.engine == "torch":
            tally = TorchTally(plan.scans, plan.sizes, self.device)
            if isinstance(codes, torch.Tensor):
                tally.add(codes)
                return tally.totals()
        elif self.engine == "numpy":
            tally = NumpyTally(plan.scans, plan.sizes)
        else:
            tally = NumbaTally(plan.scans, plan.sizes, threads)
        if isinstance(codes, EncodedFiles):
            for block in codes.blocks(plan.columns):
                tally.add(block)
        else:
            tally.add(encoded_array(codes, plan))
        return tally.totals()

    @staticmethod
    def _check_shape(codes: Codes, sizes: Sequence[int]) -> None:
        columns = len(codes.sizes) if isinstance(codes, EncodedFiles) else codes.shape[-1]
        if not isinstance(codes, EncodedFiles) and len(codes.shape) != 2:
            raise ConfigError(f"codes must be (rows, columns), got an array of shape {tuple(codes.shape)}")
        if columns != len(sizes):
            raise ConfigError(f"{columns} columns of codes but {len(sizes)} sizes; give one size for each column")


def count(
    codes: Codes,
    sizes: Sequence[int],
    requests: Sequence[Sequence[int]],
    *,
    engine: EngineName = "numba",
    threads: int | None = None,
    cells_cap: int = CELLS_CAP,
    most_cells: int = MOST_CELLS,
    address: str | None = None,
    device: str = "cpu",
) -> dict[Clique, np.ndarray]:
    """`Engine(...).count(codes, sizes, requests)` in one call."""
    return Engine(engine, threads, cells_cap, most_cells, address, device).count(codes, sizes, requests)


def available_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def encoded_array(codes: np.ndarray | torch.Tensor, plan: CountingPlan) -> np.ndarray:
    """The rows as uint8 or uint16. `DataError` for a code of a wider type that a counted column does not have."""
    array = codes.cpu().numpy() if isinstance(codes, torch.Tensor) else np.asarray(codes)
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype.kind not in "iub":
        raise DataError(f"codes must be integers, got {array.dtype}; encode the rows with a Codec")
    narrow = np.zeros(array.shape, dtype=np.uint8 if max(plan.sizes) <= 256 else np.uint16, order="F")
    for j in plan.columns:
        column = array[:, j]
        if len(column) and not 0 <= column.min() <= column.max() < min(plan.sizes[j], MOST_CODES):
            raise DataError(f"column {j} has codes outside 0 to {plan.sizes[j] - 1}; encode the rows with a Codec")
        narrow[:, j] = column
    return narrow
