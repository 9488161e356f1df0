"""Which sets of columns to scan so that every requested marginal can be had by summing one of them.

A scan costs about the same whether its table has ten cells or ten thousand, so fewer and wider scans are
cheaper: duplicates and subsets of other requests are dropped, and what is left is merged into supersets as long
as their tables stay under a cap. A plan depends on sizes, requests and the number of rows only, never on values,
and is the same for every engine. Every plan gives the same counts.

>>> make_plan((2, 3, 4), [(0, 1), (1, 2), (1,)], rows=1_000_000).scans
((0, 1, 2),)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dpsynth.errors import ConfigError

Clique = tuple[int, ...]

CELLS_CAP = 32_768  # cells of a merged table: 128 KiB of 32-bit counters, within the second-level cache of a core
MOST_CELLS = 2**26  # cells of all tables of a plan: 512 MiB of totals, and 256 MiB of counters for each thread
MOST_CODES = 65_536

# Nanoseconds of one thread, measured on 10 million rows: one increment, one column of its index, the cache misses
# of a wider table, and clearing, flushing and summing one cell. Only their ratios matter.
_INCREMENT, _COLUMN, _MISS, _CELL = 0.28, 0.02, 2.5e-6, 3.0
_MERGING, _MANY_SETS = 1e5, 500  # nanoseconds that merging takes for each set, and how many sets double that
_MOST_UNIONS = 64  # unions weighed at each step of a merge: those whose table grows least
_LEAST_GROWTH = 0.05  # of the logarithm of the cells; keeps a merge that grows by nothing from infinite worth


@dataclass(frozen=True)
class Plan:
    """What to scan, and which scan answers which request.

    sizes    number of codes of every column
    scans    sets of columns to count, each strictly increasing, none inside another
    answers  (request as asked, position of the scan that contains it) for every distinct request
    """

    sizes: tuple[int, ...]
    scans: tuple[Clique, ...]
    answers: tuple[tuple[Clique, int], ...]

    @property
    def columns(self) -> Clique:
        """Every column that is scanned, ascending."""
        return tuple(sorted({j for scan in self.scans for j in scan}))

    @property
    def cells(self) -> int:
        """Cells of all scans together."""
        return sum(cells_of(scan, self.sizes) for scan in self.scans)

    def project(self, totals: Sequence[np.ndarray]) -> dict[Clique, np.ndarray]:
        """The requested marginals from the counts of each scan (int64, flat or shaped), which are not changed.

        An answer is shaped by the sizes of the request's columns, in the order in which they were asked for.
        """
        shaped = [total.reshape([self.sizes[j] for j in scan]) for total, scan in zip(totals, self.scans, strict=True)]
        return {request: _projection(shaped[scan], self.scans[scan], request) for request, scan in self.answers}


def _projection(total: np.ndarray, scan: Clique, request: Clique) -> np.ndarray:
    kept = [j for j in scan if j in request]
    summed = np.asarray(total.sum(axis=tuple(axis for axis, j in enumerate(scan) if j not in request)))
    return np.array(summed.transpose([kept.index(j) for j in request]), order="C")


def cells_of(columns: Sequence[int], sizes: Sequence[int]) -> int:
    """Number of cells of the table of some columns; 1 for none."""
    return math.prod(int(sizes[j]) for j in columns)


def make_plan(
    sizes: Sequence[int],
    requests: Sequence[Sequence[int]],
    *,
    rows: int,
    cells_cap: int = CELLS_CAP,
    most_cells: int = MOST_CELLS,
    names: Sequence[str] | None = None,
) -> Plan:
    """The plan for counting `requests` over about so many rows of columns with these sizes.

    cells_cap   a merged table has at most so many cells; one request alone may have more. 0 merges nothing
    most_cells  `ConfigError` naming the columns of the largest requests if all tables together have more cells
    names       of the columns, for messages

    Raises `ConfigError` for a request that names no column, or one twice.
    """
    checked_sizes = tuple(int(size) for size in sizes)
    if not checked_sizes or not all(1 <= size <= MOST_CODES for size in checked_sizes):
        raise ConfigError(f"sizes must be numbers of codes from 1 to {MOST_CODES}, one per column, got {sizes!r}")
    asked = tuple(dict.fromkeys(tuple(int(j) for j in request) for request in requests))
    for request in asked:
        if len(set(request)) < len(request) or not all(0 <= j < len(checked_sizes) for j in request):
            raise ConfigError(f"request {request}: name each of the columns 0 to {len(checked_sizes) - 1} at most once")
    distinct = {tuple(sorted(request)) for request in asked}
    if sum(cells_of(request, checked_sizes) for request in distinct) > most_cells:
        largest = sorted(distinct, key=lambda request: (-cells_of(request, checked_sizes), request))
        if sum(cells_of(scan, checked_sizes) for scan in _maximal(largest)) > most_cells:
            told = "; ".join(_told(request, checked_sizes, names) for request in largest[:3])
            raise ConfigError(
                f"the requested marginals have more than {most_cells:,} cells together; the largest: {told}; "
                "ask for fewer columns at once, or use fewer bins"
            )
    return _planned(checked_sizes, asked, int(rows), int(cells_cap), int(most_cells))


def _told(request: Clique, sizes: Sequence[int], names: Sequence[str] | None) -> str:
    columns = ", ".join(f"column {j}" if names is None else f"'{names[j]}'" for j in request)
    return f"{columns} with {cells_of(request, sizes):,} cells"


@lru_cache(maxsize=64)
def _planned(sizes: tuple[int, ...], asked: tuple[Clique, ...], rows: int, cells_cap: int, most_cells: int) -> Plan:
    sets = {tuple(sorted(request)) for request in asked}
    if sets == {()}:
        sets = {(min(range(len(sizes)), key=lambda j: sizes[j]),)}  # the number of rows: sum the smallest table
    alone = _maximal(sorted(sets, key=lambda s: (-cells_of(s, sizes), s)))
    scans = sorted(_merged(alone, sizes, rows, cells_cap)) if sets else []
    if sum(cells_of(scan, sizes) for scan in scans) > most_cells:
        scans = sorted(alone)
    answers = tuple((request, _smallest_holder(request, scans, sizes)) for request in asked)
    return Plan(sizes, tuple(scans), answers)


def _smallest_holder(request: Clique, scans: Sequence[Clique], sizes: Sequence[int]) -> int:
    wanted = set(request)
    holders = [position for position, scan in enumerate(scans) if wanted.issubset(scan)]
    return min(holders, key=lambda position: cells_of(scans[position], sizes))


def _maximal(sets: Sequence[Clique]) -> list[Clique]:
    """The sets that lie inside no other one, in their order."""
    holders: dict[int, list[frozenset[int]]] = {}
    kept: set[Clique] = set()
    for one in sorted(sets, key=len, reverse=True):
        members = frozenset(one)
        rivals = holders.get(one[0], []) if one else [frozenset(k) for k in kept][:1]
        if any(members <= rival for rival in rivals):
            continue
        kept.add(one)
        for j in one:
            holders.setdefault(j, []).append(members)
    return [one for one in sets if one in kept]


def _cost(cells: Any, width: Any, rows: int) -> Any:
    """Nanoseconds of a scan, roughly."""
    return rows * (_INCREMENT + _COLUMN * width + _MISS * cells) + _CELL * cells


def _merged(sets: Sequence[Clique], sizes: Sequence[int], rows: int, cells_cap: int) -> list[Clique]:
    """Supersets that cover the sets (largest table first) at less cost; each under the cap, or one of the sets.

    Greedy: the largest table that is left, which has the least room for company, takes in whatever saves most
    for each e-fold that its table grows by; then the next largest.
    """
    logs = np.log(np.asarray(sizes, dtype=np.float64))
    members = np.zeros((len(sets), len(sizes)), dtype=np.float32)
    for position, one in enumerate(sets):
        members[position, list(one)] = 1
    costs = _cost(np.exp(members @ logs), members.sum(axis=1), rows)
    if costs.sum() < _MERGING * len(sets) * (1 + len(sets) / _MANY_SETS):
        return list(sets)  # counted sooner than merged
    room = np.log(max(cells_cap, 1)) + 1e-9
    unions: list[np.ndarray] = []
    left = members
    while len(left):
        union, left, costs = left[0], left[1:], costs[1:]
        while len(left):
            wider = np.maximum(left, union)
            growth = wider @ logs
            nearest = np.argsort(growth, kind="stable")[:_MOST_UNIONS]
            wider = wider[nearest[growth[nearest] <= room]]
            if not len(wider):
                break
            inside = wider @ left.T == left.sum(axis=1)
            before, after = union @ logs, wider @ logs
            price = _cost(np.exp(after), wider.sum(axis=1), rows) - _cost(np.exp(before), union.sum(), rows)
            saved = inside @ costs - price
            best = int(np.argmax(np.where(saved > 0, saved / np.maximum(after - before, _LEAST_GROWTH), 0)))
            if saved[best] <= 0:
                break
            union, left, costs = wider[best], left[~inside[best]], costs[~inside[best]]
        unions.append(union)
    return _needed(np.stack(unions), members)


def _needed(unions: np.ndarray, members: np.ndarray) -> list[Clique]:
    """The unions without those, first come first, all of whose sets lie inside the others."""
    inside = unions @ members.T == members.sum(axis=1)
    holders = inside.sum(axis=0)
    kept: list[Clique] = []
    for union, own in zip(unions, inside, strict=True):
        if (holders[own] > 1).all():
            holders[own] -= 1
        else:
            kept.append(tuple(int(j) for j in np.flatnonzero(union)))
    return kept
