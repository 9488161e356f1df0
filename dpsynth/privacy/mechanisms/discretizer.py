"""Noisy counts of a numeric column on a tree of ever finer cells: where its values lie, privately.

    1  every row of the column is counted in one cell of a public grid (`data/table/value_grid.py`), or as one of its
       point masses, or as missing; and once more in one of fewer groups of neighbouring cells, whose counts say of
       thin tails and of the bulk what sums of many noisy cells cannot
    2  cells that hold more rows than noise would put there are split evenly, and their parts are counted; again, until
       nothing stands out, single values are reached, or the levels are used up
    3  what is left of the column's budget goes into a second count of the grid when nothing was left to split
    4  all counts of the tree are made consistent: the least-squares estimate given that the parts of a cell add up to
       it (Hay, Rastogi, Miklau, Suciu 2010, arXiv 0904.0942), post-processing

Time and memory follow from the number of cells, never from the range of the column: only cells that were split have
parts.

Guarantee. A release counts the rows of one column on disjoint cells, so a row stands in at most one of them: a
neighbour changes one count by one (add_remove, L2 sensitivity 1) or two (replace_one, sqrt 2), `marginals.py` with one
marginal. With rounded Gaussian noise of parameter sigma it is sqrt(cells) / sigma-Gaussian DP (`integer_noise.py`).
Which cells are counted, and with which sigma, follows from earlier releases of the column and public numbers: that is
adaptive composition, under one budget of mu-Gaussian DP for all columns together, whose filter adds up the squares
(`accounting/adaptive_budget.py`). Each of m columns may spend mu^2 / m.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import fraction_noise
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals

NAME = "values of numbers"
LEVELS = 4  # of splits, below the grid
GROUPS = 0.1  # of a column's budget, for groups of neighbouring cells of the grid
GRID = 0.4  # of what is left of it, for the grid
LEVEL = 0.5  # of what is left of it, for a level; the last takes all
STANDS_OUT = 4.0  # standard deviations of the coming level's noise that a cell must hold to be split
FINEST = 256  # a cell with less than this part of the rows is not split
MOST_SPLITS = 64  # cells of a column that are split at once
FEWEST_PARTS, MOST_PARTS = 8, 64  # of a cell

Places = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnCounts:
    """The exact, private counts of one column. For this mechanism only.

    places: (distinct,) ascending places that rows have. counts: (distinct,) rows at each. others: rows at each point
    mass, and missing ones. cuts: the only places at which cells may begin, ascending; None for all.
    """

    places: Places
    counts: Places
    others: Places
    cuts: Places | None = None

    def between(self, edges: Places) -> Places:
        """(cells,) rows in each cell of ascending edges."""
        below = np.concatenate([[0], self.counts.cumsum()])
        return np.diff(below[np.searchsorted(self.places, edges)])


class Tree(NamedTuple):
    """Released counts of one column, consistent with each other.

    edges: (leaves + 1,) int64 places. counts: (leaves,) estimated rows, may be negative. sigma: (leaves,) noise of the
    count of a leaf by itself. others, others_sigma: point masses and missing. groups: (leaves,) the group of
    neighbours, ascending from 0, of which each is a part; groups_sigma: noise of the sum of each group's counts.
    """

    edges: Places
    counts: Reals
    sigma: Reals
    others: Reals
    others_sigma: float
    groups: Places
    groups_sigma: Reals


@dataclass(frozen=True)
class Discretizer:
    """Counts `columns` numeric columns under one adaptive budget, each with the same part of it."""

    budget: AdaptiveBudget
    columns: int

    @classmethod
    def planned(cls, columns: int, budget: Budget, fraction: float) -> Discretizer:
        """For a fraction of the budget."""
        noise = fraction_noise(budget, fraction)
        mu = 1 / noise if noise else math.inf
        return cls(AdaptiveBudget(name=NAME, neighbours=budget.neighbours, mu=mu), columns)

    def measure(self, grid: Places, exact: ColumnCounts, rows: int, ledger: Ledger) -> Tree:
        """The tree of one column. grid: its public edges. rows: the declared or noisy number of rows."""
        left = self.budget.total / self.columns * (1 - 1e-9)
        grid = allowed(grid, exact.cuts)
        widest = int(np.diff(grid).max())
        nodes = _Nodes()
        groups, group = _groups(grid)
        cost = left * GROUPS if len(groups) > 2 else 0.0
        if cost:
            sigma = self.budget.counts_sigma(cost)
            nodes.add(groups[:-1], groups[1:], -1, self._count(exact.between(groups), sigma, ledger), sigma)
            left -= cost
        cost = left * GRID if widest > 1 else left
        sigma = self.budget.counts_sigma(cost)
        counted = self._count(np.concatenate([exact.between(grid), exact.others]), sigma, ledger)
        first, opened = nodes.size, True
        nodes.add(grid[:-1], grid[1:], group if first else -1, counted[: len(grid) - 1], sigma)
        others, others_sigma = counted[len(grid) - 1 :].astype(np.float64), sigma
        left -= cost
        grid_at = first
        for level in range(1, LEVELS + 1):
            if not opened or widest <= 1:
                break
            cost = left if level == LEVELS else left * LEVEL
            sigma = self.budget.counts_sigma(cost)
            least, part = max(STANDS_OUT * sigma, rows / FINEST), max(sigma, rows / FINEST / 4)
            parts = nodes.split(first, least, part, exact.cuts)
            opened = bool(parts)
            if not opened:
                break
            counted = self._count(np.concatenate([exact.between(edges) for _, edges in parts]), sigma, ledger)
            first, at = nodes.size, 0
            for parent, edges in parts:
                nodes.add(edges[:-1], edges[1:], parent, counted[at : at + len(edges) - 1], sigma)
                at += len(edges) - 1
            left -= cost
        if self.budget.private and left > 0.05 * self.budget.total / self.columns:
            sigma = self.budget.counts_sigma(left)
            counted = self._count(np.concatenate([exact.between(grid), exact.others]), sigma, ledger)
            nodes.recount(grid_at, counted[: len(grid) - 1], sigma)
            weight = 1 / others_sigma**2, 1 / sigma**2
            others = (others * weight[0] + counted[len(grid) - 1 :] * weight[1]) / sum(weight)
            others_sigma = sum(weight) ** -0.5
        # From here on only noisy counts are looked at.
        return nodes.consistent(others, others_sigma)

    def _count(self, exact: Places, sigma: float, ledger: Ledger) -> Places:
        budget = self.budget
        mechanism = NoisyMarginals(
            name=budget.name, neighbours=budget.neighbours, sigma=sigma, marginals=1, unit=budget.unit
        )
        return mechanism.measure([exact], ledger)[0]


class _Nodes:
    """Cells of the tree in the order in which they were counted: parents before their parts. All of it is public."""

    def __init__(self) -> None:
        self.low = np.zeros(0, dtype=np.int64)
        self.high = np.zeros(0, dtype=np.int64)
        self.parent = np.zeros(0, dtype=np.int64)
        self.counts = np.zeros(0)
        self.variance = np.zeros(0)

    @property
    def size(self) -> int:
        return len(self.low)

    def add(self, low: Places, high: Places, parent: Places | int, counts: Places, sigma: float) -> None:
        self.low = np.concatenate([self.low, low])
        self.high = np.concatenate([self.high, high])
        self.parent = np.concatenate([self.parent, np.broadcast_to(parent, len(low))])
        self.counts = np.concatenate([self.counts, counts.astype(np.float64)])
        # A count without noise is known to half a row; equal weights then.
        self.variance = np.concatenate([self.variance, np.full(len(low), max(sigma, 0.5) ** 2)])

    def recount(self, start: int, counts: Places, sigma: float) -> None:
        """Take a second count of the cells from `start` on into account, by inverse variance."""
        first, other = slice(start, start + len(counts)), 1 / sigma**2
        weight = 1 / self.variance[first]
        self.counts[first] = (self.counts[first] * weight + counts * other) / (weight + other)
        self.variance[first] = 1 / (weight + other)

    def split(self, first: int, least: float, part: float, cuts: Places | None) -> list[tuple[int, Places]]:
        """(cell, edges of its parts) of the cells from `first` on that hold at least `least` rows.

        part: rows that a part should hold.
        """
        here = np.arange(first, self.size)
        here = here[(self.counts[here] >= least) & (self.high[here] - self.low[here] > 1)]
        largest = here[np.argsort(-self.counts[here], kind="stable")[:MOST_SPLITS]]
        found = []
        for node in np.sort(largest).tolist():
            width = int(self.high[node] - self.low[node])
            wanted = 2 ** round(math.log2(max(1.0, self.counts[node] / max(part, 0.5))))
            parts = min(width, max(FEWEST_PARTS, min(wanted, MOST_PARTS)))
            edges = self.low[node] + np.array([width * k // parts for k in range(parts + 1)], dtype=np.int64)
            edges = allowed(edges, cuts)
            if len(edges) > 2:
                found.append((node, edges))
        return found

    def consistent(self, others: Reals, others_sigma: float) -> Tree:
        counts, variance = self.counts.copy(), self.variance.copy()
        parents = np.unique(self.parent[self.parent >= 0])
        order = np.argsort(self.parent, kind="stable")
        starts = np.searchsorted(self.parent[order], parents)
        stops = np.searchsorted(self.parent[order], parents, side="right")
        families = [(int(p), order[a:b]) for p, a, b in zip(parents, starts, stops, strict=True)]
        for parent, parts in reversed(families):  # upwards: what the parts say of the whole
            said, uncertain = counts[parts].sum(), variance[parts].sum()
            weight = 1 / variance[parent], 1 / uncertain
            counts[parent] = (counts[parent] * weight[0] + said * weight[1]) / sum(weight)
            variance[parent] = 1 / sum(weight)
        for parent, parts in families:  # downwards: parts take up the difference as their noise allows
            difference = counts[parent] - counts[parts].sum()
            counts[parts] += difference * variance[parts] / variance[parts].sum()
        leaves = np.ones(self.size, dtype=bool)
        leaves[parents] = False
        at = np.flatnonzero(leaves)
        at = at[np.argsort(self.low[at], kind="stable")]
        edges = np.append(self.low[at], self.high[at[-1]])
        roots = np.flatnonzero(self.parent < 0)
        groups = np.searchsorted(self.low[roots], self.low[at], side="right") - 1
        return Tree(
            edges, counts[at], np.sqrt(self.variance[at]), others, others_sigma, groups, np.sqrt(variance[roots])
        )


def _groups(grid: Places) -> tuple[Places, Places]:
    """Edges of groups of about the square root of the grid's cells, and the group of each cell."""
    cells = len(grid) - 1
    parts = round(math.sqrt(cells))
    starts = np.arange(parts) * cells // parts
    group = np.searchsorted(starts, np.arange(cells), side="right") - 1
    return np.append(grid[starts], grid[-1]), group


def allowed(edges: Places, cuts: Places | None) -> Places:
    """The edges, or the nearest of `cuts` to each."""
    if cuts is None:
        return edges
    after = np.clip(np.searchsorted(cuts, edges), 1, len(cuts) - 1)
    nearer = np.where(edges - cuts[after - 1] < cuts[after] - edges, cuts[after - 1], cuts[after])
    return np.unique(nearer)


def places_counted(places: Places, others: Places, kinds: int, cuts: Places | None = None) -> ColumnCounts:
    """The exact counts of rows at `places` (n,), others (n,) as from `ColumnCodes.places_and_others`, `kinds` of them.

    Private.
    """
    distinct, counts = np.unique(places[others < 0], return_counts=True)
    return ColumnCounts(distinct, counts.astype(np.int64), np.bincount(others[others >= 0], minlength=kinds), cuts)
