"""Counting queries with several conditions, the everyday use of a table: how far off are the answers?

A query is the fraction of rows that meet one to three conditions on different columns: a number or date lies in a
range, a category is one of a set. Queries are drawn from the declared domain alone, so all tables of one domain meet
the same. As in SQL a missing value meets no condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dpsynth.data.columns import Category, NumericColumn
from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample

MOST = 3  # conditions in a query


@dataclass(frozen=True, eq=False)
class Condition:
    """On the column at `position`: a unit-scaled number in [low, high], or, where `chosen` is given, a category among
    those that are true in it, bool (categories,)."""

    position: int
    low: float = 0.0
    high: float = 1.0
    chosen: np.ndarray | None = None

    @property
    def coverage(self) -> float:
        """Fraction of the declared range or of the declared categories that meets the condition."""
        return self.high - self.low if self.chosen is None else float(self.chosen.mean())

    def met(self, units: np.ndarray) -> np.ndarray:
        """Rows that meet it, bool (n,); `units` is the column in `Sample.units`."""
        if self.chosen is None:
            return (units >= self.low) & (units <= self.high)
        gone = np.isnan(units)
        return self.chosen[np.where(gone, 0.0, units).astype(np.int64)] & ~gone

    def text(self, domain: Domain) -> str:
        column = domain.columns[self.position]
        if self.chosen is not None:
            assert isinstance(column, Category)
            names = [value for value, chosen in zip(column.values, self.chosen, strict=True) if chosen]
            return f"{column.name} in {{{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}}}"
        assert isinstance(column, NumericColumn)
        ends = column.start + np.array([self.low, self.high]) * (column.stop - column.start)
        if column.kind in ("number", "integer"):
            return f"{column.name} in [{ends[0]:.6g}, {ends[1]:.6g}]"
        first, last = column.write(ends, np.zeros(2, dtype=bool))
        return f"{column.name} in [{first}, {last}]"


Query = tuple[Condition, ...]


def draw_queries(domain: Domain, count: int, seed: int = 0) -> list[Query]:
    """`count` random conjunctions over 1 to 3 columns of a complete domain; nothing but these arguments decides.

    A range has a width uniform on [.1, .9] and a place such that every value of the declared range, ends too, is
    covered with the same chance (it may stand out at either end and is then cut). A set of categories takes each with
    the same probability, uniform on [.1, .9], and is neither empty nor, of two or more categories, all of them.
    """
    generator = np.random.default_rng([seed, 7])
    width = len(domain.columns)
    queries: list[Query] = []
    for _ in range(count):
        chosen = generator.permutation(width)[: generator.integers(1, min(MOST, width) + 1)]
        queries.append(tuple(_condition(domain, int(j), generator) for j in np.sort(chosen)))
    return queries


def answers(sample: Sample, queries: Sequence[Query]) -> np.ndarray:
    """Fraction of rows that meet each query, float64 (len(queries),) in [0, 1]."""
    columns = np.ascontiguousarray(sample.units.T)
    fractions = np.empty(len(queries))
    for i, query in enumerate(queries):
        met = query[0].met(columns[query[0].position])
        for condition in query[1:]:
            met &= condition.met(columns[condition.position])
        fractions[i] = np.count_nonzero(met) / len(sample)
    return fractions


@dataclass(frozen=True)
class Queries:
    """Scores "query_error", mean |evaluated - real| fraction of rows, and "query_relative_error", mean |evaluated -
    real| / max(real, bound): the bound keeps queries that hardly any row meets from deciding (as in Xiao, Wang,
    Gehrke, arXiv 0909.5530).

    rows: no more rows of each table are looked at. Parts are means by number of conditions.
    """

    count: int = 500
    bound: float = 0.001
    rows: int = 50_000
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        queries = draw_queries(evaluated.domain, self.count, self.seed)
        real, found = answers(reference.holdout.head(self.rows), queries), answers(evaluated.head(self.rows), queries)
        absolute = np.abs(found - real)
        relative = absolute / np.maximum(real, self.bound)
        worst = int(absolute.argmax())
        detail = {
            "queries": self.count,
            "coverage": float(np.mean([np.prod([c.coverage for c in query]) for query in queries])),
            "worst": " and ".join(condition.text(evaluated.domain) for condition in queries[worst]),
            "worst_real": float(real[worst]),
            "worst_evaluated": float(found[worst]),
        }
        described = f"of {self.count} random counting queries with up to {MOST} conditions"
        return [
            Score(
                "query_error",
                float(absolute.mean()),
                "lower",
                "utility",
                f"mean absolute error, in fractions of all rows, {described} (0 to 1)",
                parts=_by_length(queries, absolute),
                detail=detail,
            ),
            Score(
                "query_relative_error",
                float(relative.mean()),
                "lower",
                "utility",
                f"mean error relative to the real fraction, or to {self.bound:g} if that is more, {described} (0 "
                f"equal)",
                parts=_by_length(queries, relative),
                detail={"queries": self.count, "bound": self.bound},
            ),
        ]


def _condition(domain: Domain, position: int, generator: np.random.Generator) -> Condition:
    column, width = domain.columns[position], generator.uniform(0.1, 0.9)
    if not isinstance(column, Category):
        low = generator.uniform(-width, 1.0)
        return Condition(position, max(low, 0.0), min(low + width, 1.0))
    chosen = generator.random(len(column.values)) < width
    if not chosen.any() or (chosen.all() and len(chosen) > 1):
        one = generator.integers(len(chosen))
        chosen[one] = not chosen[one]
    return Condition(position, chosen=chosen)


def _by_length(queries: Sequence[Query], errors: np.ndarray) -> dict[str, float]:
    lengths = np.array([len(query) for query in queries])
    names = {1: "1 condition"}
    return {names.get(k, f"{k} conditions"): float(errors[lengths == k].mean()) for k in np.unique(lengths).tolist()}
