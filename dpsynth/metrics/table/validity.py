"""Whether rows keep the schema and the rules between columns. Must be 1.0: a test rather than a score.

A `Table` is legal by construction, because reading clamps. So a file made elsewhere is evaluated as it stands on disk:

    raw = tabular_files.read(path)
    scores = evaluate(train, holdout, coerced(raw, domain), domain, ...)
    scores = with_files(scores, [raw], domain)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Column, NumericColumn
from dpsynth.data.columns.raw import blank, series_of
from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.comparison import interval
from dpsynth.metrics.framework.encoding import check
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample

MEANING = "fraction of rows that keep the schema and all constraints; must be 1"


def broken_cells(column: Column, series: pd.Series, missing_values: Sequence[str]) -> dict[str, np.ndarray]:
    """Rule -> rows that break it, bool (n,), for a raw column; only rules that are broken.

    Rules are those of reading a file: a declared rounding of decimals and a time of day of a date are not broken by
    more digits, and a category with `other` takes in every text.
    """
    invalid = column.read(series, missing_values).invalid
    if not invalid.any():
        return {}
    none = invalid & blank(series, invalid, missing_values)
    rest = invalid & ~none
    found = {f"{column.name}: not missing": none}
    if isinstance(column, NumericColumn):
        numbers = column.numbers(series)
        outside = (numbers < column.start) | (numbers > column.stop)  # not so what is no number
        found[f"{column.name}: {column.kind}"] = rest & ~outside
        found[f"{column.name}: within bounds"] = rest & outside
    elif isinstance(column, Category) and column.other is None:
        found[f"{column.name}: listed {column.kind}"] = rest
    return {rule: rows for rule, rows in found.items() if rows.any()}


def broken_rules(frame: pd.DataFrame, domain: Domain) -> tuple[dict[str, np.ndarray], float]:
    """(rule -> rows that break it, bool (n,); fraction of cells that keep the schema).

    Every constraint is listed, of the columns' rules those that are broken. A constraint on a cell that breaks the
    schema is not counted as broken once more.
    """
    check(frame, domain)
    rules: dict[str, np.ndarray] = {}
    illegal: dict[str, np.ndarray] = {}
    for column in domain:
        found = broken_cells(column, series_of(frame, column.name), domain.missing_values)
        rules |= found
        illegal[column.name] = np.any([np.zeros(len(frame), dtype=bool), *found.values()], axis=0)
    if domain.constraints:
        legal = coerced(frame, domain)
        for constraint in domain.constraints:
            excused = np.any([illegal[name] for name in constraint.names], axis=0)
            rules[f"constraint {constraint}"] = ~(constraint.satisfied(legal) | excused)
    return rules, 1.0 - float(np.mean([rows.mean() for rows in illegal.values()]))


def validity(frame: pd.DataFrame, domain: Domain) -> Score:
    """Score "validity" of a raw or legal frame. Its parts are the constraints and the broken rules: the fraction of
    rows that keep each.

    Raises SchemaError or DataError for an unfinished domain, no rows, or a missing column.
    """
    rules, cells = broken_rules(frame, domain)
    broken = np.any([np.zeros(len(frame), dtype=bool), *rules.values()], axis=0)
    facts = {"rows": len(frame), "broken_rows": int(broken.sum()), "cells": cells}
    parts = {rule: 1.0 - float(rows.mean()) for rule, rows in rules.items()}
    return Score(
        "validity",
        1.0 - float(broken.mean()),
        "higher",
        "validity",
        MEANING,
        parts=parts,
        limits=(0.0, 1.0),
        detail=facts,
    )


def coerced(frame: pd.DataFrame, domain: Domain) -> pd.DataFrame:
    """A raw frame as metrics can read it, whatever its values: as `Table`, with numbers and dates clamped; but what has
    no legal value near it becomes missing even where the schema does not allow that, instead of being refused or
    replaced. Raises DataError for a missing column or no rows.
    """
    check(frame, domain)
    columns: dict[str, pd.Series] = {}
    for column in domain:
        tolerant = column.replace(missing=True)
        reading = tolerant.read(series_of(frame, column.name), domain.missing_values)
        kind = tolerant if reading.missing.any() else column
        columns[column.name] = kind.write(reading.values, reading.missing)
    return pd.DataFrame(columns)


def with_files(scores: Sequence[Score], frames: Sequence[pd.DataFrame], domain: Domain) -> list[Score]:
    """The scores with "validity" as of the raw frames, instead of as of the rows that were read from them."""
    found = [validity(frame, domain) for frame in frames]
    values = [score.value for score in found if score.value is not None]
    worst = min(found, key=lambda score: score.value or 0.0)
    low, high = interval(values)
    changes = {"value": float(np.mean(values)), "low": low, "high": high, "parts": worst.parts}
    return [
        replace(score, **changes, detail={**score.detail, **worst.detail}) if score.name == "validity" else score
        for score in scores
    ]


def with_real(scores: Sequence[Score], fraction: float) -> list[Score]:
    """The scores with `fraction` as what real rows score for "validity", as their own file has them: rows that could
    not be read, or had to be changed, do not keep the schema.
    """
    real_baselines = {"real_baseline": fraction, "real_baseline_low": fraction, "real_baseline_high": fraction}
    return [replace(score, **real_baselines) if score.name == "validity" else score for score in scores]


@dataclass(frozen=True)
class Validity:
    """Score "validity" of the rows of a sample."""

    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        return [validity(evaluated.frame, evaluated.domain)]
