"""Columns with a value axis: integers and numbers, and the lattice that dates share with them.

A numeric column is a *lattice* (integers, numbers with public decimals, dates: `count` equally spaced values) or
a continuum (numbers without decimals). On a lattice a value is also a tick, its position 0 .. count-1;
this makes bins, rounding and the inverse exact. Point masses are single values with a probability of their own
(zero gains, -1 for "does not apply"); they may lie outside the bounds.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from dpsynth.data.columns.column import MISSING_VALUES, Column, Reading
from dpsynth.data.columns.durations import DURATION, duration_text, seconds_of_durations
from dpsynth.data.columns.notation import PLAIN, Notation
from dpsynth.data.columns.raw import blank, to_numbers
from dpsynth.errors import SchemaError

Scale = Literal["linear", "log"]
_EXACT = 2**53  # integers beyond this are not exact as float64
_LARGEST_LATTICE = 2**45 + 1  # keeps ticks exact on the unit interval, also on a log scale


@dataclass(frozen=True)
class NumericColumn(Column):
    """Shared by Integer, Number, Date and Datetime.

    The value axis is float64: the number itself, or seconds since 1970 for dates. `start` and `stop` are
    the bounds on it, `step` the distance of lattice points (None on a continuum).
    """

    numeric = True

    low: Any = None
    high: Any = None
    point_masses: tuple[Any, ...] = ()
    scale: Scale = field(default="linear", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.point_masses, (str, bytes)) or not isinstance(self.point_masses, Iterable):
            raise SchemaError(f"column '{self.name}': point masses must be a list of values")
        object.__setattr__(self, "point_masses", tuple(dict.fromkeys(self.point_masses)))
        if (self.low is None) != (self.high is None):
            raise SchemaError(
                f"column '{self.name}': give both bounds, or 'bounds: private' to estimate both privately"
            )
        if self.scale not in ("linear", "log"):
            raise SchemaError(f"column '{self.name}': scale must be linear or log, got {self.scale!r}")
        self._check_values()
        if self.low is None:
            return
        if not self.start < self.stop:
            raise SchemaError(
                f"column '{self.name}': the low bound {self.low} must be below the high bound {self.high}"
            )
        if self.step is None and self.scale == "log" and self.start <= 0:
            raise SchemaError(f"column '{self.name}': 'scale: log' needs a low bound above 0, or decimals")
        if self.step is not None and self.count > _LARGEST_LATTICE:
            raise SchemaError(f"column '{self.name}': more than 2^45 distinct values; narrow its bounds or decimals")
        inside = np.array(self.inner_point_masses, dtype=np.float64)
        if self.step is not None and (self.value(self.tick(inside)) != inside).any():
            raise SchemaError(f"column '{self.name}': a point mass between the bounds must be one of its values")
        if self.step is not None and self.count <= len(self.inner_point_masses):
            raise SchemaError(f"column '{self.name}': every value is a point mass; make it a category instead")

    def _check_values(self) -> None:
        """Check and normalise bounds and point masses; each kind its own."""

    def _plain(self, number: type) -> None:
        """Turn bounds and point masses into plain Python numbers, so that they can stand in json."""
        if self.low is not None:
            object.__setattr__(self, "low", number(self.low))
            object.__setattr__(self, "high", number(self.high))
        object.__setattr__(self, "point_masses", tuple(number(point_mass) for point_mass in self.point_masses))

    @property
    def undeclared(self) -> bool:
        return self.low is None

    @property
    def step(self) -> float | None:
        """Distance of neighbouring lattice values on the value axis; None for a continuum."""
        return 1.0

    def axis(self, value: Any) -> float:
        """A declared value (bound, point mass, constant) on the value axis."""
        return float(value)

    @property
    def start(self) -> float:
        return self.axis(self.low)

    @property
    def stop(self) -> float:
        return self.axis(self.high)

    @property
    def point_mass_values(self) -> tuple[float, ...]:
        """Point masses on the value axis."""
        return tuple(self.axis(point_mass) for point_mass in self.point_masses)

    @property
    def inner_point_masses(self) -> tuple[float, ...]:
        """Point masses within the bounds, ascending, on the value axis."""
        return tuple(
            sorted(point_mass for point_mass in self.point_mass_values if self.start <= point_mass <= self.stop)
        )

    @property
    def count(self) -> int:
        """Number of lattice values between the bounds, point masses included."""
        return int(self.tick(np.array([self.stop]))[0]) + 1

    def tick(self, values: np.ndarray) -> np.ndarray:
        """(n,) int64 lattice positions of (n,) float64 values within the bounds."""
        return np.rint((values - self.start) / (self.step or 1.0)).astype(np.int64)

    def value(self, ticks: np.ndarray) -> np.ndarray:
        """(n,) float64 values of (n,) int64 lattice positions; the inverse of `tick`."""
        return self.start + ticks * (self.step or 1.0)

    def snap(self, values: np.ndarray) -> np.ndarray:
        """The nearest lattice value of each finite value (itself on a continuum)."""
        return values

    def contains(self, values: np.ndarray) -> np.ndarray:
        """(n,) bool: legal values of a declared column."""
        inside = (values >= self.start) & (values <= self.stop) & (self.snap(values) == values)
        return inside | np.isin(values, self.point_mass_values)

    def numbers(self, series: pd.Series) -> np.ndarray:
        """(n,) float64 on the value axis; NaN where the raw value is no number."""
        return to_numbers(series)

    def read(self, series: pd.Series, missing_values: Iterable[str] = MISSING_VALUES) -> Reading:
        raw = self.numbers(series)
        tokens = self.tokens(missing_values)
        none = blank(series, np.isnan(raw), tokens)
        if len(sentinels := _sentinels(self, tokens)):
            none |= np.isin(raw, sentinels)
        unreadable, infinite = np.isnan(raw) & ~none, np.isinf(raw) & ~none
        finite = ~(none | unreadable | infinite)
        values = self.snap(np.where(finite, raw, 0.0))
        outside = infinite | self._off_lattice(raw, values, finite)
        if self.undeclared:
            values = np.where(infinite, raw, values)
        else:
            point_mass = np.isin(values, self.point_mass_values) & finite
            clamped = np.where(point_mass, values, np.clip(values, self.start, self.stop))
            clamped = np.where(infinite, np.where(raw > 0, self.stop, self.start), clamped)
            outside |= finite & (clamped != values)
            values = np.where(none | unreadable, self.start, clamped)
        missing = none | unreadable if self.missing or self.undeclared else np.zeros(len(raw), dtype=bool)
        return Reading(values, missing, outside, unreadable, none & (not self.missing))

    def _off_lattice(self, raw: np.ndarray, snapped: np.ndarray, finite: np.ndarray) -> np.ndarray:
        """(n,) bool: values that snapping changed although no public rounding was declared."""
        return np.zeros(len(raw), dtype=bool)


@functools.lru_cache(maxsize=4096)
def _sentinels(column: NumericColumn, tokens: tuple[str, ...]) -> np.ndarray:
    """Values of the texts for no value that would be read otherwise, such as -9 or 9999-12-31."""
    values = column.numbers(pd.Series(list(tokens), dtype=object))
    return values[np.isfinite(values)]


@dataclass(frozen=True)
class Integer(NumericColumn):
    """Whole numbers low .. high, both included. Fractions are rounded and counted as outside.

    notation: how the file writes them. format: "duration" for seconds that it writes as lengths of time (100:02:03).
    """

    low: int | None = None
    high: int | None = None
    point_masses: tuple[int, ...] = ()
    notation: Notation = field(default=PLAIN, kw_only=True)
    format: str | None = field(default=None, kw_only=True)

    kind = "integer"

    def numbers(self, series: pd.Series) -> np.ndarray:
        return self.notation.to_numbers(series) if self.format is None else seconds_of_durations(series)

    def text(self, series: pd.Series) -> pd.Series:
        return series if self.format is None else series.map(duration_text, na_action="ignore")

    def _check_values(self) -> None:
        if self.format not in (None, DURATION):
            raise SchemaError(f"column '{self.name}': the format of an integer can be {DURATION}, got {self.format!r}")
        if self.format is not None and not self.notation.plain:
            raise SchemaError(f"column '{self.name}': durations have no decimal, thousands, symbols or negative")
        for value in (*self.point_masses, *(() if self.low is None else (self.low, self.high))):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise SchemaError(f"column '{self.name}': {value!r} is not an integer; use 'kind: number'?")
            if abs(int(value)) > _EXACT:
                raise SchemaError(f"column '{self.name}': {value} is beyond 2^53, where integers stop being exact")
        self._plain(int)

    def snap(self, values: np.ndarray) -> np.ndarray:
        return np.rint(values)

    def _off_lattice(self, raw: np.ndarray, snapped: np.ndarray, finite: np.ndarray) -> np.ndarray:
        return finite & (np.abs(np.where(finite, raw, 0.0) - snapped) > 1e-9)

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        whole = np.clip(np.where(missing, 0.0, values), -float(_EXACT), float(_EXACT)).astype(np.int64)
        if not (self.missing or self.undeclared):
            return pd.Series(whole, name=self.name)
        return pd.Series(pd.arrays.IntegerArray(whole, np.array(missing, dtype=bool)), name=self.name)


@dataclass(frozen=True)
class Number(NumericColumn):
    """Real numbers low .. high. `decimals` is a public rounding, which makes the column a lattice; None
    keeps all. notation: how the file writes them.
    """

    low: float | None = None
    high: float | None = None
    point_masses: tuple[float, ...] = ()
    decimals: int | None = None
    notation: Notation = field(default=PLAIN, kw_only=True)

    kind = "number"

    def numbers(self, series: pd.Series) -> np.ndarray:
        return self.notation.to_numbers(series)

    def text(self, series: pd.Series) -> pd.Series:
        if self.notation.decimal == ".":
            return series
        return series.map(lambda number: self.notation.write(repr(number)), na_action="ignore")

    def _check_values(self) -> None:
        if self.decimals is not None and not (isinstance(self.decimals, int) and 0 <= self.decimals <= 9):
            raise SchemaError(f"column '{self.name}': decimals must be 0 to 9, got {self.decimals!r}")
        for value in (*self.point_masses, *(() if self.low is None else (self.low, self.high))):
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
                raise SchemaError(f"column '{self.name}': {value!r} is not a finite number")
            if self.decimals is not None and float(self.snap(np.array([float(value)]))[0]) != float(value):
                raise SchemaError(f"column '{self.name}': {value} has more than the declared {self.decimals} decimals")
        self._plain(float)

    @property
    def step(self) -> float | None:
        return None if self.decimals is None else 10.0**-self.decimals

    @property
    def _per_unit(self) -> float:
        return 10.0 ** (self.decimals or 0)

    def tick(self, values: np.ndarray) -> np.ndarray:
        return (np.rint(values * self._per_unit) - np.rint(self.start * self._per_unit)).astype(np.int64)

    def value(self, ticks: np.ndarray) -> np.ndarray:
        # one correctly rounded division gives the very float that the decimal text stands for
        return (np.rint(self.start * self._per_unit) + ticks) / self._per_unit

    def snap(self, values: np.ndarray) -> np.ndarray:
        if self.decimals is None:
            return values
        with np.errstate(over="ignore"):
            scaled = np.rint(values * self._per_unit) / self._per_unit
        return np.where(np.isfinite(scaled), scaled, values) + 0.0  # no negative zero

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        return pd.Series(np.where(missing, np.nan, values), name=self.name)
