"""Total variation of marginals in cells that hold about equally many real rows, which heavy tails cannot hide in.

Equal-width bins of declared bounds put nearly all rows of a heavy-tailed column into one cell: incomes up to a million,
most of them below 50,000, fill two of 32, and a table whose values are spread evenly over such a bin scores as well as
one that has them right. Here every numeric column is cut at the quantiles of the real holdout. A value that alone holds
the mass of a cell (0, a top code, a sentinel) is a cell by itself, and values next to it are not: zeros smeared over
the bin that holds them are errors.

The cells follow from private rows. That is right for an evaluation, whose every number is private, and would not be for
a model. Categories stay as they are and missing is a cell of its own, as in `framework/encoding.py`. Each real-data
baseline is cut at the quantiles of its own holdout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dpsynth.data.columns import NumericColumn
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.marginals import Workload, total_variations


def quantile_edges(values: np.ndarray, cells: int) -> np.ndarray:
    """Upper edges that cut the axis into about `cells` cells of equal mass; cell k is (edges[k-1], edges[k]].

    Args:
        values: (n,) float64 without NaN.
        cells: a cell is closed as soon as it holds n / cells values. A value that occurs so often is a cell by itself,
            beside cells that may be empty, so there may be somewhat more or fewer.

    Returns:
        (k,) float64, rising; the last cell, above edges[-1], is the (k+1)-th. Empty for no values.
    """
    distinct, counts = np.unique(values, return_counts=True)
    total, mass = np.cumsum(counts), len(values) / cells
    heavy = np.flatnonzero(counts >= mass)
    edges: list[float] = []
    start, alone = 0, True  # alone: whether the last edge closes a value that is a cell by itself
    while start < len(distinct):
        following = int(np.searchsorted(heavy, start))
        stop = int(heavy[following]) if following < len(heavy) else len(distinct)
        if start == stop:
            below = float(np.nextafter(distinct[start], -np.inf))
            if alone:
                edges.append(below)
            else:
                edges[-1] = below  # the cell before reaches up to the heavy value
            last, alone = start, True
        else:
            reached = (total[start - 1] if start else 0) + mass
            last, alone = min(int(np.searchsorted(total, reached)), stop - 1), False
        edges.append(float(distinct[last]))
        start = last + 1
    return np.unique(edges if alone else edges[:-1])


@dataclass(frozen=True)
class EqualMassCells:
    """edges: column position -> `quantile_edges` of the column. sizes: cells of every column, missing the last."""

    edges: Mapping[int, np.ndarray]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, real: Sample, cells: int) -> EqualMassCells:
        """Cut at the quantiles of these rows."""
        edges: dict[int, np.ndarray] = {}
        sizes = list(real.sizes)
        for j, column in enumerate(real.domain.columns):
            if isinstance(column, NumericColumn):
                values = real.units[:, j]
                edges[j] = quantile_edges(values[~np.isnan(values)], cells)
                sizes[j] = len(edges[j]) + 2
        return cls(edges, tuple(sizes))

    def codes(self, sample: Sample) -> np.ndarray:
        """Cells of every row, (n, D) int32 in [0, sizes[j])."""
        codes = np.array(sample.codes, order="F")
        for j, edges in self.edges.items():
            values = sample.units[:, j]
            codes[:, j] = np.where(np.isnan(values), self.sizes[j] - 1, np.searchsorted(edges, values))
        return codes


@dataclass(frozen=True)
class EqualMass:
    """Scores "tv_1way_equal_mass", "tv_2way_equal_mass", "tv_3way_equal_mass": mean total variation over the workload
    of `Marginals`, in cells of equal mass.

    counts: order -> number of marginals drawn by `seed`, None for all. cells: of a numeric column, about.
    """

    counts: Mapping[int, int | None]
    cells: int = 16
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        """The parts of each score are its marginals, named "column x column"."""
        real, names = reference.holdout, evaluated.domain.names
        cells = EqualMassCells.of(real, self.cells)
        codes = cells.codes(real), cells.codes(evaluated)
        facts = {"cells": self.cells, "rows": len(evaluated), "holdout_rows": len(real)}
        scores: list[Score] = []
        for order, count in self.counts.items():
            name = f"tv_{order}way_equal_mass"
            meaning = (
                f"mean total variation of {order}-way marginals, numbers in cells that hold equally many real rows "
                "(0 equal, 1 disjoint)"
            )
            if order > len(names):
                reason = f"the table has {len(names)} column(s), fewer than {order}"
                scores.append(Score.absent(name, "lower", reason, meaning, "marginals"))
                continue
            workload = Workload.draw(len(names), order, count, self.seed)
            errors = total_variations(*codes, cells.sizes, workload)
            labels = [" x ".join(names[j] for j in columns) for columns in workload.columns]
            parts = {label: float(error) for label, error in zip(labels, errors, strict=True)}
            detail = {"workload": workload.name, **facts}
            scores.append(Score(name, float(errors.mean()), "lower", "marginals", meaning, parts=parts, detail=detail))
        return scores
