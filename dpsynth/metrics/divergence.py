"""Kullback-Leibler closeness of 1- and 2-way marginals, and the k-marginal score of NIST's synthetic data challenges.

KL. For one marginal with shares p of the real rows and counts y of m synthetic rows in C cells,

    KL = sum p log(p / q),   q = (y + 1/C) / (m + 1):

the synthetic table gets one more row, spread evenly over all cells. So a cell of real rows that the synthetic table
does not have costs p log(p C (m + 1)), finite but dear: the measure for dropped modes. The score is the mean of
1 / (1 + KL) over the marginals, in [0, 1], 1 for equal tables: the figure of the Pasteur project, which fills empty
cells with 1e-24 of a row instead, so that its values are lower wherever cells are empty.

NIST. 1000 (1 - mean total variation) over a fixed draw of 3-way marginals: the k-marginal score of SDNist, on the
bins of this package. `detail` says which share of the holdout rows, drawn at random, scores the same against the whole
holdout. The expected total variation of such a draw of m out of N rows has a closed form: the mean absolute deviation
of a hypergeometric count X with K of N marked (Diaconis and Zabell, Statistical Science 6, 1991) is

    E|X - mK/N| = 2 j (N - K - m + j) / N  P(X = j),   j = floor(mK/N) + 1,

so that no rows are drawn, and m is found by bisection: milliseconds. A share of 1 would take copies of the holdout. A
fresh real table of n rows is worth about 1 / (2 + N/n) of it ("fresh_equivalent"), because the variances of its cells
are 1/n + 1/N, and those of the draw 1/m - 1/N; on Adult that is a tenth too much.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import gammaln

from dpsynth.metrics.family import Reference
from dpsynth.metrics.marginals import Workload
from dpsynth.metrics.sample import Sample
from dpsynth.metrics.score import Score

Counts = tuple[np.ndarray, np.ndarray, int]


def counted(real: np.ndarray, judged: np.ndarray, sizes: Sequence[int], workload: Workload) -> Iterator[Counts]:
    """(real rows, judged rows) in each cell of every marginal of the workload, int64, and its number of cells.

    real, judged: cells of a `BinnedView`, (n, D) and (m, D) ints in [0, sizes[j]). Of marginals with far more cells
    than rows only the occupied ones are given.
    """
    codes = np.asfortranarray(np.concatenate([real, judged]))  # columns are read one at a time
    for columns in workload.columns:
        cells = math.prod(sizes[j] for j in columns)
        index = codes[:, columns[0]].astype(np.int64)
        for j in columns[1:]:
            index *= sizes[j]
            index += codes[:, j]
        kinds = cells
        if cells > 4 * len(index):
            occupied, index = np.unique(index, return_inverse=True)
            kinds = len(occupied)
        first, second = index[: len(real)], index[len(real) :]
        yield np.bincount(first, minlength=kinds), np.bincount(second, minlength=kinds), cells


def kl_divergence(real: np.ndarray, judged: np.ndarray, cells: int) -> float:
    """KL of the real shares from the smoothed synthetic ones, in nats, >= 0; from rows per cell, both (cells,)."""
    seen = real > 0
    p = real[seen] / real.sum()
    q = (judged[seen] + 1.0 / cells) / (judged.sum() + 1.0)
    return max(float(p @ np.log(p / q)), 0.0)


def expected_variation(profile: np.ndarray, marginals: int, rows: int) -> float:
    """Expected mean total variation between `rows` rows drawn without replacement and the table they are drawn from.

    profile: how many cells of all marginals together hold K of the N rows, (N + 1,) for K = 0..N.
    """
    total = len(profile) - 1
    marked = np.flatnonzero(profile[1:total]) + 1  # cells with no row or all rows do not deviate
    if not len(marked) or rows >= total:
        return 0.0
    above = rows * marked // total + 1
    # P(X = above); zero where the draw cannot hold so many
    possible = (above <= rows) & (above <= marked)
    kept, j = marked[possible], above[possible]
    log_mass = _choices(kept, j) + _choices(total - kept, rows - j) - _choices(np.array(total), np.array(rows))
    deviations = 2.0 * j * (total - kept - rows + j) / total * np.exp(log_mass)
    return float(0.5 * profile[kept] @ deviations / rows / marginals)


def subsample_equivalent(profile: np.ndarray, marginals: int, variation: float) -> float:
    """The smallest share of the rows whose expected mean total variation is at most `variation`, in (0, 1]; 0.0 when
    already a single row does better."""
    low, high = 0, len(profile) - 1  # `high` rows are near enough, `low` rows are not
    if expected_variation(profile, marginals, 1) < variation:
        return 0.0
    while high - low > 1:
        middle = (low + high) // 2
        if expected_variation(profile, marginals, middle) <= variation:
            high = middle
        else:
            low = middle
    return high / (len(profile) - 1)


def _choices(total: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Logarithm of the binomial coefficient."""
    return gammaln(total + 1.0) - gammaln(taken + 1.0) - gammaln(total - taken + 1.0)


@dataclass(frozen=True)
class Divergence:
    """Scores "kl_1way", "kl_2way" (mean of 1 / (1 + KL)) and "nist" (0 to 1000).

    pairs, triples: at most so many 2- and 3-way marginals, drawn by `seed`.  rows: of each table that are looked at.
    """

    pairs: int = 1_000
    triples: int = 100
    rows: int = 100_000
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, judged: Sample, reference: Reference) -> list[Score]:
        """The parts of each score are its marginals, "column x column": 1 / (1 + KL), and 1000 (1 - TV)."""
        real, other = reference.holdout.head(self.rows), judged.head(self.rows)
        return [self._kl(real, other, 1, None), self._kl(real, other, 2, self.pairs), self._nist(real, other)]

    def _kl(self, real: Sample, judged: Sample, order: int, count: int | None) -> Score:
        name = f"kl_{order}way"
        meaning = f"mean of 1 / (1 + KL divergence) of {order}-way marginals (1 equal, towards 0 unlike)"
        if order > len(judged.sizes):
            return Score.absent(name, "higher", _too_few(judged), meaning, "marginals")
        workload = Workload.draw(len(judged.sizes), order, count, self.seed)
        closeness = [
            1 / (1 + kl_divergence(*each)) for each in counted(real.codes, judged.codes, judged.sizes, workload)
        ]
        return _score(name, meaning, closeness, workload, real, judged)

    def _nist(self, real: Sample, judged: Sample) -> Score:
        meaning = "NIST k-marginal score, 1000 (1 - mean total variation) over 3-way marginals (1000 equal, 0 disjoint)"
        if len(judged.sizes) < 3:
            return Score.absent("nist", "higher", _too_few(judged), meaning, "marginals")
        workload = Workload.draw(len(judged.sizes), 3, self.triples, self.seed)
        profile = np.zeros(len(real) + 1, dtype=np.int64)
        variations: list[float] = []
        for p, q, _ in counted(real.codes, judged.codes, judged.sizes, workload):
            variations.append(min(0.5 * float(np.abs(p / len(real) - q / len(judged)).sum()), 1.0))
            profile += np.bincount(p, minlength=len(profile))
        share = subsample_equivalent(profile, len(variations), float(np.mean(variations)))
        points = [1000 * (1 - each) for each in variations]
        fresh = 1 / (2 + len(real) / len(judged))
        more = {"subsample_equivalent": share, "fresh_equivalent": fresh}
        return _score("nist", meaning, points, workload, real, judged, more)


def _score(
    name: str,
    meaning: str,
    values: Sequence[float],
    workload: Workload,
    real: Sample,
    judged: Sample,
    more: Mapping[str, float] | None = None,
) -> Score:
    names = judged.domain.names
    labels = [" x ".join(names[j] for j in columns) for columns in workload.columns]
    parts = {label: float(value) for label, value in zip(labels, values, strict=True)}
    facts = {"workload": workload.name, "bins": judged.bins, "rows": len(judged), "holdout_rows": len(real)}
    return Score(
        name, float(np.mean(values)), "higher", "marginals", meaning, parts=parts, detail={**facts, **(more or {})}
    )


def _too_few(judged: Sample) -> str:
    return f"the table has only {len(judged.sizes)} column(s)"
