"""Running an attack many times, on both data sets in turn, in several processes.

How many runs are made follows from their number and the time allowed, never from what they gave: a bound from runs that
were stopped when they looked well would be worth nothing.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Stated = Callable[[int, int], object]  # (runs made, runs wanted)
LEAST = 200  # runs, on both data sets together, that are made however long they take
BATCH_SECONDS = 1.0  # about how long a process works before it answers


class Attack(Protocol):
    """An attack on a program: `trial(world, number)` runs it once on the data without (0) or with (1) the record and
    gives a score, or a vector of what was seen. Can be sent to other processes."""

    def trial(self, world: int, number: int) -> float | Reals: ...


class Workers:
    """Processes that run trials; with one process everything happens here."""

    def __init__(self, pool: ProcessPoolExecutor | None, processes: int) -> None:
        self._pool, self.processes = pool, processes

    @classmethod
    @contextmanager
    def started(cls, processes: int) -> Generator[Workers]:
        """`processes` of them for the length of the block."""
        if processes <= 1:
            yield cls(None, 1)
            return
        # Fresh processes: a forked copy of a process with threads may never wake up.
        context = multiprocessing.get_context("spawn")
        with _single_threads(), ProcessPoolExecutor(processes, context, initializer=_begin) as pool:
            wait([pool.submit(_begin) for _ in range(4 * processes)])  # they take seconds to start, which nobody counts
            yield cls(pool, processes)

    def collect(
        self, attack: Attack, runs: int, minutes: float = np.inf, described: Stated | None = None
    ) -> tuple[Reals, Reals]:
        """(n,) or (n, features) of n runs on each data set, in the order of their numbers; n <= runs / 2."""
        wanted, begun = runs // 2, time.monotonic()
        size = self._batch(attack, wanted)
        starts = list(range(0, wanted, size))
        found: dict[int, tuple[Reals, Reals]] = {}
        made, running = 0, dict[Future[Any], int]()
        while starts or running:
            if time.monotonic() - begun > 60 * minutes and made >= LEAST:
                starts.clear()
            while starts and len(running) < self.processes:
                first = starts.pop(0)
                last = min(wanted, first + size)
                running[self._submit(attack, first, last)] = first
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                found[running.pop(future)] = answer = future.result()
                made += len(answer[0]) + len(answer[1])
            if described is not None:
                described(made, 2 * wanted)
        ordered = [found[first] for first in sorted(found)]
        return np.concatenate([a for a, _ in ordered]), np.concatenate([b for _, b in ordered])

    def _batch(self, attack: Attack, wanted: int) -> int:
        """Trials of each kind that take about a second, from some made here, which are not counted."""
        begun = 0.0
        for _ in range(2):  # the first may compile or load what later ones find
            begun = time.monotonic()
            for world in (0, 1):
                attack.trial(world, -1)
        return max(1, min(wanted, round(BATCH_SECONDS / max(1e-4, time.monotonic() - begun))))

    def _submit(self, attack: Attack, first: int, last: int) -> Future[Any]:
        if self._pool is not None:
            return self._pool.submit(_trials, attack, first, last)
        future: Future[Any] = Future()
        future.set_result(_trials(attack, first, last))
        return future


@contextmanager
def _single_threads() -> Generator[None]:
    """Processes started in this block get one thread each: programs here are small, and threads that wait for each
    other on a busy machine made them ten times slower."""
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begin() -> None:
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # remarks on small settings, thousands of times


def _trials(attack: Attack, first: int, last: int) -> tuple[Reals, Reals]:
    """Trials number first .. last - 1 on both data sets, in turn."""
    pairs = [(attack.trial(0, number), attack.trial(1, number)) for number in range(first, last)]
    return np.array([a for a, _ in pairs], dtype=np.float64), np.array([b for _, b in pairs], dtype=np.float64)
