"""From noisy counts of a numeric column to its fine distribution and to the coarse cells that a model works with.

Two resolutions. *Fine*: the leaves of the released tree (`privacy/mechanisms/discretizer.py`) are grouped into
stretches of one density each, the partition that explains the noisy counts best given a price for every stretch
(penalised least squares over all partitions, by dynamic programming: Jackson et al. 2005, arXiv math/0309285). Within
a stretch rows are spread evenly over the axis, or with a density that falls as 1/x or 1/x^2 of the distance from 0,
whichever explains the counts best: the tails of wide columns are not flat. A value that stands out is a stretch of its
own. Then the counts of groups of neighbouring leaves move what is between them. *Coarse*: cells of about equal mass,
values that hold much mass by themselves, as many as asked; a part of the mass is taken to lie evenly over the values,
so that thin tails and wide gaps have cells of their own.

All of this is post-processing of released counts and public facts.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from dpsynth.data.columns.raw import series_of
from dpsynth.data.table.codec import Codec
from dpsynth.data.table.table import Table
from dpsynth.data.table.value_grid import grid, origin
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import fraction_noise
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.discretizer import Discretizer, Tree, allowed, places_counted

PRICE = 2.0  # of a stretch: so many times the logarithm of the number of leaves, in squared noise
SHAPE = 8.0  # squared noise by which the counts must tell one spread of a stretch from another
BULK = 0.1  # of all rows: with more, a stretch is spread evenly unless the counts tell; with less, it falls steeply
ALONE = 0.5  # of the mass of a coarse cell: a single value with more is a cell of its own
EVENLY = 0.2  # of the coarse cells follow the width of the values, all others their mass
OUTERMOST = 0.002  # of the rows on each side have no part in that width
FINEST = 4  # a wider leaf with more than this part of a cell's mass is cut evenly
SLIVER = 0.1  # of the mass of a coarse cell: less than this between two values is joined to its neighbour


@dataclass(frozen=True)
class ValueCells:
    """The fine distribution and the coarse cells of one column.

    cuts: (leaves + 1,) places of the fine bins. fractions: (leaves,) estimated part of all rows in each. cells:
    (leaves,) the coarse cell of each, ascending from 0. counts, sigma: (coarse cells + others,) noisy counts that were
    released for each coarse cell and each point mass and missing, and the standard deviation of their noise.
    """

    cuts: np.ndarray
    fractions: np.ndarray
    cells: np.ndarray
    counts: np.ndarray
    sigma: np.ndarray


def value_cells(tree: Tree, zero: int | None, rows: int, most: int, cuts: np.ndarray | None = None) -> ValueCells:
    """About `most` coarse cells or fewer.

    rows: declared or noisy number. zero: the place of 0, where it has one. cuts: the only places at which bins may
    begin; None for all.
    """
    masses = _fine_masses(tree, zero, float(rows))
    edges, masses, leaf = _cut_evenly(tree.edges, masses, most, cuts)
    cells = _coarse(edges, masses, most)
    # A leaf that was cut evenly lends its parts an even share of its count and its variance.
    pieces = np.bincount(leaf)[leaf]
    counts = np.bincount(cells, tree.counts[leaf] / pieces)
    variances = np.bincount(cells, np.maximum(tree.sigma, 0.5)[leaf] ** 2 / pieces)
    others_sigma = np.full(len(tree.others), max(tree.others_sigma, 0.5))
    return ValueCells(
        edges,
        masses / max(masses.sum(), 1e-300),
        cells,
        np.concatenate([counts, tree.others]),
        np.concatenate([np.sqrt(variances), others_sigma]),
    )


def _bases(edges: np.ndarray, origin: int | None) -> list[np.ndarray]:
    """(leaves,) parts of each leaf in measures by which a stretch may be spread, each adding up to one.

    Even on the axis, even over the logarithm of the distance from the origin (density 1/x), and density 1/x^2; the
    last two only where distances mean something.
    """
    widths = np.diff(edges).astype(np.float64)
    if origin is None or len(widths) < 2:
        return [widths / widths.sum()]
    near = max(1.0, float(widths.min()))  # within it the densities are flat
    low, high = (np.abs(side - origin - 0.5) / near for side in (edges[:-1].astype(float), edges[1:].astype(float)))
    inside = (edges[:-1] <= origin) & (edges[1:] > origin)

    def between(distribution: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.where(inside, distribution + other, np.abs(distribution - other))

    logs = between(np.log1p(low), np.log1p(high))
    reciprocals = between(low / (1 + low), high / (1 + high))
    return [np.maximum(base, 1e-15 * base.sum()) / base.sum() for base in (widths, logs, reciprocals)]


def _fine_masses(tree: Tree, origin: int | None, rows: float) -> np.ndarray:
    """(leaves,) estimated rows of each leaf."""
    counts, variance = tree.counts, np.maximum(tree.sigma, 0.5) ** 2
    bases = _bases(tree.edges, origin)
    starts, chosen = _stretches(counts, variance, bases, rows)
    stretch = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(counts))))
    base = np.choose(np.array(chosen)[stretch], bases)
    base /= np.bincount(stretch, base)[stretch]
    # The least-squares mass of each stretch, given how it is spread, and its variance.
    known = np.bincount(stretch, base**2 / variance)
    masses = np.append(np.bincount(stretch, counts * base / variance) / known, tree.others)
    noise = np.append(1 / known, np.full(len(tree.others), max(tree.others_sigma, 0.5) ** 2))
    found = _nearest(masses, noise, max(rows, 1.0))[stretch] * base
    return _raked(found, tree, bases[min(1, len(bases) - 1)])


def _raked(masses: np.ndarray, tree: Tree, base: np.ndarray) -> np.ndarray:
    """Masses moved towards the counts of their groups, as far as these differ by more than their noise.

    The counts of groups keep a thin tail that single cells lose in noise, and bulk in its place over many stretches.
    Each difference is shrunk by the part that noise explains (the positive-part estimate of James and Stein 1961). A
    group that is wider than all that surely hold rows changes only where its count stands out as a stretch has to:
    otherwise noise would fill the far end of wide columns. base: (leaves,) how a group is spread that held nothing.
    """
    group, variance = tree.groups, np.maximum(tree.groups_sigma, 0.5) ** 2
    held = np.bincount(group, masses)
    difference = np.bincount(group, tree.counts) - held
    least = PRICE * math.log(max(len(masses), 2)) * variance
    kept = np.maximum(1 - variance / np.maximum(difference**2, 1e-300), 0.0)
    widths = np.bincount(group, np.diff(tree.edges).astype(np.float64))
    sure = held**2 >= 4 * variance
    far = (widths > widths[sure].sum()) & sure.any()
    kept[far & (difference**2 < least)] = 0.0
    wanted = np.maximum(held + kept * difference, 0.0)
    empty = held <= 0
    within = np.where(empty[group], base / np.bincount(group, base)[group], masses / np.where(empty, 1, held)[group])
    found = within * wanted[group]
    return found * (masses.sum() / found.sum()) if found.sum() > 0 else masses


def _stretches(
    counts: np.ndarray, variance: np.ndarray, bases: list[np.ndarray], rows: float
) -> tuple[np.ndarray, list[int]]:
    """(first leaf of each stretch, which base spreads it) of the best partition.

    Where the counts do not tell how a stretch is spread, one with few rows falls steeply, so that noise does not fill
    the tail of a wide column, and one with many is even, so that no column collapses onto its bound nearest to 0.
    """
    n = len(counts)
    price = PRICE * math.log(max(n, 2))

    squares = counts**2 / variance
    products = np.stack([counts * base / variance for base in bases])
    norms = np.stack([base**2 / variance for base in bases])
    best, back, kind = np.zeros(n + 1), np.zeros(n + 1, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    live = np.zeros(1, dtype=np.int64)  # where the last stretch may begin
    for stop in range(1, n + 1):
        # Sums from every beginning to here, added up from here: differences of running sums would drown the small
        # terms of a steep fall in rounding.
        behind, at = slice(int(live[0]), stop), stop - 1 - live
        across, norm, square = (
            np.cumsum(terms[..., behind][..., ::-1], axis=-1)[..., at] for terms in (products, norms, squares)
        )
        gains = np.maximum(across, 0.0) ** 2 / norm
        gain, kinds = gains[0], np.zeros(len(live), dtype=np.int64)
        held = across[0] / norm[0] * np.cumsum(bases[0][behind][::-1])[at]
        many = (held > BULK * rows) | ((live == 0) & (stop == n))
        for number, other in enumerate(gains[1:], 1):
            kinds = np.where(other >= gain + np.where(many, SHAPE, -SHAPE), number, kinds)
            gain = np.maximum(gain, other)
        costs = best[live] + square - gain
        k = int(costs.argmin())
        back[stop], best[stop] = live[k], costs[k] + price
        kind[stop] = kinds[k]
        # A beginning that loses to one here loses for good: a stretch costs no less than its two parts (Killick,
        # Fearnhead, Eckley 2012, arXiv 1101.1438).
        live = np.append(live[costs < best[stop]], stop)
    starts, chosen, stop = [], [], n
    while stop:
        starts.append(int(back[stop]))
        chosen.append(int(kind[stop]))
        stop = int(back[stop])
    return np.array(starts[::-1]), chosen[::-1]


def _nearest(values: np.ndarray, variance: np.ndarray, total: float) -> np.ndarray:
    """The masses nearest to `values`, in units of their noise, that are not negative and add up to `total`."""
    order = np.argsort(-values / variance)  # the last to reach zero first
    v, w = values[order].cumsum(), variance[order].cumsum()
    shift = (v - total) / w
    last = np.flatnonzero(values[order] / variance[order] > shift)
    k = int(last[-1]) if len(last) else 0
    return np.maximum(values - shift[k] * variance, 0.0)


def _cut_evenly(
    edges: np.ndarray, masses: np.ndarray, most: int, cuts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wide leaves of much mass in even parts, so that coarse cells may begin within them; and the leaf of each part."""
    widths = np.diff(edges)
    wanted = np.ceil(masses / max(masses.sum(), 1e-300) * most * FINEST)
    parts = np.minimum(widths, np.maximum(wanted, 1)).astype(np.int64)
    leaf = np.repeat(np.arange(len(parts)), parts)
    number = np.arange(len(leaf)) - np.repeat(np.append(0, parts.cumsum()[:-1]), parts)
    # Places reach 2^45, and a leaf has few parts, so the product stays below 2^63.
    cut = allowed(np.append(edges[leaf] + widths[leaf] * number // parts[leaf], edges[-1]), cuts)
    leaf = np.searchsorted(edges, cut[:-1], side="right") - 1
    return cut, masses[leaf] * np.diff(cut) / widths[leaf], leaf


def _spread(edges: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """(leaves,) the masses, a part of them spread evenly over the range that all but the outermost rows take up."""
    total, below = masses.sum(), masses.cumsum()
    low = int(np.searchsorted(below, OUTERMOST * total))
    high = int(np.searchsorted(below, (1 - OUTERMOST) * total))
    widths = np.diff(edges).astype(np.float64)
    widths[:low] = widths[high + 1 :] = 0
    return (1 - EVENLY) * masses + EVENLY * total * widths / max(widths.sum(), 1.0)


def _coarse(edges: np.ndarray, masses: np.ndarray, most: int) -> np.ndarray:
    """(leaves,) coarse cell of each leaf."""
    total, single = masses.sum(), np.diff(edges) == 1
    if total <= 0 or most <= 1:
        return np.zeros(len(masses), dtype=np.int64)
    if single.all() and len(masses) <= most:
        return np.arange(len(masses))
    cell = total / most
    measure = _spread(edges, masses)
    alone = single & (masses >= ALONE * cell)
    begins = np.zeros(len(masses), dtype=bool)
    begins[0] = True
    begins |= alone
    begins[1:] |= alone[:-1]
    bounds = np.append(np.flatnonzero(begins), len(masses))
    for first, stop in itertools.pairwise(bounds):
        if alone[first]:
            continue
        inside = measure[first:stop]
        mass = inside.sum()
        if mass < SLIVER * cell and first:
            begins[first] = False  # joined to the value before it
            continue
        pieces = max(1, round(mass / cell))
        if pieces > 1:
            middle = inside.cumsum() - inside / 2
            numbers = np.floor(middle / mass * pieces).astype(np.int64)
            begins[first + 1 : stop] |= np.diff(numbers) > 0
    return begins.cumsum() - 1


# -------------------- Of a table ------------------------------------------------------------

MOST_CELLS = 40  # coarse cells of a number, however little the noise
FEWEST_CELLS = 4
ROWS_A_CELL = 2.0  # of a pair of numbers, on average: at least so many times the noise of its counts


def most_cells(rows: int, columns: int, budget: Budget) -> int:
    """Coarse cells of a number such that the counts of a pair of numbers stand out of their noise on average."""
    # About two pairs are measured for every column.
    sigma = fraction_noise(budget, 1 - 1e-9, 2 * columns * budget.cells_changed)
    return round(min(max((rows / (ROWS_A_CELL * max(sigma, 1.0))) ** 0.5, FEWEST_CELLS), MOST_CELLS))


def table_cells(
    table: Table, discretizer: Discretizer | None, most: int, rows: int, ledger: Ledger
) -> dict[int, ValueCells]:
    """The cells of every numeric column of a table, estimated privately. rows: the declared or noisy number."""
    found: dict[int, ValueCells] = {}
    for j, column in enumerate(Codec(table.domain, 1).columns):
        if column.on_axis and discretizer is not None:
            reading = column.column.read(series_of(table.frame, column.name), table.domain.missing_values)
            exact = places_counted(*column.places_and_others(reading), column.size - column.value_bins)
            tree = discretizer.measure(grid(column), exact, rows, ledger)
            found[j] = value_cells(tree, origin(column), rows, most)
    return found


def cell_cuts(cells: ValueCells) -> np.ndarray:
    """(coarse cells + 1,) places at which the coarse cells begin, and the end."""
    first = np.append(True, np.diff(cells.cells) > 0)
    return np.append(cells.cuts[:-1][first], cells.cuts[-1])
