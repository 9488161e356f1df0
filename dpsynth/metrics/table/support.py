"""Do synthetic rows fall where real rows are, and do they reach everywhere real rows are?

Works on points with a Euclidean distance: table rows as `Sample.coordinates`, images as features of a fixed network.
The map to points is never fitted to the tables that are compared.

- precision, recall (Kynkäänniemi et al. 2019, arXiv 1904.06991): fraction of synthetic points in some ball around a
  real one that reaches to its k-th real neighbour; and the same with the sides exchanged.
- density, coverage (Naeem et al. 2020, arXiv 2002.09797, eq. 4 and 5): real balls per synthetic point over k, 1 on
  average for one distribution; fraction of real balls that hold a synthetic point, close to 1 - 2^-k for one
  distribution.
- alpha-precision, beta-recall, integrated (Alaa et al. 2022, arXiv 2102.08921; the discretisation of its authors'
  and synthcity's code): 1 - sum |P(alpha) - alpha| / sum alpha. P(alpha) is the fraction of synthetic points within the
  ball around the real mean that holds the fraction alpha of real points. For recall it is the fraction of real points
  that lie no farther from their nearest synthetic point than from their nearest real one, and whose nearest synthetic
  point is among the fraction beta closest to the synthetic mean: about .5 at best for one distribution, 1 only for
  copies.

Balls are closed, so equal rows cover each other; without equal points this is the same as the papers' code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from dpsynth.metrics.framework.metric import Better, Reference, Score
from dpsynth.metrics.framework.sample import Sample

STEPS = 30  # values of alpha and beta, 0 and 1 included


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs, (n, m) float64, of points (n, d) and (m, d).

    Squares are rounded to 1e-10 of the largest norm: equal pairs of points must tie whatever the order of summation.
    """
    norms = (left**2).sum(axis=1), (right**2).sum(axis=1)
    squares = left @ right.T
    squares *= -2.0
    squares += norms[0][:, None]
    squares += norms[1]
    quantum = 1e-10 * max(norms[0].max(), norms[1].max()) or 1.0
    squares /= quantum
    np.rint(squares, out=squares)
    np.maximum(squares, 0.0, out=squares)
    squares *= quantum
    return np.sqrt(squares, out=squares)


@dataclass(frozen=True, eq=False)
class Support:
    """Real points (n, d) and synthetic points (m, d), float64, with more than k of each, and their balls."""

    real: np.ndarray
    synthetic: np.ndarray
    k: int = 5

    @cached_property
    def across(self) -> np.ndarray:
        """Distances (n, m) from real to synthetic points."""
        return distances(self.real, self.synthetic)

    @cached_property
    def real_neighbours(self) -> np.ndarray:
        """Distances (n, k) from each real point to its k nearest other real points, ascending."""
        return _neighbours(self.real, self.k)

    @cached_property
    def held(self) -> np.ndarray:
        """Whether real ball i holds synthetic point j, bool (n, m)."""
        return self.across <= self.real_neighbours[:, -1:]

    @property
    def precision(self) -> float:
        """In [0, 1]."""
        return float(self.held.any(axis=0).mean())

    @property
    def recall(self) -> float:
        """In [0, 1]."""
        return float((self.across <= _neighbours(self.synthetic, self.k)[:, -1]).any(axis=1).mean())

    @property
    def density(self) -> float:
        """At least 0; above 1 where synthetic points crowd in the dense parts."""
        return float(self.held.sum() / (self.k * len(self.synthetic)))

    @property
    def coverage(self) -> float:
        """In [0, 1]."""
        return float(self.held.any(axis=1).mean())

    @property
    def alpha_precision(self) -> float:
        """In [0, 1]."""
        centre = self.real.mean(axis=0)
        real, synthetic = (np.linalg.norm(points - centre, axis=1) for points in (self.real, self.synthetic))
        return _agreement(lambda radius: (synthetic <= radius).mean(), real)

    @property
    def beta_recall(self) -> float:
        """In [0, 1]; needs at least two real points."""
        nearest = self.across.argmin(axis=1)
        covered = self.across.min(axis=1) <= self.real_neighbours[:, 0]
        outward = np.linalg.norm(self.synthetic - self.synthetic.mean(axis=0), axis=1)[nearest]
        return _agreement(lambda radius: (covered & (outward <= radius)).mean(), outward)


def _neighbours(points: np.ndarray, k: int) -> np.ndarray:
    between = distances(points, points)
    np.fill_diagonal(between, np.inf)
    return np.sort(np.partition(between, k - 1, axis=1)[:, :k], axis=1)


def _agreement(fraction: Callable[[float], float], radii: np.ndarray) -> float:
    """1 - sum |share(r(alpha)) - alpha| / sum alpha, with r(alpha) the quantiles of the radii."""
    alphas = np.linspace(0.0, 1.0, STEPS)
    fractions = np.array([fraction(radius) for radius in np.quantile(radii, alphas)])
    return float(np.clip(1.0 - np.abs(fractions - alphas).sum() / alphas.sum(), 0.0, 1.0))


MEANINGS = {
    "alpha_precision": "synthetic rows lie as close to the real mean as real rows do, at all quantiles (0 to 1)",
    "beta_recall": "real rows have a synthetic row nearer than the next real one (0 to 1; about .5 like real)",
    "density": "real neighbourhoods a synthetic row lies in, over k (0 to k; 1 like real, above: crowded)",
    "coverage": "fraction of real rows with a synthetic row among their k nearest (0 to 1)",
}


@dataclass(frozen=True)
class SupportScores:
    """Scores "alpha_precision", "beta_recall", "density", "coverage" of equally many rows of both tables.

    max_rows: rows used of each table, by position; neighbour distances shrink with their number. width: of more
    coordinates than that fewer rows are used, so that the time stays the same.
    """

    k: int = 5
    max_rows: int = 3_000
    width: int = 500
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        better: Better = "higher"
        excess = evaluated.head(1).coordinates.shape[1] / self.width
        limit = int(self.max_rows / max(1.0, excess) ** 0.5)
        rows = min(limit, len(evaluated), len(reference.holdout))
        if rows <= self.k:
            reason = f"fewer than {self.k + 1} rows"
            return [Score.absent(name, better, reason, meaning, "joint") for name, meaning in MEANINGS.items()]
        support = Support(reference.holdout.head(rows).coordinates, evaluated.head(rows).coordinates, self.k)
        facts = {"k": self.k, "rows": rows}
        return [
            Score(
                name,
                getattr(support, name),
                better,
                "joint",
                meaning,
                limits=(0.0, None if name == "density" else 1.0),
                detail=facts,
            )
            for name, meaning in MEANINGS.items()
        ]
