"""Counting with numba: many tables in one pass over the rows, on several threads.

Rows are taken in chunks small enough to stay in cache, and every table is counted on a chunk before the next
chunk is fetched, so memory is read once and not once per table. The index of a row is its mixed-radix number,
built one column at a time (Horner) in 16 bits where the table allows, which the compiler turns into vector
instructions. Four indices are then read as one 64-bit word and counted into private lanes: equal values in a
row, the rule in skewed data, would otherwise wait for each other's store. Every thread has 32-bit counters of its
own, which are flushed to 64-bit totals long before they can wrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit, uint32, uint64

from dpsynth.errors import DataError
from dpsynth.marginals.counting.kernels import beyond
from dpsynth.marginals.counting.plan import Clique, cells_of

_CHUNK = 16_384
_NARROW = 65_536  # tables of at most so many cells have 16-bit indices
_FOUR_LANES, _TWO_LANES = 2_048, 16_384  # cells up to which a table has so many lanes; more would crowd the cache
_MOST_LANES = 2**24  # counters of a thread beyond which no table has more than one lane
_FLUSH_ROWS = 2**31  # rows counted into 32-bit counters before they are flushed
_WORK_PER_THREAD = 1_000_000  # increments that are worth a thread, if it has fewer counters than that


@njit(nogil=True, cache=True, boundscheck=False)
def _number(columns: Any, start: int, stop: int, members: Any, sizes: Any, index: Any) -> None:
    """Mixed-radix numbers of rows start to stop into `index`; products wrap to its width, sums are below it."""
    rows = stop - start
    first = columns[members[0], start:stop]
    for i in range(rows):
        index[i] = first[i]
    for position in range(1, len(members)):
        column = columns[members[position], start:stop]
        size = uint32(sizes[members[position]])
        for i in range(rows):
            index[i] = index[i] * size + column[i]


@njit(nogil=True, cache=True, boundscheck=False)
def _count_narrow(index: Any, rows: int, counters: Any, cells: int, lanes: int) -> None:
    """One increment for each of the first `rows` 16-bit indices; counters holds the lanes one after the other."""
    words, mask, one, lane = index.view(np.uint64), uint64(0xFFFF), uint32(1), uint64(cells)
    quads = rows // 4
    if lanes == 4:
        for i in range(quads):
            word = words[i]
            counters[word & mask] += one
            counters[((word >> uint64(16)) & mask) + lane] += one
            counters[((word >> uint64(32)) & mask) + uint64(2) * lane] += one
            counters[(word >> uint64(48)) + uint64(3) * lane] += one
    elif lanes == 2:
        for i in range(quads):
            word = words[i]
            counters[word & mask] += one
            counters[((word >> uint64(16)) & mask) + lane] += one
            counters[(word >> uint64(32)) & mask] += one
            counters[(word >> uint64(48)) + lane] += one
    else:
        for i in range(quads):
            word = words[i]
            counters[word & mask] += one
            counters[(word >> uint64(16)) & mask] += one
            counters[(word >> uint64(32)) & mask] += one
            counters[word >> uint64(48)] += one
    for i in range(4 * quads, rows):
        counters[uint64(index[i])] += one


@njit(nogil=True, cache=True, boundscheck=False)
def _count_wide(index: Any, rows: int, counters: Any) -> None:
    for i in range(rows):
        counters[uint64(index[i])] += uint32(1)


@njit(nogil=True, cache=True, boundscheck=False)
def _first_beyond(columns: Any, start: int, stop: int, used: Any, sizes: Any) -> int:
    """The first used column with a code that it does not have, or -1."""
    for j in used:
        column = columns[j, start:stop]
        top = column[0]
        for i in range(stop - start):
            top = max(top, column[i])
        if top >= sizes[j]:
            return j
    return -1


@njit(nogil=True, cache=True, boundscheck=False)
def _count_rows(
    columns: Any, start: int, stop: int, used: Any, sizes: Any, members: Any, widths: Any, tables: Any, counters: Any
) -> int:
    """Count rows start to stop; returns the first column with a code too large, or -1.

    columns  (columns, rows) unsigned codes, rows contiguous     members  (tables, width) columns of each table
    tables   (tables, 3) int64: cells, lanes, first counter      counters all lanes of all tables
    """
    narrow, wide = np.empty(_CHUNK, dtype=np.uint16), np.empty(_CHUNK, dtype=np.uint32)
    for low in range(start, stop, _CHUNK):
        high = min(low + _CHUNK, stop)
        bad = _first_beyond(columns, low, high, used, sizes)
        if bad >= 0:
            return bad
        for t in range(len(widths)):
            cells, lanes, first = tables[t, 0], tables[t, 1], tables[t, 2]
            own = counters[first : first + cells * lanes]
            if cells <= _NARROW:
                _number(columns, low, high, members[t, : widths[t]], sizes, narrow)
                _count_narrow(narrow, high - low, own, cells, lanes)
            else:
                _number(columns, low, high, members[t, : widths[t]], sizes, wide)
                _count_wide(wide, high - low, own)
    return -1


@njit(nogil=True, cache=True, boundscheck=False)
def _turn(codes: Any, start: int, stop: int, used: Any, columns: Any) -> None:
    """Rows start to stop of `codes` (rows, columns), in any memory order, into `columns` (columns, rows)."""
    for low in range(start, stop, 64):
        for j in used:
            for i in range(low, min(low + 64, stop)):
                columns[j, i - start] = codes[i, j]


@njit(nogil=True, cache=True, boundscheck=False)
def _turn_and_count(
    codes: Any, start: int, stop: int, used: Any, sizes: Any, members: Any, widths: Any, tables: Any, counters: Any
) -> int:
    """As `_count_rows`, for codes (rows, columns) whose columns are not contiguous."""
    columns = np.empty((codes.shape[1], _CHUNK), dtype=codes.dtype)
    for low in range(start, stop, _CHUNK):
        high = min(low + _CHUNK, stop)
        _turn(codes, low, high, used, columns)
        bad = _count_rows(columns, 0, high - low, used, sizes, members, widths, tables, counters)
        if bad >= 0:
            return bad
    return -1


class NumbaTally:
    """Counts of several sets of columns, added up over blocks of rows by `threads` threads."""

    def __init__(self, scans: Sequence[Clique], sizes: Sequence[int], threads: int = 1) -> None:
        self.threads = threads
        self._sizes = np.asarray(sizes, dtype=np.int64)
        self._used = np.array(sorted({j for scan in scans for j in scan}), dtype=np.int64)
        self._widths = np.array([len(scan) for scan in scans], dtype=np.int64)
        self._members = np.zeros((len(scans), max(map(len, scans), default=1)), dtype=np.int64)
        for position, scan in enumerate(scans):
            self._members[position, : len(scan)] = scan
        cells = np.array([cells_of(scan, sizes) for scan in scans], dtype=np.int64)
        lanes = np.where(cells <= _FOUR_LANES, 4, np.where(cells <= _TWO_LANES, 2, 1))
        if (cells * lanes).sum() > _MOST_LANES:
            lanes[:] = 1
        self._ends = np.cumsum(cells * lanes)
        self._tables = np.stack([cells, lanes, self._ends - cells * lanes], axis=1)
        self._totals = [np.zeros(count, dtype=np.int64) for count in cells]
        self._counters: list[np.ndarray] = []  # of each thread that has had work
        self._pending = 0  # rows counted since the last flush

    def add(self, codes: np.ndarray) -> None:
        """Count (rows, columns) uint8 or uint16 codes; fastest where each column is contiguous (Fortran order).

        Raises `DataError` naming the position of a column with a code too large.
        """
        for start in range(0, len(codes), _FLUSH_ROWS):
            stop = min(start + _FLUSH_ROWS, len(codes))
            if self._pending + stop - start > _FLUSH_ROWS:
                self._flush()
            self._pending += stop - start
            self._count(codes, start, stop)

    def totals(self) -> list[np.ndarray]:
        """Flat int64 counts of each scan, in row-major order of its columns."""
        self._flush()
        return self._totals

    def _count(self, codes: np.ndarray, start: int, stop: int) -> None:
        turned = codes.T
        kernel, rows = (_count_rows, turned) if turned.flags.c_contiguous else (_turn_and_count, codes)
        counters = int(self._ends[-1]) if len(self._ends) else 0
        worth = (stop - start) * len(self._widths) // max(_WORK_PER_THREAD, counters)
        threads = min(self.threads, worth + 1)
        while len(self._counters) < threads:
            self._counters.append(np.zeros(counters, dtype=np.uint32))
        cuts = np.linspace(start, stop, threads + 1).astype(np.int64)

        def part(thread: int) -> int:
            return kernel(
                rows,
                cuts[thread],
                cuts[thread + 1],
                self._used,
                self._sizes,
                self._members,
                self._widths,
                self._tables,
                self._counters[thread],
            )

        if threads == 1:
            beyonds = [part(0)]
        else:
            with ThreadPoolExecutor(threads) as pool:
                beyonds = list(pool.map(part, range(threads)))
        bad = max(beyonds)
        if bad >= 0:
            raise DataError(beyond(bad, int(self._sizes[bad])))

    def _flush(self) -> None:
        for counters in self._counters:
            for total, (cells, lanes, first) in zip(self._totals, self._tables.tolist(), strict=True):
                own = counters[first : first + cells * lanes]
                total += own if lanes == 1 else own.reshape(lanes, cells).sum(axis=0, dtype=np.int64)
            counters[:] = 0
        self._pending = 0
