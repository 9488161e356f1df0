"""Which sets of columns to scan so that every requested marginal can be had by summing one of them.

A scan costs about the same whether its table has ten cells or ten thousand, so fewer and wider scans are
cheaper: duplicates and subsets of other requests are dropped, and what is left is merged into supersets as long
as their tables stay under a cap. A plan depends on sizes, requests and the number of rows only, never on values,
and is the same for every engine. Every plan gives the same counts.

>>> make_plan((2, 3, 4), [(0, 1), (1, 2), (1,)], rows=1_000_000).scans
((0, 1, 2),)
"""

from __future__ import annotations

import itertools
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
_MERGING, _MANY_SETS = 1e5, 500  # nanoseconds that greedy merging takes for each set, and how many sets double that
_BLOCKING = 1e4  # nanoseconds that merging by blocks takes for each set
_MOST_UNIONS = 64  # unions weighed at each step of a merge: those whose table grows least
_LEAST_GROWTH = 0.05  # of the logarithm of the cells; keeps a merge that grows by nothing from infinite worth
_LISTED_WIDTH = 4  # sets up to so many columns have their subsets listed (at most 15), not searched for
_MEMORABLE = 10_000  # requests up to which a plan is remembered


@dataclass(frozen=True)
class CountingPlan:
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
    if request == scan:
        return np.array(total, order="C")
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
) -> CountingPlan:
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
            described = "; ".join(_described(request, checked_sizes, names) for request in largest[:3])
            raise ConfigError(
                f"the requested marginals have more than {most_cells:,} cells together; the largest: {described}; "
                "ask for fewer columns at once, or use fewer bins"
            )
    arguments = checked_sizes, asked, int(rows), int(cells_cap), int(most_cells)
    return _remembered(*arguments) if len(asked) <= _MEMORABLE else _planned(*arguments)


def _described(request: Clique, sizes: Sequence[int], names: Sequence[str] | None) -> str:
    columns = ", ".join(f"column {j}" if names is None else f"'{names[j]}'" for j in request)
    return f"{columns} with {cells_of(request, sizes):,} cells"


@lru_cache(maxsize=64)
def _remembered(
    sizes: tuple[int, ...], asked: tuple[Clique, ...], rows: int, cells_cap: int, most_cells: int
) -> CountingPlan:
    return _planned(sizes, asked, rows, cells_cap, most_cells)


def _planned(
    sizes: tuple[int, ...], asked: tuple[Clique, ...], rows: int, cells_cap: int, most_cells: int
) -> CountingPlan:
    sets = {tuple(sorted(request)) for request in asked}
    if sets == {()}:
        sets = {(min(range(len(sizes)), key=lambda j: sizes[j]),)}  # the number of rows: sum the smallest table
    alone = _maximal(sorted(sets, key=lambda s: (-cells_of(s, sizes), s)))
    scans = sorted(_merged(alone, sizes, rows, cells_cap)) if sets else []
    if sum(cells_of(scan, sizes) for scan in scans) > most_cells:
        scans = sorted(alone)
    return CountingPlan(sizes, tuple(scans), tuple(zip(asked, _smallest_holders(asked, scans, sizes), strict=True)))


def _smallest_holders(requests: Sequence[Clique], scans: Sequence[Clique], sizes: Sequence[int]) -> list[int]:
    """For every request the position of the smallest scan that contains it, the first of equals.

    No scan contains another, so a request that is a scan has no other holder. Any other is looked for among the scans
    of its rarest column, smallest first.
    """
    own = {scan: position for position, scan in enumerate(scans)}
    members = [frozenset(scan) for scan in scans]
    order = sorted(range(len(scans)), key=lambda position: cells_of(scans[position], sizes))
    of_column: dict[int, list[int]] = {}
    for position in order:
        for j in scans[position]:
            of_column.setdefault(j, []).append(position)
    found: list[int] = []
    for request in requests:
        position = own.get(tuple(sorted(request)))
        if position is None:
            wanted = frozenset(request)
            holders = min((of_column[j] for j in request), key=len) if request else order
            position = next(k for k in holders if wanted <= members[k])
        found.append(position)
    return found


def _maximal(sets: Sequence[Clique]) -> list[Clique]:
    """The sets that lie inside no other one, in their order.

    Only a wider set can hold another. The subsets of narrow sets are listed; wide sets are searched by column.
    """
    listed: set[Clique] = set()  # all proper subsets of the narrow sets seen so far
    wide: dict[int, list[frozenset[int]]] = {}  # the wide sets seen so far, by column
    kept: set[Clique] = set()
    for one in sorted(sets, key=len, reverse=True):
        members = frozenset(one)
        rivals = min((wide.get(j, []) for j in one), key=len, default=[])
        if one in listed or any(members <= rival for rival in rivals) or (kept and not one):
            continue
        kept.add(one)
        if len(one) > _LISTED_WIDTH:
            for j in one:
                wide.setdefault(j, []).append(members)
        else:
            listed.update(subset for k in range(len(one)) for subset in itertools.combinations(one, k))
    return [one for one in sets if one in kept]


def _cost(cells: Any, width: Any, rows: int) -> Any:
    """Nanoseconds of a scan, roughly."""
    return rows * (_INCREMENT + _COLUMN * width + _MISS * cells) + _CELL * cells


def _merged(sets: Sequence[Clique], sizes: Sequence[int], rows: int, cells_cap: int) -> list[Clique]:
    """Supersets that cover the sets (largest table first) at less cost; each under the cap, or one of the sets.

    Merging must not take longer than counting. The greedy way is the better one and takes a time that grows with the
    square of the sets; where that is too long, columns are put into blocks.
    """
    costs = np.array([_cost(cells_of(one, sizes), len(one), rows) for one in sets])
    if costs.sum() >= _MERGING * len(sets) * (1 + len(sets) / _MANY_SETS):
        return _greedy(sets, sizes, rows, cells_cap, costs)
    if costs.sum() >= _BLOCKING * len(sets):
        return _blocked(sets, sizes, rows, cells_cap, costs)
    return list(sets)  # counted sooner than merged


def _blocked(
    sets: Sequence[Clique], sizes: Sequence[int], rows: int, cells_cap: int, costs: np.ndarray
) -> list[Clique]:
    """Columns are put into blocks, and sets that touch the same blocks become one where that is cheaper.

    A block has so few cells that as many blocks as the widest set has columns stay under the cap together: of 400
    binary columns 7 are a block, and 79,800 pairs become 1,653 sets of 14 columns.
    """
    most = max(cells_cap, 1) ** (1 / max(2, max(map(len, sets))))
    block, blocks, cells = {}, 0, math.inf
    for j in sorted({j for one in sets for j in one}, key=lambda j: (sizes[j], j)):
        cells *= sizes[j]
        if cells > most:
            blocks, cells = blocks + 1, sizes[j]
        block[j] = blocks
    touching: dict[Clique, list[int]] = {}
    for position, one in enumerate(sets):
        touching.setdefault(tuple(sorted({block[j] for j in one})), []).append(position)
    found: list[Clique] = []
    for positions in touching.values():
        union = tuple(sorted({j for position in positions for j in sets[position]}))
        cells = cells_of(union, sizes)
        if cells <= cells_cap and _cost(cells, len(union), rows) < costs[positions].sum():
            found.append(union)
        else:
            found += (sets[position] for position in positions)
    return _maximal(found)


def _greedy(sets: Sequence[Clique], sizes: Sequence[int], rows: int, cells_cap: int, costs: np.ndarray) -> list[Clique]:
    """The largest table that is left, which has the least room for company, takes in whatever saves most for each
    e-fold that its table grows by; then the next largest."""
    logs = np.log(np.asarray(sizes, dtype=np.float64))
    members = np.zeros((len(sets), len(sizes)), dtype=np.float32)
    for position, one in enumerate(sets):
        members[position, list(one)] = 1
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
