"""Date and datetime columns: how they are read, and the lattice of days or seconds they live on.

Dates and times as they stand in files: raw values of any type as seconds since 1970, each by itself.

Without a format a text is a point in time when it is ISO 8601: a date, and perhaps a time and an offset from UTC; with
one, when `strptime` reads it, or as a number of seconds (`epoch_s`) or milliseconds (`epoch_ms`) since 1970. Fractions
of a second are cut off. What has an offset is converted to the clock of the column: UTC, a time zone, or the clock that
it was written by; without an offset it is taken as it stands. Years run from 1 to 9999, whatever else is in the column.
Years of two digits (%y) are those from 1969 to 2068, as in `strptime`, unless the column names another first one.

Dates and times of day as numeric_columns: a lattice of days or seconds. Value axis: seconds since 1970 UTC.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import calendar
import datetime as dt
import math
import re
import warnings
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.data.columns.numeric_column import NumericColumn
from dpsynth.data.columns.raw import absent, as_text, by_value, distinct, texts_of, to_numbers
from dpsynth.errors import SchemaError

EPOCHS = {"epoch_s": 1, "epoch_ms": 1000}  # formats by number: units in a second
FIRST_YEAR = 1969  # of the hundred that two digits stand for in `strptime`
WRITTEN = "as written"  # the clock of a value's own offset, which is then ignored
_DAY = r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})|([0-9]{4})([0-9]{2})([0-9]{2})"
_TIME = r"[T ]([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,][0-9]+)?)?)?"
_ZONE = r" ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
_FIRST, _LAST = (float(calendar.timegm(day)) for day in ((1, 1, 1, 0, 0, 0), (9999, 12, 31, 23, 59, 59)))
_ISO = re.compile(f"(?:{_DAY})(?:{_TIME})?(?:{_ZONE})?", re.IGNORECASE)


def to_seconds(
    series: pd.Series, form: str | None = None, clock: str = "UTC", first_year: int | None = None
) -> np.ndarray:
    """(n,) float64 seconds since 1970 by the clock, NaN for whatever is no point in time. Never raises.

    form: a format of `strptime`, one of `EPOCHS`, or None for ISO 8601. clock: a time zone, or `WRITTEN`. first_year:
    of the hundred years that the two digits of %y stand for; None: 1969.
    """
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        local = series if clock == WRITTEN else series.dt.tz_convert(clock)
        series = local.dt.tz_localize(None)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "M":
        seconds = series.to_numpy().astype("datetime64[s]").astype(np.int64).astype(np.float64)
        return _of_known_years(np.where(absent(series), np.nan, seconds))
    if form in EPOCHS:
        return _of_epochs(to_numbers(series), EPOCHS[form], clock)
    if form is not None:
        return _in_format(series, form, clock, first_year)
    texts = texts_of(series)
    if texts is not None:
        try:
            instants = pc.cast(texts, pa.timestamp("us"))
            days = np.floor_divide(instants.to_numpy().astype("datetime64[us]").astype(np.int64), 1_000_000)
            return _of_known_years(np.where(np.asarray(pc.is_null(instants)), np.nan, days.astype(np.float64)))
        except pa.ArrowInvalid:
            pass
    return by_value(series, lambda value: second_of(value, clock))


def second_of(value: Any, clock: str = "UTC") -> float:
    """One raw value, not in a format of its own, as seconds since 1970; NaN when it is no point in time."""
    if isinstance(value, (dt.date, np.datetime64)):
        return _of_instant(value, clock)
    text = _as_digits(value)
    match = None if text is None else _ISO.fullmatch(text)
    if match is None:
        return math.nan
    year, month, day = (int(match[i] or match[i + 3]) for i in (1, 2, 3))
    hour, minute, second = (int(match[i] or 0) for i in (7, 8, 9))
    try:
        zone = None if match[10] is None else dt.timezone(dt.timedelta(seconds=_offset(match[10])))
        return _of_instant(dt.datetime(year, month, day, hour, minute, second, tzinfo=zone), clock)
    except ValueError:
        return math.nan


def _of_epochs(numbers: np.ndarray, units: int, clock: str) -> np.ndarray:
    """(n,) float64 seconds of numbers of 1/units seconds since 1970 UTC."""
    with np.errstate(invalid="ignore"):
        seconds = np.floor(numbers / units)
        low, high = (float(calendar.timegm((year, 1, 1, 0, 0, 0))) for year in (1, 9999))
        seconds = np.where((seconds >= low) & (seconds < high), seconds, np.nan)
    if clock in ("UTC", WRITTEN):
        return seconds
    instants = pd.Series(np.where(np.isnan(seconds), 0, seconds).astype(np.int64).astype("datetime64[s]"))
    local = to_seconds(instants.dt.tz_localize("UTC"), None, clock)
    return np.where(np.isnan(seconds), np.nan, local)


def _of_known_years(seconds: np.ndarray) -> np.ndarray:
    """`seconds`, NaN outside the years 1 to 9999: what reads whole columns knows a year 0, `datetime` does not."""
    return np.where((seconds >= _FIRST) & (seconds <= _LAST), seconds, np.nan)


def _offset(zone: str | None) -> float:
    """Seconds east of UTC."""
    if zone is None or zone in "Zz":
        return 0.0
    digits = zone[1:].replace(":", "")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60)


def _of_instant(value: dt.date | np.datetime64, clock: str) -> float:
    try:
        if isinstance(value, np.datetime64):
            if np.isnat(value):
                return math.nan
            return float(_of_known_years(np.array(float(value.astype("datetime64[s]").astype(np.int64)))))
        if isinstance(value, dt.datetime) and value.tzinfo is not None and clock != WRITTEN:
            return float(calendar.timegm(value.astimezone(ZoneInfo(clock)).timetuple()))
        return float(calendar.timegm(value.timetuple()))
    except (OverflowError, ValueError):  # an offset that leads out of the years 1 .. 9999
        return math.nan


def _as_digits(value: Any) -> str | None:
    """A number such as 20240131 as the text it stands for; other values as their text."""
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (float, np.floating)) and not float(value).is_integer():
        return None
    return as_text(value)


def _in_format(series: pd.Series, form: str, clock: str, first_year: int | None) -> np.ndarray:
    """As `_one_in_format` of every value; pandas reads most of them faster."""
    codes, values = distinct(series)
    found = np.full(len(values) + 1, np.nan)
    texts = [None if isinstance(value, dt.date) else _as_digits(value) for value in values]
    seconds = np.full(len(values), np.nan)
    if "%z" not in form and "%Z" not in form:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seconds = to_seconds(pd.to_datetime(pd.Series(texts, dtype=object), format=form, errors="coerce"))
    for i, value in enumerate(values):
        # pandas chooses one unit for all, in which far dates may not fit: whatever it left out is read by itself
        found[i] = _of_instant(value, clock) if isinstance(value, dt.date) else seconds[i]
        if math.isnan(found[i]) and texts[i] is not None:
            found[i] = _one_in_format(texts[i], form, clock)
        if first_year is not None and texts[i] is not None:
            found[i] = _in_the_hundred_years_from(first_year, found[i])
    return found[codes]


def _in_the_hundred_years_from(first_year: int, second: float) -> float:
    """The same day of the year with the same last two digits among the hundred years from `first_year`."""
    if math.isnan(second):
        return second
    instant = _ZERO + dt.timedelta(seconds=second)
    try:
        moved = instant.replace(year=first_year + (instant.year - first_year) % 100)
    except ValueError:  # 29 February of a year that has none
        return math.nan
    return float(calendar.timegm(moved.timetuple()))


def _one_in_format(text: str | None, form: str, clock: str) -> float:
    try:
        return _of_instant(dt.datetime.strptime(text or "", form), clock)
    except (ValueError, OverflowError):
        return math.nan


def written(seconds: np.ndarray, form: str | None, days: bool, clock: str = "UTC") -> np.ndarray:
    """(n,) texts of seconds since 1970 by the clock, in the format; None: ISO 8601, of the day alone where `days`."""
    if not len(seconds):
        return np.zeros(0, dtype=object)
    if form in EPOCHS:
        instants = _zoned(seconds, clock).dt.tz_convert("UTC").dt.tz_localize(None)
        return (instants.to_numpy().astype("datetime64[s]").astype(np.int64) * EPOCHS[form]).astype(str).astype(object)
    values = seconds.astype(np.int64).astype("datetime64[s]")
    if form is None:
        texts = np.datetime_as_string(values, unit="D" if days else "s")
        return np.char.replace(texts, "T", " ").astype(object) if texts.size else texts.astype(object)
    instants = _zoned(seconds, clock) if "%z" in form or "%Z" in form else pd.Series(values)
    if not (instants.dt.year < 1000).any():
        return instants.dt.strftime(form).to_numpy(dtype=object)
    padded = [  # strftime does not fill up years
        form.replace("%Y", f"{instant.year:04}").replace("%G", f"{instant.isocalendar().year:04}")
        for instant in instants
    ]
    return np.array([instant.strftime(own) for instant, own in zip(instants, padded, strict=True)], dtype=object)


def _zoned(seconds: np.ndarray, clock: str) -> pd.Series:
    """The points in time of seconds by the clock, with its offset from UTC."""
    instants = pd.Series(seconds.astype(np.int64).astype("datetime64[s]"))
    zone = "UTC" if clock == WRITTEN else clock
    return instants.dt.tz_localize(zone, ambiguous=np.ones(len(instants), dtype=bool), nonexistent="shift_forward")


# -------------------- Datetime --------------------------------------------------------------

_SECONDS_OF_DAY = 86_400
_ZERO = dt.datetime(1970, 1, 1)


@dataclass(frozen=True)
class Date(NumericColumn):
    """Days low .. high, both included.

    format    how the file writes them: a format of strptime, epoch_s or epoch_ms; None: ISO 8601
    timezone  the zone whose days they are: what has an offset from UTC is converted to it. None: the day as written
    first_year  of the hundred years that the two digits of %y stand for: 1930 for 1930 .. 2029. None: 1969 .. 2068
    """

    low: dt.date | None = None
    high: dt.date | None = None
    point_masses: tuple[dt.date, ...] = ()
    format: str | None = None
    timezone: str | None = field(default=None, kw_only=True)
    first_year: int | None = field(default=None, kw_only=True)

    kind = "date"

    def _check_values(self) -> None:
        _check_writing(self.name, self.format, self.timezone)
        if self.scale != "linear":
            raise SchemaError(f"column '{self.name}': dates have a linear scale only")
        for value in (*self.point_masses, *(() if self.low is None else (self.low, self.high))):
            if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
                raise SchemaError(f"column '{self.name}': {value!r} is not a date (write YYYY-MM-DD)")
        _check_two_digits(self)

    @property
    def step(self) -> float | None:
        return float(_SECONDS_OF_DAY)

    def axis(self, value: dt.date) -> float:
        return float((value - _ZERO.date()).days * _SECONDS_OF_DAY)

    def numbers(self, series: pd.Series) -> np.ndarray:
        return to_seconds(series, self.format, self.timezone or WRITTEN, self.first_year)

    def snap(self, values: np.ndarray) -> np.ndarray:
        return np.floor(values / _SECONDS_OF_DAY) * _SECONDS_OF_DAY  # the time of day is dropped

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        return _write(values, missing, self.name)

    def text(self, series: pd.Series) -> pd.Series:
        return _text(series, self.format, days=True, clock=self.timezone or WRITTEN)


@dataclass(frozen=True)
class Datetime(NumericColumn):
    """Times low .. high every `resolution` seconds, counted from low; times between are cut down to the
    last one.

    format    as of `Date`
    timezone  the zone whose clock they follow: what has an offset from UTC is converted to it, without one it is taken
              as it stands. None: UTC
    first_year  as of `Date`
    """

    low: dt.datetime | None = None
    high: dt.datetime | None = None
    point_masses: tuple[dt.datetime, ...] = ()
    resolution: int = 1
    format: str | None = None
    timezone: str | None = field(default=None, kw_only=True)
    first_year: int | None = field(default=None, kw_only=True)

    kind = "datetime"

    def _check_values(self) -> None:
        _check_writing(self.name, self.format, self.timezone)
        if self.scale != "linear":
            raise SchemaError(f"column '{self.name}': dates have a linear scale only")
        if isinstance(self.resolution, bool) or not isinstance(self.resolution, int) or self.resolution < 1:
            raise SchemaError(f"column '{self.name}': resolution must be whole seconds, got {self.resolution!r}")
        for value in (*self.point_masses, *(() if self.low is None else (self.low, self.high))):
            if not isinstance(value, dt.datetime) or value.tzinfo is not None or value.microsecond:
                raise SchemaError(
                    f"column '{self.name}': {value!r} is no point in time in whole seconds (YYYY-MM-DD HH:MM:SS)"
                )
        if self.low is not None and (self.stop - self.start) % self.resolution:
            raise SchemaError(f"column '{self.name}': the bounds must be a whole number of resolutions apart")
        _check_two_digits(self)

    @property
    def step(self) -> float | None:
        return float(self.resolution)

    def axis(self, value: dt.datetime) -> float:
        return float((value - _ZERO) // dt.timedelta(seconds=1))

    def numbers(self, series: pd.Series) -> np.ndarray:
        return to_seconds(series, self.format, self.timezone or "UTC", self.first_year)

    def snap(self, values: np.ndarray) -> np.ndarray:
        start = 0.0 if self.low is None else self.start
        snapped = start + np.floor((values - start) / self.resolution) * self.resolution
        # a point mass need not lie on the lattice
        return np.where(np.isin(values, self.point_mass_values), values, snapped)

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
    instant = dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    try:
        dt.datetime.strptime(instant.strftime(form), form)
    except ValueError as error:
        raise SchemaError(
            f"column '{name}': format {form!r} cannot be read ({error}); write it as strptime does, such as %d.%m.%Y, "
            f"or say {' or '.join(EPOCHS)}"
        ) from None


def _check_two_digits(column: Date | Datetime) -> None:
    """`SchemaError` for bounds outside the hundred years that two digits stand for: they could not be written back."""
    first, where = column.first_year, f"column '{column.name}'"
    two_digits = column.format is not None and "%y" in column.format
    if first is not None and (isinstance(first, bool) or not isinstance(first, int) or not 1 <= first <= 9900):
        raise SchemaError(f"{where}: first_year must be a year from 1 to 9900, got {first!r}")
    if first is not None and not two_digits:
        raise SchemaError(f"{where}: first_year belongs to a format with %y, years of two digits")
    first = FIRST_YEAR if first is None else first
    if not two_digits or column.low is None or column.high is None:
        return
    if not first <= column.low.year <= column.high.year <= first + 99:
        raise SchemaError(
            f"{where}: two digits (%y) stand for the years {first} to {first + 99}, and the bounds {column.low} and "
            f"{column.high} lie outside; set first_year: {min(column.low.year, 9900)} for {column.low.year} and the "
            "99 years after it"
        )
