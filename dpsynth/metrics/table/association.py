"""How strongly columns depend on each other, two at a time, and whether a synthetic table keeps it.

Two numbers or dates: Pearson's and Spearman's correlation. Two categories: Cramer's V with Bergsma's correction for
bias (J. Korean Stat. Soc. 42, 2013): with phi2 = chi2 / n and r x c occupied categories,

    V = sqrt(max(0, phi2 - (r-1)(c-1)/(n-1)) / min(r' - 1, c' - 1)),   r' = r - (r-1)^2/(n-1),   c' alike.

A category and a number: the correlation ratio, the square root of the fraction of the number's variance that lies
between the categories, with Kelley's correction (PNAS 21, 1935): sqrt(max(0, 1 - (1 - eta2)(n-1)/(n-k))) for k occupied
categories. Without the two corrections columns of many categories look dependent on everything, the more so the fewer
the rows.

A missing category is a category of its own. Numbers count where they are there, for two numbers where both are; ranks
are taken among all values a column has. A constant or empty column depends on nothing: all its values are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sparse
from scipy.stats import rankdata

from dpsynth.data.columns import Category
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample

ROWS = 100_000  # of each table that are looked at
PARTS = 300


class Associations(NamedTuple):
    """Measures of all pairs of columns of one table: Q numbers or dates and C categories.

    pearson, spearman (Q, Q) in [-1, 1];  cramer (C, C) in [0, 1];  ratio (C, Q) in [0, 1]. Diagonals are 1.
    """

    pearson: np.ndarray
    spearman: np.ndarray
    cramer: np.ndarray
    ratio: np.ndarray

    @classmethod
    def of(cls, sample: Sample, rows: int = ROWS) -> Associations:
        """Of the first `rows` rows."""
        sample = sample.head(rows)
        categories, numeric_columns = split(sample)
        values = np.asfortranarray(sample.units[:, numeric_columns])
        codes = np.asfortranarray(sample.codes[:, categories])
        sizes = [sample.sizes[j] for j in categories]
        return cls(pearson(values), pearson(ranks(values)), cramer(codes, sizes), ratios(codes, sizes, values))


def split(sample: Sample) -> tuple[list[int], list[int]]:
    """Positions of the categories and booleans, and of the numbers and dates."""
    kinds = [isinstance(column, Category) for column in sample.domain.columns]
    return [j for j, is_category in enumerate(kinds) if is_category], [j for j, kind in enumerate(kinds) if not kind]


def association_matrix(sample: Sample) -> np.ndarray:
    """(D, D) float64 in [0, 1]: |Pearson| of numbers, correlation ratio of a category and a number, Cramer's V of
    categories, as above; 1 on the diagonal."""
    categories, numeric_columns = split(sample)
    found = Associations.of(sample)
    matrix = np.eye(len(sample.sizes))
    matrix[np.ix_(numeric_columns, numeric_columns)] = np.abs(found.pearson)
    matrix[np.ix_(categories, categories)] = found.cramer
    matrix[np.ix_(categories, numeric_columns)] = found.ratio
    matrix[np.ix_(numeric_columns, categories)] = found.ratio.T
    return matrix


def standardised(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns at mean 0 and variance 1, with 0 where a value is missing or the column constant, float64 (n, Q); and
    where there are values, float64 0 or 1 (n, Q)."""
    scores, there = np.zeros_like(values), ~np.isnan(values)
    for j in range(values.shape[1]):
        present = values[there[:, j], j]
        if len(present) > 1 and present.min() < present.max():
            centred = present - present.mean()
            largest = np.abs(centred).max()  # squares of very small numbers would vanish
            centred = centred / largest
            scores[there[:, j], j] = (centred - centred.mean()) / centred.std()
    return scores, there.astype(np.float64)


def pearson(values: np.ndarray) -> np.ndarray:
    """Correlations of the columns of float64 (n, Q) over the rows where both are not NaN, (Q, Q) in [-1, 1]."""
    scores, there = standardised(values)
    counts = np.maximum(there.T @ there, 1.0)
    means = scores.T @ there / counts  # [i, j]: of column i where column j is there
    squares = (scores**2).T @ there / counts
    variances = squares - means**2
    # what is left of a column that is constant where the other one is there is rounding
    spread = np.sqrt(np.where(variances > 1e-12 * squares, variances, 0.0))
    scale = spread * spread.T
    covariances = scores.T @ scores / counts - means * means.T
    found = np.divide(covariances, scale, out=np.zeros_like(scale), where=scale > 0)
    np.fill_diagonal(found, 1.0)
    return np.clip(found, -1.0, 1.0)


def ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks within each column of float64 (n, Q); NaN stays NaN."""
    found = np.full_like(values, np.nan)
    for j in range(values.shape[1]):
        there = ~np.isnan(values[:, j])
        found[there, j] = rankdata(values[there, j])
    return found


def cramer(codes: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Cramer's V, corrected for bias, of int (n, C) with codes[:, j] in [0, sizes[j]); (C, C) in [0, 1]."""
    rows, width = codes.shape
    found = np.eye(width)
    totals = [np.bincount(codes[:, j], minlength=sizes[j]) for j in range(width)]
    occupied = [int(np.count_nonzero(total)) for total in totals]
    for i in range(width):
        for j in range(i + 1, width):
            if min(occupied[i], occupied[j]) < 2:
                continue
            cells, counts = _occupied(codes[:, i].astype(np.int64) * sizes[j] + codes[:, j], sizes[i] * sizes[j])
            expected = totals[i][cells // sizes[j]].astype(np.float64) * totals[j][cells % sizes[j]]
            # chi2 / n = sum n_ij^2 / (n_i n_j) - 1
            excess = float((counts.astype(np.float64) ** 2 / expected).sum()) - 1.0
            found[i, j] = found[j, i] = corrected_v(excess, occupied[i], occupied[j], rows)
    return found


def corrected_v(phi2: float, r: int, c: int, rows: int) -> float:
    """Bergsma's V in [0, 1] from chi2 / n of a table of r x c occupied categories."""
    if min(r, c) < 2 or rows < 2:
        return 0.0
    reach = min(r - 1 - (r - 1) ** 2 / (rows - 1), c - 1 - (c - 1) ** 2 / (rows - 1))
    excess = phi2 - (r - 1) * (c - 1) / (rows - 1)
    return float(np.sqrt(min(excess / reach, 1.0))) if reach > 1e-9 and excess > 0 else 0.0


def ratios(codes: np.ndarray, sizes: Sequence[int], values: np.ndarray) -> np.ndarray:
    """Correlation ratios, corrected for bias, of int (n, C) categories with float64 (n, Q) numbers; (C, Q)."""
    rows, width = codes.shape
    scores, there = standardised(values)
    count = there.sum(axis=0)
    found = np.zeros((width, values.shape[1]))
    if not found.size:
        return found
    starts = np.concatenate([[0], np.cumsum(sizes)])
    places = (codes + starts[:-1]).ravel()
    one_hot = sparse.csr_matrix((np.ones(rows * width), places, np.arange(rows + 1) * width), (rows, starts[-1]))
    sums, counts = np.hsplit(one_hot.T @ np.hstack([scores, there]), 2)
    between = np.divide(sums**2, counts, out=np.zeros_like(sums), where=counts > 0)
    varies = scores.any(axis=0)
    for i in range(width):
        block = slice(starts[i], starts[i + 1])
        fraction = between[block].sum(axis=0) / np.maximum(count, 1)
        k = np.count_nonzero(counts[block], axis=0)
        kept = 1 - (1 - fraction) * (count - 1) / np.maximum(count - k, 1)
        found[i] = np.sqrt(np.clip(np.where(varies & (count > k), kept, 0.0), 0.0, 1.0))
    return found


def _occupied(index: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """(cells that hold rows, rows in each), both int64."""
    if cells > 4 * len(index):
        occupied, counts = np.unique(index, return_counts=True)
        return occupied, counts
    counts = np.bincount(index, minlength=cells)
    occupied = np.flatnonzero(counts)
    return occupied, counts[occupied]


@dataclass(frozen=True)
class Association:
    """Scores "pearson_gap", "spearman_gap", "cramer_gap" and "correlation_ratio_gap": mean absolute difference of
    each measure between the real and the synthetic table.

    rows: of each table that are looked at. Parts are pairs, "a x b", the 300 largest gaps when there are more.
    """

    rows: int = ROWS
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        real, other = Associations.of(reference.holdout, self.rows), Associations.of(evaluated, self.rows)
        categories, numeric_columns = split(evaluated)
        numbers, groups = pairs_within(numeric_columns), pairs_within(categories)
        mixed = [(i, j) for i in range(len(categories)) for j in range(len(numeric_columns))]
        plan = (
            (
                "pearson_gap",
                "Pearson's correlation, two numbers or dates, 0 to 2",
                numbers,
                numeric_columns,
                numeric_columns,
            ),
            (
                "spearman_gap",
                "Spearman's rank correlation, two numbers or dates, 0 to 2",
                numbers,
                numeric_columns,
                numeric_columns,
            ),
            ("cramer_gap", "Cramer's V, two categories, 0 to 1", groups, categories, categories),
            (
                "correlation_ratio_gap",
                "correlation ratio, a category and a number, 0 to 1",
                mixed,
                categories,
                numeric_columns,
            ),
        )
        names = evaluated.domain.names
        scores: list[Score] = []
        for (name, what, pairs, first, second), a, b in zip(plan, real, other, strict=True):
            meaning = f"mean difference, over pairs of columns, of {what} (0 equal)"
            if not pairs:
                reason = f"the domain has no pair of columns for it ({what.split(', ')[1]})"
                scores.append(Score.absent(name, "lower", reason, meaning, "pairs"))
                continue
            left, right = np.array(pairs).T
            gaps = np.abs(a - b)[left, right]
            places = [sorted((first[i], second[j])) for i, j in pairs]
            labels = [f"{names[i]} x {names[j]}" for i, j in places]
            kept = np.sort(np.argsort(-gaps, kind="stable")[:PARTS])
            worst = int(gaps.argmax())
            facts = {"pairs": len(pairs), "max": float(gaps[worst]), "max_pair": labels[worst]}
            facts |= {"rows": min(len(evaluated), self.rows), "holdout_rows": min(len(reference.holdout), self.rows)}
            parts = {labels[k]: float(gaps[k]) for k in kept}
            scores.append(Score(name, float(gaps.mean()), "lower", "pairs", meaning, parts=parts, detail=facts))
        return scores


def pairs_within(positions: Sequence[int]) -> list[tuple[int, int]]:
    """All pairs i < j of indices into `positions`."""
    return [(i, j) for i in range(len(positions)) for j in range(i + 1, len(positions))]
