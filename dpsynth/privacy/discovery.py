"""Estimating privately what the schema left open: `bounds: private` and `categories: private`.

    mechanisms = discovery(domain, budget, fraction)        # no data: goes into the plan
    domain = complete(domain, frame, mechanisms, ledger)    # releases exactly those

One release per open column (`bounds.py`, `categories.py`), all together at `fraction` of the budget; the same
fraction of the row-level delta is divided among the categories. Every result is public, and the completed domain
may be saved.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Column, Date, Datetime, Integer, Number, Quantity
from dpsynth.data.domain import Domain
from dpsynth.errors import SchemaError
from dpsynth.privacy.bounds import PrivateBounds, dyadic_edges
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.budget_fraction import fraction_noise
from dpsynth.privacy.categories import PrivateCategories
from dpsynth.privacy.ledger import Ledger

_EPOCH = dt.datetime(1970, 1, 1)
_YEARS = range(1850, 2151)
_EMPTY = "other"  # stands for everything when no category is frequent enough


Mechanisms = tuple[PrivateBounds | PrivateCategories, ...]


def discovery(domain: Domain, budget: Budget, fraction: float) -> Mechanisms:
    """The releases for all open columns, in their order; () when there are none."""
    open_columns = domain.undeclared
    if not open_columns:
        return ()
    # Under replace_one every histogram costs as much as two.
    sigma = fraction_noise(budget, fraction, len(open_columns) * budget.cells_changed)
    texts = sum(isinstance(column, Category) for column in open_columns)

    def mechanism(column: Column) -> PrivateBounds | PrivateCategories:
        if isinstance(column, Category):
            delta = budget.row_level.delta * fraction / texts
            name = f"categories/{column.name}"
            return PrivateCategories(name=name, neighbours=budget.neighbours, sigma=sigma, threshold_delta=delta)
        name = f"bounds/{column.name}"
        return PrivateBounds(name=name, neighbours=budget.neighbours, sigma=sigma, edges=_edges(column))

    return tuple(map(mechanism, open_columns))


def complete(domain: Domain, frame: pd.DataFrame, mechanisms: Mechanisms, ledger: Ledger) -> Domain:
    """The domain with every open column filled in from `frame` (private), through the planned mechanisms
    only."""
    found: dict[str, Column] = {}
    for column, mechanism in zip(domain.undeclared, mechanisms, strict=True):
        series = pd.Series(frame[column.name])
        if isinstance(mechanism, PrivateCategories):
            present = np.array(series.notna(), dtype=bool)
            texts = (str(value) if here else None for value, here in zip(series, present, strict=True))
            found[column.name] = _with_categories(column, mechanism.measure(texts, ledger))
        else:
            assert isinstance(column, Quantity)
            reading = column.read(series)
            values = np.where(reading.missing, np.nan, reading.values.astype(np.float64))
            values[np.isin(values, column.spike_values)] = np.nan  # point masses are public and need no bounds
            found[column.name] = _with_bounds(column, *mechanism.measure(values, ledger))
    return domain.complete(found)


def reached(domain: Domain, mechanisms: Mechanisms) -> tuple[str, ...]:
    """Columns of a completed domain with a bound at the end of the public bins: values beyond it were clamped."""
    found: list[str] = []
    for mechanism in mechanisms:
        if isinstance(mechanism, PrivateBounds):
            column = domain[mechanism.name.partition("/")[2]]
            assert isinstance(column, Quantity)
            if column.start <= mechanism.edges[0] or column.stop >= mechanism.edges[-1]:
                found.append(column.name)
    return tuple(found)


def _edges(column: Column) -> tuple[float, ...]:
    """Public bins on the value axis of the column: years for dates, powers of two for numbers."""
    if isinstance(column, Date | Datetime):
        return tuple((dt.datetime(year, 1, 1) - _EPOCH).total_seconds() for year in _YEARS)
    if isinstance(column, Integer):
        return tuple(dyadic_edges(0, 44).tolist())  # no more values than a column may have
    if isinstance(column, Number):
        if column.decimals is None:
            return tuple(dyadic_edges(-60, 60).tolist())
        return tuple(dyadic_edges(-20, 44 - math.ceil(math.log2(10) * column.decimals)).tolist())
    raise SchemaError(f"column '{column.name}': a {column.kind} cannot be estimated privately; declare it")


def _with_categories(column: Column, found: tuple[str, ...]) -> Column:
    """Rare values go to `other`, which is added unless the column may be missing or names its own."""
    assert isinstance(column, Category)
    other = column.other
    if other is None and (not found or not column.missing):
        other = _EMPTY
    return replace(column, categories=found or (other or _EMPTY,), other=other)


def _with_bounds(column: Column, low: float, high: float) -> Column:
    """Edges as bounds in the column's own type, rounded outwards."""
    if isinstance(column, Integer):
        return replace(column, low=math.floor(low), high=math.ceil(high))
    if isinstance(column, Number):
        if column.decimals is not None:
            unit = 10.0**column.decimals
            low, high = math.floor(low * unit) / unit, math.ceil(high * unit) / unit
        if column.scale == "log" and low <= 0:
            low = min(2.0**-20, high / 2)
        return replace(column, low=low, high=high)
    start, stop = (_EPOCH + dt.timedelta(seconds=value) for value in (low, high))
    if isinstance(column, Date):
        return replace(column, low=start.date(), high=stop.date())
    assert isinstance(column, Datetime)
    return replace(
        column,
        low=start,
        high=start
        + (stop - start) // dt.timedelta(seconds=column.resolution) * dt.timedelta(seconds=column.resolution),
    )
