"""Total variation between the k-way marginals of a synthetic and a real table.

For one set of columns, with p and q the shares of rows in each cell of the binned view, TV = 1/2 sum |p -
q|: 0 for equal tables, 1 for tables without a common cell. The score of a workload is the mean over its
marginals: 1 - s/1000 for the k-marginal score s of SDNist. Two finite samples of one law never score 0:
compare with the floor, which is what real rows score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dpsynth.metrics.family import Reference
from dpsynth.metrics.sample import Sample
from dpsynth.metrics.score import Score


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
        shares = np.bincount(p, minlength=cells) / len(p) - np.bincount(q, minlength=cells) / len(q)
        errors[i] = 0.5 * np.abs(shares).sum()
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

    def measure(self, judged: Sample, reference: Reference) -> list[Score]:
        """The parts of each score are its marginals, named "column x column"."""
        real, sizes, names = reference.holdout, judged.sizes, judged.domain.names
        scores: list[Score] = []
        for order, count in self.counts.items():
            name, meaning = f"tv_{order}way", f"mean total variation of {order}-way marginals (0 equal, 1 disjoint)"
            if order > len(sizes):
                reason = f"the table has {len(sizes)} column(s), fewer than {order}"
                scores.append(Score.absent(name, "lower", reason, meaning, "marginals"))
                continue
            workload = Workload.draw(len(sizes), order, count, self.seed)
            errors = total_variations(real.codes, judged.codes, sizes, workload)
            parts = {
                " x ".join(names[j] for j in columns): float(error)
                for columns, error in zip(workload.columns, errors, strict=True)
            }
            facts = {"workload": workload.name, "bins": judged.bins, "rows": len(judged), "holdout_rows": len(real)}
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
