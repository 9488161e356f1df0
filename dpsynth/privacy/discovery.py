"""Buying what the schema left open: `bounds: private` and `categories: private`.

    charges = discovery_charges(domain, budget, share)              # no data: goes into the plan
    domain = complete(domain, frame, budget, share, ledger, streams)    # spends exactly those charges

One release per open column (`bounds.py`, `categories.py`), all together at `share` of the budget; the same
share of the row-level delta is divided among the categories. Every result is public, and the completed domain
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
from dpsynth.privacy.categories import PrivateCategories
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.random import Streams
from dpsynth.privacy.shares import share_noise

_EPOCH = dt.datetime(1970, 1, 1)
_YEARS = range(1850, 2151)
_EMPTY = "other"  # stands for everything when no category is frequent enough


def discovery_charges(domain: Domain, budget: Budget, share: float) -> tuple[Charge, ...]:
    """The charges of all open columns; () when there are none."""
    return tuple(mechanism.charge() for mechanism in _mechanisms(domain, budget, share).values())


def complete(
    domain: Domain, frame: pd.DataFrame, budget: Budget, share: float, ledger: Ledger, streams: Streams
) -> Domain:
    """The domain with every open column filled in from `frame` (private), through the planned mechanisms
    only."""
    bought: dict[str, Column] = {}
    for name, mechanism in _mechanisms(domain, budget, share).items():
        column = domain[name]
        series = pd.Series(frame[name])
        if isinstance(mechanism, PrivateCategories):
            present = np.array(series.notna(), dtype=bool)
            texts = (str(value) if here else None for value, here in zip(series, present, strict=True))
            bought[name] = _with_categories(column, mechanism.run(texts, ledger, streams.privacy))
        else:
            assert isinstance(column, Quantity)
            reading = column.read(series)
            values = np.where(reading.missing, np.nan, reading.values.astype(np.float64))
            values[np.isin(values, column.spike_values)] = np.nan  # spikes are public and need no bounds
            bought[name] = _with_bounds(column, *mechanism.run(values, ledger, streams.privacy))
    return domain.complete(bought)


def _mechanisms(domain: Domain, budget: Budget, share: float) -> dict[str, PrivateBounds | PrivateCategories]:
    open_columns = domain.undeclared
    if not open_columns:
        return {}
    # Under replace_one every histogram costs two scalar releases.
    sigma = share_noise(budget, share, len(open_columns) * budget.cells_changed)
    texts = sum(isinstance(column, Category) for column in open_columns)
    mechanisms: dict[str, PrivateBounds | PrivateCategories] = {}
    for column in open_columns:
        if isinstance(column, Category):
            delta = budget.row_level.delta * share / texts
            mechanisms[column.name] = PrivateCategories(f"categories/{column.name}", budget, sigma, delta)
        else:
            mechanisms[column.name] = PrivateBounds(f"bounds/{column.name}", budget, sigma, _edges(column))
    return mechanisms


def _edges(column: Column) -> tuple[float, ...]:
    """Public bins on the value axis of the column: years for dates, powers of two for numbers."""
    if isinstance(column, Date | Datetime):
        return tuple((dt.datetime(year, 1, 1) - _EPOCH).total_seconds() for year in _YEARS)
    if isinstance(column, Integer):
        return tuple(dyadic_edges(0).tolist())
    if isinstance(column, Number):
        digits = math.ceil(math.log2(10) * (column.decimals or 0))
        return tuple(dyadic_edges(-20, 40 - digits).tolist())  # no more lattice values than a column may have
    raise SchemaError(f"column '{column.name}': a {column.kind} has nothing that could be bought; declare it")


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
