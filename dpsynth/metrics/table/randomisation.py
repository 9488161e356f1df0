"""How far the synthetic rows lie from real ones, in units of what chance alone moves them.

ratio = W(synthetic, real) / median over random relabellings of the pooled rows of W(part 1, part 2), with parts of
the same sizes: 1 when the labels mean nothing. W is the Wasserstein-1 distance of `Sample.coordinates`, whose scale
is the declared range, never the data: a table that is scaled by itself would hide its own shift.

By default W is the mean of W_1 over fixed projections to a line (sliced Wasserstein; Bonneel et al. 2015,
doi 10.1007/s10851-014-0506-3): sorting is all it costs, so many rows are looked at. `exact` solves the assignment
of a few hundred rows. Randomisation ratio: Arnold and Neunhoeffer, arXiv 2004.07740; there with one column at a time.
A ratio grows with the square root of the number of rows for the same defect, so the rows are capped at a fixed number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample

Split = Callable[[np.ndarray], float]  # which of the pooled rows are in part 1, bool (N,) -> distance of the parts


def sliced(projected: np.ndarray) -> Split:
    """Mean over the projections of the W_1 of two parts of the pooled rows; projected: (N, projections) float64.

    W_1 on a line is the area between the two cumulative fractions, so one sort serves all splits.
    """
    order = np.ascontiguousarray(np.argsort(projected, axis=0).T)
    gaps = np.diff(np.take_along_axis(projected.T, order, axis=1), axis=1)

    def distance(part: np.ndarray) -> float:
        weights = np.where(part, 1.0 / part.sum(), -1.0 / (~part).sum())
        between = np.cumsum(weights[order], axis=1)[:, :-1]
        return float(np.einsum("ij,ij->", np.abs(between, out=between), gaps) / len(order))

    return distance


def exact(points: np.ndarray) -> Split:
    """W_1 with the Euclidean distance between two parts of equal size; points: (N, d) float64, N even.

    Between equally many equally heavy points some assignment is an optimal plan, so no transport solver is needed.
    """
    costs = cdist(points, points)

    def distance(part: np.ndarray) -> float:
        between = costs[np.ix_(np.flatnonzero(part), np.flatnonzero(~part))]
        return float(between[linear_sum_assignment(between)].mean())

    return distance


@dataclass(frozen=True, eq=False)
class Randomised:
    """A distance, and the distances (relabellings,) of random splits of the same rows."""

    distance: float
    null: np.ndarray

    @classmethod
    def of(cls, split: Split, first: int, rows: int, relabellings: int, seed: int = 0) -> Randomised:
        """The first `first` of `rows` pooled rows against the others, and random splits of the same sizes."""
        part = np.arange(rows) < first
        generator = np.random.default_rng(seed)
        return cls(split(part), np.array([split(generator.permutation(part)) for _ in range(relabellings)]))

    @property
    def ratio(self) -> float | None:
        """Distance over the median of the null; None where more than half of the null is 0 and the distance is not."""
        middle = float(np.median(self.null))
        if middle > 0.0:
            return self.distance / middle
        return 1.0 if self.distance == 0.0 else None

    @property
    def p_value(self) -> float:
        """Fraction of splits, the given one among them, that are as far apart: valid for exchangeable rows."""
        return float((1 + (self.null >= self.distance).sum()) / (1 + len(self.null)))


def directions(width: int, count: int, seed: int = 0) -> np.ndarray:
    """Uniform directions of unit length, (width, count) float64."""
    drawn = np.random.default_rng(seed).normal(size=(width, count))
    return drawn / np.linalg.norm(drawn, axis=0)


def projections(sample: Sample, count: int, seed: int = 0) -> np.ndarray:
    """The rows' coordinates along `count` fixed random directions, (n, count) float64."""
    return sample.coordinates @ directions(sample.coordinates.shape[1], count, seed)


@dataclass(frozen=True)
class RandomisationRatio:
    """Score "wasserstein_ratio".

    max_rows: rows used of each table, by position. use_exact: the exact distance of at most `exact_rows` rows each.
    """

    max_rows: int = 10_000
    count: int = 50
    relabellings: int = 50
    use_exact: bool = False
    exact_rows: int = 500
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        name, group = "wasserstein_ratio", "joint"
        meaning = (
            "Wasserstein distance to real rows over the median distance of random splits of the same rows (0 equal, "
            "1 like real, more is worse)"
        )
        if self.use_exact:
            rows = min(self.exact_rows, len(evaluated), len(reference.holdout))
            tables = evaluated.head(rows), reference.holdout.head(rows)
            split = exact(np.concatenate([table.coordinates for table in tables]))
            kind = "exact"
        else:
            tables = evaluated.head(self.max_rows), reference.holdout.head(self.max_rows)
            split = sliced(np.concatenate([projections(table, self.count, self.seed) for table in tables]))
            kind = f"sliced, {self.count} projections"
        first, second = map(len, tables)
        result = Randomised.of(split, first, first + second, self.relabellings, self.seed)
        if result.ratio is None:
            return [Score.absent(name, "lower", "most random splits of so few rows are equal", meaning, group)]
        facts = {
            "distance": result.distance,
            "null_median": float(np.median(result.null)),
            "p_value": result.p_value,
            "relabellings": self.relabellings,
            "kind": kind,
            "rows": first,
            "holdout_rows": second,
        }
        return [Score(name, result.ratio, "lower", group, meaning, detail=facts)]
