"""Conditions on synthetic rows: a value, a set of values, a range, or a bound for each of some columns.

    where={"sex": "Female"}             the value, None for a missing one
    where={"sex": ["Female", "Male"]}   one of them, of categories and booleans
    where={"age": [20, 30]}             from 20 to 30, both included, of numbers and dates
    where={"age": ">50"}                also >=, <, <=, of numbers and dates

A single value is handed to the model, which draws under it. Sets and ranges are met by rejection: rows are drawn under
the single values, and those outside are drawn again. Either way the rows have the distribution of the model given the
conditions.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.data.columns import Category, Column, NumericColumn
from dpsynth.data.columns.raw import series_of
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError

_BOUND = re.compile(r"\s*(>=|<=|>|<)\s*(.+)", re.DOTALL)


@dataclass(frozen=True)
class Open:
    """What a column must meet beyond a single value.

    values: positions of categories; None for numbers. low, high: ends on the axis of numbers and dates. strict: whether
    (low, high) themselves are left out.
    """

    column: Column
    values: frozenset[int] | None = None
    low: float = -np.inf
    high: float = np.inf
    strict: tuple[bool, bool] = (False, False)

    def holds(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """(n,) bool, for rows inside the domain; a missing value meets no range and no set."""
        reading = self.column.read(series_of(frame, self.column.name))
        if self.values is not None:
            return np.isin(reading.values, list(self.values)) & ~reading.missing
        above = reading.values > self.low if self.strict[0] else reading.values >= self.low
        below = reading.values < self.high if self.strict[1] else reading.values <= self.high
        return above & below & ~reading.missing


def split(domain: Domain, where: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Open, ...]]:
    """(single values, sets and ranges) of the conditions. Raises `ConfigError` for those that no row can meet."""
    single: dict[str, Any] = {}
    several: list[Open] = []
    for name, value in where.items():
        if name not in domain.names:
            raise ConfigError(f"where: no column {name!r}; the columns are {', '.join(domain.names)}")
        column = domain[name]
        found = _open(column, value, domain)
        if found is None:
            single[name] = value
        else:
            several.append(found)
    return single, tuple(several)


def _open(column: Column, value: Any, domain: Domain) -> Open | None:
    listed = isinstance(cast(object, value), (list, tuple, set, frozenset, range, np.ndarray))
    if isinstance(column, Category):
        if not listed:
            return None
        items: list[Any] = list(value)
        reading = column.read(pd.Series(items, dtype=object), domain.missing_values)
        wrong = reading.invalid | reading.missing
        if not items or wrong.any():
            named = items[int(np.flatnonzero(wrong)[0])] if items else value
            raise ConfigError(f"where: {named!r} is no value of column '{column.name}' that a set can hold")
        return Open(column, frozenset(reading.values.tolist()))
    assert isinstance(column, NumericColumn)
    if listed:
        items: list[Any] = list(value)
        if len(items) != 2:
            raise ConfigError(f"where: column '{column.name}' takes a range, [low, high], not {items!r:.60}")
        low, high = (_axis(column, item) for item in items)
        return _checked(Open(column, None, low, high))
    bound = _BOUND.fullmatch(value) if isinstance(value, str) else None
    if bound is None:
        return None
    end = _axis(column, bound[2].strip())
    if bound[1][0] == ">":
        return _checked(Open(column, None, low=end, strict=(bound[1] == ">", False)))
    return _checked(Open(column, None, high=end, strict=(False, bound[1] == "<")))


def _axis(column: NumericColumn, value: Any) -> float:
    number = float(column.numbers(pd.Series([value], dtype=object))[0])
    if np.isnan(number):
        raise ConfigError(f"where: {value!r} is no {column.kind}, which column '{column.name}' holds")
    return number


def _checked(found: Open) -> Open:
    """Refuse a range that holds no value of the column."""
    column = found.column
    assert isinstance(column, NumericColumn)
    ends = [column.start, column.stop]
    values = np.array([*ends, *column.point_mass_values])
    inside = (values > found.low if found.strict[0] else values >= found.low) & (
        values < found.high if found.strict[1] else values <= found.high
    )
    across = found.low <= found.high and found.low < column.stop and found.high > column.start
    if not (inside.any() or across):
        raise ConfigError(
            f"where: no value of column '{column.name}' lies in that range; it has {column.low} to {column.high}"
        )
    return found
