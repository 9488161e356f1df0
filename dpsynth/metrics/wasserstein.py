"""Per-column Wasserstein-1 distance on the declared range, and the gap in missing rates.

A column's values are scaled so that its declared bounds are 0 and 1; W1 = integral |F - G| then lies in [0,
1] and reads as "the mean share of the range by which values must be moved". Missing values are left out and
reported apart.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Column, Quantity
from dpsynth.data.domain import Domain
from dpsynth.metrics.binned import check, positions, unit
from dpsynth.metrics.score import Score


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """W1 between two samples of numbers, (n,) and (m,), both without NaN and not empty."""
    a, b = np.sort(a), np.sort(b)
    both = np.sort(np.concatenate([a, b]))
    f = np.searchsorted(a, both[:-1], side="right") / len(a)
    g = np.searchsorted(b, both[:-1], side="right") / len(b)
    return float(np.sum(np.abs(f - g) * np.diff(both)))


def column_distances(real: pd.DataFrame, synthetic: pd.DataFrame, domain: Domain) -> dict[str, float]:
    """W1 of every ordered column, in [0, 1].

    A column with values on one side only counts 1, the largest distance; with none on both sides, 0.
    """
    check(real, domain)
    check(synthetic, domain)
    distances: dict[str, float] = {}
    for column in domain.columns:
        if not isinstance(column, Quantity):
            continue
        a, b = unit(column, real), unit(column, synthetic)
        a, b = a[~np.isnan(a)], b[~np.isnan(b)]
        if len(a) and len(b):
            distances[column.name] = wasserstein(a, b)
        else:
            distances[column.name] = float(len(a) != len(b))
    return distances


def missing_gaps(real: pd.DataFrame, synthetic: pd.DataFrame, domain: Domain) -> dict[str, float]:
    """|share missing in real - share missing in synthetic| of every column that may be missing, in [0, 1]."""
    check(real, domain)
    check(synthetic, domain)
    gaps: dict[str, float] = {}
    for column in domain.columns:
        if not column.missing:
            continue
        shares = [float(_missing(column, frame).mean()) for frame in (real, synthetic)]
        gaps[column.name] = abs(shares[0] - shares[1])
    return gaps


def wasserstein_scores(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    domain: Domain,
    *,
    floor: pd.DataFrame,
    baseline: pd.DataFrame,
) -> list[Score]:
    """Scores "wasserstein" and "missing_gap": means over columns, each column's own number in `detail`."""
    parts = {
        "wasserstein": (
            column_distances,
            "mean Wasserstein distance of numeric and date columns, declared range = 1 (0 equal, 1 farthest)",
            "the domain has no numeric or date column",
        ),
        "missing_gap": (
            missing_gaps,
            "mean difference of missing rates, over columns that may be missing (0 equal, 1 farthest)",
            "no column of the domain may be missing",
        ),
    }
    scores: list[Score] = []
    for name, (measure, meaning, otherwise) in parts.items():
        values, floors, blind = (measure(real, frame, domain) for frame in (synthetic, floor, baseline))
        if not values:
            scores.append(Score.absent(name, "lower", otherwise, meaning))
            continue
        scores.append(
            Score(
                name,
                float(np.mean(list(values.values()))),
                "lower",
                floor=float(np.mean(list(floors.values()))),
                baseline=float(np.mean(list(blind.values()))),
                meaning=meaning,
                detail={"columns": {key: {"value": values[key], "floor": floors[key]} for key in values}},
            )
        )
    return scores


def _missing(column: Column, frame: pd.DataFrame) -> np.ndarray:
    """Which values are missing, bool (n,)."""
    if isinstance(column, Category):
        return positions(column, frame) < 0
    assert isinstance(column, Quantity)
    return np.isnan(unit(column, frame))
