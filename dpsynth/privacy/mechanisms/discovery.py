"""Releasing what the schema left open: the number of rows, `bounds: private` and `categories: private`.

The number of rows, released once and cheaply, because under add_remove it is private.

Guarantee: rows + rounded Gaussian noise of parameter sigma; one integer that neighbours move by one (add_remove,
sensitivity 1): `integer_noise.py`. Under replace_one the number of rows is public by definition of the relation: it is
returned as it is, nothing is charged, and no such mechanism is planned.

Private bounds of a numeric column: a noisy histogram over public bins, and the outermost bins that stand
out.

Guarantee: the histogram counts each row with a finite value in exactly one bin, so neighbours differ in one cell by
one (add_remove, L2 sensitivity 1) or in two (replace_one, sqrt 2). Rounded Gaussian noise of parameter sigma on all
bins, empty ones included (`integer_noise.py`); the threshold sigma * Phi^-1(1 - 0.001 / bins) + 1/2, below which all
empty bins stay with probability .999 (rounding adds at most 1/2), and the choice of bins are post-processing. Bins
are public, and reach over everything a float64 of a sane table can hold, so values beyond them are clamped into the
outermost ones.

Private categories of a text column: partition selection.

Guarantee. Each row adds one to the count of its value. Counts that both neighbours hold differ in one cell by one
(add_remove), or in two (replace_one): rounded Gaussian noise, L2 sensitivity 1 or sqrt 2 (`integer_noise.py`). A value
that only one neighbour holds has count 1 there and is never looked at on the other side; it is released with
probability P[1 + X >= threshold] = P[N(0, sigma^2) >= threshold - 3/2], which the threshold 3/2 + sigma * Phi^-1(1 -
delta), rounded up, holds to delta. Off that event the outputs are those of the Gaussian mechanism on shared cells, so
the delta adds to that of the run. Under replace_one the old and the new value may both be such singletons, one on each
side: each side's bad event has probability at most delta, so the same delta serves (Korolova et al. 2009; Desfontaines,
Voss, Gipson, Mandayam 2020, arXiv 2006.03684, for the selection problem).

Estimating privately what the schema left open: `bounds: private` and `categories: private`.

    mechanisms = discovery(domain, budget, fraction)        # no data: goes into the plan
    domain = complete(domain, frame, mechanisms, ledger)    # releases exactly those

One release per open column (`discovery.py`), all together at `fraction` of the budget; the same
fraction of the row-level delta is divided among the categories. Every result is public, and the completed domain
may be saved.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from dpsynth.data.columns import Category, Column, Date, Datetime, Integer, Number, NumericColumn
from dpsynth.data.table.domain import Domain
from dpsynth.errors import BudgetError, SchemaError
from dpsynth.privacy.accounting.budget import Budget, count_sensitivity
from dpsynth.privacy.accounting.calibration import fraction_noise
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanism import Detail
from dpsynth.privacy.noise.integer_noise import CountMechanism, sample_rounded_gaussian
from dpsynth.privacy.noise.keystream import Keystream


@dataclass(frozen=True, kw_only=True)
class RowCount(CountMechanism):
    """The noisy number of rows."""

    name: str = "rows"

    @classmethod
    def planned(cls, budget: Budget, fraction: float) -> RowCount | None:
        """At a fraction of the budget; None where the number of rows is public."""
        if budget.neighbours == "replace_one":
            return None
        return cls(neighbours=budget.neighbours, sigma=fraction_noise(budget, fraction))

    @property
    def sensitivity(self) -> float:
        return 1.0

    def measure(self, rows: int, ledger: Ledger) -> int:
        """A public number of rows, at least 1."""
        return max(1, int(ledger.release(self, np.array([rows]))[0]))


# -------------------- Bounds ----------------------------------------------------------------

Reals = NDArray[np.float64]
_FALSE_BIN = 1e-3


def dyadic_edges(smallest: int = -20, largest: int = 40) -> Reals:
    """Public bin edges 0 and +-2^k for smallest <= k <= largest.

    >>> dyadic_edges(0, 2)
    array([-4., -2., -1.,  0.,  1.,  2.,  4.])
    """
    powers = 2.0 ** np.arange(smallest, largest + 1)
    return np.concatenate([-powers[::-1], [0.0], powers])


@dataclass(frozen=True, kw_only=True)
class PrivateBounds(CountMechanism):
    """Estimates (low, high) of the bulk of one column privately. `edges`: public, ascending, (bins + 1,)."""

    edges: tuple[float, ...]

    @property
    def sensitivity(self) -> float:
        return count_sensitivity(self.neighbours)

    def measure(self, values: Reals, ledger: Ledger) -> tuple[float, float]:
        """(low, high), two different edges. `values`: (n,) raw numbers, at most one per row; NaN and infinity
        count nowhere."""
        edges = np.array(self.edges)
        finite = values[np.isfinite(values)]
        position = np.clip(np.searchsorted(edges, finite, side="right") - 1, 0, edges.size - 2)
        counts = np.bincount(position, minlength=edges.size - 1).astype(np.int64)
        noisy = ledger.release(self, counts)
        # From here on only noisy counts are looked at.
        threshold = 0.5 + self.sigma * float(norm.isf(_FALSE_BIN / counts.size))
        standing = np.flatnonzero(noisy > threshold)
        if standing.size == 0:
            standing = np.array([int(np.argmax(noisy))])
        return float(edges[standing[0]]), float(edges[standing[-1] + 1])


# -------------------- Categories ------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PrivateCategories(CountMechanism):
    """Selects the values of one column that are frequent enough to be released.

    Attributes:
        threshold_delta: Row-level chance that the threshold fails.
        limit: At most so many values are kept, the most frequent by noisy count.
    """

    threshold_delta: float
    limit: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.threshold_delta < 1:
            raise BudgetError(f"the private categories of {self.name!r} need a delta of their own in (0, 1)")

    @property
    def sensitivity(self) -> float:
        return count_sensitivity(self.neighbours)

    @property
    def delta(self) -> float:
        return 0.0 if self.noiseless else self.threshold_delta

    @property
    def threshold(self) -> int:
        """Smallest noisy count that is released."""
        return math.ceil(1.5 + self.sigma * float(norm.isf(self.threshold_delta)))

    @property
    def detail(self) -> Detail:
        return {"sigma": self.sigma, "threshold": self.threshold}

    def draw(self, query: Mapping[str, int], noise: Keystream) -> dict[str, int]:
        """The values whose noisy counts reach the threshold, with these counts; every other value stays unnamed."""
        keys = sorted(query)
        noisy = np.array([query[key] for key in keys], dtype=np.int64)
        if not self.noiseless:
            noisy = noisy + sample_rounded_gaussian(noise, self.sigma, len(keys))
        return {key: int(n) for key, n in zip(keys, noisy, strict=True) if n >= self.threshold}

    def measure(self, values: Iterable[str | None], ledger: Ledger) -> tuple[str, ...]:
        """Released values in alphabetical order, maybe none. `values`: one per row; None counts nowhere."""
        counts: dict[str, int] = {}
        for value in values:
            if value is not None:
                counts[value] = counts.get(value, 0) + 1
        released = ledger.release(self, counts)
        # From here on only noisy counts are looked at.
        kept = sorted(released, key=lambda key: (-released[key], key))[: self.limit]
        return tuple(sorted(kept))


# -------------------- Discovery -------------------------------------------------------------

_EPOCH = dt.datetime(1970, 1, 1)
_YEARS = range(1850, 2151)
_OTHER = "other"  # stands for all categories that are too rare to be named


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
            assert isinstance(column, NumericColumn)
            reading = column.read(series)
            values = np.where(reading.missing, np.nan, reading.values.astype(np.float64))
            values[np.isin(values, column.point_mass_values)] = np.nan  # point masses are public and need no bounds
            found[column.name] = _with_bounds(column, *mechanism.measure(values, ledger))
    return domain.complete(found)


def reached(domain: Domain, mechanisms: Mechanisms) -> tuple[str, ...]:
    """Columns of a completed domain with a bound at the end of the public bins: values beyond it were clamped."""
    found: list[str] = []
    for mechanism in mechanisms:
        if isinstance(mechanism, PrivateBounds):
            column = domain[mechanism.name.partition("/")[2]]
            assert isinstance(column, NumericColumn)
            if column.start <= mechanism.edges[0] or column.stop >= mechanism.edges[-1]:
                found.append(column.name)
    return tuple(found)


def refuse_unnamed(domain: Domain, mechanisms: Mechanisms) -> None:
    """`BudgetError` for columns of a completed domain of which no category is frequent enough to be named.

    All their values would become one. Only the completed domain is looked at, which is public.
    """
    found: list[str] = []
    for mechanism in mechanisms:
        if isinstance(mechanism, PrivateCategories):
            column = domain[mechanism.name.partition("/")[2]]
            assert isinstance(column, Category)
            if column.categories == (column.other,):
                found.append(f"'{column.name}' (a noisy count of {mechanism.threshold:,} is needed)")
    if found:
        raise BudgetError(
            f"column{'s' * (len(found) > 1)} {', '.join(found)}: no category is in enough rows to be named, so that "
            "all synthetic values would be the same; declare another kind if its texts are numbers or dates "
            "(dpsynth schema says what reads them), list its categories, raise privacy.epsilon or "
            "privacy.discovery_fraction, or leave it out with ignore: true"
        )


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
        other = _OTHER
    return replace(column, categories=found or (other or _OTHER,), other=other)


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
