"""Dates and times of day as quantities: a lattice of days or seconds. Value axis: seconds since 1970 UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dpsynth.data.columns.quantity import Quantity
from dpsynth.data.columns.timestamps import to_seconds
from dpsynth.errors import SchemaError

_DAY = 86_400
_ZERO = dt.datetime(1970, 1, 1)


@dataclass(frozen=True)
class Date(Quantity):
    """Days low .. high, both included. `format` (strptime) is how the file writes them; None: ISO 8601."""

    low: dt.date | None = None
    high: dt.date | None = None
    spikes: tuple[dt.date, ...] = ()
    format: str | None = None

    kind = "date"

    def _check_values(self) -> None:
        if self.scale != "linear":
            raise SchemaError(f"column '{self.name}': dates have a linear scale only")
        for value in (*self.spikes, *(() if self.low is None else (self.low, self.high))):
            if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
                raise SchemaError(f"column '{self.name}': {value!r} is not a date (write YYYY-MM-DD)")

    @property
    def step(self) -> float | None:
        return float(_DAY)

    def axis(self, value: dt.date) -> float:
        return float((value - _ZERO.date()).days * _DAY)

    def numbers(self, series: pd.Series) -> np.ndarray:
        return to_seconds(series, self.format)

    def snap(self, values: np.ndarray) -> np.ndarray:
        return np.floor(values / _DAY) * _DAY  # the time of day is dropped

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        return _write(values, missing, self.name)

    def text(self, series: pd.Series) -> pd.Series:
        return series.dt.strftime(self.format or "%Y-%m-%d")


@dataclass(frozen=True)
class Datetime(Quantity):
    """Moments low .. high every `resolution` seconds, counted from low; times between are cut down to the
    last one.

    Texts with a time zone are converted to UTC; without one they are taken as they stand.
    """

    low: dt.datetime | None = None
    high: dt.datetime | None = None
    spikes: tuple[dt.datetime, ...] = ()
    resolution: int = 1
    format: str | None = None

    kind = "datetime"

    def _check_values(self) -> None:
        if self.scale != "linear":
            raise SchemaError(f"column '{self.name}': dates have a linear scale only")
        if isinstance(self.resolution, bool) or not isinstance(self.resolution, int) or self.resolution < 1:
            raise SchemaError(f"column '{self.name}': resolution must be whole seconds, got {self.resolution!r}")
        for value in (*self.spikes, *(() if self.low is None else (self.low, self.high))):
            if not isinstance(value, dt.datetime) or value.tzinfo is not None or value.microsecond:
                raise SchemaError(
                    f"column '{self.name}': {value!r} is no moment in whole seconds (YYYY-MM-DD HH:MM:SS)"
                )
        if self.low is not None and (self.stop - self.start) % self.resolution:
            raise SchemaError(f"column '{self.name}': the bounds must be a whole number of resolutions apart")

    @property
    def step(self) -> float | None:
        return float(self.resolution)

    def axis(self, value: dt.datetime) -> float:
        return float((value - _ZERO) // dt.timedelta(seconds=1))

    def numbers(self, series: pd.Series) -> np.ndarray:
        return to_seconds(series, self.format)

    def snap(self, values: np.ndarray) -> np.ndarray:
        start = 0.0 if self.low is None else self.start
        snapped = start + np.floor((values - start) / self.resolution) * self.resolution
        # a spike need not lie on the lattice
        return np.where(np.isin(values, self.spike_values), values, snapped)

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        return _write(values, missing, self.name)

    def text(self, series: pd.Series) -> pd.Series:
        return series.dt.strftime(self.format or "%Y-%m-%d %H:%M:%S")


def _write(values: np.ndarray, missing: np.ndarray, name: str) -> pd.Series:
    seconds = np.where(missing, 0.0, values).astype(np.int64).astype("datetime64[s]")
    return pd.Series(np.where(missing, np.datetime64("NaT", "s"), seconds), name=name)
