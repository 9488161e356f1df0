"""Total variation and Kullback-Leibler closeness of marginals, and the k-marginal score of NIST's challenges.

Total variation between the k-way marginals of a synthetic and a real table.

For one set of columns, with p and q the fractions of rows in each cell of the binned view, TV = 1/2 sum |p -
q|: 0 for equal tables, 1 for tables without a common cell. The score of a workload is the mean over its
marginals: 1 - s/1000 for the k-marginal score s of SDNist. Two finite samples of one distribution never score 0:
compare with the real-data baseline, which is what real rows score.

Kullback-Leibler closeness of 1- and 2-way marginals, and the k-marginal score of NIST's synthetic data challenges.

KL. For one marginal with fractions p of the real rows and counts y of m synthetic rows in C cells,

    KL = sum p log(p / q),   q = (y + 1/C) / (m + 1):

the synthetic table gets one more row, spread evenly over all cells. So a cell of real rows that the synthetic table
does not have costs p log(p C (m + 1)), finite but dear: the measure for dropped modes. The score is the mean of
1 / (1 + KL) over the marginals, in [0, 1], 1 for equal tables: the figure of the Pasteur project, which fills empty
cells with 1e-24 of a row instead, so that its values are lower wherever cells are empty.

NIST. 1000 (1 - mean total variation) over a fixed draw of 3-way marginals: the k-marginal score of SDNist, on the
bins of this package. `detail` says which fraction of the holdout rows, drawn at random, scores the same against the
whole holdout. The expected total variation of such a draw of m out of N rows has a closed form: the mean absolute
deviation of a hypergeometric count X with K of N marked (Diaconis and Zabell, Statistical Science 6, 1991) is

    E|X - mK/N| = 2 j (N - K - m + j) / N  P(X = j),   j = floor(mK/N) + 1,

so that no rows are drawn, and m is found by bisection: milliseconds. A fraction of 1 would take copies of the holdout.
A fresh real table of n rows is worth about 1 / (2 + N/n) of it ("fresh_equivalent"), because the variances of its cells
are 1/n + 1/N, and those of the draw 1/m - 1/N; on Adult that is a tenth too much.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import gammaln

from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample


@dataclass(frozen=True)
class Workload:
    """A named list of marginals: `columns` are tuples of column positions."""

    name: str
    order: int
    columns: tuple[tuple[int, ...], ...]

    @classmethod
    def draw(cls, width: int, order: int, count: int | None = None, seed: int = 0) -> Workload:
        """All `order`-way marginals of `width` columns, or `count` of them drawn once by `seed`.

        The draw depends on these four numbers alone, so all tables of one domain meet the same workload.
        """
        total = math.comb(width, order)
        if count is None or count >= total:
            chosen = range(total)
            name = f"all {total} {order}-way marginals"
        else:
            generator = np.random.default_rng([seed, order])
            chosen = np.sort(generator.choice(total, size=count, replace=False, shuffle=False)).tolist()
            name = f"{count} of {total} {order}-way marginals, seed {seed}"
        return cls(name, order, tuple(_combination(rank, width, order) for rank in chosen))


def total_variations(real: np.ndarray, synthetic: np.ndarray, sizes: Sequence[int], workload: Workload) -> np.ndarray:
    """TV of every marginal of the workload, float64 (len(workload.columns),) in [0, 1].

    real, synthetic: cells of a `BinnedView`, (n, D) and (m, D) ints in [0, sizes[j]).
    """
    errors = np.empty(len(workload.columns))
    for i, columns in enumerate(workload.columns):
        cells = math.prod(sizes[j] for j in columns)
        p, q = _index(real, sizes, columns), _index(synthetic, sizes, columns)
        if cells > 4 * (len(p) + len(q)):  # most cells are empty: number the occupied ones only
            occupied, both = np.unique(np.concatenate([p, q]), return_inverse=True)
            p, q, cells = both[: len(p)], both[len(p) :], len(occupied)
        fractions = np.bincount(p, minlength=cells) / len(p) - np.bincount(q, minlength=cells) / len(q)
        errors[i] = 0.5 * np.abs(fractions).sum()
    return np.clip(errors, 0.0, 1.0)


@dataclass(frozen=True)
class Marginals:
    """Scores "tv_1way", "tv_2way", "tv_3way": mean total variation over a named workload.

    counts: order -> number of marginals drawn by `seed`, None for all.
    """

    counts: Mapping[int, int | None]
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        """The parts of each score are its marginals, named "column x column"."""
        real, sizes, names = reference.holdout, evaluated.sizes, evaluated.domain.names
        scores: list[Score] = []
        for order, count in self.counts.items():
            name, meaning = f"tv_{order}way", f"mean total variation of {order}-way marginals (0 equal, 1 disjoint)"
            if order > len(sizes):
                reason = f"the table has {len(sizes)} column(s), fewer than {order}"
                scores.append(Score.absent(name, "lower", reason, meaning, "marginals"))
                continue
            workload = Workload.draw(len(sizes), order, count, self.seed)
            errors = total_variations(real.codes, evaluated.codes, sizes, workload)
            parts = {
                " x ".join(names[j] for j in columns): float(error)
                for columns, error in zip(workload.columns, errors, strict=True)
            }
            facts = {
                "workload": workload.name,
                "bins": evaluated.bins,
                "rows": len(evaluated),
                "holdout_rows": len(real),
            }
            scores.append(Score(name, float(errors.mean()), "lower", "marginals", meaning, parts=parts, detail=facts))
        return scores


def _index(codes: np.ndarray, sizes: Sequence[int], columns: Sequence[int]) -> np.ndarray:
    """Mixed-radix number of each row's cell, int64 (n,)."""
    index = codes[:, columns[0]].astype(np.int64)
    for j in columns[1:]:
        index *= sizes[j]
        index += codes[:, j]
    return index


def _combination(rank: int, width: int, order: int) -> tuple[int, ...]:
    """The `rank`-th set of `order` out of `width` positions in lexicographic order."""
    chosen: list[int] = []
    position = 0
    while len(chosen) < order:
        following = math.comb(width - position - 1, order - len(chosen) - 1)
        if rank < following:
            chosen.append(position)
        else:
            rank -= following
        position += 1
    return tuple(chosen)


# -------------------- Divergence ------------------------------------------------------------

Counts = tuple[np.ndarray, np.ndarray, int]


def counted(real: np.ndarray, evaluated: np.ndarray, sizes: Sequence[int], workload: Workload) -> Iterator[Counts]:
    """(real rows, evaluated rows) in each cell of every marginal of the workload, int64, and its number of cells.

    real, evaluated: cells of a `BinnedView`, (n, D) and (m, D) ints in [0, sizes[j]). Of marginals with far more cells
    than rows only the occupied ones are given.
    """
    codes = np.asfortranarray(np.concatenate([real, evaluated]))  # columns are read one at a time
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


def kl_divergence(real: np.ndarray, evaluated: np.ndarray, cells: int) -> float:
    """KL of the real fractions from the smoothed synthetic ones, in nats, >= 0; from rows per cell, both (cells,)."""
    seen = real > 0
    p = real[seen] / real.sum()
    q = (evaluated[seen] + 1.0 / cells) / (evaluated.sum() + 1.0)
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
    """The smallest fraction of the rows whose expected mean total variation is at most `variation`, in (0, 1]; 0.0 when
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

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        """The parts of each score are its marginals, "column x column": 1 / (1 + KL), and 1000 (1 - TV)."""
        real, other = reference.holdout.head(self.rows), evaluated.head(self.rows)
        return [self._kl(real, other, 1, None), self._kl(real, other, 2, self.pairs), self._nist(real, other)]

    def _kl(self, real: Sample, evaluated: Sample, order: int, count: int | None) -> Score:
        name = f"kl_{order}way"
        meaning = f"mean of 1 / (1 + KL divergence) of {order}-way marginals (1 equal, towards 0 unlike)"
        if order > len(evaluated.sizes):
            return Score.absent(name, "higher", _too_few(evaluated), meaning, "marginals")
        workload = Workload.draw(len(evaluated.sizes), order, count, self.seed)
        closeness = [
            1 / (1 + kl_divergence(*each)) for each in counted(real.codes, evaluated.codes, evaluated.sizes, workload)
        ]
        return _score(name, meaning, closeness, workload, real, evaluated)

    def _nist(self, real: Sample, evaluated: Sample) -> Score:
        meaning = "NIST k-marginal score, 1000 (1 - mean total variation) over 3-way marginals (1000 equal, 0 disjoint)"
        if len(evaluated.sizes) < 3:
            return Score.absent("nist", "higher", _too_few(evaluated), meaning, "marginals")
        workload = Workload.draw(len(evaluated.sizes), 3, self.triples, self.seed)
        profile = np.zeros(len(real) + 1, dtype=np.int64)
        variations: list[float] = []
        for p, q, _ in counted(real.codes, evaluated.codes, evaluated.sizes, workload):
            variations.append(min(0.5 * float(np.abs(p / len(real) - q / len(evaluated)).sum()), 1.0))
            profile += np.bincount(p, minlength=len(profile))
        fraction = subsample_equivalent(profile, len(variations), float(np.mean(variations)))
        points = [1000 * (1 - each) for each in variations]
        fresh = 1 / (2 + len(real) / len(evaluated))
        more = {"subsample_equivalent": fraction, "fresh_equivalent": fresh}
        return _score("nist", meaning, points, workload, real, evaluated, more)


def _score(
    name: str,
    meaning: str,
    values: Sequence[float],
    workload: Workload,
    real: Sample,
    evaluated: Sample,
    more: Mapping[str, float] | None = None,
) -> Score:
    names = evaluated.domain.names
    labels = [" x ".join(names[j] for j in columns) for columns in workload.columns]
    parts = {label: float(value) for label, value in zip(labels, values, strict=True)}
    facts = {"workload": workload.name, "bins": evaluated.bins, "rows": len(evaluated), "holdout_rows": len(real)}
    return Score(
        name, float(np.mean(values)), "higher", "marginals", meaning, parts=parts, detail={**facts, **(more or {})}
    )


def _too_few(evaluated: Sample) -> str:
    return f"the table has only {len(evaluated.sizes)} column(s)"
