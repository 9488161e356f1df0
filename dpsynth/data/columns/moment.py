"""Dates and times of day as quantities: a lattice of days or seconds. Value axis: seconds since 1970 UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from dpsynth.data.columns.quantity import Quantity
from dpsynth.data.columns.timestamps import EPOCHS, WRITTEN, to_seconds, written
from dpsynth.errors import SchemaError

_DAY = 86_400
_ZERO = dt.datetime(1970, 1, 1)


@dataclass(frozen=True)
class Date(Quantity):
    """Days low .. high, both included.

    format    how the file writes them: a format of strptime, epoch_s or epoch_ms; None: ISO 8601
    timezone  the zone whose days they are: what has an offset from UTC is converted to it. None: the day as written
    """

    low: dt.date | None = None
    high: dt.date | None = None
    spikes: tuple[dt.date, ...] = ()
    format: str | None = None
    timezone: str | None = field(default=None, kw_only=True)

    kind = "date"

    def _check_values(self) -> None:
        _check_writing(self.name, self.format, self.timezone)
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
        return to_seconds(series, self.format, self.timezone or WRITTEN)

    def snap(self, values: np.ndarray) -> np.ndarray:
        return np.floor(values / _DAY) * _DAY  # the time of day is dropped

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        return _write(values, missing, self.name)

    def text(self, series: pd.Series) -> pd.Series:
        return _text(series, self.format, days=True, clock=self.timezone or WRITTEN)


@dataclass(frozen=True)
class Datetime(Quantity):
    """Moments low .. high every `resolution` seconds, counted from low; times between are cut down to the
    last one.

    format    as of `Date`
    timezone  the zone whose clock they follow: what has an offset from UTC is converted to it, without one it is taken
              as it stands. None: UTC
    """

    low: dt.datetime | None = None
    high: dt.datetime | None = None
    spikes: tuple[dt.datetime, ...] = ()
    resolution: int = 1
    format: str | None = None
    timezone: str | None = field(default=None, kw_only=True)

    kind = "datetime"

    def _check_values(self) -> None:
        _check_writing(self.name, self.format, self.timezone)
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
        return to_seconds(series, self.format, self.timezone or "UTC")

    def snap(self, values: np.ndarray) -> np.ndarray:
        start = 0.0 if self.low is None else self.start
        snapped = start + np.floor((values - start) / self.resolution) * self.resolution
        # a spike need not lie on the lattice
        return np.where(np.isin(values, self.spike_values), values, snapped)

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        return _write(values, missing, self.name)

    def text(self, series: pd.Series) -> pd.Series:
        return _text(series, self.format, days=False, clock=self.timezone or "UTC")


def _write(values: np.ndarray, missing: np.ndarray, name: str) -> pd.Series:
    seconds = np.where(missing, 0.0, values).astype(np.int64).astype("datetime64[s]")
    return pd.Series(np.where(missing, np.datetime64("NaT", "s"), seconds), name=name)


def _text(series: pd.Series, form: str | None, *, days: bool, clock: str) -> pd.Series:
    seconds = to_seconds(series)
    gone = np.isnan(seconds)
    texts = np.full(len(series), None, dtype=object)
    texts[~gone] = written(seconds[~gone], form, days, clock)
    return pd.Series(texts, name=series.name, index=series.index)


def _check_writing(name: str, form: str | None, zone: str | None) -> None:
    """`SchemaError` for a format or a time zone that nobody knows."""
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise SchemaError(
                f"column '{name}': no time zone {zone!r}; name one such as Europe/Berlin or UTC"
            ) from None
    if form is None or form in EPOCHS:
        return
    moment = dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    try:
        dt.datetime.strptime(moment.strftime(form), form)
    except ValueError as error:
        raise SchemaError(
            f"column '{name}': format {form!r} cannot be read ({error}); write it as strptime does, such as %d.%m.%Y, "
            f"or say {' or '.join(EPOCHS)}"
        ) from None
