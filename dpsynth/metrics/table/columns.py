"""Numbers, dates and missing values of one column at a time.

F and G are the distribution functions of the real and the synthetic values of a column on its declared range, scaled
to [0, 1]. The Wasserstein-1 distance, integral |F - G|, is the mean fraction of the range by which values must be
moved; the Kolmogorov-Smirnov statistic, max |F - G|, is the largest error in the fraction of values below any one
point. The range is the declared one: scaled by the sample, a column with one outlier would look better than it is.
Missing values are left out of both and reported apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dpsynth.data.columns import NumericColumn
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample

WASSERSTEIN = "mean Wasserstein distance of numeric and date columns, declared range = 1 (0 equal, 1 farthest)"
KS = (
    "mean Kolmogorov-Smirnov statistic of numeric and date columns: largest gap of the fractions below a point (0 to 1)"
)
MISSING = "mean difference of missing rates, over columns that may be missing (0 equal, 1 farthest)"


def distances(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """(Wasserstein-1 distance, Kolmogorov-Smirnov statistic) of two samples, float64 (n,) and (m,).

    NaN are left out. With values on one side only both are 1, the largest distance of a column on [0, 1]; with none on
    both sides, 0.
    """
    a, b = np.sort(a[~np.isnan(a)]), np.sort(b[~np.isnan(b)])
    if not (len(a) and len(b)):
        farthest = float(len(a) != len(b))
        return farthest, farthest
    # two sorted runs, which a stable sort merges in linear time
    both = np.sort(np.concatenate([a, b]), kind="stable")[:-1]
    f = np.searchsorted(a, both, side="right") / len(a)
    g = np.searchsorted(b, both, side="right") / len(b)
    gaps = np.abs(f - g)
    return float(gaps @ np.diff(both, append=max(a[-1], b[-1]))), float(gaps.max())


def missing_rates(sample: Sample) -> dict[str, float]:
    """Fraction of rows that are missing, for every column that may be missing."""
    codes, sizes = sample.codes, sample.sizes
    return {
        column.name: float((codes[:, j] == sizes[j] - 1).mean())
        for j, column in enumerate(sample.domain.columns)
        if column.missing
    }


@dataclass(frozen=True)
class Columns:
    """Scores "wasserstein" and "ks" of numeric and date columns, and "missing_gap"; their parts are the columns."""

    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        real, columns = reference.holdout, evaluated.domain.columns
        found = {
            column.name: distances(real.units[:, j], evaluated.units[:, j])
            for j, column in enumerate(columns)
            if isinstance(column, NumericColumn)
        }
        moved, apart = ({name: pair[i] for name, pair in found.items()} for i in (0, 1))
        rates, other = missing_rates(real), missing_rates(evaluated)
        gaps = {name: abs(rates[name] - other[name]) for name in rates}
        facts = {"rows": len(evaluated), "holdout_rows": len(real)}
        return [
            _mean("wasserstein", moved, WASSERSTEIN, "the domain has no numeric or date column", facts),
            _mean("ks", apart, KS, "the domain has no numeric or date column", facts),
            _mean("missing_gap", gaps, MISSING, "no column of the domain may be missing", facts),
        ]


def _mean(name: str, parts: Mapping[str, float], meaning: str, otherwise: str, facts: Mapping[str, Any]) -> Score:
    if not parts:
        return Score.absent(name, "lower", otherwise, meaning, "columns")
    value = float(np.mean(list(parts.values())))
    return Score(name, value, "lower", "columns", meaning, parts=parts, detail=dict(facts))
